//! What is read out of an upstream's answers: usage, how it ended, whether it is an error after all.

use std::borrow::Cow;
use std::sync::LazyLock;

use dialect::tokens;
use dispatch::Fault;
use market::Tokens;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::envelope::Refused;
use crate::generated;
use crate::peek::Call;

/// Usage as OpenAI's API reports it; what it lacks is zero.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Usage {
    #[serde(deserialize_with = "tokens::number")]
    prompt_tokens: u32,
    #[serde(deserialize_with = "tokens::number")]
    completion_tokens: u32,
    /// Some count the tokens of thought in here only.
    #[serde(deserialize_with = "tokens::perhaps")]
    total_tokens: Option<u32>,
    prompt_tokens_details: Option<Details>,
    // As responses name them.
    #[serde(deserialize_with = "tokens::number")]
    input_tokens: u32,
    #[serde(deserialize_with = "tokens::number")]
    output_tokens: u32,
    input_tokens_details: Option<Details>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Details {
    #[serde(default, deserialize_with = "tokens::perhaps")]
    cached_tokens: Option<u32>,
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        let input = usage.prompt_tokens.max(usage.input_tokens);
        let output = usage.completion_tokens.max(usage.output_tokens).max(usage.total_tokens.unwrap_or(0).saturating_sub(input));
        let details = usage.prompt_tokens_details.or(usage.input_tokens_details);
        let cached = details.and_then(|details| details.cached_tokens).unwrap_or(0);
        Self { input, cached: cached.min(input), output }
    }
}

/// An answer that came whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub reported: Option<Tokens>,
    /// Bytes of what was generated: what output is counted by where usage is missing.
    pub output_bytes: usize,
}

impl Whole {
    /// Counts what was generated only where it has to be known.
    pub fn new(reported: Option<Tokens>, generated: impl FnOnce() -> usize) -> Self {
        Self { reported, output_bytes: if reported.is_some() { 0 } else { generated() } }
    }
}

#[derive(Deserialize)]
struct WholeFields<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    choices: Option<&'a RawValue>,
    /// What a response has in place of choices.
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

impl WholeFields<'_> {
    fn reported(&self) -> Option<Tokens> {
        self.usage.and_then(|raw| serde_json::from_str::<Usage>(raw.get()).ok()).map(Tokens::from)
    }
}

/// Reads an answer that came whole. An error is none; nor is a web page or a fragment, and what that cost is unknown.
pub(crate) fn whole(body: &[u8]) -> Result<Whole, Fault> {
    // An array would be read too, field by field.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Fault::Lost);
    }
    // Looked at once, it need not be looked at field by field.
    let fields = match std::str::from_utf8(body) {
        Ok(text) => serde_json::from_str::<WholeFields<'_>>(text),
        Err(_) => serde_json::from_slice(body),
    };
    let fields = fields.map_err(|_| Fault::Lost)?;
    // A response that failed says what it used; its upstream did as it was asked.
    if fields.error.is_some() && fields.output.is_some() {
        return Err(Fault::Fruitless { used: fields.reported(), is_late: false });
    }
    if fields.error.is_some() || fields.choices.is_some_and(|raw| values(raw.get().as_bytes(), &KEYS.finish).any(is_abort)) {
        return Err(Fault::Broken);
    }
    let said = fields.choices.or(fields.output);
    Ok(Whole::new(fields.reported(), || said.map_or(0, |raw| generated::bytes(raw.get().as_bytes()))))
}

/// What a whole answer reports: its tokens, and those of its output that were thought.
pub(crate) fn used(body: &RawValue) -> Option<(Tokens, u32)> {
    #[derive(Deserialize)]
    struct Thought {
        #[serde(alias = "output_tokens_details")]
        completion_tokens_details: ThoughtDetails,
    }
    #[derive(Deserialize)]
    struct ThoughtDetails {
        #[serde(deserialize_with = "tokens::number")]
        reasoning_tokens: u32,
    }
    let fields = serde_json::from_str::<WholeFields<'_>>(body.get()).ok()?;
    let tokens = fields.reported()?;
    let thought = fields.usage.and_then(|raw| serde_json::from_str::<Thought>(raw.get()).ok());
    Some((tokens, thought.map_or(0, |thought| thought.completion_tokens_details.reasoning_tokens).min(tokens.output)))
}

