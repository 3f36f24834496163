/// What one dialect says and another can't.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Unsupported {
    /// The field of the request, as its client wrote it.
    pub param: String,
    /// Why, as its client is told.
    pub message: String,
}
