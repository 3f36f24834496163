//! Responses told as chats and back.

use dialect::openai;
use dialect::responses::{Asked, to_chat};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::{Value, json};

fn asked(body: &Value) -> Asked {
    to_chat(body.to_string().as_bytes()).expect("it can be told as a chat").1
}

fn chat(body: &Value) -> Value {
    let (chat, _) = to_chat(body.to_string().as_bytes()).expect("it can be told as a chat");
    serde_json::from_slice(&chat).expect("a chat is JSON")
}

#[test]
fn a_conversation_with_tools_is_told_in_messages() {
    let body = json!({
        "model": "m", "instructions": "Be brief.", "max_output_tokens": 9, "reasoning": { "effort": "low" }, "top_k": 5, "store": false,
        "metadata": { "team": "a" }, "include": ["reasoning.encrypted_content"],
        "text": { "verbosity": "low", "format": { "type": "json_schema", "name": "n", "strict": true, "schema": { "type": "object" } } },
        "tools": [{ "type": "function", "name": "f", "parameters": {}, "strict": true }],
        "tool_choice": { "type": "function", "name": "f" },
        "input": [
            { "role": "user", "content": [{ "type": "input_text", "text": "see" }, { "type": "input_image", "image_url": "data:x", "detail": "low" }] },
            { "type": "message", "role": "assistant", "id": "msg_1", "content": [{ "type": "output_text", "text": "ok", "annotations": [] }] },
            { "type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}" },
            { "type": "function_call", "call_id": "c2", "name": "f", "arguments": "{\"a\":1}" },
            { "type": "function_call_output", "call_id": "c1", "output": "one" },
            { "type": "function_call_output", "call_id": "c2", "output": [{ "type": "input_text", "text": "two" }] },
            { "role": "assistant", "content": [{ "type": "refusal", "refusal": "no" }] },
        ],
    });
    let want = json!({
        "model": "m", "max_completion_tokens": 9, "reasoning_effort": "low", "top_k": 5, "verbosity": "low",
        "response_format": { "type": "json_schema", "json_schema": { "name": "n", "strict": true, "schema": { "type": "object" } } },
        "tools": [{ "type": "function", "function": { "name": "f", "parameters": {}, "strict": true } }],
        "tool_choice": { "type": "function", "function": { "name": "f" } },
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": [{ "type": "text", "text": "see" }, { "type": "image_url", "image_url": { "url": "data:x", "detail": "low" } }] },
            { "role": "assistant", "content": [{ "type": "text", "text": "ok" }], "tool_calls": [
                { "id": "c1", "type": "function", "function": { "name": "f", "arguments": "{}" } },
                { "id": "c2", "type": "function", "function": { "name": "f", "arguments": "{\"a\":1}" } },
            ] },
            { "role": "tool", "tool_call_id": "c1", "content": "one" },
            { "role": "tool", "tool_call_id": "c2", "content": [{ "type": "text", "text": "two" }] },
            { "role": "assistant", "content": null, "refusal": "no" },
        ],
    });
    assert_eq!(chat(&body), want);
}

#[test]
fn a_stream_asks_for_usage() {
    let told = chat(&json!({ "model": "m", "input": "hi", "stream": true, "stream_options": { "include_obfuscation": false } }));
    let want = json!({
        "model": "m", "stream": true, "stream_options": { "include_usage": true }, "messages": [{ "role": "user", "content": "hi" }],
    });
    assert_eq!(told, want);
}

/// The field that a request is refused for.
fn check_refused(more: &Value, param: &str) {
    let mut body = json!({ "model": "m", "input": "hi" });
    for (name, value) in more.as_object().expect("fields") {
        body[name] = value.clone();
    }
    let refused = to_chat(body.to_string().as_bytes()).expect_err("it can't be told");
    assert_eq!(refused.param, param, "{more}");
}