/// Whether a choice ended because its upstream gave up: so vLLM ends, politely, what it has in work when it is told to stop.
fn is_abort(finish: &[u8]) -> bool {
    finish.starts_with(b"\"abort\"")
}

/// What the data of one event says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    pub done: bool,
    pub error: bool,
    pub content: bool,
    pub finish: bool,
    /// What was read of the request, said before the rest of usage.
    pub read: Option<Tokens>,
    pub reported: Option<Tokens>,
    /// The error is the answer's own end in its client's words, and no end is told beside it.
    pub is_told: bool,
    /// It holds usage and no choices: what `include_usage` adds at the end.
    pub usage_only: bool,
}

/// Reads the data of one event.
pub(crate) type Hear = fn(&[u8]) -> Heard;

/// How a call's events are read.
pub(crate) fn hearing(call: Call) -> Hear {
    match call {
        Call::Responses => heard_typed,
        Call::Chat | Call::Messages | Call::Completions | Call::Embeddings => heard,
    }
}

/// An event of a response.
#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    delta: Option<&'a RawValue>,
}

/// Reads the data of one event of a response, whose kind stands in its `type`.
fn heard_typed(data: &[u8]) -> Heard {
    let Ok(event) = serde_json::from_slice::<Typed<'_>>(data) else { return Heard::default() };
    let kind = event.kind.unwrap_or_default();
    let failed = kind == "response.failed";
    let usage = |response: &RawValue| serde_json::from_str::<WholeFields<'_>>(response.get()).ok().and_then(|fields| fields.reported());
    let ended = matches!(kind.as_ref(), "response.completed" | "response.incomplete");
    Heard {
        done: ended,
        error: failed || kind == "error",
        content: kind.ends_with(".delta") && event.delta.is_some_and(|delta| delta.get() != "\"\""),
        finish: ended,
        reported: event.response.filter(|_| ended || failed).and_then(usage),
        is_told: failed,
        ..Heard::default()
    }
}

/// Whether an event that carries no output only says that an answer is to come, or that its prompt was looked at. What isn't known to be that
/// is an answer's. A chat's role is: servers say it with their first token, and clients are to see it as soon.
pub(crate) fn is_prelude(data: &[u8]) -> bool {
    let text = data.trim_ascii();
    if KEYS.choices.find(text).is_some() {
        return has_no_choice(text);
    }
    let kind = serde_json::from_slice::<Typed<'_>>(text).ok().and_then(|event| event.kind);
    let preludes =
        ["response.created", "response.queued", "response.in_progress", "response.output_item.added", "response.content_part.added"];
    kind.is_some_and(|kind| preludes.contains(&kind.as_ref()))
}

/// Whether its list of choices is empty.
fn has_no_choice(text: &[u8]) -> bool {
    let is_empty = |value: &[u8]| value.strip_prefix(b"[").is_some_and(|rest| rest.trim_ascii_start().starts_with(b"]"));
    values(text, &KEYS.choices).any(is_empty)
}

/// What is searched for in every event: to set a search up costs more than to run it.
struct Keys {
    content: [Finder<'static>; 5],
    finish: Finder<'static>,
    usage: Finder<'static>,
    choices: Finder<'static>,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    content: ["\"content\"", "\"text\"", "\"arguments\"", "\"reasoning_content\"", "\"reasoning\""].map(Finder::new),
    finish: Finder::new("\"finish_reason\""),
    usage: Finder::new("\"usage\""),
    choices: Finder::new("\"choices\""),
});

/// Reads the data of one event by searching for the few keys that matter: a stream has thousands of events and the
/// whole of each is never needed.
pub(crate) fn heard(data: &[u8]) -> Heard {
    let text = data.trim_ascii();
    if text == b"[DONE]" {
        return Heard { done: true, ..Heard::default() };
    }
    let keys = &*KEYS;
    let word = |key| values(text, key).find(|value| value.starts_with(b"\"") && !value.starts_with(b"\"\""));
    let finish = word(&keys.finish);
    if is_error(text) || finish.is_some_and(is_abort) {
        return Heard { error: true, ..Heard::default() };
    }
    let reported = values(text, &keys.usage).find(|value| value.starts_with(b"{")).and_then(|value| {
        let mut reader = serde_json::Deserializer::from_slice(value);
        Usage::deserialize(&mut reader).ok().map(Tokens::from)
    });
    let content = keys.content.iter().any(|key| word(key).is_some());
    let usage_only = reported.is_some() && has_no_choice(text);
    Heard { content, finish: finish.is_some(), reported, usage_only, ..Heard::default() }
}

