//! A request written as Anthropic's Messages.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::Unsupported;
use crate::chat::{Chat, Format, Image, Message, Part, Said, Tool, ToolChoice};
use crate::fields::CANT_SAY;
use crate::schema::{Leaves, leaves};

/// A Messages request, but for the model's name and the most tokens where the client said none.
#[derive(Clone, Debug, Serialize)]
pub struct Request<'a> {
    model: &'a str,
    max_tokens: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<ToolWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Choice<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'a [Cow<'a, str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_config: Option<Output<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Turn<'a> {
    role: &'static str,
    content: Vec<Block<'a>>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        text: &'a str,
    },
    Image {
        source: Source<'a>,
    },
    ToolUse {
        id: &'a str,
        name: &'a str,
        input: &'a RawValue,
    },
    ToolResult {
        tool_use_id: &'a str,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Source<'a> {
    Base64 { media_type: &'a str, data: &'a str },
    Url { url: &'a str },
}

#[derive(Clone, Debug, Serialize)]
struct ToolWire<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: Schema<'a>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Schema<'a> {
    Stated(&'a RawValue),
    /// An object of no properties: a tool without parameters.
    Empty {
        r#type: &'static str,
    },
}

#[derive(Clone, Debug, Serialize)]
struct Choice<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Output<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<FormatWire<'a>>,
}

#[derive(Clone, Debug, Serialize)]
struct FormatWire<'a> {
    r#type: &'static str,
    schema: &'a RawValue,
}

#[derive(Clone, Debug, Serialize)]
struct Metadata<'a> {
    user_id: &'a str,
}

/// Writes a chat as a Messages request.
///
/// # Errors
/// When it says what Messages has no word for.
pub fn write<'a>(chat: &'a Chat<'a>) -> Result<Request<'a>, Unsupported> {
    refuse(chat)?;
    let leading = chat.messages.iter().take_while(|message| matches!(message.said, Said::System(_))).count();
    let (system, turns) = chat.messages.split_at(leading);
    let system = system.iter().flat_map(|message| if let Said::System(texts) = &message.said { blocks(texts) } else { Vec::new() });
    let (format, effort) = (format(chat)?, effort(chat)?);
    Ok(Request {
        model: "",
        max_tokens: chat.max_tokens.unwrap_or(0),
        system: system.collect(),
        messages: self::turns(turns)?,
        tools: chat.tools.iter().map(tool).collect(),
        tool_choice: choice(chat),
        stop_sequences: &chat.stop,
        temperature: chat.temperature,
        top_p: chat.top_p,
        top_k: chat.top_k,
        output_config: (format.is_some() || effort.is_some()).then_some(Output { effort, format }),
        metadata: chat.user.as_deref().map(|user_id| Metadata { user_id }),
        stream: chat.stream,
    })
}

impl Request<'_> {
    /// The request's body, for an upstream that calls the model `model`; Messages must have a most of tokens, `most` where the
    /// client said none.
    #[must_use]
    pub fn body(&self, model: &str, most: u32) -> Vec<u8> {
        let max_tokens = if self.max_tokens == 0 { most } else { self.max_tokens };
        crate::json(&Request { model, max_tokens, ..self.clone() })
    }
}

fn refuse(chat: &Chat<'_>) -> Result<(), Unsupported> {
    let said = [
        ("seed", chat.seed.is_some()),
        ("n", chat.choices != 1),
        ("presence_penalty", chat.presence_penalty.is_some()),
        ("frequency_penalty", chat.frequency_penalty.is_some()),
    ];
    if let Some((param, _)) = said.into_iter().find(|(_, said)| *said) {
        return Err(Unsupported::new(param, CANT_SAY));
    }
    let hot = chat.temperature.is_some_and(|raw| raw.get().parse::<f64>().is_ok_and(|temperature| temperature > 1.0));
    if hot {
        return Err(Unsupported::new("temperature", "is above 1, the most that the endpoints of this model take"));
    }
    if chat.is_prefilled() && !chat.names.continues {
        return Err(Unsupported::new("messages", "ends with the model's own words, which the endpoints of this model would continue"));
    }
    Ok(())
}

