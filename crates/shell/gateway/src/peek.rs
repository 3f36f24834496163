//! What routing needs of a request's body. The rest is never looked at: unknown fields pass through untouched.

use std::borrow::Cow;
use std::ops::Range;

use dispatch::Needs;
use fleet::{Capability, ServiceTier};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::attached::Over;
use crate::envelope::Refused;
use crate::limits::SETTINGS_BYTES;
use crate::{attached, depth, messages};

/// Which of the inference calls it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Chat,
    Completions,
    /// Anthropic's.
    Messages,
    Embeddings,
    /// To an upstream that speaks it; for others it is told as [`Call::Chat`].
    Responses,
}

impl Call {
    /// What its upstream must be able to do.
    pub const fn capability(self) -> Capability {
        match self {
            Self::Chat | Self::Messages => Capability::Chat,
            Self::Completions => Capability::Completions,
            Self::Embeddings => Capability::Embeddings,
            Self::Responses => Capability::Responses,
        }
    }

    /// The field that holds the prompt.
    pub const fn prompt(self) -> &'static str {
        match self {
            Self::Chat | Self::Messages => "messages",
            Self::Completions => "prompt",
            Self::Embeddings | Self::Responses => "input",
        }
    }
}

/// The fields that matter, each still as the client wrote it. A key given twice is refused: two readers of one body
/// might each take another, and be routed on one value and answered on the other.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default, deserialize_with = "raw")]
    model: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    n: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    best_of: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    response_format: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    logprobs: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    service_tier: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    messages: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    prompt: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    input: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    instructions: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    max_output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    text: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    store: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    n_predict: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    web_search_options: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    modalities: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "raw")]
    audio: Option<&'a RawValue>,
}

/// Unlike `Option`'s own, tells a field that is `null` from one that is missing.
pub(crate) fn raw<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
struct StreamOptions<'a> {
    #[serde(borrow, default, deserialize_with = "raw")]
    include_usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ResponseFormat<'a> {
    #[serde(borrow)]
    r#type: Option<Cow<'a, str>>,
}

/// Where a response's format stands.
#[derive(Deserialize)]
struct ResponseText<'a> {
    #[serde(borrow, default)]
    format: Option<&'a RawValue>,
}

/// Whether and how an answer is streamed, with the place where usage must be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Streaming {
    No,
    /// The client asked for usage itself.
    WithUsage,
    /// It did not: usage is asked for by this edit, and kept from the client.
    AddUsage(Edit),
}

/// Replaces a range of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub range: Range<usize>,
    pub text: Cow<'static, str>,
}

/// A request's body as far as routing needs it.
#[derive(Debug)]
pub(crate) struct Peek<'a> {
    pub model: Cow<'a, str>,
    /// Where the model's name stands in the body.
    pub model_at: Range<usize>,
    pub streaming: Streaming,
    /// Where the value of `stream_options` stands, if there is any.
    pub options_at: Option<Range<usize>>,
    /// Where an upstream is told to keep nothing of a response: we could not lead a later request back to it.
    pub unstored: Option<Edit>,
    pub tier: ServiceTier,
    /// Where the value of `service_tier` stands, if it is ours: a supplier would bill by it.
    pub tier_at: Option<Range<usize>>,
    pub needs: Needs,
    /// How many answers are generated: each prompt of a list has all of its choices.
    pub choices: u32,
    /// The most output tokens over all of them, if the client said.
    pub output_max: Option<u32>,
    /// The messages or the prompt as written.
    pub prompt: &'a str,
    /// Bytes of it, of the tools and instructions that are put before it, and of whatever else an upstream may put there.
    pub prompt_bytes: usize,
    /// Bytes that must fit into one context: less than all where there are several inputs.
    pub context_bytes: usize,
    /// Bytes of files that these don't count: what they may come to.
    pub document_bytes: usize,
    /// Whether they say how long the tokens of texts are: not where there are images or the like, or much that may be no part of the prompt.
    pub teaches: bool,
}