/// What stands after each `key` and its colon. A key inside a string has its quotes escaped, so it is not found.
fn values<'a>(text: &'a [u8], key: &'a Finder<'_>) -> impl Iterator<Item = &'a [u8]> {
    key.find_iter(text).filter_map(move |at| {
        let rest = text[at + key.needle().len()..].trim_ascii_start().strip_prefix(b":")?;
        Some(rest.trim_ascii_start())
    })
}

/// Whether the first key is `error`, and not `null`.
fn is_error(text: &[u8]) -> bool {
    let parts = [b"{".as_slice(), b"\"error\"", b":"];
    let value = parts.into_iter().try_fold(text, |rest, part| rest.trim_ascii_start().strip_prefix(part));
    value.is_some_and(|value| !value.trim_ascii_start().starts_with(b"null"))
}

#[derive(Default, Deserialize)]
struct ErrorFields {
    message: String,
    #[serde(default)]
    r#type: Option<String>,
    #[serde(default)]
    param: Option<String>,
    #[serde(default)]
    code: Option<Value>,
}

/// What an error says: as OpenAI has it, or in a list by itself, as Vertex's surface of OpenAI's API has it; as bare text, as Ollama's own API
/// has it; without an envelope, as SGLang and older vLLM have it; or as FastAPI's `detail`, of whose flaws the first is told.
fn error_fields(body: &[u8]) -> Option<ErrorFields> {
    let said = match serde_json::from_slice(body).ok()? {
        Value::Array(list) => <[Value; 1]>::try_from(list).ok().map(|[only]| only)?,
        said => said,
    };
    let only = |text: &str| Some(ErrorFields { message: text.to_owned(), ..ErrorFields::default() });
    match (&said["error"], &said["detail"]) {
        (Value::Null, Value::String(detail)) => only(detail),
        (Value::Null, Value::Array(flaws)) => only(flaws.first()?["msg"].as_str()?),
        (Value::Null, _) => ErrorFields::deserialize(&said).ok(),
        (Value::String(error), _) => only(error),
        (error, _) => ErrorFields::deserialize(error).ok(),
    }
}

/// The status that an error in a stream says where whole answers have theirs in the head: a number as its `code`.
pub(crate) fn status(data: &[u8]) -> Option<hyper::StatusCode> {
    let code = u16::try_from(error_fields(data)?.code?.as_u64()?).ok()?;
    hyper::StatusCode::from_u16(code).ok().filter(|status| status.is_client_error() || status.is_server_error())
}

/// The most of an upstream's own words that a client sees.
const MESSAGE_MAX: usize = 4_096;
/// The most characters of an upstream's `code`, `type` or `param` that a client sees.
const WORD_MAX: usize = 64;

/// A `code`, `type` or `param` as an upstream has it; what is no such word is not passed on, as it may be anything.
fn word(said: String) -> Option<String> {
    let is_one = said.len() <= WORD_MAX && said.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:/[]".contains(&byte));
    is_one.then_some(said)
}

/// A client's own fault as the upstream words it; a body that is no envelope is not shown.
pub(crate) fn client_error(status: hyper::StatusCode, body: &[u8]) -> Refused {
    error(status, body).unwrap_or_else(|| Refused::refused_upstream(status))
}

/// An upstream's error as it words it; `None` where it says none that can be read.
pub(crate) fn error(status: hyper::StatusCode, body: &[u8]) -> Option<Refused> {
    let error = error_fields(body)?;
    let own = Refused::refused_upstream(status);
    let code = error.code.and_then(|code| match code {
        Value::String(code) => Some(code),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    });
    Some(Refused {
        kind: error.r#type.and_then(word).map_or(own.kind, String::into_boxed_str),
        code: code.and_then(word).map(String::into_boxed_str),
        param: error.param.and_then(word).map(String::into_boxed_str),
        message: error.message.chars().take(MESSAGE_MAX).collect(),
        ..own
    })
}