/// The turns of the conversation. What several tools answered is one turn of the user's, as Messages wants it.
fn turns<'a>(messages: &'a [Message<'a>]) -> Result<Vec<Turn<'a>>, Unsupported> {
    let (mut turns, mut answering) = (Vec::<Turn<'a>>::new(), false);
    for message in messages {
        let is_tool = matches!(message.said, Said::Tool { .. });
        let (role, content) = match &message.said {
            Said::System(texts) => ("system", blocks(texts)),
            Said::User(parts) => ("user", parts.iter().map(part).collect::<Result<_, _>>()?),
            Said::Assistant { text, calls } => {
                let uses = calls.iter().map(|call| Block::ToolUse { id: &call.id, name: &call.name, input: &call.input });
                ("assistant", blocks(text).into_iter().chain(uses).collect())
            }
            Said::Tool { id, text, failed } => {
                ("user", vec![Block::ToolResult { tool_use_id: id, content: blocks(text), is_error: *failed }])
            }
        };
        match turns.last_mut().filter(|_| answering && is_tool) {
            Some(turn) => turn.content.extend(content),
            None => turns.push(Turn { role, content }),
        }
        answering = is_tool;
    }
    Ok(turns)
}

/// Texts as blocks; Messages refuses empty ones, which say nothing.
fn blocks<'a>(texts: &'a [Cow<'a, str>]) -> Vec<Block<'a>> {
    texts.iter().filter(|text| !text.is_empty()).map(|text| Block::Text { text }).collect()
}

fn part<'a>(part: &'a Part<'a>) -> Result<Block<'a>, Unsupported> {
    Ok(match part {
        Part::Text(text) => Block::Text { text },
        Part::Image { image: Image::Inline { media, data }, .. } => Block::Image { source: Source::Base64 { media_type: media, data } },
        Part::Image { image: Image::Url(url), .. } => Block::Image { source: Source::Url { url } },
        Part::Audio { at, .. } => return Err(Unsupported::new(at, CANT_SAY)),
    })
}

fn tool<'a>(tool: &'a Tool<'a>) -> ToolWire<'a> {
    let input_schema = tool.input.map_or(Schema::Empty { r#type: "object" }, Schema::Stated);
    ToolWire { name: &tool.name, description: tool.description.as_deref(), input_schema, strict: tool.strict }
}

fn choice<'a>(chat: &'a Chat<'a>) -> Option<Choice<'a>> {
    let (r#type, name) = match &chat.choice {
        ToolChoice::Unsaid if chat.parallel == Some(false) && !chat.tools.is_empty() => ("auto", None),
        ToolChoice::Unsaid => return None,
        ToolChoice::Auto => ("auto", None),
        ToolChoice::Never => ("none", None),
        ToolChoice::Any => ("any", None),
        ToolChoice::Named(name) => ("tool", Some(name.as_ref())),
    };
    Some(Choice { r#type, name, disable_parallel_tool_use: chat.parallel == Some(false) && r#type != "none" })
}

fn format<'a>(chat: &'a Chat<'a>) -> Result<Option<FormatWire<'a>>, Unsupported> {
    match &chat.format {
        Format::Text => Ok(None),
        Format::Schema { schema, .. } if leaves(schema) == Leaves::Anything => Err(Unsupported::new(
            chat.names.format,
            "has a schema of an object without 'additionalProperties': false, which the endpoints of this model don't take",
        )),
        Format::Schema { schema, .. } => Ok(Some(FormatWire { r#type: "json_schema", schema })),
        Format::Json => {
            Err(Unsupported::new(chat.names.format, "asks for JSON without a schema, which the endpoints of this model can't be told"))
        }
    }
}

fn effort<'a>(chat: &'a Chat<'a>) -> Result<Option<&'a str>, Unsupported> {
    match chat.effort.as_deref() {
        effort @ (None | Some("low" | "medium" | "high" | "xhigh" | "max")) => Ok(effort),
        Some(_) => Err(Unsupported::new(chat.names.effort, CANT_SAY)),
    }
}
