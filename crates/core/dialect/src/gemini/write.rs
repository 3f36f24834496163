//! A request written as Gemini's `generateContent`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::Unsupported;
use crate::chat::{Call, Chat, Format, Image, Message, Part, Said, ToolChoice};
use crate::fields::CANT_SAY;

/// A `generateContent` request; the model and whether it streams stand in the URL.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    contents: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_instruction: Option<System<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Tools<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_config: Option<ToolConfig<'a>>,
    generation_config: Config<'a>,
}

#[derive(Clone, Debug, Serialize)]
struct Turn<'a> {
    role: &'static str,
    parts: Vec<PartWire<'a>>,
}

#[derive(Clone, Debug, Serialize)]
struct System<'a> {
    parts: Vec<PartWire<'a>>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum PartWire<'a> {
    Text {
        text: &'a str,
    },
    #[serde(rename_all = "camelCase")]
    Inline {
        inline_data: Blob<'a>,
    },
    #[serde(rename_all = "camelCase")]
    Call {
        function_call: Called<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        thought_signature: Option<&'a str>,
    },
    #[serde(rename_all = "camelCase")]
    Response {
        function_response: Responded<'a>,
    },
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Blob<'a> {
    mime_type: Cow<'a, str>,
    data: &'a str,
}

#[derive(Clone, Debug, Serialize)]
struct Called<'a> {
    id: &'a str,
    name: &'a str,
    args: &'a RawValue,
}

#[derive(Clone, Debug, Serialize)]
struct Responded<'a> {
    id: &'a str,
    name: &'a str,
    response: Response,
}