/// A client's own fault as another dialect's upstream words it.
pub(crate) fn told(status: hyper::StatusCode, refusal: dialect::fault::Refusal) -> Refused {
    Refused {
        kind: refusal.kind.and_then(word).map_or_else(|| "invalid_request_error".into(), String::into_boxed_str),
        code: refusal.code.and_then(word).map(String::into_boxed_str),
        param: refusal.param.and_then(word).map(String::into_boxed_str),
        message: refusal.message.chars().take(MESSAGE_MAX).collect(),
        ..Refused::refused_upstream(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(data: &str, want: Heard) {
        assert_eq!(heard(data.as_bytes()), want, "{data}");
    }

    #[test]
    fn events_say_what_matters() {
        let nothing = Heard::default();
        let tokens = Tokens { input: 9, cached: 4, output: 2 };
        check("[DONE]", Heard { done: true, ..nothing });
        check(r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#, nothing);
        check(r#"{"choices":[{"delta":{"content" : "x"}}],"usage":null}"#, Heard { content: true, ..nothing });
        check(r#"{"choices":[{"delta":{},"finish_reason":"abort"}]}"#, Heard { error: true, ..nothing });
        check(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#, Heard { finish: true, ..nothing });
        check(r#"{"choices":[{"text":"\"usage\":{\"prompt_tokens\":1}"}]}"#, Heard { content: true, ..nothing });
        check(r#"{"choices":[{"delta":{"reasoning":"x"}}]}"#, Heard { content: true, ..nothing });
        check(r#"{"choices":[{"delta":{"reasoning":""}}],"reasoning":{"x":1}}"#, nothing);
        check(r#"{"choices":[{"text":"usage"}]}"#, Heard { content: true, ..nothing });
        check(r#"{ "error" : {"message":"no"}}"#, Heard { error: true, ..nothing });
        check(r#"{"error":null,"choices":[{"delta":{"content":"x"}}]}"#, Heard { content: true, ..nothing });
        check(
            r#"{"choices": [ ], "usage": {"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}}"#,
            Heard { reported: Some(tokens), usage_only: true, ..nothing },
        );
    }

    #[test]
    fn thought_that_only_the_total_counts_is_output() {
        let check = |usage: &str, input: u32, output: u32| {
            let want = Some(Tokens { input, cached: 0, output });
            let body = format!(r#"{{"choices":[],"usage":{usage}}}"#);
            assert_eq!(
                (whole(body.as_bytes()).ok().and_then(|whole| whole.reported), heard(body.as_bytes()).reported),
                (want, want),
                "{usage}"
            );
        };
        // As xAI has it, and as OpenAI does.
        check(
            r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"completion_tokens_details":{"reasoning_tokens":94}}"#,
            32,
            103,
        );
        check(r#"{"prompt_tokens":32,"completion_tokens":103,"total_tokens":135}"#, 32, 103);
        check(r#"{"prompt_tokens":32,"completion_tokens":9,"total_tokens":null}"#, 32, 9);
        check(r#"{"input_tokens":32,"output_tokens":9,"total_tokens":41}"#, 32, 9);
        check(r#"{"prompt_tokens":32,"total_tokens":32}"#, 32, 0);
    }

    #[test]
    fn thought_is_told_where_it_is_said() {
        let check = |usage: &str, want: Option<(u32, u32, u32)>| {
            let body = serde_json::from_str::<Box<RawValue>>(&format!(r#"{{"choices":[],"usage":{usage}}}"#)).expect("JSON");
            assert_eq!(used(&body).map(|(tokens, thought)| (tokens.input, tokens.output, thought)), want, "{usage}");
        };
        check(r#"{"prompt_tokens":9,"completion_tokens":5,"completion_tokens_details":{"reasoning_tokens":3}}"#, Some((9, 5, 3)));
        check(r#"{"input_tokens":9,"output_tokens":5,"output_tokens_details":{"reasoning_tokens":3}}"#, Some((9, 5, 3)));
        check(r#"{"prompt_tokens":9,"completion_tokens":5,"completion_tokens_details":null}"#, Some((9, 5, 0)));
        check("null", None);
    }

    #[test]
    fn whole_answers_are_read_and_others_refused() {
        let usage = r#"{"choices":[1],"usage":{"prompt_tokens":9,"completion_tokens":2}}"#;
        let tokens = Tokens { input: 9, cached: 0, output: 2 };
        assert_eq!(whole(usage.as_bytes()), Ok(Whole { reported: Some(tokens), output_bytes: 0 }));
        assert_eq!(whole(usage.replace(":9,", ":9.0,").as_bytes()), Ok(Whole { reported: Some(tokens), output_bytes: 0 }));
        assert_eq!(whole(br#"{"choices":[]}"#), Ok(Whole { reported: None, output_bytes: 0 }));
        assert_eq!(whole(br#"{"choices":[{"text":"four"}]}"#), Ok(Whole { reported: None, output_bytes: 4 }));
        for unread in ["<html>", "", r#"{"choices":[1]"#, "[]"] {
            assert_eq!(whole(unread.as_bytes()), Err(Fault::Lost), "{unread}");
        }
        for bad in [r#"{"error":{"message":"no"}}"#, r#"{"choices":[{"finish_reason": "abort"}]}"#] {
            assert_eq!(whole(bad.as_bytes()), Err(Fault::Broken), "{bad}");
        }
    }

    #[test]
    fn what_is_no_word_of_a_refusal_is_not_passed_on() {
        let told = |word: serde_json::Value| {
            let error = serde_json::json!({ "error": { "message": "no", "type": word, "param": word, "code": word } });
            let refused = client_error(hyper::StatusCode::BAD_REQUEST, error.to_string().as_bytes());
            (refused.kind.into_string(), refused.param.map(String::from), refused.code.map(String::from))
        };
        for word in ["BadRequestError", "messages[0].content", &"x".repeat(WORD_MAX)] {
            assert_eq!(told(word.into()), (word.to_owned(), Some(word.to_owned()), Some(word.to_owned())));
        }
        for other in ["my secret plan", "{\"role\":\"user\"}", "gr\u{fc}n", "a\nb", &"x".repeat(WORD_MAX + 1)] {
            assert_eq!(told(other.into()), ("invalid_request_error".to_owned(), None, None), "{other}");
        }
        let refusal = dialect::fault::Refusal { code: Some("my secret plan".to_owned()), ..dialect::fault::Refusal::default() };
        assert_eq!(super::told(hyper::StatusCode::BAD_REQUEST, refusal).code, None);
    }

    #[test]
    fn a_refusal_is_told_wherever_its_words_stand() {
        let check = |body: &str, message: &str, kind: &str, code: Option<&str>| {
            let refused = client_error(hyper::StatusCode::BAD_REQUEST, body.as_bytes());
            assert_eq!((refused.message.as_str(), &*refused.kind, refused.code.as_deref()), (message, kind, code), "{body}");
        };
        let usual = "invalid_request_error";
        let bare = r#"{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}"#;
        check(bare, "too long", "BadRequestError", Some("400"));
        check(r#"{"detail":"not so"}"#, "not so", usual, None);
        let flaws = r#"{"detail":[{"loc":["body","n"],"msg":"Input should be 1","type":"literal_error"},{"msg":"other"}]}"#;
        check(flaws, "Input should be 1", usual, None);
        check(r#"{"error":"model is required"}"#, "model is required", usual, None);
        check(r#"{"error":null,"message":"so"}"#, "so", usual, None);
        let own = Refused::refused_upstream(hyper::StatusCode::BAD_REQUEST).message;
        for other in
            [r#"{"detail":[]}"#, r#"{"detail":{"x":1}}"#, r#"{"error":{"x":"y"}}"#, r#"{"error":7}"#, r#"{"message":7}"#, "7", "\"so\""]
        {
            check(other, &own, usual, Some("upstream_refused"));
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_upstreams_words_also_from_a_list() {
        let words = |body: &str| client_error(hyper::StatusCode::BAD_REQUEST, body.as_bytes()).message.to_string();
        let error = r#"{"error":{"code":400,"message":"too hot","status":"INVALID_ARGUMENT"}}"#;
        assert_eq!([words(error), words(&format!("[{error}]"))], ["too hot", "too hot"]);
        let own = words("<html>");
        assert!(own != "too hot" && words("[]") == own && words(&format!("[{error},{error}]")) == own, "{own}");
    }
}
