//! What can't be said, with the field's name.

use dialect::{Unsupported, anthropic, gemini, openai};
use serde_json::{Value, json};

/// Which field is at fault in each of the dialects that it is told in; a dash where it can be said.
fn check(extra: &Value, want: [&str; 2]) {
    let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
    for (name, value) in extra.as_object().expect("an object") {
        request[name] = value.clone();
    }
    let body = request.to_string();
    let param = |said: Result<(), Unsupported>| said.map_or_else(|at| at.param, |()| "-".to_owned());
    let found = match openai::read(&body) {
        Ok(chat) => [param(anthropic::write(&chat).map(drop)), param(gemini::write(&chat).map(drop))],
        Err(at) => [at.param.clone(), at.param],
    };
    assert_eq!(found, want, "{extra}");
}

fn message(message: &Value) -> Value {
    json!({"messages": [message, {"role": "user", "content": "x"}]})
}

#[test]
fn what_openais_clients_say_and_others_cannot() {
    check(&json!({}), ["-", "-"]);
    check(&json!({"seed": 1}), ["seed", "-"]);
    check(&json!({"n": 2}), ["n", "-"]);
    check(&json!({"temperature": 1.5}), ["temperature", "-"]);
    check(&json!({"presence_penalty": 0.5, "frequency_penalty": 0}), ["presence_penalty", "-"]);
    check(&json!({"user": "u"}), ["-", "user"]);
    check(&json!({"response_format": {"type": "json_object"}}), ["response_format", "-"]);
    let format = |schema: Value| json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": false, "schema": schema}}});
    let text = json!({"a": {"type": "string"}});
    check(&format(json!({"type": "object", "properties": text})), ["response_format", "-"]);
    check(&format(json!({"type": "object", "properties": text, "additionalProperties": false})), ["-", "-"]);
    check(&json!({"reasoning_effort": "minimal"}), ["reasoning_effort", "-"]);
    check(&json!({"reasoning_effort": "xhigh"}), ["-", "reasoning_effort"]);
    check(&json!({"logprobs": true}), ["logprobs"; 2]);
    check(&json!({"logit_bias": {"1": 2}}), ["logit_bias"; 2]);
    check(&json!({"store": true}), ["store"; 2]);
    check(&json!({"web_search_options": {}}), ["web_search_options"; 2]);
    check(&json!({"brand_new": 1}), ["brand_new"; 2]);
    check(&json!({"functions": []}), ["functions"; 2]);
    check(&json!({"tools": [{"type": "custom", "custom": {"name": "f"}}]}), ["tools[0].type"; 2]);
    check(&json!({"tools": [{"type": "function", "function": {"name": "f"}}], "parallel_tool_calls": false}), ["-", "parallel_tool_calls"]);
    check(&message(&json!({"role": "user", "content": "x", "name": "me"})), ["messages[0].name"; 2]);
    check(&message(&json!({"role": "assistant", "content": "x", "audio": {"id": "a"}})), ["messages[0].audio"; 2]);
    check(&message(&json!({"role": "function", "content": "x"})), ["messages[0].role"; 2]);
    check(
        &json!({"messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "y"}, {"role": "user", "content": "z"}]}),
        ["-", "messages[1]"],
    );
    check(&json!({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "The"}]}), ["messages"; 2]);
    check(&message(&json!({"role": "tool", "tool_call_id": "nobody", "content": "x"})), ["-", "messages[0]"]);
    let part = |part: Value| message(&json!({"role": "user", "content": [part]}));
    check(&part(json!({"type": "image_url", "image_url": {"url": "https://x/y.png"}})), ["-", "messages[0].content[0]"]);
    check(&part(json!({"type": "image_url", "image_url": {"url": "x", "detail": "high"}})), ["messages[0].content[0].image_url.detail"; 2]);
    check(&part(json!({"type": "input_audio", "input_audio": {"format": "wav", "data": "AA"}})), ["messages[0].content[0]", "-"]);
    check(&part(json!({"type": "file", "file": {"file_id": "f"}})), ["messages[0].content[0]"; 2]);
    let call = |arguments: &str| json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}});
    check(&message(&json!({"role": "assistant", "tool_calls": [call("[1]")]})), ["messages[0].tool_calls[0].function.arguments"; 2]);
}

