//! Anthropic's Messages request, read whole.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::Unsupported;
use crate::chat::{Call, Chat, Format, Image, Message, Names, Part, Said, Tool, ToolChoice};
use crate::fields::{CANT_SAY, Fields};

const NAMES: Names = Names {
    format: "output_config.format",
    effort: "output_config.effort",
    user: "metadata.user_id",
    parallel: "tool_choice.disable_parallel_tool_use",
    continues: true,
};

/// Reads a Messages request.
///
/// # Errors
/// When it has a field that no other dialect has a word for.
pub fn read(body: &str) -> Result<Chat<'_>, Unsupported> {
    let mut fields = Fields::parse(body, String::new())?;
    let mut chat = Chat::new(&NAMES, fields.flag("stream")?.unwrap_or(false));
    let system = texts(&mut fields, "system")?;
    if !system.is_empty() {
        chat.messages.push(Message { at: "system".to_owned(), said: Said::System(system) });
    }
    for message in fields.objects("messages")? {
        self::message(message, &mut chat.messages)?;
    }
    chat.tools = fields.objects("tools")?.into_iter().map(tool).collect::<Result<_, _>>()?;
    choice(&mut fields, &mut chat)?;
    chat.max_tokens = fields.count("max_tokens")?;
    let stop: Option<Vec<String>> = fields.take("stop_sequences", "an array of strings")?;
    chat.stop = stop.unwrap_or_default().into_iter().map(Cow::Owned).collect();
    chat.temperature = fields.number("temperature")?;
    chat.top_p = fields.number("top_p")?;
    chat.top_k = fields.number("top_k")?;
    if let Some(mut metadata) = fields.object("metadata")? {
        chat.user = metadata.text("user_id")?;
        metadata.end()?;
    }
    if let Some(mut output) = fields.object("output_config")? {
        chat.effort = output.text("effort")?;
        chat.format = format(&mut output)?;
        output.end()?;
    }
    if let Some(mut thinking) = fields.object("thinking")? {
        thinking.default("type", &["\"disabled\""])?;
        thinking.end()?;
    }
    // What is said to the gateway, or is a hint that changes no answer.
    for ours in ["model", "service_tier", "cache_control"] {
        _ = fields.raw(ours);
    }
    fields.default("speed", &["\"standard\""])?;
    fields.default("inference_geo", &["\"global\""])?;
    fields.end()?;
    Ok(chat)
}

/// A text, or blocks of text.
fn texts<'a>(fields: &mut Fields<'a>, name: &str) -> Result<Vec<Cow<'a, str>>, Unsupported> {
    blocks(fields, name)?.into_iter().map(|block| block_text(block)).collect()
}

fn block_text(mut block: Block<'_>) -> Result<Cow<'_, str>, Unsupported> {
    match block {
        Block::Bare(text) => Ok(text),
        Block::Of(ref mut fields) => {
            fields.default("type", &["\"text\""])?;
            text(fields)
        }
    }
}

/// What content is made of.
enum Block<'a> {
    /// The content was a string.
    Bare(Cow<'a, str>),
    Of(Fields<'a>),
}

fn blocks<'a>(fields: &mut Fields<'a>, name: &str) -> Result<Vec<Block<'a>>, Unsupported> {
    let place = fields.place(name);
    let Some(raw) = fields.raw(name) else { return Ok(Vec::new()) };
    if raw.get().starts_with('"') {
        return Ok(vec![Block::Bare(Fields::as_text(raw, &place)?)]);
    }
    let list: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| Unsupported::not(&place, "a string or an array"))?;
    list.into_iter().enumerate().map(|(index, raw)| Fields::parse(raw.get(), format!("{place}[{index}]")).map(Block::Of)).collect()
}

/// The text of a block, with nothing else left in it.
fn text<'a>(fields: &mut Fields<'a>) -> Result<Cow<'a, str>, Unsupported> {
    let text = fields.must_text("text")?;
    fields.default("citations", &["[]"])?;
    finish(fields)?;
    Ok(text)
}

/// Nothing else may be said, but where the prompt may be cached.
fn finish(fields: &mut Fields<'_>) -> Result<(), Unsupported> {
    _ = fields.raw("cache_control");
    fields.close()
}

fn message<'a>(mut fields: Fields<'a>, messages: &mut Vec<Message<'a>>) -> Result<(), Unsupported> {
    let at = fields.at().to_owned();
    match fields.must_text("role")?.as_ref() {
        "user" => user(&at, blocks(&mut fields, "content")?, messages)?,
        "assistant" => {
            let said = assistant(blocks(&mut fields, "content")?)?;
            messages.push(Message { at, said });
        }
        "system" => {
            let said = Said::System(texts(&mut fields, "content")?);
            messages.push(Message { at, said });
        }
        _ => return Err(Unsupported::new(fields.place("role"), CANT_SAY)),
    }
    fields.end()
}

