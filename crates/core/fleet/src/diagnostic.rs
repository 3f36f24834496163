//! What is wrong with a fleet file, where, and what to do about it.

use core::ops::Range;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The fleet can't be used.
    Error,
    /// The fleet can be used, but a person would want to know.
    Warning,
    /// A clause that is read and kept, but that nothing computes with yet.
    NotComputed,
}

/// A second place that explains the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// Bytes of the file.
    pub span: Range<usize>,
    /// What stands there.
    pub label: String,
}

/// One thing that is wrong, with its place, its code and a way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// The stable code, such as `BL0207`; `baseload explain` tells more.
    pub code: &'static str,
    /// Bytes of the file that the caret points at.
    pub span: Range<usize>,
    /// What is wrong, in lower case, with no full stop.
    pub message: String,
    /// What the caret says, when the message alone doesn't.
    pub label: Option<String>,
    /// Another place that matters.
    pub related: Option<Related>,
    /// What to do.
    pub hint: String,
}