#[test]
fn what_says_nothing_is_no_obstacle() {
    check(
        &json!({
            "n": 1, "logprobs": false, "store": false, "logit_bias": {}, "metadata": {}, "seed": null, "modalities": ["text"], "verbosity": "medium",
            "service_tier": "auto", "prompt_cache_key": "k", "presence_penalty": 0.0, "response_format": {"type": "text"}, "parallel_tool_calls": true,
        }),
        ["-", "-"],
    );
    check(&message(&json!({"role": "user", "content": "x", "name": null})), ["-", "-"]);
}

/// A body or a part of it may have many fields, and is looked through once.
#[test]
fn an_object_has_so_many_fields_at_most() {
    let fields = |count: usize| (0..count).map(|number| (format!("f{number}"), Value::Null)).collect::<serde_json::Map<_, _>>();
    // The body has a model and messages already, the message of these a role and content.
    check(&fields(dialect::FIELDS_MAX - 2).into(), ["-"; 2]);
    check(&fields(dialect::FIELDS_MAX - 1).into(), ["body"; 2]);
    check(&fields(dialect::FIELDS_MAX * 100).into(), ["body"; 2]);
    let said = |count: usize| {
        let mut said = fields(count);
        said.extend([("role".to_owned(), json!("user")), ("content".to_owned(), json!("x"))]);
        message(&said.into())
    };
    check(&said(dialect::FIELDS_MAX - 2), ["-"; 2]);
    check(&said(dialect::FIELDS_MAX - 1), ["messages[0]"; 2]);
}

/// Which tool's answer each message is told as.
#[test]
fn an_answer_is_the_last_call_s_before_it() {
    let call = |id: &str, name: &str| json!({"role": "assistant", "tool_calls": [{"id": id, "type": "function", "function": {"name": name, "arguments": "{}"}}]});
    let answer = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "x"});
    let told = |messages: &[Value]| {
        let body = json!({"model": "m", "messages": messages}).to_string();
        let chat = openai::read(&body).expect("a chat");
        let told = gemini::write(&chat).map_err(|refused| refused.param)?.body();
        let told: Value = serde_json::from_slice(&told).expect("JSON");
        let parts = told["contents"].as_array().expect("turns").iter().flat_map(|turn| turn["parts"].as_array().expect("parts").clone());
        Ok::<_, String>(parts.filter_map(|part| part["functionResponse"]["name"].as_str().map(str::to_owned)).collect::<Vec<_>>().join(" "))
    };
    let user = json!({"role": "user", "content": "go on"});
    assert_eq!(told(&[call("a", "f"), answer("a"), call("a", "g"), answer("a")]), Ok("f g".to_owned()));
    assert_eq!(told(&[answer("a"), call("a", "f"), user]), Err("messages[0]".to_owned()));
}

/// Which field of a Messages request is at fault when it is told in OpenAI's dialect.
fn check_messages(extra: &Value, want: &str) {
    let mut request = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
    for (name, value) in extra.as_object().expect("an object") {
        request[name] = value.clone();
    }
    let body = request.to_string();
    let told = anthropic::read(&body).and_then(|chat| openai::write(&chat).map(drop));
    assert_eq!(told.map_or_else(|at| at.param, |()| "-".to_owned()), want, "{extra}");
}