/// What tools answered stands in front, each a message of its own; what the user says comes after.
fn user<'a>(at: &str, blocks: Vec<Block<'a>>, messages: &mut Vec<Message<'a>>) -> Result<(), Unsupported> {
    let (mut parts, mut results) = (Vec::new(), 0);
    for block in blocks {
        let mut fields = match block {
            Block::Bare(text) => {
                parts.push(Part::Text(text));
                continue;
            }
            Block::Of(fields) => fields,
        };
        let place = fields.at().to_owned();
        match fields.must_text("type")?.as_ref() {
            "text" => parts.push(Part::Text(text(&mut fields)?)),
            "image" => parts.push(Part::Image { image: image(&mut fields)?, at: place }),
            "tool_result" if parts.is_empty() => {
                results += 1;
                messages.push(Message { at: place, said: result(&mut fields)? });
            }
            "tool_result" => return Err(Unsupported::new(place, "comes after other content, which can't be told in that order")),
            _ => return Err(Unsupported::new(place, CANT_SAY)),
        }
    }
    if !parts.is_empty() || results == 0 {
        messages.push(Message { at: at.to_owned(), said: Said::User(parts) });
    }
    Ok(())
}

fn image<'a>(fields: &mut Fields<'a>) -> Result<Image<'a>, Unsupported> {
    let mut source = fields.must_object("source")?;
    let image = match source.must_text("type")?.as_ref() {
        "base64" => Image::Inline { media: source.must_text("media_type")?, data: source.must_text("data")? },
        "url" => Image::Url(source.must_text("url")?),
        _ => return Err(Unsupported::new(source.place("type"), CANT_SAY)),
    };
    source.end()?;
    finish(fields)?;
    Ok(image)
}

fn result<'a>(fields: &mut Fields<'a>) -> Result<Said<'a>, Unsupported> {
    let id = fields.must_text("tool_use_id")?;
    let (text, failed) = (texts(fields, "content")?, fields.flag("is_error")?.unwrap_or(false));
    finish(fields)?;
    Ok(Said::Tool { id, text, failed })
}

fn assistant(blocks: Vec<Block<'_>>) -> Result<Said<'_>, Unsupported> {
    let (mut texts, mut calls) = (Vec::new(), Vec::new());
    for block in blocks {
        let mut fields = match block {
            Block::Bare(text) => {
                texts.push(text);
                continue;
            }
            Block::Of(fields) => fields,
        };
        let place = fields.at().to_owned();
        match fields.must_text("type")?.as_ref() {
            "text" if calls.is_empty() => texts.push(text(&mut fields)?),
            "text" => return Err(Unsupported::new(place, "comes after a call of a tool, which can't be told in that order")),
            "tool_use" => {
                let (id, name) = (fields.must_text("id")?, fields.must_text("name")?);
                let bad = Unsupported::not(&fields.place("input"), "an object");
                let input = fields.raw("input").filter(|raw| raw.get().starts_with('{')).ok_or(bad)?;
                called_by_model(&mut fields)?;
                finish(&mut fields)?;
                calls.push(Call { id, name, input: input.to_owned(), signature: None });
            }
            _ => return Err(Unsupported::new(place, CANT_SAY)),
        }
    }
    Ok(Said::Assistant { text: texts, calls })
}

/// The model itself made the call, as Anthropic's answers say, and no code that ran at the supplier.
fn called_by_model(fields: &mut Fields<'_>) -> Result<(), Unsupported> {
    let Some(mut caller) = fields.object("caller")? else { return Ok(()) };
    caller.default("type", &["\"direct\""])?;
    caller.end()
}

fn tool(mut fields: Fields<'_>) -> Result<Tool<'_>, Unsupported> {
    let at = fields.at().to_owned();
    fields.default("type", &["\"custom\""])?;
    let (name, description) = (fields.must_text("name")?, fields.text("description")?);
    let (input, strict) = (fields.raw("input_schema"), fields.flag("strict")?.unwrap_or(false));
    // How its arguments are cut into events is up to the upstream.
    _ = fields.raw("eager_input_streaming");
    finish(&mut fields)?;
    Ok(Tool { at, name, description, input, strict })
}

fn choice<'a>(fields: &mut Fields<'a>, chat: &mut Chat<'a>) -> Result<(), Unsupported> {
    let Some(mut choice) = fields.object("tool_choice")? else { return Ok(()) };
    chat.choice = match choice.must_text("type")?.as_ref() {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::Never,
        "any" => ToolChoice::Any,
        "tool" => ToolChoice::Named(choice.must_text("name")?),
        _ => return Err(Unsupported::new(choice.place("type"), CANT_SAY)),
    };
    chat.parallel = choice.flag("disable_parallel_tool_use")?.map(|disabled| !disabled);
    choice.end()
}

fn format<'a>(output: &mut Fields<'a>) -> Result<Format<'a>, Unsupported> {
    let Some(mut format) = output.object("format")? else { return Ok(Format::Text) };
    format.default("type", &["\"json_schema\""])?;
    let missing = Unsupported::new(format.place("schema"), "is missing");
    let schema = format.raw("schema").ok_or(missing)?;
    format.end()?;
    Ok(Format::Schema { name: None, schema })
}
