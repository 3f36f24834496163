/// What one dialect says and another can't.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unsupported {
    /// The field of the request, as its client wrote it.
    pub param: String,
    /// Why, as its client is told.
    pub message: String,
}

impl Unsupported {
    /// A field, and what is the matter with it: the end of a sentence that begins with the field's name.
    pub(crate) fn new(param: impl Into<String>, what: &str) -> Self {
        let param = param.into();
        Self { message: format!("'{param}' {what}."), param }
    }

    /// A field that is of another type than `what`.
    pub(crate) fn not(param: &str, what: &str) -> Self {
        Self::new(param, &format!("should be {what}"))
    }
}