#[test]
fn what_a_chat_can_not_say_is_refused_by_name() {
    check_refused(&json!({ "store": true }), "store");
    check_refused(&json!({ "truncation": "auto" }), "truncation");
    check_refused(&json!({ "top_logprobs": 2 }), "top_logprobs");
    check_refused(&json!({ "max_tool_calls": 2 }), "max_tool_calls");
    check_refused(&json!({ "include": ["message.output_text.logprobs"] }), "include");
    check_refused(&json!({ "reasoning": { "summary": "auto" } }), "reasoning.summary");
    check_refused(&json!({ "text": { "format": { "type": "grammar" } } }), "text.format.type");
    check_refused(&json!({ "tools": [{ "type": "custom", "name": "f" }] }), "tools[0].type");
    check_refused(&json!({ "tools": [{ "type": "file_search" }] }), "tools[0].type");
    check_refused(&json!({ "tool_choice": { "type": "web_search" } }), "tool_choice");
    check_refused(&json!({ "instructions": 7 }), "instructions");
    check_refused(&json!({ "input": 7 }), "input");
    check_refused(&json!({ "input": [{ "type": "reasoning", "summary": [] }] }), "input[0].type");
    check_refused(&json!({ "input": [{ "role": "user", "content": [{ "type": "input_file" }] }] }), "input[0].content[0].type");
    check_refused(
        &json!({ "input": [{ "role": "user", "content": [{ "type": "input_image", "file_id": "f" }] }] }),
        "input[0].content[0].file_id",
    );
    check_refused(&json!({ "input": [{ "role": "robot", "content": "" }] }), "input[0].role");
    check_refused(&json!({ "input": [{ "type": "function_call", "call_id": "c", "name": "f" }] }), "input[0].arguments");
}

#[test]
fn what_is_wrong_with_the_chat_is_told_of_what_its_client_wrote() {
    let picture = json!({ "type": "input_image", "image_url": "u", "detail": "high" });
    let call = |id: &str| json!({ "type": "function_call", "call_id": id, "name": "f", "arguments": "{}" });
    let output = |id: &str| json!({ "type": "function_call_output", "call_id": id, "output": [{ "type": "input_text", "text": "x" }] });
    let items = json!([
        { "role": "user", "content": [{ "type": "input_text", "text": "x" }, picture] },
        { "role": "assistant", "content": "ok" },
        call("a"), call("b"), output("a"), output("b"), call("c"),
    ]);
    let asked = |input: &Value, more: &Value| asked(&json!({ "model": "m", "input": input, "instructions": more }));
    let (of_items, of_text) = (asked(&items, &json!("Be brief.")), asked(&json!("hi"), &Value::Null));
    for (chat, response) in [
        ("messages", "input"),
        ("messages[0].content", "instructions"),
        ("messages[1].content[1]", "input[0].content[1]"),
        ("messages[1].content[1].image_url.detail", "input[0].content[1].detail"),
        ("messages[2].content", "input[1].content"),
        ("messages[2].tool_calls[0].function.arguments", "input[2].arguments"),
        ("messages[2].tool_calls[1].id", "input[3].call_id"),
        ("messages[3]", "input[4]"),
        ("messages[4].content[0].text", "input[5].output[0].text"),
        ("messages[4].tool_call_id", "input[5].call_id"),
        ("messages[5].tool_calls[0].extra_content.google", "input[6].extra_content.google"),
        ("messages[6]", "input"),
        ("messages.[1].content", "input"),
        ("reasoning_effort", "reasoning.effort"),
        ("response_format", "text.format"),
        ("response_format.json_schema.schema", "text.format.schema"),
        ("verbosity", "text.verbosity"),
        ("max_completion_tokens", "max_output_tokens"),
        ("tools[1].function.name", "tools[1].name"),
        ("tool_choice.function.name", "tool_choice.name"),
        ("temperature", "temperature"),
        ("model", "model"),
    ] {
        assert_eq!(of_items.place(chat), response, "{chat}");
    }
    assert_eq!(of_text.place("messages[0].content"), "input");
    // Found by who tells the chat to another vendor.
    let (told, asked) = to_chat(json!({ "model": "m", "instructions": "x", "input": items }).to_string().as_bytes()).expect("a chat");
    let refused = openai::read(std::str::from_utf8(&told).expect("text")).map(drop).expect_err("others know no detail");
    assert_eq!(asked.place(&refused.param), "input[0].content[1].detail");
}

