//! The fleet file as it is written: tables and keys in order, with a mark beside all that is not known.

use core::fmt::Write as _;

use fleet::Severity;

use crate::error::ImportError;
use crate::finding::{Finding, Imported, Kind, Total};

/// A fleet file in the making, with its findings.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
    table: String,
    findings: Vec<Finding>,
}

impl Page {
    /// A line of comment; an empty one is an empty line.
    pub(crate) fn comment(&mut self, text: &str) {
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.push(if line.is_empty() { "\n".to_owned() } else { format!("# {line}\n") });
    }

    /// Begins `[section.name]`.
    pub(crate) fn table(&mut self, section: &str, name: &str) {
        self.table = format!("{section}.{name}");
        self.push(format!("\n[{section}.{}]\n", key(name)));
    }

    /// Begins `[[section.name.clause]]`.
    pub(crate) fn clause(&mut self, section: &str, name: &str, clause: &str) {
        self.table = format!("{section}.{name}.{clause}");
        self.push(format!("\n[[{section}.{}.{clause}]]\n", key(name)));
    }

    /// A key with a value that is TOML already.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.push(format!("{name} = {value}\n"));
    }

    /// A key with a text.
    pub(crate) fn say(&mut self, name: &str, text: &str) {
        self.set(name, &quoted(text));
    }

    /// A key that the file needs and nobody said: a value that parses, marked, and listed among the findings.
    pub(crate) fn unknown(&mut self, name: &str, value: &str, line: Option<usize>, why: &str) {
        self.push(format!("{name} = {value} # unknown: {why}\n"));
        let what = if self.table.is_empty() { name.to_owned() } else { format!("{}.{name}", self.table) };
        self.findings.push(Finding { kind: Kind::Unknown, line, what: format!("{what}: {why}"), money: None });
    }

    /// Something that the text says and the file can't keep.
    pub(crate) fn left(&mut self, line: usize, what: impl Into<String>) {
        self.find(Finding { kind: Kind::Left, line: Some(line), what: what.into(), money: None });
    }

    /// A finding of any kind.
    pub(crate) fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// What the text says and the file can't keep, so far, each in a line.
    pub(crate) fn left_out(&self) -> impl Iterator<Item = String> {
        self.findings.iter().filter(|finding| finding.kind == Kind::Left).map(Finding::to_string)
    }

    /// The whole, once the fleet's own reader has found no error in it.
    pub(crate) fn finish(mut self, totals: Vec<Total>) -> Result<Imported, ImportError> {
        if let Some(fault) = fleet::parse(&self.text).diagnostics.iter().find(|it| it.severity == Severity::Error) {
            let message = format!("the fleet file that it comes to has a fault, {}: {}", fault.code, fault.message);
            return Err(ImportError::whole(message, fault.hint.clone()));
        }
        self.findings.sort();
        self.findings.dedup();
        Ok(Imported { fleet: self.text, findings: self.findings, totals })
    }

    fn push(&mut self, text: String) {
        self.text.push_str(&text);
    }
}

/// A name as TOML writes it between points.
fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if bare { name.to_owned() } else { quoted(name) }
}

/// A text in TOML's double quotes.
pub(crate) fn quoted(text: &str) -> String {
    let mut written = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => written.extend(['\\', c]),
            c if c.is_control() => write!(written, "\\u{:04X}", u32::from(c)).expect("a string takes all that is written to it"),
            c => written.push(c),
        }
    }
    written.push('"');
    written
}

/// A list of texts.
pub(crate) fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}