#[test]
fn what_anthropics_clients_say_and_others_cannot() {
    check_messages(&json!({"system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]}), "-");
    check_messages(&json!({"thinking": {"type": "disabled"}, "service_tier": "auto"}), "-");
    check_messages(&json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}), "thinking.type");
    check_messages(&json!({"top_k": 3}), "top_k");
    check_messages(&json!({"container": "c"}), "container");
    check_messages(&json!({"output_config": {"effort": "max"}}), "output_config.effort");
    check_messages(&json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}), "tools[0].type");
    check_messages(&json!({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "The"}]}), "messages");
    let user = |block: Value| json!({"messages": [{"role": "user", "content": [block]}]});
    check_messages(&user(json!({"type": "document", "source": {}})), "messages[0].content[0]");
    check_messages(&user(json!({"type": "image", "source": {"type": "file", "file_id": "f"}})), "messages[0].content[0].source.type");
    let result = json!({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": {"type": "url", "url": "u"}}]});
    check_messages(&user(result), "messages[0].content[0].content[0].type");
    let late =
        json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "tool_result", "tool_use_id": "t"}]}]});
    check_messages(&late, "messages[0].content[1]");
    let thought = json!({"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "t", "signature": "s"}]}, {"role": "user", "content": "x"}]});
    check_messages(&thought, "messages[0].content[0]");
    let called = |caller: Value| {
        let call = json!({"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": caller});
        let result = json!({"type": "tool_result", "tool_use_id": "t", "content": "x"});
        json!({"messages": [{"role": "assistant", "content": [call]}, {"role": "user", "content": [result]}]})
    };
    check_messages(&called(json!({"type": "direct"})), "-");
    check_messages(&called(Value::Null), "-");
    check_messages(&called(json!({"type": "code_execution_20260120", "tool_id": "s"})), "messages[0].content[0].caller.type");
}

/// OpenAI refuses `strict` where a property is optional; Anthropic allows that.
#[test]
fn openai_is_held_to_a_schema_as_far_as_it_takes_it() {
    let check = |schema: Value, want: bool| {
        let body = json!({
            "model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],
            "output_config": {"format": {"type": "json_schema", "schema": schema}},
        });
        let body = body.to_string();
        let told = openai::write(&anthropic::read(&body).expect("it can be said")).expect("it can be said").body("m", openai::Most::Tokens);
        let told: Value = serde_json::from_slice(&told).expect("JSON");
        assert_eq!(told["response_format"]["json_schema"], json!({"name": "answer", "schema": schema, "strict": want}));
    };
    let properties = json!({"a": {"type": "string"}, "b": {"type": "integer"}});
    let object = |required: Value| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    check(object(json!(["b", "a"])), true);
    check(object(json!(["a"])), false);
    check(json!({"type": "object", "properties": properties, "required": ["a", "b"]}), false);
}

#[test]
fn a_field_said_twice_is_refused() {
    let twice = r#"{"messages":[{"role":"user","content":"x","content":"y"}]}"#;
    assert_eq!(openai::read(twice).map(drop).map_err(|at| at.param), Err("messages[0].content".to_owned()));
}

#[test]
fn a_tool_that_failed_says_so_in_every_dialect() {
    let result = json!([{"type": "tool_result", "tool_use_id": "t", "content": "no", "is_error": true}]);
    let call = json!([{"type": "tool_use", "id": "t", "name": "f", "input": {}}]);
    let messages = json!([{"role": "user", "content": "x"}, {"role": "assistant", "content": call}, {"role": "user", "content": result}]);
    let body = json!({"model": "m", "max_tokens": 9, "messages": messages}).to_string();
    let chat = anthropic::read(&body).expect("it can be said");
    let openai: Value =
        serde_json::from_slice(&openai::write(&chat).expect("it can be said").body("m", openai::Most::Tokens)).expect("JSON");
    assert_eq!(openai["messages"][2], json!({"role": "tool", "tool_call_id": "t", "content": "{\"error\":\"no\"}"}));
    let gemini: Value = serde_json::from_slice(&gemini::write(&chat).expect("it can be said").body()).expect("JSON");
    assert_eq!(gemini["contents"][2]["parts"][0]["functionResponse"]["response"], json!({"error": "no"}));
}