impl<'a> Peek<'a> {
    pub fn parse(call: Call, body: &'a [u8]) -> Result<Self, Refused> {
        // An array would be read too, field by field.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(Refused::bad_body("We could not read the body of your request: it is not a JSON object."));
        }
        // What nobody reads is not looked at by the parser either, and an upstream that breaks at it would be taken for broken.
        let Ok(whole) = std::str::from_utf8(body) else {
            return Err(Refused::bad_body("We could not read the body of your request: it is not UTF-8."));
        };
        depth::check(body)?;
        if call == Call::Messages {
            return messages::peek(body);
        }
        let fields: Fields<'a> = serde_json::from_str(whole).map_err(|error| at_fault(&error))?;
        let prompt = required(fields.prompt_of(call), call.prompt())?;
        let array = prompt.get().starts_with('[');
        if call == Call::Chat && !array {
            return Err(Refused::invalid("messages", "'messages' should be an array."));
        }
        if matches!(call, Call::Embeddings | Call::Responses) && !array && !prompt.get().starts_with('"') {
            return Err(Refused::invalid("input", "'input' should be a string or an array."));
        }
        match call {
            Call::Responses => dialect::responses::stateless(body)?,
            Call::Chat => dialect::extras::of_chat(fields.tools, fields.web_search_options, fields.modalities, fields.audio)?,
            Call::Completions | Call::Embeddings | Call::Messages => {}
        }
        let model_raw = required(fields.model, "model")?;
        let model = text(model_raw, "model")?;
        let choices = number(fields.n, "n")?.unwrap_or(1);
        let several = if matches!(call, Call::Completions | Call::Embeddings) { several(prompt) } else { Vec::new() };
        let generated = match call {
            Call::Completions => {
                let each = number(fields.best_of, "best_of")?.unwrap_or(1).max(choices).max(1);
                each.saturating_mul(u32::try_from(several.len().max(1)).unwrap_or(u32::MAX))
            }
            _ => choices.max(1),
        };
        let stream = flag(fields.stream, "stream")?.unwrap_or(false) && call != Call::Embeddings;
        let streaming = match call {
            _ if !stream => Streaming::No,
            Call::Responses => Streaming::WithUsage,
            _ => usage_wanted(body, fields.stream_options)?,
        };
        let before = [fields.tools, fields.instructions].into_iter().flatten().map(|raw| raw.get().len()).sum::<usize>();
        // Texts alone are completed or embedded.
        let attached = if matches!(call, Call::Chat | Call::Responses) { attached::over_in(prompt.get()) } else { Over::default() };
        let (said, beside) = (prompt.get().len() - attached.all + before, beside(body, prompt.get().len() + before));
        Ok(Self {
            model,
            model_at: range(body, model_raw),
            streaming,
            options_at: fields.stream_options.map(|raw| range(body, raw)),
            unstored: (call == Call::Responses).then(|| unstored(body, fields.store)).flatten(),
            tier: tier(fields.service_tier)?,
            tier_at: fields.service_tier.map(|raw| range(body, raw)),
            needs: needs(call, &fields, choices)?,
            choices: generated,
            output_max: output_max(call, &fields)?.map(|limit| limit.saturating_mul(generated)),
            // Nothing is kept of what was embedded.
            prompt: if call == Call::Embeddings { "" } else { prompt.get() },
            prompt_bytes: said + beside,
            context_bytes: several.iter().map(|part| part.get().len()).max().unwrap_or(said),
            document_bytes: attached.documents,
            teaches: attached.all == 0 && beside == 0,
        })
    }
}

impl<'a> Fields<'a> {
    fn prompt_of(&self, call: Call) -> Option<&'a RawValue> {
        match call {
            Call::Chat | Call::Messages => self.messages,
            Call::Completions => self.prompt,
            Call::Embeddings | Call::Responses => self.input,
        }
    }
}

/// Bytes of a body beside those of what it is known to say, but for as many as the usual settings take. An upstream may put them before its
/// model, whatever their field is called.
pub(crate) fn beside(body: &[u8], said: usize) -> usize {
    body.len().saturating_sub(said + SETTINGS_BYTES)
}

