//! A response that is asked for, told as a chat.

use serde_json::{Map, Value, json};

use crate::Unsupported;
use crate::responses::input::messages;
use crate::responses::places::Origin;
use crate::responses::refuse;
use crate::responses::stateless::stateless;

/// A response that was asked for: the chat that says the same, and what its answer has to repeat.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The model that was asked for.
    pub(crate) model: Value,
    /// The fields of a response that repeat the request.
    pub(crate) echo: Map<String, Value>,
    /// What each message of the chat was made of.
    pub(crate) origins: Vec<Origin>,
}

/// Fields that mean the same in both, under the same name.
const SAME: [&str; 9] =
    ["model", "stream", "temperature", "top_p", "parallel_tool_calls", "user", "safety_identifier", "service_tier", "prompt_cache_key"];

/// Fields of a response that are told in another way, are only repeated, or were looked at before.
const OTHERWISE: [&str; 18] = [
    "input",
    "instructions",
    "max_output_tokens",
    "text",
    "tools",
    "tool_choice",
    "reasoning",
    "metadata",
    "store",
    "background",
    "previous_response_id",
    "conversation",
    "prompt",
    "truncation",
    "include",
    "top_logprobs",
    "stream_options",
    "max_tool_calls",
];

/// Tells a response that is asked for as a chat: the chat's body, and what its answer has to repeat.
///
/// # Errors
/// With the name of the field that a chat can't express, or that can't be read.
pub fn to_chat(body: &[u8]) -> Result<(Vec<u8>, Asked), Unsupported> {
    stateless(body)?;
    let Ok(Value::Object(asked)) = serde_json::from_slice::<Value>(body) else {
        return refuse("body", "We could not read the body of your request: it is not a JSON object.");
    };
    let given = |name: &str| asked.get(name).filter(|value| !value.is_null());
    refuse_unsaid(&asked)?;
    let mut chat = Map::new();
    for name in SAME {
        chat.extend(given(name).map(|value| (name.to_owned(), value.clone())));
    }
    let (messages, origins) = messages(given("instructions"), given("input"))?;
    chat.insert("messages".to_owned(), Value::Array(messages));
    chat.extend(given("max_output_tokens").map(|most| ("max_completion_tokens".to_owned(), most.clone())));
    text(&mut chat, given("text"))?;
    tools(&mut chat, given("tools"), given("tool_choice"))?;
    reasoning(&mut chat, given("reasoning"))?;
    if given("stream") == Some(&Value::Bool(true)) {
        chat.insert("stream_options".to_owned(), json!({ "include_usage": true }));
    }
    // What neither knows is for the upstream.
    let known = |name: &String| SAME.contains(&name.as_str()) || OTHERWISE.contains(&name.as_str());
    chat.extend(asked.iter().filter(|(name, _)| !known(name)).map(|(name, value)| (name.clone(), value.clone())));
    let model = chat.get("model").cloned().unwrap_or(Value::Null);
    let chat = serde_json::to_vec(&chat).expect("a JSON object can always be written");
    Ok((chat, Asked { model, echo: echo(&asked), origins }))
}

/// Refuses what a chat has no words for.
fn refuse_unsaid(asked: &Map<String, Value>) -> Result<(), Unsupported> {
    let given = |name: &str| asked.get(name).filter(|value| !value.is_null());
    if given("truncation").is_some_and(|value| value != "disabled") {
        return refuse("truncation", "Only 'disabled' is supported: what does not fit the context is refused.");
    }
    if given("top_logprobs").is_some_and(|value| *value != json!(0)) {
        return refuse("top_logprobs", "Log probabilities are not supported for responses of this model; use chat completions.");
    }
    if given("max_tool_calls").is_some() {
        return refuse("max_tool_calls", "It limits tools that run at OpenAI, and there are none here.");
    }
    let include = given("include").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    // There is no reasoning item that it could be put into.
    match include.iter().find(|what| **what != "reasoning.encrypted_content") {
        Some(what) => refuse("include", format!("{what} is not supported for this model.")),
        None => Ok(()),
    }
}

