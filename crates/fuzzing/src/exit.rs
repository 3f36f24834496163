//! Stands in for the command line's errors, which `what_if` is written with.

/// Wrong usage.
pub(crate) fn wrong(message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::msg(message.into())
}