/// The most output tokens of a choice; what is embedded has none.
fn output_max(call: Call, fields: &Fields<'_>) -> Result<Option<u32>, Refused> {
    let most = match call {
        Call::Embeddings => return Ok(Some(0)),
        Call::Responses => number(fields.max_output_tokens, "max_output_tokens"),
        Call::Completions => number(fields.max_tokens, "max_tokens"),
        // Upstreams differ in which of two they follow.
        Call::Chat | Call::Messages => {
            Ok(number(fields.max_completion_tokens, "max_completion_tokens")?.max(number(fields.max_tokens, "max_tokens")?))
        }
    }?;
    // What llama-server follows before all others, and nobody else knows: so it lowers no other. Below zero it is none.
    let predicted: Option<i64> = read(fields.n_predict, "n_predict", "a whole number")?.flatten();
    Ok(most.and_then(|most| predicted.map_or(Some(most), |predicted| Some(most.max(u32::try_from(predicted).ok()?)))))
}

/// The inputs of a list of them, each a text or a list of tokens; empty where there is but one.
fn several(input: &RawValue) -> Vec<&RawValue> {
    let parts: Vec<&RawValue> = serde_json::from_str(input.get()).unwrap_or_default();
    parts.into_iter().filter(|part| part.get().starts_with(['"', '['])).collect()
}

/// The edit that says `store: false` where the client did not.
fn unstored(body: &[u8], store: Option<&RawValue>) -> Option<Edit> {
    let edit = |range: Range<usize>, text: &'static str| Some(Edit { range, text: Cow::Borrowed(text) });
    match store {
        None => edit(opening(body), "\"store\":false,"),
        Some(raw) if raw.get() == "null" => edit(range(body, raw), "false"),
        // It is `false`: all else was refused.
        Some(_) => None,
    }
}

/// The empty range behind the brace that opens the body: it has at least one field, so a comma may follow what is put there.
fn opening(body: &[u8]) -> Range<usize> {
    let open = body.iter().position(|byte| *byte == b'{').expect("it was read as an object") + 1;
    open..open
}

/// Where a raw value stands in the body that it was read from.
pub(crate) fn range(body: &[u8], raw: &RawValue) -> Range<usize> {
    let start = raw.get().as_ptr() as usize - body.as_ptr() as usize;
    start..start + raw.get().len()
}

/// Says what is wrong without repeating any of the body, which may be private.
pub(crate) fn at_fault(error: &serde_json::Error) -> Refused {
    let text = error.to_string();
    if let Some(name) = text.strip_prefix("duplicate field `").and_then(|rest| rest.split('`').next()) {
        return Refused::invalid(name, format!("'{name}' is given twice."));
    }
    let problem = match error.classify() {
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Data => "it is not an object with the fields of this call",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is not valid JSON",
    };
    Refused::bad_body(format!("We could not read the body of your request: {problem} (line {}, column {}).", error.line(), error.column()))
}

pub(crate) fn required<'a>(raw: Option<&'a RawValue>, param: &str) -> Result<&'a RawValue, Refused> {
    let given = raw.filter(|raw| raw.get() != "null");
    given.ok_or_else(|| Refused::invalid(param, format!("You must provide the parameter '{param}'.")))
}

fn read<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>, param: &str, what: &str) -> Result<Option<T>, Refused> {
    let Some(raw) = raw else { return Ok(None) };
    serde_json::from_str(raw.get()).map_err(|_| Refused::invalid(param, format!("'{param}' should be {what}.")))
}

pub(crate) fn text<'a>(raw: &'a RawValue, param: &str) -> Result<Cow<'a, str>, Refused> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    read::<Text<'a>>(Some(raw), param, "a string")?.map(|text| text.0).ok_or_else(|| Refused::invalid(param, "It should be a string."))
}

pub(crate) fn number(raw: Option<&RawValue>, param: &str) -> Result<Option<u32>, Refused> {
    Ok(read::<Option<u32>>(raw, param, "a whole number, not negative")?.flatten())
}

pub(crate) fn flag(raw: Option<&RawValue>, param: &str) -> Result<Option<bool>, Refused> {
    Ok(read::<Option<bool>>(raw, param, "true or false")?.flatten())
}

