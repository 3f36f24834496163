//! A request written as OpenAI's chat completions, for upstreams that speak it.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::Unsupported;
use crate::chat::{Call, Chat, Format, Image, Part, Said, Tool, ToolChoice};
use crate::fields::CANT_SAY;
use crate::schema::{Leaves, leaves};

/// A chat completions request, but for the model's name.
#[derive(Clone, Debug, Serialize)]
pub struct Request<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u32>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [Cow<'a, str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<FormatWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Clone, Debug, Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Message<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallWire<'a>>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<PartWire<'a>>),
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum PartWire<'a> {
    Text { text: &'a str },
    ImageUrl { image_url: Url<'a> },
    InputAudio { input_audio: Audio<'a> },
}

#[derive(Clone, Debug, Serialize)]
struct Url<'a> {
    url: Cow<'a, str>,
}

#[derive(Clone, Debug, Serialize)]
struct Audio<'a> {
    data: &'a str,
    format: &'a str,
}

#[derive(Clone, Debug, Serialize)]
struct CallWire<'a> {
    id: &'a str,
    r#type: &'static str,
    function: Called<'a>,
}

#[derive(Clone, Debug, Serialize)]
struct Called<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Clone, Debug, Serialize)]
struct ToolWire<'a> {
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Clone, Debug, Serialize)]
struct Function<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Choice<'a> {
    Word(&'static str),
    Named { r#type: &'static str, function: Name<'a> },
}

#[derive(Clone, Debug, Serialize)]
struct Name<'a> {
    name: &'a str,
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum FormatWire<'a> {
    JsonObject,
    JsonSchema { json_schema: Schema<'a> },
}

#[derive(Clone, Debug, Serialize)]
struct Schema<'a> {
    name: &'a str,
    schema: &'a RawValue,
    strict: bool,
}

/// What an upstream calls the most tokens of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Most {
    /// `max_tokens`, which all servers know.
    Tokens,
    /// `max_completion_tokens`, without which OpenAI's own models that think refuse.
    CompletionTokens,
}

/// What a schema is called that its client gave no name.
const UNNAMED: &str = "answer";

/// Writes a chat as a chat completions request; a stream asks for usage, which metering needs.
///
/// # Errors
/// When it says what OpenAI's API has no field for.
pub fn write<'a>(chat: &'a Chat<'a>) -> Result<Request<'a>, Unsupported> {
    if chat.top_k.is_some() {
        return Err(Unsupported::new("top_k", CANT_SAY));
    }
    if chat.effort.as_deref() == Some("max") {
        return Err(Unsupported::new(chat.names.effort, CANT_SAY));
    }
    if chat.is_prefilled() && chat.names.continues {
        return Err(Unsupported::new("messages", "ends with the model's own words, and the endpoints of this model don't continue them"));
    }
    Ok(Request {
        model: "",
        messages: chat.messages.iter().map(|message| self::message(&message.said)).collect(),
        tools: chat.tools.iter().map(tool).collect(),
        tool_choice: choice(&chat.choice),
        parallel_tool_calls: chat.parallel,
        max_tokens: chat.max_tokens,
        max_completion_tokens: None,
        n: (chat.choices != 1).then_some(chat.choices),
        stop: &chat.stop,
        temperature: chat.temperature,
        top_p: chat.top_p,
        presence_penalty: chat.presence_penalty,
        frequency_penalty: chat.frequency_penalty,
        seed: chat.seed,
        response_format: match &chat.format {
            Format::Text => None,
            Format::Json => Some(FormatWire::JsonObject),
            Format::Schema { name, schema } => {
                let name = name.as_deref().unwrap_or(UNNAMED);
                // Where OpenAI's strict mode would refuse the schema, its model is only asked to keep to it.
                let strict = leaves(schema) == Leaves::Nothing;
                Some(FormatWire::JsonSchema { json_schema: Schema { name, schema, strict } })
            }
        },
        reasoning_effort: chat.effort.as_deref(),
        user: chat.user.as_deref(),
        stream: chat.stream,
        stream_options: chat.stream.then_some(StreamOptions { include_usage: true }),
    })
}

