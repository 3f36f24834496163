//! OpenAI's chat completions request, read whole.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::Unsupported;
use crate::chat::{Call, Chat, Format, Image, Message, Names, Part, Said, Tool, ToolChoice};
use crate::fields::{CANT_SAY, Fields};

const NAMES: Names =
    Names { format: "response_format", effort: "reasoning_effort", user: "user", parallel: "parallel_tool_calls", continues: false };

/// Reads a chat completions request.
///
/// # Errors
/// When it has a field that no other dialect has a word for.
pub fn read(body: &str) -> Result<Chat<'_>, Unsupported> {
    let mut fields = Fields::parse(body, String::new())?;
    let mut chat = Chat::new(&NAMES, fields.flag("stream")?.unwrap_or(false));
    chat.messages = fields.objects("messages")?.into_iter().map(message).collect::<Result<_, _>>()?;
    chat.tools = fields.objects("tools")?.into_iter().map(tool).collect::<Result<_, _>>()?;
    chat.choice = choice(&mut fields)?;
    chat.parallel = fields.flag("parallel_tool_calls")?;
    let older = fields.count("max_tokens")?;
    chat.max_tokens = fields.count("max_completion_tokens")?.or(older);
    chat.choices = fields.count("n")?.unwrap_or(1);
    chat.stop = stop(&mut fields)?;
    chat.temperature = fields.number("temperature")?;
    chat.top_p = fields.number("top_p")?;
    chat.presence_penalty = fields.number("presence_penalty")?.filter(|raw| !is_zero(raw));
    chat.frequency_penalty = fields.number("frequency_penalty")?.filter(|raw| !is_zero(raw));
    chat.seed = fields.number("seed")?;
    chat.format = format(&mut fields)?;
    chat.effort = fields.text("reasoning_effort")?;
    chat.user = fields.text("user")?;
    // What is said to the gateway, or is a hint that changes no answer.
    for ours in ["model", "service_tier", "stream_options", "prompt_cache_key", "prompt_cache_retention"] {
        _ = fields.raw(ours);
    }
    fields.default("logprobs", &["false"])?;
    fields.default("store", &["false"])?;
    fields.default("logit_bias", &["{}"])?;
    fields.default("metadata", &["{}"])?;
    fields.default("modalities", &["[\"text\"]"])?;
    fields.default("verbosity", &["\"medium\""])?;
    fields.end()?;
    Ok(chat)
}

fn is_zero(raw: &RawValue) -> bool {
    raw.get().bytes().all(|byte| matches!(byte, b'0' | b'.' | b'-'))
}

fn message(mut fields: Fields<'_>) -> Result<Message<'_>, Unsupported> {
    let at = fields.at().to_owned();
    let said = match fields.must_text("role")?.as_ref() {
        "system" | "developer" => Said::System(texts(&mut fields)?),
        "user" => Said::User(parts(&mut fields)?),
        "assistant" => assistant(&mut fields)?,
        "tool" => Said::Tool { id: fields.must_text("tool_call_id")?, text: texts(&mut fields)?, failed: false },
        _ => return Err(Unsupported::new(fields.place("role"), CANT_SAY)),
    };
    fields.end()?;
    Ok(Message { at, said })
}

fn assistant<'a>(fields: &mut Fields<'a>) -> Result<Said<'a>, Unsupported> {
    let text = texts(fields)?;
    let calls = fields.objects("tool_calls")?.into_iter().map(call).collect::<Result<_, _>>()?;
    // Clients send our own answers back as they were.
    fields.default("annotations", &["[]"])?;
    Ok(Said::Assistant { text, calls })
}

fn call(mut fields: Fields<'_>) -> Result<Call<'_>, Unsupported> {
    let id = fields.must_text("id")?;
    only_functions(&mut fields)?;
    _ = fields.raw("index");
    let mut function = fields.must_object("function")?;
    let name = function.must_text("name")?;
    let place = function.place("arguments");
    let arguments = function.text("arguments")?.unwrap_or_default();
    let arguments = if arguments.trim().is_empty() { "{}".to_owned() } else { arguments.trim().to_owned() };
    let input = RawValue::from_string(arguments).ok().filter(|raw| raw.get().starts_with('{'));
    let input = input.ok_or_else(|| Unsupported::not(&place, "a JSON object"))?;
    function.end()?;
    let signature = signature(&mut fields)?;
    fields.end()?;
    Ok(Call { id, name, input, signature })
}

/// What Google's own OpenAI surface adds to a call, and wants back.
fn signature<'a>(fields: &mut Fields<'a>) -> Result<Option<Cow<'a, str>>, Unsupported> {
    let Some(mut extra) = fields.object("extra_content")? else { return Ok(None) };
    let Some(mut google) = extra.object("google")? else { return extra.end().map(|()| None) };
    let signature = google.text("thought_signature")?;
    google.end()?;
    extra.end()?;
    Ok(signature)
}