fn tier(raw: Option<&RawValue>) -> Result<ServiceTier, Refused> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Ok(ServiceTier::Default) };
    match text(raw, "service_tier")?.as_ref() {
        "flex" => Ok(ServiceTier::Flex),
        "auto" | "default" | "scale" => Ok(ServiceTier::Default),
        // OpenAI has two words for one tier.
        "priority" | "fast" => Ok(ServiceTier::Priority),
        _ => {
            let known = "'auto', 'default', 'fast', 'flex', 'scale' and 'priority'";
            Err(Refused::invalid("service_tier", format!("'service_tier' should be one of {known}.")))
        }
    }
}

fn needs(call: Call, fields: &Fields<'_>, choices: u32) -> Result<Needs, Refused> {
    let given = |raw: Option<&RawValue>| raw.is_some_and(|raw| !matches!(raw.get(), "null" | "false" | "[]"));
    let mut needs = Needs::default().with(call.capability());
    if call == Call::Embeddings {
        return Ok(needs);
    }
    if given(fields.tools) {
        needs = needs.with(Capability::Tools);
    }
    if given(fields.logprobs) {
        needs = needs.with(Capability::Logprobs);
    }
    if choices > 1 {
        needs = needs.with(Capability::MultipleChoices);
    }
    let text: Option<Option<ResponseText<'_>>> = read(fields.text.filter(|_| call == Call::Responses), "text", "an object")?;
    let format = fields.response_format.or(text.flatten().and_then(|text| text.format));
    let param = if call == Call::Responses { "text.format" } else { "response_format" };
    let format: Option<Option<ResponseFormat<'_>>> = read(format, param, "an object with a 'type'")?;
    let plain = format.flatten().and_then(|format| format.r#type).is_none_or(|kind| kind == "text");
    if !plain {
        needs = needs.with(Capability::JsonSchema);
    }
    // An image is a content part of this type; one inside a string has its quotes escaped, and asks too much at worst.
    let image = if call == Call::Responses { "\"input_image\"" } else { "\"image_url\"" };
    let said = fields.prompt_of(call).filter(|_| call != Call::Completions);
    if said.is_some_and(|raw| memchr::memmem::find(raw.get().as_bytes(), image.as_bytes()).is_some()) {
        needs = needs.with(Capability::Vision);
    }
    Ok(needs)
}

/// Where to ask for usage, unless the client did.
fn usage_wanted(body: &[u8], options: Option<&RawValue>) -> Result<Streaming, Refused> {
    let edit = |range: Range<usize>, text: &'static str| Ok(Streaming::AddUsage(Edit { range, text: Cow::Borrowed(text) }));
    let Some(raw) = options else {
        return edit(opening(body), "\"stream_options\":{\"include_usage\":true},");
    };
    let place = range(body, raw);
    let options: Option<StreamOptions<'_>> = read(Some(raw), "stream_options", "an object")?.flatten();
    if options.is_some() && !raw.get().starts_with('{') {
        return Err(Refused::invalid("stream_options", "'stream_options' should be an object."));
    }
    match options.map(|options| options.include_usage) {
        None => edit(place, "{\"include_usage\":true}"),
        Some(None) => {
            let empty = raw.get()[1..].trim_start().starts_with('}');
            edit(place.start + 1..place.start + 1, if empty { "\"include_usage\":true" } else { "\"include_usage\":true," })
        }
        Some(Some(given)) => match flag(Some(given), "stream_options.include_usage")? {
            Some(true) => Ok(Streaming::WithUsage),
            Some(false) | None => edit(range(body, given), "true"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many answers such a body asks for, the most tokens of all, and the bytes that one context must hold.
    fn check(call: Call, fields: &str, want: (u32, Option<u32>, usize)) {
        let body = format!(r#"{{"model":"m",{fields}}}"#);
        let peek = Peek::parse(call, body.as_bytes()).expect("a good body");
        assert_eq!((peek.choices, peek.output_max, peek.context_bytes), want, "{fields}");
    }

    #[test]
    fn every_prompt_of_a_list_has_all_its_choices() {
        check(Call::Chat, r#""messages":["ab","c"],"max_tokens":5"#, (1, Some(5), 10));
        check(Call::Chat, r#""messages":[],"n":3,"best_of":9,"max_completion_tokens":5"#, (3, Some(15), 2));
        check(Call::Chat, r#""messages":[],"max_tokens":9,"max_completion_tokens":5"#, (1, Some(9), 2));
        check(Call::Chat, r#""messages":[],"max_tokens":null,"max_completion_tokens":5"#, (1, Some(5), 2));
        check(Call::Completions, r#""prompt":"abc","max_tokens":5,"max_completion_tokens":1"#, (1, Some(5), 5));
        check(Call::Completions, r#""prompt":"abc","max_completion_tokens":1"#, (1, None, 5));
        check(Call::Chat, r#""messages":[],"max_tokens":5,"n_predict":9,"n":2"#, (2, Some(18), 2));
        check(Call::Chat, r#""messages":[],"max_tokens":5,"n_predict":2"#, (1, Some(5), 2));
        check(Call::Completions, r#""prompt":"abc","max_tokens":5,"n_predict":-1"#, (1, None, 5));
        check(Call::Completions, r#""prompt":"abc","max_tokens":5,"n_predict":null"#, (1, Some(5), 5));
        check(Call::Responses, r#""input":"abc","max_output_tokens":5,"n_predict":4294967296"#, (1, None, 5));
        check(Call::Chat, r#""messages":[],"n_predict":9"#, (1, None, 2));
        check(Call::Embeddings, r#""input":"abc","n_predict":9"#, (1, Some(0), 5));
        check(Call::Completions, r#""prompt":"abc","max_tokens":5"#, (1, Some(5), 5));
        check(Call::Completions, r#""prompt":[1,2,3],"max_tokens":5"#, (1, Some(5), 7));
        check(Call::Completions, r#""prompt":["abc","d"],"n":2"#, (4, None, 5));
        check(Call::Completions, r#""prompt":[[1,2],[3]],"n":2,"best_of":3,"max_tokens":5"#, (6, Some(30), 5));
        check(Call::Completions, r#""prompt":[],"n":0,"max_tokens":5"#, (1, Some(5), 2));
        check(Call::Completions, r#""prompt":["a","b"],"n":4294967295,"max_tokens":2"#, (u32::MAX, Some(u32::MAX), 3));
        check(Call::Embeddings, r#""input":["abc","d"]"#, (1, Some(0), 5));
    }

    /// How many bytes of such a body count as input, and whether something is learnt of them.
    fn check_input(call: Call, fields: &str, want: (usize, bool)) {
        let body = format!(r#"{{"model":"m","max_tokens":5,{fields}}}"#);
        let peek = Peek::parse(call, body.as_bytes()).expect("a good body");
        assert_eq!((peek.prompt_bytes, peek.teaches), want, "{fields}");
    }

    #[test]
    fn whatever_an_upstream_may_read_counts_as_input() {
        let (long, frame) = ("word ".repeat(1_000), SETTINGS_BYTES - 29);
        let tools = format!(r#"[{{"function":"{long}"}}]"#);
        check_input(Call::Chat, r#""messages":["hello"],"temperature":0.5"#, (9, true));
        check_input(Call::Chat, &format!(r#""messages":["hello"],"tools":{tools}"#), (9 + tools.len(), true));
        for field in ["functions", "response_format", "documents", "chat_template_kwargs", "something_new"] {
            let said = format!(r#""messages":["hello"],"{field}":{{"type":"text","x":"{long}"}}"#);
            check_input(Call::Chat, &said, (said.len() - frame, false));
        }
        let said = format!(r#""messages":["hello"],"something_new":"{long}""#);
        check_input(Call::Messages, &said, (said.len() - frame, false));
        let base64 = format!(";base64,{}", "A".repeat(10_000));
        let image = format!(r#""messages":[{{"content":[{{"image_url":{{"url":"data:image/png{base64}"}}}}]}}],"something_new":"{long}""#);
        check_input(Call::Chat, &image, (image.len() - frame - 4_000, false));
        // A text that says so is no image.
        let text = format!(r#"[{{"role":"user","content":"{base64}"}}]"#);
        for call in [Call::Chat, Call::Messages] {
            check_input(call, &format!(r#""messages":{text}"#), (text.len(), true));
        }
        check_input(Call::Responses, &format!(r#""input":{text}"#), (text.len(), true));
    }
}
