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

impl Diagnostic {
    /// An error at `span`.
    pub(crate) fn error(code: &'static str, span: &Range<usize>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, span: span.clone(), message: message.into(), label: None, related: None, hint: hint.into() }
    }

    /// A warning at `span`.
    pub(crate) fn warning(code: &'static str, span: &Range<usize>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, span, message, hint) }
    }

    /// Something at `span` that is read, and that nothing computes with yet.
    pub(crate) fn not_computed(code: &'static str, span: &Range<usize>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { severity: Severity::NotComputed, ..Self::error(code, span, message, hint) }
    }

    /// With words at the caret.
    pub(crate) fn label(self, label: impl Into<String>) -> Self {
        Self { label: Some(label.into()), ..self }
    }

    /// With a second place.
    pub(crate) fn related(self, span: &Range<usize>, label: impl Into<String>) -> Self {
        Self { related: Some(Related { span: span.clone(), label: label.into() }), ..self }
    }
}
