//! The input of a response as the messages of a chat.

use serde_json::{Value, json};

use crate::Unsupported;
use crate::responses::places::Origin;
use crate::responses::refuse;

/// Instructions and input as messages, in order, and what each was made of.
pub(crate) fn messages(instructions: Option<&Value>, input: Option<&Value>) -> Result<(Vec<Value>, Vec<Origin>), Unsupported> {
    let mut messages = Vec::new();
    match instructions {
        None => {}
        Some(Value::String(text)) => messages.push((json!({ "role": "system", "content": text }), Origin::Instructions)),
        Some(_) => return refuse("instructions", "'instructions' should be a string."),
    }
    match input {
        Some(Value::String(text)) => messages.push((json!({ "role": "user", "content": text }), Origin::Text)),
        Some(Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                add(&mut messages, index, item)?;
            }
        }
        _ => return refuse("input", "'input' should be a string or an array."),
    }
    Ok(messages.into_iter().unzip())
}

fn add(messages: &mut Vec<(Value, Origin)>, at: usize, item: &Value) -> Result<(), Unsupported> {
    let place = format!("input[{at}]");
    let text = |name: &str| match item.get(name).and_then(Value::as_str) {
        Some(text) => Ok(text),
        None => refuse(format!("{place}.{name}"), format!("'{name}' should be a string.")),
    };
    match item.get("type").and_then(Value::as_str).unwrap_or("message") {
        "message" => {
            let role = text("role")?;
            if !matches!(role, "user" | "assistant" | "system" | "developer") {
                return refuse(format!("{place}.role"), "It should be one of 'user', 'assistant', 'system' and 'developer'.");
            }
            let message = message(&place, role, item.get("content").unwrap_or(&Value::Null))?;
            messages.push((message, Origin::Item { at, calls: Vec::new() }));
        }
        "function_call" => {
            let mut call = json!({
                "id": text("call_id")?,
                "type": "function",
                "function": { "name": text("name")?, "arguments": text("arguments")? },
            });
            if let Some(extra) = item.get("extra_content").filter(|extra| !extra.is_null()) {
                call["extra_content"] = extra.clone();
            }
            match messages.last_mut().filter(|(last, _)| last["role"] == "assistant") {
                Some((last, Origin::Item { calls, .. })) => {
                    calls.push(at);
                    match &mut last["tool_calls"] {
                        Value::Array(told) => told.push(call),
                        none => *none = json!([call]),
                    }
                }
                _ => {
                    let message = json!({ "role": "assistant", "content": null, "tool_calls": [call] });
                    messages.push((message, Origin::Item { at, calls: vec![at] }));
                }
            }
        }
        "function_call_output" => {
            let output = match item.get("output") {
                Some(Value::String(text)) => json!(text),
                Some(Value::Array(parts)) => Value::Array(all(&format!("{place}.output"), "user", parts)?),
                _ => return refuse(format!("{place}.output"), "'output' should be a string or an array."),
            };
            let message = json!({ "role": "tool", "tool_call_id": text("call_id")?, "content": output });
            messages.push((message, Origin::Output { at }));
        }
        kind => return refuse(format!("{place}.type"), format!("Items of type '{kind}' are not supported for this model.")),
    }
    Ok(())
}

fn message(place: &str, role: &str, content: &Value) -> Result<Value, Unsupported> {
    let place = format!("{place}.content");
    let parts = match content {
        Value::String(text) => return Ok(json!({ "role": role, "content": text })),
        Value::Array(parts) => parts,
        _ => return refuse(place, "'content' should be a string or an array."),
    };
    let refused = parts.iter().find_map(|part| (part["type"] == "refusal").then(|| part["refusal"].clone()));
    match refused {
        Some(refusal) if parts.len() == 1 => Ok(json!({ "role": role, "content": null, "refusal": refusal })),
        _ => Ok(json!({ "role": role, "content": all(&place, role, parts)? })),
    }
}

fn all(place: &str, role: &str, parts: &[Value]) -> Result<Vec<Value>, Unsupported> {
    parts.iter().enumerate().map(|(index, one)| part(&format!("{place}[{index}]"), role, one)).collect()
}

fn part(place: &str, role: &str, part: &Value) -> Result<Value, Unsupported> {
    match (part.get("type").and_then(Value::as_str).unwrap_or_default(), role) {
        ("input_text", _) | ("output_text", "assistant") => Ok(json!({ "type": "text", "text": part["text"] })),
        ("refusal", "assistant") => Ok(json!({ "type": "refusal", "refusal": part["refusal"] })),
        ("input_image", "user") => match part.get("image_url").and_then(Value::as_str) {
            Some(url) => {
                let mut image = json!({ "url": url });
                if let Some(detail) = part.get("detail").filter(|detail| !detail.is_null()) {
                    image["detail"] = detail.clone();
                }
                Ok(json!({ "type": "image_url", "image_url": image }))
            }
            None => refuse(format!("{place}.file_id"), "Images are taken by 'image_url' only."),
        },
        (kind, _) => refuse(format!("{place}.type"), format!("Parts of type '{kind}' are not supported here.")),
    }
}
