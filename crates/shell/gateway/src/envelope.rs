//! What a client is told when its request fails: OpenAI's envelope, all four fields, always.

use std::time::Duration;

use bytes::Bytes;
use fleet::ServiceTier;
use hyper::StatusCode;
use serde::Serialize;

use crate::admission::Rates;

/// A request refused or failed, in the words of its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub status: StatusCode,
    pub kind: Box<str>,
    pub code: Option<Box<str>>,
    pub param: Option<Box<str>>,
    pub message: String,
    pub retry_after: Option<Duration>,
    /// The methods that would be answered, where its own is not.
    pub allow: Option<&'static str>,
    /// Trying again can't help, whatever the status says.
    pub for_good: bool,
    /// An upstream refused it, and kind, code and parameter are in its words.
    pub theirs: bool,
    /// An attempt at it is booked all the same.
    pub paid: bool,
    /// How much is left of the key's rates.
    pub rates: Option<Box<Rates>>,
    /// Whose envelope it comes in.
    pub words: Words,
}

/// Whose words a client is told an error in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Words {
    #[default]
    OpenAi,
    Anthropic,
}

#[derive(Serialize)]
struct AnthropicEnvelope<'a> {
    r#type: &'static str,
    error: AnthropicFields<'a>,
}

#[derive(Serialize)]
struct AnthropicFields<'a> {
    r#type: &'a str,
    message: &'a str,
}

impl From<dialect::Unsupported> for Refused {
    fn from(unsupported: dialect::Unsupported) -> Self {
        Self::unsupported(&unsupported.param, unsupported.message)
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Fields<'a>,
}

#[derive(Serialize)]
struct Fields<'a> {
    message: &'a str,
    r#type: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

impl Refused {
    fn new(status: StatusCode, kind: &str, code: &str, message: impl Into<String>) -> Self {
        let (kind, code) = (kind.into(), Some(code.into()));
        let message = message.into();
        Self {
            status,
            kind,
            code,
            param: None,
            message,
            retry_after: None,
            allow: None,
            for_good: false,
            theirs: false,
            paid: false,
            rates: None,
            words: Words::OpenAi,
        }
    }

    pub fn about(mut self, param: &str) -> Self {
        self.param = Some(param.into());
        self
    }

    pub fn again_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    pub fn for_good(mut self) -> Self {
        self.for_good = true;
        self
    }

    pub fn with_rates(mut self, rates: Rates) -> Self {
        self.rates = Some(Box::new(rates));
        self
    }

    /// Whether trying the same again can't help: a fault of the request itself, or a budget that is spent.
    pub fn is_final(&self) -> bool {
        let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::CONFLICT, StatusCode::TOO_MANY_REQUESTS];
        self.for_good || (self.status.is_client_error() && !passing.contains(&self.status))
    }