#[test]
fn thought_that_only_the_total_counts_is_output() {
    let usage = json!({ "prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135, "completion_tokens_details": { "reasoning_tokens": 94 } });
    let chat = json!({ "model": "up", "choices": [{ "message": { "content": "hi" }, "finish_reason": "stop" }], "usage": usage });
    let told = asked(&json!({ "model": "m", "input": "hi" })).response("7", 1, chat.to_string().as_bytes()).expect("an answer");
    let told: Value = serde_json::from_slice(&told).expect("JSON");
    assert_eq!((&told["usage"]["output_tokens"], &told["usage"]["total_tokens"]), (&json!(103), &json!(135)));
}

/// What is told of a chat's answer: status, why incomplete, output, usage.
fn check_answer(choice: &Value, expect: &Expect) {
    let chat = json!({
        "model": "up", "choices": [choice],
        "usage": { "prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": { "cached_tokens": 4 } },
    });
    let asked = asked(&json!({ "model": "m", "input": "hi", "temperature": 0.5, "metadata": { "a": "b" } }));
    let response: Value = serde_json::from_slice(&asked.response("7", 1, chat.to_string().as_bytes()).expect("an answer")).expect("JSON");
    assert_eq!((&response["id"], &response["temperature"], &response["metadata"]["a"]), (&json!("resp_7"), &json!(0.5), &json!("b")));
    let told: Vec<String> =
        ["status", "incomplete_details", "output", "usage"].iter().map(|name| format!("{name} {}", response[name])).collect();
    expect.assert_eq(&told.join("\n"));
}

#[test]
fn answers_are_told_back() {
    check_answer(
        &json!({ "message": { "role": "assistant", "content": "hello" }, "finish_reason": "stop" }),
        &expect![[r#"
            status "completed"
            incomplete_details null
            output [{"id":"msg_7_0","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"hello","annotations":[],"logprobs":[]}]}]
            usage {"input_tokens":9,"input_tokens_details":{"cached_tokens":4},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":11}"#]],
    );
    check_answer(
        &json!({ "message": { "content": null, "refusal": "no" }, "finish_reason": "length" }),
        &expect![[r#"
            status "incomplete"
            incomplete_details {"reason":"max_output_tokens"}
            output [{"id":"msg_7_0","type":"message","status":"incomplete","role":"assistant","content":[{"type":"refusal","refusal":"no"}]}]
            usage {"input_tokens":9,"input_tokens_details":{"cached_tokens":4},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":11}"#]],
    );
    check_answer(
        &json!({ "message": { "content": "", "tool_calls": [{ "id": "c", "function": { "name": "f", "arguments": "{ }" } }] }, "finish_reason": "tool_calls" }),
        &expect![[r#"
            status "completed"
            incomplete_details null
            output [{"id":"fc_7_0","type":"function_call","status":"completed","call_id":"c","name":"f","arguments":"{ }"}]
            usage {"input_tokens":9,"input_tokens_details":{"cached_tokens":4},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":11}"#]],
    );
}

/// The events that a chat's chunks come to, each as its kind and what it adds.
fn events(chunks: &[Value], done: bool) -> Vec<Value> {
    let mut stream = asked(&json!({ "model": "m", "input": "hi", "stream": true })).stream("7", 1);
    let mut out = Vec::new();
    for chunk in chunks {
        out.extend(stream.chunk(chunk.to_string().as_bytes()));
    }
    if done {
        out.extend(stream.chunk(b"[DONE]"));
    }
    out.extend(stream.end());
    let text = String::from_utf8(out).expect("text");
    text.split_terminator("\n\n")
        .map(|event| {
            let (name, data) = event.split_once('\n').expect("a name and data");
            let data: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON");
            assert_eq!(name, format!("event: {}", data["type"].as_str().expect("a kind")));
            data
        })
        .collect()
}

fn told(events: &[Value]) -> String {
    let line = |event: &Value| {
        let mut rest = event.as_object().expect("an object").clone();
        let kind = rest.shift_remove("type").expect("a kind");
        if let Some(response) = rest.get_mut("response") {
            *response = json!([response["status"], response["output"].as_array().map(Vec::len), response["usage"]["total_tokens"]]);
        }
        format!("{} {}", kind.as_str().unwrap_or_default(), Value::Object(rest))
    };
    events.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn delta(delta: &Value, finish: Option<&str>) -> Value {
    json!({ "model": "up", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }], "usage": null })
}

#[test]
fn a_stream_of_text_and_calls_has_its_events_in_order() {
    let call = |index: u32, more: &str| delta(&json!({ "tool_calls": [{ "index": index, "function": { "arguments": more } }] }), None);
    let begin = |index: u32, id: &str| {
        delta(&json!({ "tool_calls": [{ "index": index, "id": id, "function": { "name": "f", "arguments": "" } }] }), None)
    };
    let chunks = [
        delta(&json!({ "role": "assistant", "content": "" }), None),
        delta(&json!({ "content": "he" }), None),
        delta(&json!({ "content": "llo" }), None),
        begin(0, "c0"),
        call(0, "{\"a\""),
        begin(1, "c1"),
        call(1, "{}"),
        call(0, ": 1}"),
        delta(&json!({}), Some("tool_calls")),
        json!({ "choices": [], "usage": { "prompt_tokens": 3, "completion_tokens": 4 } }),
    ];
    expect![[r#"
        response.created {"sequence_number":0,"response":["in_progress",0,null]}
        response.in_progress {"sequence_number":1,"response":["in_progress",0,null]}
        response.output_item.added {"sequence_number":2,"output_index":0,"item":{"id":"msg_7_0","type":"message","status":"in_progress","role":"assistant","content":[]}}
        response.content_part.added {"sequence_number":3,"item_id":"msg_7_0","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}}
        response.output_text.delta {"sequence_number":4,"item_id":"msg_7_0","output_index":0,"content_index":0,"logprobs":[],"delta":"he"}
        response.output_text.delta {"sequence_number":5,"item_id":"msg_7_0","output_index":0,"content_index":0,"logprobs":[],"delta":"llo"}
        response.output_text.done {"sequence_number":6,"item_id":"msg_7_0","output_index":0,"content_index":0,"text":"hello","logprobs":[]}
        response.content_part.done {"sequence_number":7,"item_id":"msg_7_0","output_index":0,"content_index":0,"part":{"type":"output_text","text":"hello","annotations":[],"logprobs":[]}}
        response.output_item.done {"sequence_number":8,"output_index":0,"item":{"id":"msg_7_0","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"hello","annotations":[],"logprobs":[]}]}}
        response.output_item.added {"sequence_number":9,"output_index":1,"item":{"id":"fc_7_1","type":"function_call","status":"in_progress","call_id":"c0","name":"f","arguments":""}}
        response.function_call_arguments.delta {"sequence_number":10,"item_id":"fc_7_1","output_index":1,"delta":"{\"a\""}
        response.output_item.added {"sequence_number":11,"output_index":2,"item":{"id":"fc_7_2","type":"function_call","status":"in_progress","call_id":"c1","name":"f","arguments":""}}
        response.function_call_arguments.delta {"sequence_number":12,"item_id":"fc_7_2","output_index":2,"delta":"{}"}
        response.function_call_arguments.delta {"sequence_number":13,"item_id":"fc_7_1","output_index":1,"delta":": 1}"}
        response.function_call_arguments.done {"sequence_number":14,"item_id":"fc_7_1","output_index":1,"name":"f","arguments":"{\"a\": 1}"}
        response.output_item.done {"sequence_number":15,"output_index":1,"item":{"id":"fc_7_1","type":"function_call","status":"completed","call_id":"c0","name":"f","arguments":"{\"a\": 1}"}}
        response.function_call_arguments.done {"sequence_number":16,"item_id":"fc_7_2","output_index":2,"name":"f","arguments":"{}"}
        response.output_item.done {"sequence_number":17,"output_index":2,"item":{"id":"fc_7_2","type":"function_call","status":"completed","call_id":"c1","name":"f","arguments":"{}"}}
        response.completed {"sequence_number":18,"response":["completed",3,7]}"#]]
    .assert_eq(&told(&events(&chunks, true)));
}

#[test]
fn calls_without_a_number_or_with_the_same_are_told_apart_by_their_ids() {
    let calls = |deltas: &[Value]| {
        let chunks: Vec<Value> = deltas.iter().map(|calls| delta(&json!({ "tool_calls": calls }), None)).collect();
        let done = events(&chunks, true).into_iter().filter(|event| event["type"] == "response.output_item.done");
        done.map(|event| format!("{} {}", event["item"]["call_id"], event["item"]["arguments"])).collect::<Vec<_>>()
    };
    let whole = |id: &str| json!({ "id": id, "function": { "name": "f", "arguments": "{}" } });
    let numbered = |id: &str| json!({ "index": 0, "id": id, "function": { "name": "f", "arguments": "{}" } });
    let two = [r#""a" "{}""#, r#""b" "{}""#];
    assert_eq!(calls(&[json!([whole("a"), whole("b")])]), two);
    assert_eq!(calls(&[json!([whole("a")]), json!([whole("b")])]), two);
    assert_eq!(calls(&[json!([numbered("a")]), json!([numbered("b")])]), two);
    let more = |id: Value| json!([{ "index": 0, "id": id, "function": { "arguments": " " } }]);
    assert_eq!(calls(&[json!([numbered("a")]), more(Value::Null), more(json!("z"))]), [r#""a" "{}  ""#]);
    assert_eq!(calls(&[json!([whole("a")]), json!([{ "function": { "arguments": " " } }])]), [r#""a" "{} ""#]);
}

/// Gemini refuses a call that comes back without the signature that it came with.
#[test]
fn what_a_vendor_adds_to_a_call_comes_back_with_it() {
    let extra = json!({ "google": { "thought_signature": "c2ln" } });
    let call = json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": "{}" }, "extra_content": extra });
    let plain = json!({ "id": "d", "type": "function", "function": { "name": "f", "arguments": "{}" } });
    let calls = json!([call, plain]);
    let whole =
        json!({ "model": "up", "choices": [{ "message": { "content": null, "tool_calls": calls }, "finish_reason": "tool_calls" }] });
    let whole = asked(&json!({ "model": "m", "input": "hi" })).response("7", 1, whole.to_string().as_bytes()).expect("an answer");
    let whole: Value = serde_json::from_slice(&whole).expect("JSON");
    let streamed = events(&[delta(&json!({ "tool_calls": calls }), None), delta(&json!({}), Some("tool_calls"))], true);
    for output in [&whole["output"], &streamed.last().expect("a last event")["response"]["output"]] {
        assert_eq!((&output[0]["extra_content"], output[1].get("extra_content")), (&extra, None));
        let items = output.as_array().expect("items").iter().cloned();
        let results = ["c", "d"].map(|id| json!({ "type": "function_call_output", "call_id": id, "output": "x" }));
        let back = chat(&json!({ "model": "m", "input": items.chain(results).collect::<Vec<_>>() }));
        assert_eq!(back["messages"][0]["tool_calls"], calls);
    }
}

#[test]
fn a_stream_that_is_cut_ends_with_an_error_and_never_cleanly() {
    let begun = delta(&json!({ "content": "he" }), None);
    let last =
        |events: Vec<Value>| events.last().map(|event| (event["type"].clone(), event["code"].clone(), event["error"]["code"].clone()));
    let error = |code: &str| Some((json!("error"), json!(code), json!(code)));
    assert_eq!(last(events(std::slice::from_ref(&begun), false)), error("upstream_lost"));
    assert_eq!(last(events(&[begun.clone(), json!({ "error": { "message": "gone", "code": "cut" } })], true)), error("cut"));
    let incomplete = last(events(&[begun, delta(&json!({}), Some("length"))], false)).map(|last| last.0);
    assert_eq!(incomplete, Some(json!("response.incomplete")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_body_and_no_chunk_panics(body in prop::collection::vec(any::<u8>(), 0..80), text in "[\\{\\}\\[\\]\":,a-z0-9 ]{0,80}") {
        for bytes in [body.as_slice(), text.as_bytes()] {
            prop_assert!(to_chat(bytes).is_err());
            let asked = asked(&json!({ "model": "m", "input": "hi" }));
            prop_assert!(asked.response("7", 1, bytes).is_none());
            let mut stream = asked.stream("7", 1);
            stream.chunk(bytes);
            prop_assert!(String::from_utf8_lossy(&stream.end()).starts_with("event: error"));
        }
    }

    /// However a text is cut into deltas, the stream ends with the response that the whole answer would have been.
    #[test]
    fn a_stream_adds_up_to_the_whole_answer(pieces in prop::collection::vec("[a-z\\\\\" \u{e9}]{0,4}", 0..8), arguments in prop::collection::vec(".{0,4}", 0..4)) {
        let (text, joined) = (pieces.concat(), arguments.concat());
        let mut chunks: Vec<Value> = pieces.iter().map(|piece| delta(&json!({ "content": piece }), None)).collect();
        let call = json!({ "index": 0, "id": "c", "function": { "name": "f", "arguments": "" } });
        chunks.push(delta(&json!({ "tool_calls": [call] }), None));
        chunks.extend(arguments.iter().map(|more| delta(&json!({ "tool_calls": [{ "index": 0, "function": { "arguments": more } }] }), None)));
        chunks.push(delta(&json!({}), Some("tool_calls")));
        chunks.push(json!({ "choices": [], "usage": { "prompt_tokens": 3, "completion_tokens": 4 } }));
        let streamed = events(&chunks, true);
        let whole = json!({
            "model": "up",
            "choices": [{ "message": { "content": text, "tool_calls": [{ "id": "c", "function": { "name": "f", "arguments": joined } }] }, "finish_reason": "tool_calls" }],
            "usage": { "prompt_tokens": 3, "completion_tokens": 4 },
        });
        let asked = asked(&json!({ "model": "m", "input": "hi", "stream": true }));
        let whole: Value = serde_json::from_slice(&asked.response("7", 1, whole.to_string().as_bytes()).expect("an answer")).expect("JSON");
        prop_assert_eq!(&streamed.last().expect("a last event")["response"], &whole);
        for (number, event) in streamed.iter().enumerate() {
            prop_assert_eq!(&event["sequence_number"], &json!(number));
        }
    }
}