/// What a tool answered, under the key that Gemini reads it by.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Response {
    Output(String),
    Error(String),
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Tools<'a> {
    function_declarations: Vec<Declaration<'a>>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Declaration<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_json_schema: Option<&'a RawValue>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolConfig<'a> {
    function_calling_config: Calling<'a>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Calling<'a> {
    mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_function_names: Option<[&'a str; 1]>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop_sequences: &'a [Cow<'a, str>],
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_mime_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_json_schema: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_config: Option<Thinking>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Thinking {
    thinking_level: &'static str,
}

/// Writes a chat as a `generateContent` request.
///
/// # Errors
/// When it says what Gemini has no word for.
pub fn write<'a>(chat: &'a Chat<'a>) -> Result<Request<'a>, Unsupported> {
    refuse(chat)?;
    let leading = chat.messages.iter().take_while(|message| matches!(message.said, Said::System(_))).count();
    let (system, turns) = chat.messages.split_at(leading);
    let system = system.iter().flat_map(|message| if let Said::System(texts) = &message.said { parts(texts) } else { Vec::new() });
    let system: Vec<PartWire<'a>> = system.collect();
    let declarations = chat.tools.iter().map(|tool| Declaration {
        name: &tool.name,
        description: tool.description.as_deref(),
        parameters_json_schema: tool.input,
    });
    let function_declarations: Vec<_> = declarations.collect();
    let (mime, schema) = match &chat.format {
        Format::Text => (None, None),
        Format::Json => (Some("application/json"), None),
        Format::Schema { schema, .. } => (Some("application/json"), Some(*schema)),
    };
    Ok(Request {
        contents: self::turns(turns)?,
        system_instruction: (!system.is_empty()).then_some(System { parts: system }),
        tools: if function_declarations.is_empty() { Vec::new() } else { vec![Tools { function_declarations }] },
        tool_config: calling(chat).map(|function_calling_config| ToolConfig { function_calling_config }),
        generation_config: Config {
            temperature: chat.temperature,
            top_p: chat.top_p,
            top_k: chat.top_k,
            max_output_tokens: chat.max_tokens,
            stop_sequences: &chat.stop,
            candidate_count: (chat.choices != 1).then_some(chat.choices),
            seed: chat.seed,
            presence_penalty: chat.presence_penalty,
            frequency_penalty: chat.frequency_penalty,
            response_mime_type: mime,
            response_json_schema: schema,
            thinking_config: effort(chat)?.map(|thinking_level| Thinking { thinking_level }),
        },
    })
}

impl Request<'_> {
    /// The request's body.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        crate::json(self)
    }
}

fn refuse(chat: &Chat<'_>) -> Result<(), Unsupported> {
    if chat.user.is_some() {
        return Err(Unsupported::new(chat.names.user, CANT_SAY));
    }
    if chat.parallel == Some(false) && !chat.tools.is_empty() {
        return Err(Unsupported::new(chat.names.parallel, CANT_SAY));
    }
    if chat.is_prefilled() {
        return Err(Unsupported::new("messages", "ends with the model's own words, which can't be told to the endpoints of this model"));
    }
    // Only all tools together can be held to their schemas.
    match chat.tools.iter().find(|tool| tool.strict != chat.tools[0].strict) {
        Some(tool) => Err(Unsupported::new(
            format!("{}.strict", tool.at),
            "differs among the tools, which can't be told to the endpoints of this model",
        )),
        None => Ok(()),
    }
}

/// The turns of the conversation. What several tools answered is one turn, as their calls were.
fn turns<'a>(messages: &'a [Message<'a>]) -> Result<Vec<Turn<'a>>, Unsupported> {
    let (mut turns, mut answering) = (Vec::<Turn<'a>>::new(), false);
    // The name of the tool that was called last under each id.
    let mut called = BTreeMap::<&str, &str>::new();
    for message in messages {
        let is_tool = matches!(message.said, Said::Tool { .. });
        let (role, content) = match &message.said {
            Said::System(_) => {
                return Err(Unsupported::new(
                    &message.at,
                    "is a system message that comes after others, which can't be told to the endpoints of this model",
                ));
            }
            Said::User(said) => ("user", said.iter().map(part).collect::<Result<_, _>>()?),
            Said::Assistant { text, calls } => {
                called.extend(calls.iter().map(|call| (call.id.as_ref(), call.name.as_ref())));
                ("model", parts(text).into_iter().chain(calls.iter().map(call)).collect())
            }
            Said::Tool { id, text, failed } => {
                let unknown = || Unsupported::new(&message.at, "answers a call that no message before it made");
                let name = called.get(id.as_ref()).copied().ok_or_else(unknown)?;
                let said = text.concat();
                let response = if *failed { Response::Error(said) } else { Response::Output(said) };
                ("user", vec![PartWire::Response { function_response: Responded { id, name, response } }])
            }
        };
        match turns.last_mut().filter(|_| answering && is_tool) {
            Some(turn) => turn.parts.extend(content),
            None => turns.push(Turn { role, parts: content }),
        }
        answering = is_tool;
    }
    Ok(turns)
}

fn parts<'a>(texts: &'a [Cow<'a, str>]) -> Vec<PartWire<'a>> {
    texts.iter().filter(|text| !text.is_empty()).map(|text| PartWire::Text { text }).collect()
}

fn part<'a>(part: &'a Part<'a>) -> Result<PartWire<'a>, Unsupported> {
    let inline = |mime_type, data| PartWire::Inline { inline_data: Blob { mime_type, data } };
    match part {
        Part::Text(text) => Ok(PartWire::Text { text }),
        Part::Image { image: Image::Inline { media, data }, .. } => Ok(inline(Cow::Borrowed(media), data)),
        Part::Image { at, image: Image::Url(_) } => {
            Err(Unsupported::new(at, "is an image by its URL; the endpoints of this model take images inside the request only"))
        }
        Part::Audio { format, data, .. } => Ok(inline(format!("audio/{format}").into(), data)),
    }
}

fn call<'a>(call: &'a Call<'a>) -> PartWire<'a> {
    let function_call = Called { id: &call.id, name: &call.name, args: &call.input };
    PartWire::Call { function_call, thought_signature: call.signature.as_deref() }
}

fn calling<'a>(chat: &'a Chat<'a>) -> Option<Calling<'a>> {
    let strict = chat.tools.first().is_some_and(|tool| tool.strict);
    let (mode, only) = match &chat.choice {
        // By itself the model is not held to the tools' schemas; when it must call one it is.
        ToolChoice::Unsaid | ToolChoice::Auto if strict => ("VALIDATED", None),
        ToolChoice::Unsaid => return None,
        ToolChoice::Auto => ("AUTO", None),
        ToolChoice::Never => ("NONE", None),
        ToolChoice::Any => ("ANY", None),
        ToolChoice::Named(name) => ("ANY", Some([name.as_ref()])),
    };
    Some(Calling { mode, allowed_function_names: only })
}

fn effort(chat: &Chat<'_>) -> Result<Option<&'static str>, Unsupported> {
    match chat.effort.as_deref() {
        None => Ok(None),
        Some("minimal") => Ok(Some("MINIMAL")),
        Some("low") => Ok(Some("LOW")),
        Some("medium") => Ok(Some("MEDIUM")),
        Some("high") => Ok(Some("HIGH")),
        Some(_) => Err(Unsupported::new(chat.names.effort, CANT_SAY)),
    }
}