fn text(chat: &mut Map<String, Value>, text: Option<&Value>) -> Result<(), Unsupported> {
    let Some(text) = text else { return Ok(()) };
    chat.extend(text.get("verbosity").filter(|value| !value.is_null()).map(|value| ("verbosity".to_owned(), value.clone())));
    let Some(format) = text.get("format").filter(|value| !value.is_null()) else { return Ok(()) };
    let format = match format.get("type").and_then(Value::as_str) {
        Some("text") => return Ok(()),
        Some("json_object") => json!({ "type": "json_object" }),
        Some("json_schema") => json!({ "type": "json_schema", "json_schema": without_type(format) }),
        _ => return refuse("text.format.type", "It should be one of 'text', 'json_object' and 'json_schema'."),
    };
    chat.insert("response_format".to_owned(), format);
    Ok(())
}

/// An object's fields but for its `type`: what stands flat in a response and one level deeper in a chat.
fn without_type(value: &Value) -> Value {
    let fields = value.as_object().into_iter().flatten();
    Value::Object(fields.filter(|(name, _)| *name != "type").map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn tools(chat: &mut Map<String, Value>, tools: Option<&Value>, choice: Option<&Value>) -> Result<(), Unsupported> {
    if let Some(tools) = tools {
        let Some(tools) = tools.as_array() else { return refuse("tools", "'tools' should be an array.") };
        let mut told = Vec::with_capacity(tools.len());
        for (index, tool) in tools.iter().enumerate() {
            if tool.get("type") != Some(&json!("function")) {
                return refuse(format!("tools[{index}].type"), "Only tools of type 'function' are supported for this model.");
            }
            told.push(json!({ "type": "function", "function": without_type(tool) }));
        }
        if !told.is_empty() {
            chat.insert("tools".to_owned(), Value::Array(told));
        }
    }
    let choice = match choice {
        None => return Ok(()),
        Some(Value::String(mode)) => json!(mode),
        Some(named) if named.get("type") == Some(&json!("function")) => {
            json!({ "type": "function", "function": { "name": named.get("name") } })
        }
        Some(_) => return refuse("tool_choice", "It should be 'none', 'auto', 'required' or name a function."),
    };
    chat.insert("tool_choice".to_owned(), choice);
    Ok(())
}

fn reasoning(chat: &mut Map<String, Value>, reasoning: Option<&Value>) -> Result<(), Unsupported> {
    let Some(reasoning) = reasoning else { return Ok(()) };
    let given = |name: &str| reasoning.get(name).filter(|value| !value.is_null());
    if given("summary").or(given("generate_summary")).is_some() {
        return refuse("reasoning.summary", "Summaries of reasoning are not supported for this model.");
    }
    chat.extend(given("effort").map(|effort| ("reasoning_effort".to_owned(), effort.clone())));
    Ok(())
}

/// What a response repeats of its request, with the defaults of what was not said.
fn echo(asked: &Map<String, Value>) -> Map<String, Value> {
    let or = |name: &str, default: Value| asked.get(name).filter(|value| !value.is_null()).cloned().unwrap_or(default);
    let reasoning = asked.get("reasoning").and_then(|reasoning| reasoning.get("effort")).cloned().unwrap_or(Value::Null);
    let repeated = json!({
        "instructions": or("instructions", Value::Null),
        "max_output_tokens": or("max_output_tokens", Value::Null),
        "parallel_tool_calls": or("parallel_tool_calls", json!(true)),
        "previous_response_id": null,
        "reasoning": { "effort": reasoning, "summary": null },
        "store": false,
        "temperature": or("temperature", json!(1.0)),
        "text": or("text", json!({ "format": { "type": "text" } })),
        "tool_choice": or("tool_choice", json!("auto")),
        "tools": or("tools", json!([])),
        "top_p": or("top_p", json!(1.0)),
        "truncation": "disabled",
        "user": or("user", Value::Null),
        "metadata": or("metadata", json!({})),
        "background": false,
    });
    let Value::Object(repeated) = repeated else { unreachable!("it was written as an object") };
    repeated
}
