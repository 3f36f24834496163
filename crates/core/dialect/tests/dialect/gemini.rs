//! Gemini's request read back: a reader of the tests' own, as the gateway has no need of one.

use serde_json::{Map, Value, json};

/// A `generateContent` request in OpenAI's words.
pub fn as_openai(body: &[u8]) -> Value {
    let body: Value = serde_json::from_slice(body).expect("JSON");
    let mut messages = Vec::new();
    if let Some(system) = body.get("systemInstruction") {
        messages.push(json!({"role": "system", "content": system["parts"][0]["text"]}));
    }
    let raw: Raw<'_> = Raw(&body);
    raw.turns(&mut messages);
    let mut fields = Map::new();
    fields.insert("messages".to_owned(), messages.into());
    let config = &body["generationConfig"];
    for (theirs, ours) in [("maxOutputTokens", "max_tokens"), ("stopSequences", "stop"), ("temperature", "temperature"), ("topP", "top_p")]
    {
        fields.extend(config.get(theirs).map(|value| (ours.to_owned(), value.clone())));
    }
    if let Some(thinking) = config.get("thinkingConfig") {
        let level = thinking["thinkingLevel"].as_str().expect("a level").to_lowercase();
        fields.insert("reasoning_effort".to_owned(), json!(level));
    }
    if let Some(schema) = config.get("responseJsonSchema") {
        assert_eq!(config["responseMimeType"], "application/json");
        let schema = json!({"name": "answer", "schema": schema, "strict": true});
        fields.insert("response_format".to_owned(), json!({"type": "json_schema", "json_schema": schema}));
    }
    if let Some(tools) = body.get("tools") {
        let declared = tools[0]["functionDeclarations"].as_array().expect("an array").iter().map(|function| {
            let parameters = &function["parametersJsonSchema"];
            json!({"type": "function", "function": {"name": function["name"], "description": function["description"], "parameters": parameters}})
        });
        fields.insert("tools".to_owned(), declared.collect());
    }
    if let Some(config) = body.get("toolConfig") {
        let calling = &config["functionCallingConfig"];
        let choice = match (calling["mode"].as_str().expect("a mode"), calling.get("allowedFunctionNames")) {
            ("ANY", Some(names)) => json!({"type": "function", "function": {"name": names[0]}}),
            ("ANY", None) => json!("required"),
            ("NONE", None) => json!("none"),
            ("AUTO", None) => json!("auto"),
            other => unreachable!("no such way of calling: {other:?}"),
        };
        fields.insert("tool_choice".to_owned(), choice);
    }
    fields.into()
}

struct Raw<'a>(&'a Value);

impl Raw<'_> {
    fn turns(&self, messages: &mut Vec<Value>) {
        for turn in self.0["contents"].as_array().expect("an array") {
            let parts = turn["parts"].as_array().expect("parts");
            if turn["role"] == "model" {
                messages.push(model(parts));
            } else if parts.iter().any(|part| part.get("functionResponse").is_some()) {
                messages.extend(parts.iter().map(|part| {
                    let response = &part["functionResponse"];
                    json!({"role": "tool", "tool_call_id": response["id"], "content": response["response"]["output"]})
                }));
            } else {
                messages.push(json!({"role": "user", "content": user(parts)}));
            }
        }
    }
}

fn model(parts: &[Value]) -> Value {
    let text = parts.iter().find_map(|part| part.get("text"));
    let calls = parts.iter().filter_map(|part| part.get("functionCall")).map(
        |call| json!({"id": call["id"], "type": "function", "function": {"name": call["name"], "arguments": call["args"].to_string()}}),
    );
    let calls: Vec<Value> = calls.collect();
    let mut message = json!({"role": "assistant", "content": text});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    message
}

fn user(parts: &[Value]) -> Value {
    let part = |part: &Value| match part.get("inlineData") {
        Some(blob) => {
            let (media, data) = (blob["mimeType"].as_str().expect("a type"), blob["data"].as_str().expect("base64"));
            json!({"type": "image_url", "image_url": {"url": format!("data:{media};base64,{data}")}})
        }
        None => json!({"type": "text", "text": part["text"]}),
    };
    match parts {
        [one] if one.get("text").is_some() => one["text"].clone(),
        many => many.iter().map(part).collect(),
    }
}