    /// The body is at fault in `param`.
    pub fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", "invalid_value", message).about(param)
    }

    pub fn bad_body(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", "invalid_json", message)
    }

    pub fn ambiguous() -> Self {
        let message = "The request's head can be read in two ways: it states its body's length twice, folds a line, ends one without CR or masks a name.";
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", "ambiguous_head", message)
    }

    pub fn context_too_long(limit: u32) -> Self {
        let message =
            format!("This model's maximum context length is {limit} tokens. Please shorten the messages or ask for a shorter answer.");
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", "context_length_exceeded", message).about("messages")
    }

    pub fn unsupported(param: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", "unsupported_value", message).about(param)
    }

    pub fn too_large(limit: usize) -> Self {
        let message = format!("The request body is larger than {limit} bytes.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", "request_too_large", message)
    }

    /// An upstream's answer that is not passed on.
    pub fn answer_too_large(limit: usize) -> Self {
        let message = format!("The answer is larger than {limit} bytes. Please ask for less at once.");
        Self::new(StatusCode::BAD_GATEWAY, "server_error", "answer_too_large", message).for_good()
    }

    pub fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "invalid_request_error", "request_timeout", "The request body did not arrive in time.")
    }

    /// The same answer for a key that is unknown, wrong, revoked or expired: it tells nothing about which keys exist.
    pub fn bad_key() -> Self {
        let message = "Incorrect API key provided. Send the key as 'Authorization: Bearer bl-...'.";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_request_error", "invalid_api_key", message)
    }

    /// The key is good, but not for this.
    pub fn out_of_scope(wanted: &str) -> Self {
        let message = format!("You have insufficient permissions for this operation. Missing scope: {wanted}.");
        Self::new(StatusCode::FORBIDDEN, "invalid_request_error", "insufficient_permissions", message)
    }

    /// The key belongs to a team that the fleet has no more: whose budget it would spend is not known.
    pub fn no_team() -> Self {
        let message = "The team of this key does not exist any more. Ask for another key.";
        Self::new(StatusCode::FORBIDDEN, "invalid_request_error", "insufficient_permissions", message)
    }

    /// A rate of an account is used up for the moment.
    pub fn rate_limited(message: String) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "requests", "rate_limit_exceeded", message)
    }

    /// No endpoint costs as little as the accounts have left.
    pub fn over_budget() -> Self {
        let message = "You exceeded your current quota: the budget of your key, your team or the whole fleet can't pay for this request.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", "insufficient_quota", message).for_good()
    }

    /// The budget is shared with other gateways, and this one has lost touch.
    pub fn unleased(wait: Duration) -> Self {
        let message = "This gateway shares your budget with others and has not heard of its part for a while. Please try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", "no_lease", message).again_after(wait)
    }

    /// There was no place, and no room in line or no patience left.
    pub fn shed(tier: ServiceTier) -> Self {
        let wait = if tier.class() == ServiceTier::Flex { Duration::from_secs(10) } else { Duration::from_secs(1) };
        let message = "The gateway has more requests than it can take, and this one could not wait any longer. Please try again.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "requests", "overloaded", message).again_after(wait)
    }

    /// All that the model's suppliers said was that they take no more of what is ours.
    pub fn pushed_back(wait: Duration) -> Self {
        let message = "The suppliers of this model take no more requests at the moment. Please try again.";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "requests", "overloaded", message).again_after(wait)
    }

    pub fn no_model(name: &str) -> Self {
        let shown: String = name.chars().take(128).collect();
        let message = format!("The model '{shown}' does not exist or you do not have access to it.");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", "model_not_found", message).about("model")
    }

    pub fn shadow(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", "no_shadow", message)
    }

    pub fn unknown_url(method: &str, path: &str) -> Self {
        let shown: String = path.chars().take(256).collect();
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", "unknown_url", format!("Unknown request URL: {method} {shown}."))
    }

    /// The route takes other methods: these, as a header names them.
    pub fn wrong_method(allowed: &'static str) -> Self {
        let message = format!("Not allowed to use this method on this URL; use {}.", allowed.replace(", ", " or "));
        let refused = Self::new(StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error", "method_not_supported", message);
        Self { allow: Some(allowed), ..refused }
    }

    pub fn no_host() -> Self {
        let message = "The request's head does not name its host, or names it more than once.";
        Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", "invalid_host", message)
    }

    pub fn packed() -> Self {
        let message = "The request body has a content-encoding. Please send it as it is: no encoding but 'identity' is read.";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request_error", "unsupported_encoding", message)
    }

    pub fn no_capacity(message: impl Into<String>, wait: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", "no_capacity", message).again_after(wait)
    }

    pub fn overloaded() -> Self {
        let message = "The gateway has as many requests under way as it takes. Please try again.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", "overloaded", message).again_after(Duration::from_secs(1))
    }

    /// The books are being checked, for whoever asked before.
    pub fn audited() -> Self {
        let message = "The books are being checked already, for somebody who asked before. Please try again when that has ended.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", "audit_running", message).again_after(Duration::from_secs(5))
    }

    /// The books come first: what can't be journaled is not begun.
    pub fn no_journal() -> Self {
        let message = "The gateway can't write its journal, so it takes no new work. Please try again later.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", "journal_unavailable", message).again_after(Duration::from_secs(5))
    }

    /// An upstream refused the request itself; what it said is not shown, unless other words are put here.
    pub fn refused_upstream(status: StatusCode) -> Self {
        let message = format!("The model server refused the request with status {}.", status.as_u16());
        let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
        Self { theirs: true, ..Self::new(status, kind, UPSTREAM_REFUSED, message) }
    }

    /// The code in words of ours: an upstream's may repeat what was asked of it.
    pub fn own_code(&self) -> Option<&str> {
        if self.theirs { Some(UPSTREAM_REFUSED) } else { self.code.as_deref() }
    }

    /// What a stream says when its upstream was lost after content had been sent.
    pub fn cut() -> Self {
        let message = "The model server was lost before the answer was complete. What was sent so far is not the whole answer.";
        Self::new(StatusCode::BAD_GATEWAY, "server_error", "upstream_lost", message)
    }

    /// The same, as Anthropic's clients are told.
    pub fn in_anthropic(self) -> Self {
        Self { words: Words::Anthropic, ..self }
    }

    /// This gateway keeps no files, batches or ledger.
    pub fn nothing_kept() -> Self {
        let message = "This gateway runs without a state directory: it keeps no files, batches or ledger.";
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", "not_supported", message)
    }

    /// There is no such file or batch, or it is another key's.
    pub fn not_kept(what: &str, id: &str) -> Self {
        let shown: String = id.chars().take(128).collect();
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", "not_found", format!("No such {what}: '{shown}'.")).about("id")
    }

    /// It can't be done to the thing as it is.
    pub fn conflict(message: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "invalid_request_error", "conflict", message)
    }

    /// A limit on what is kept is reached.
    pub fn too_many(message: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "invalid_request_error", "limit_reached", message).again_after(Duration::from_secs(60))
    }

    /// It could not be written to the state directory, or read from it.
    pub fn not_stored() -> Self {
        let message = "The gateway could not read or write its state directory. Please try again later.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", "storage_unavailable", message).again_after(Duration::from_secs(5))
    }

    /// The answer was had and can't be told in the call's own shape.
    pub fn untold() -> Self {
        let message = "The model server answered in a shape that can't be read.";
        Self::new(StatusCode::BAD_GATEWAY, "server_error", "bad_upstream_answer", message).for_good()
    }

    /// The envelope as JSON.
    pub fn body(&self) -> Bytes {
        if self.words == Words::Anthropic {
            // An upstream of its dialect has its own word for it.
            let own = self.code.as_deref().filter(|code| self.theirs && ANTHROPIC_TYPES.contains(code));
            let error = AnthropicFields { r#type: own.unwrap_or_else(|| anthropic_type(self.status)), message: &self.message };
            let envelope = AnthropicEnvelope { r#type: "error", error };
            return Bytes::from(serde_json::to_vec(&envelope).expect("strings can always be written as JSON"));
        }
        let (param, code) = (self.param.as_deref(), self.code.as_deref());
        let envelope = Envelope { error: Fields { message: &self.message, r#type: &self.kind, param, code } };
        Bytes::from(serde_json::to_vec(&envelope).expect("strings can always be written as JSON"))
    }

    /// The envelope as an event of a stream.
    pub fn event(&self) -> Bytes {
        let begin: &[u8] = if self.words == Words::Anthropic { b"event: error\ndata: " } else { b"data: " };
        Bytes::from([begin, &self.body(), b"\n\n"].concat())
    }
}

/// The code where an upstream refused the request and has none that can be told.
pub(crate) const UPSTREAM_REFUSED: &str = "upstream_refused";

/// What Anthropic calls errors.
const ANTHROPIC_TYPES: [&str; 9] = [
    "authentication_error",
    "billing_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "invalid_request_error",
    "overloaded_error",
    "timeout_error",
];

/// What Anthropic calls an error of this status.
fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 | 405 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        503 => "overloaded_error",
        504 => "timeout_error",
        _ => "api_error",
    }
}
