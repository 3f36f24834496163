//! A chat's answer, told as a response.

use serde_json::{Map, Value, json};

use crate::responses::ask::Asked;

/// A response's object, with what it repeats of its request.
pub(crate) fn response(echo: &Map<String, Value>, id: &str, created: i64, model: &Value, status: &str) -> Map<String, Value> {
    let own = json!({
        "id": format!("resp_{id}"),
        "object": "response",
        "created_at": created,
        "status": status,
        "error": null,
        "incomplete_details": null,
        "model": model,
        "output": [],
        "usage": null,
    });
    let Value::Object(mut own) = own else { unreachable!("it was written as an object") };
    own.extend(echo.iter().map(|(name, value)| (name.clone(), value.clone())));
    own
}

/// How a chat's reason to finish is told: the status, and why it is incomplete.
pub(crate) fn ending(reason: Option<&str>) -> (&'static str, Value) {
    match reason {
        Some("length") => ("incomplete", json!({ "reason": "max_output_tokens" })),
        Some("content_filter") => ("incomplete", json!({ "reason": "content_filter" })),
        _ => ("completed", Value::Null),
    }
}

/// A chat's usage as a response's.
pub(crate) fn usage(chat: &Value) -> Value {
    if !chat.is_object() {
        return Value::Null;
    }
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let input = count(&chat["prompt_tokens"]);
    // Some count the tokens of thought in the total only.
    let output = count(&chat["completion_tokens"]).max(count(&chat["total_tokens"]).saturating_sub(input));
    json!({
        "input_tokens": input,
        "input_tokens_details": { "cached_tokens": count(&chat["prompt_tokens_details"]["cached_tokens"]) },
        "output_tokens": output,
        "output_tokens_details": { "reasoning_tokens": count(&chat["completion_tokens_details"]["reasoning_tokens"]) },
        "total_tokens": input + output,
    })
}

pub(crate) fn text_part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

pub(crate) fn refusal_part(text: &str) -> Value {
    json!({ "type": "refusal", "refusal": text })
}

pub(crate) fn message(id: &str, index: usize, status: &str, content: Value) -> Value {
    json!({ "id": format!("msg_{id}_{index}"), "type": "message", "status": status, "role": "assistant", "content": content })
}

/// What a chat says of a call beside its arguments.
#[derive(Debug)]
pub(crate) struct Called {
    pub call_id: Value,
    pub name: Value,
    /// What vendors add to a call and want back with it, as Google its signature; null where there is nothing.
    pub extra: Value,
}

impl Called {
    pub fn of(call: &Value) -> Self {
        Self { call_id: call["id"].clone(), name: call["function"]["name"].clone(), extra: call["extra_content"].clone() }
    }
}

pub(crate) fn function_call(id: &str, index: usize, status: &str, called: &Called, arguments: &str) -> Value {
    let Called { call_id, name, extra } = called;
    let mut item = json!({
        "id": format!("fc_{id}_{index}"), "type": "function_call", "status": status,
        "call_id": call_id, "name": name, "arguments": arguments,
    });
    if !extra.is_null() {
        item["extra_content"] = extra.clone();
    }
    item
}

impl Asked {
    /// The response that says what a chat's answer says; `None` when that is none. `id` is the request's, without a prefix.
    #[must_use]
    pub fn response(&self, id: &str, created: i64, chat: &[u8]) -> Option<Vec<u8>> {
        let chat: Value = serde_json::from_slice(chat).ok()?;
        let choice = chat["choices"].as_array()?.first()?;
        let said = choice["message"].as_object()?;
        let (status, incomplete) = ending(choice["finish_reason"].as_str());
        let mut output = Vec::new();
        let text = |name: &str| said.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let parts: Vec<Value> = text("content").map(text_part).into_iter().chain(text("refusal").map(refusal_part)).collect();
        let calls = said.get("tool_calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if !parts.is_empty() || calls.is_empty() {
            output.push(message(id, 0, status, Value::Array(parts)));
        }
        for call in calls {
            let arguments = call["function"]["arguments"].as_str()?;
            output.push(function_call(id, output.len(), status, &Called::of(call), arguments));
        }
        let mut response = response(&self.echo, id, created, &chat["model"], status);
        response.insert("incomplete_details".to_owned(), incomplete);
        response.insert("output".to_owned(), Value::Array(output));
        response.insert("usage".to_owned(), usage(&chat["usage"]));
        response.extend(chat.get("service_tier").map(|tier| ("service_tier".to_owned(), tier.clone())));
        serde_json::to_vec(&response).ok()
    }
}
