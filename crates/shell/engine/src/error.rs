//! Errors as OpenAI's clients know them.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::inbox::{Failure, Refusal};

/// A refusal with its status, its message and the parameter that is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<String>,
    message: String,
}

impl ApiError {
    /// The client's fault, in the parameter `param`.
    pub fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self { param: Some(param.to_owned()), ..Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", None, message) }
    }

    /// The body isn't a JSON object.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", None, message)
    }

    /// The body is larger than `bytes_max`.
    pub fn too_large(bytes_max: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", None, format!("the body is larger than {bytes_max} bytes"))
    }

    /// The prompt leaves no room for an answer.
    pub fn too_long(param: &str, prompt: usize, context: usize) -> Self {
        let message = format!("this model's maximum context length is {context} tokens, and the prompt has {prompt}");
        Self { code: Some("context_length_exceeded"), ..Self::invalid(param, message) }
    }

    /// There's no such model.
    pub fn no_model(name: &str) -> Self {
        let message = format!("the model `{name}` does not exist");
        let error = Self::new(StatusCode::NOT_FOUND, "invalid_request_error", Some("model_not_found"), message);
        Self { param: Some("model".to_owned()), ..error }
    }

    /// There's no such page, or not with this method.
    pub fn no_route(status: StatusCode, what: &str) -> Self {
        Self::new(status, "invalid_request_error", None, format!("unknown request: {what}"))
    }

    /// Whoever asks is not answered here.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "invalid_request_error", Some("forbidden"), message)
    }

    /// The body isn't said to be JSON.
    pub fn not_json() -> Self {
        let message = "the content type must be application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request_error", Some("unsupported_media_type"), message)
    }

    /// The engine broke.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", None, message)
    }

    /// The body of the answer.
    pub fn envelope(&self) -> Value {
        json!({"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}})
    }

    fn new(status: StatusCode, kind: &'static str, code: Option<&'static str>, message: impl Into<String>) -> Self {
        Self { status, kind, code, param: None, message: message.into() }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let code = match refusal {
            Refusal::Full => "overloaded",
            Refusal::ShuttingDown => "shutting_down",
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", Some(code), refusal.to_string())
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::ShuttingDown => Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("shutting_down"), failure.to_string()),
            Failure::Step => Self::internal(failure.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.envelope())).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