impl Request<'_> {
    /// The same for an upstream that says what a stream used without being asked.
    #[must_use]
    pub fn unasked(self) -> Self {
        Self { stream_options: None, ..self }
    }

    /// The request's body, for an upstream that calls the model `model`, and the most tokens as `most` says.
    #[must_use]
    pub fn body(&self, model: &str, most: Most) -> Vec<u8> {
        let (max_tokens, max_completion_tokens) = match most {
            Most::Tokens => (self.max_tokens, None),
            Most::CompletionTokens => (None, self.max_tokens),
        };
        crate::json(&Request { model, max_tokens, max_completion_tokens, ..self.clone() })
    }
}

fn message<'a>(said: &'a Said<'a>) -> Message<'a> {
    let none = |role| Message { role, tool_call_id: None, content: None, tool_calls: Vec::new() };
    match said {
        Said::System(texts) => Message { content: text(texts), ..none("system") },
        Said::User(parts) => Message { content: Some(user(parts)), ..none("user") },
        Said::Assistant { text: texts, calls } => {
            Message { content: text(texts), tool_calls: calls.iter().map(call).collect(), ..none("assistant") }
        }
        Said::Tool { id, text: texts, failed } => {
            let content = if *failed { Some(failure(texts)) } else { text(texts).or(Some(Content::Text("".into()))) };
            Message { tool_call_id: Some(id), content, ..none("tool") }
        }
    }
}

/// One text is a string, which every server takes; more stay parts.
fn text<'a>(texts: &'a [Cow<'a, str>]) -> Option<Content<'a>> {
    match texts {
        [] => None,
        [one] => Some(Content::Text(Cow::Borrowed(one))),
        many => Some(Content::Parts(many.iter().map(|text| PartWire::Text { text }).collect())),
    }
}

/// OpenAI has no field for a tool that failed; its result then says so itself.
fn failure<'a>(texts: &[Cow<'_, str>]) -> Content<'a> {
    #[derive(Serialize)]
    struct Failed {
        error: String,
    }
    let error = Failed { error: texts.concat() };
    Content::Text(String::from_utf8_lossy(&crate::json(&error)).into_owned().into())
}

fn user<'a>(parts: &'a [Part<'a>]) -> Content<'a> {
    if let [Part::Text(text)] = parts {
        return Content::Text(Cow::Borrowed(text));
    }
    let wire = parts.iter().map(|part| match part {
        Part::Text(text) => PartWire::Text { text },
        Part::Image { image: Image::Url(url), .. } => PartWire::ImageUrl { image_url: Url { url: Cow::Borrowed(url) } },
        Part::Image { image: Image::Inline { media, data }, .. } => {
            PartWire::ImageUrl { image_url: Url { url: format!("data:{media};base64,{data}").into() } }
        }
        Part::Audio { format, data, .. } => PartWire::InputAudio { input_audio: Audio { data, format } },
    });
    Content::Parts(wire.collect())
}

fn call<'a>(call: &'a Call<'a>) -> CallWire<'a> {
    CallWire { id: &call.id, r#type: "function", function: Called { name: &call.name, arguments: call.input.get() } }
}

fn tool<'a>(tool: &'a Tool<'a>) -> ToolWire<'a> {
    let function = Function { name: &tool.name, description: tool.description.as_deref(), parameters: tool.input, strict: tool.strict };
    ToolWire { r#type: "function", function }
}

fn choice<'a>(choice: &'a ToolChoice<'a>) -> Option<Choice<'a>> {
    Some(match choice {
        ToolChoice::Unsaid => return None,
        ToolChoice::Auto => Choice::Word("auto"),
        ToolChoice::Never => Choice::Word("none"),
        ToolChoice::Any => Choice::Word("required"),
        ToolChoice::Named(name) => Choice::Named { r#type: "function", function: Name { name } },
    })
}
