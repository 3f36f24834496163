//! What an import came to, and what a person should know of it.

use core::fmt;

use units::Currency;

use crate::exact::Exact;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A secret stood in the text in the clear; the file names an environment variable instead.
    Secret,
    /// The text says it, and a fleet file can't keep it.
    Left,
    /// The file needs it, and the text doesn't say it; it is marked in the file.
    Unknown,
}

impl Kind {
    /// The word that a finding begins with.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Left => "left out",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing that a person should know of an import.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What it is about.
    pub kind: Kind,
    /// The line of the text that it comes from, from one.
    pub line: Option<usize>,
    /// A key of the text or of the fleet file, and what is with it.
    pub what: String,
    /// The money behind it, in a bill.
    pub money: Option<(Exact, Currency)>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.kind.word())?;
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.what)?;
        self.money.as_ref().map_or(Ok(()), |(money, currency)| write!(f, ": {money} {currency}"))
    }
}

/// What a bill comes to in one currency: billed is explained plus listed, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Total {
    /// The currency.
    pub currency: Currency,
    /// All that was billed.
    pub billed: Exact,
    /// What the contracts of the fleet file come to for the quantities of the bill.
    pub explained: Exact,
    /// What is listed among the findings instead.
    pub listed: Exact,
}

/// A fleet file made from something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The text of the fleet file.
    pub fleet: String,
    /// What a person should know, secrets first.
    pub findings: Vec<Finding>,
    /// What a bill comes to, by currency; empty for a config.
    pub totals: Vec<Total>,
}
