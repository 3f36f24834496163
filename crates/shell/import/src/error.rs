//! Why a text could not be imported.

use core::fmt;

/// Why a text could not be imported, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ImportError {
    /// The line of the text, from one; `None` where it is about the whole.
    pub line: Option<usize>,
    /// What is wrong, in lower case, with no full stop.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl ImportError {
    /// At a line.
    pub(crate) fn at(line: usize, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { line: Some(line), message: message.into(), hint: hint.into() }
    }

    /// About the whole text.
    pub(crate) fn whole(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { line: None, message: message.into(), hint: hint.into() }
    }

    /// With the name of the file, as `FILE:LINE: MESSAGE` and a hint below.
    #[must_use]
    pub fn shown(&self, file: &str) -> String {
        let place = self.line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"));
        format!("{place}: {}\nhint: {}", self.message, self.hint)
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}