fn only_functions(fields: &mut Fields<'_>) -> Result<(), Unsupported> {
    fields.default("type", &["\"function\""])
}

/// Content that is text only: a string, or parts.
fn texts<'a>(fields: &mut Fields<'a>) -> Result<Vec<Cow<'a, str>>, Unsupported> {
    let text = |part| match part {
        Part::Text(text) => Ok(text),
        Part::Image { at, .. } | Part::Audio { at, .. } => Err(Unsupported::new(at, CANT_SAY)),
    };
    parts(fields)?.into_iter().map(text).collect()
}

fn parts<'a>(fields: &mut Fields<'a>) -> Result<Vec<Part<'a>>, Unsupported> {
    let place = fields.place("content");
    let Some(raw) = fields.raw("content") else { return Ok(Vec::new()) };
    if raw.get().starts_with('"') {
        return Ok(vec![Part::Text(Fields::as_text(raw, &place)?)]);
    }
    let list: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| Unsupported::not(&place, "a string or an array"))?;
    list.into_iter().enumerate().map(|(index, raw)| part(Fields::parse(raw.get(), format!("{place}[{index}]"))?)).collect()
}

fn part(mut fields: Fields<'_>) -> Result<Part<'_>, Unsupported> {
    let at = fields.at().to_owned();
    let part = match fields.must_text("type")?.as_ref() {
        "text" => Part::Text(fields.must_text("text")?),
        "image_url" => {
            let mut image = fields.must_object("image_url")?;
            let url = image.must_text("url")?;
            image.default("detail", &["\"auto\""])?;
            image.end()?;
            Part::Image { at, image: Image::at(url) }
        }
        "input_audio" => {
            let mut audio = fields.must_object("input_audio")?;
            let (format, data) = (audio.must_text("format")?, audio.must_text("data")?);
            audio.end()?;
            Part::Audio { at, format, data }
        }
        _ => return Err(Unsupported::new(at, CANT_SAY)),
    };
    fields.end()?;
    Ok(part)
}

fn tool(mut fields: Fields<'_>) -> Result<Tool<'_>, Unsupported> {
    let at = fields.at().to_owned();
    only_functions(&mut fields)?;
    let mut function = fields.must_object("function")?;
    let (name, description) = (function.must_text("name")?, function.text("description")?);
    let (input, strict) = (function.raw("parameters"), function.flag("strict")?.unwrap_or(false));
    function.end()?;
    fields.end()?;
    Ok(Tool { at, name, description, input, strict })
}

fn choice<'a>(fields: &mut Fields<'a>) -> Result<ToolChoice<'a>, Unsupported> {
    let place = fields.place("tool_choice");
    let Some(raw) = fields.raw("tool_choice") else { return Ok(ToolChoice::Unsaid) };
    match raw.get() {
        "\"auto\"" => Ok(ToolChoice::Auto),
        "\"none\"" => Ok(ToolChoice::Never),
        "\"required\"" => Ok(ToolChoice::Any),
        text if text.starts_with('{') => {
            let mut named = Fields::parse(text, place)?;
            only_functions(&mut named)?;
            let mut function = named.must_object("function")?;
            let name = function.must_text("name")?;
            function.end()?;
            named.end()?;
            Ok(ToolChoice::Named(name))
        }
        _ => Err(Unsupported::new(place, CANT_SAY)),
    }
}

fn stop<'a>(fields: &mut Fields<'a>) -> Result<Vec<Cow<'a, str>>, Unsupported> {
    let place = fields.place("stop");
    let Some(raw) = fields.raw("stop") else { return Ok(Vec::new()) };
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Stop {
        One(String),
        Many(Vec<String>),
    }
    match serde_json::from_str(raw.get()) {
        Ok(Stop::One(one)) => Ok(vec![one.into()]),
        Ok(Stop::Many(many)) => Ok(many.into_iter().map(Cow::Owned).collect()),
        Err(_) => Err(Unsupported::not(&place, "a string or an array of strings")),
    }
}

fn format<'a>(fields: &mut Fields<'a>) -> Result<Format<'a>, Unsupported> {
    let Some(mut format) = fields.object("response_format")? else { return Ok(Format::Text) };
    let read = match format.must_text("type")?.as_ref() {
        "text" => Format::Text,
        "json_object" => Format::Json,
        "json_schema" => {
            let mut stated = format.must_object("json_schema")?;
            let name = stated.text("name")?;
            // Both sides that know schemas always keep to them: more than was asked for where this is false.
            _ = stated.flag("strict")?;
            let missing = Unsupported::new(stated.place("schema"), "is missing");
            let schema = stated.raw("schema").ok_or(missing)?;
            stated.end()?;
            Format::Schema { name, schema }
        }
        _ => return Err(Unsupported::new(format.place("type"), CANT_SAY)),
    };
    format.end()?;
    Ok(read)
}
