//! What vendors say when they refuse a request.

use serde::Deserialize;

/// A vendor's refusal, as far as a client is told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of error it is, in OpenAI's words.
    pub kind: Option<String>,
    /// A code, in the vendor's.
    pub code: Option<String>,
    /// Which field is at fault.
    pub param: Option<String>,
    /// What is wrong.
    pub message: String,
    /// Whether it is our key or account that is refused, and not the request.
    pub is_ours: bool,
}

#[derive(Deserialize)]
struct Body {
    error: Error,
}

#[derive(Deserialize)]
struct Error {
    message: String,
    r#type: Option<String>,
    status: Option<String>,
    #[serde(default)]
    details: Option<Vec<Detail>>,
}

#[derive(Deserialize)]
struct Detail {
    reason: Option<String>,
}

/// Reads Anthropic's error.
#[must_use]
pub fn of_anthropic(body: &[u8]) -> Option<Refusal> {
    let Body { error } = serde_json::from_slice(body).ok()?;
    // Messages has no status of its own for an account without credit.
    let is_ours = error.r#type.as_deref() == Some("billing_error") || error.message.contains("credit balance is too low");
    Some(Refusal { kind: Some("invalid_request_error".to_owned()), code: error.r#type, message: error.message, is_ours, param: None })
}

/// Reads Google's error.
#[must_use]
pub fn of_gemini(body: &[u8]) -> Option<Refusal> {
    let Body { error } = serde_json::from_slice(body).ok()?;
    // A wrong key is a 400 at Google's.
    let keyed = |detail: &Detail| matches!(detail.reason.as_deref(), Some("API_KEY_INVALID" | "API_KEY_EXPIRED"));
    let is_ours = error.details.is_some_and(|details| details.iter().any(keyed)) || error.status.as_deref() == Some("FAILED_PRECONDITION");
    Some(Refusal { kind: Some("invalid_request_error".to_owned()), code: error.status, message: error.message, is_ours, param: None })
}
