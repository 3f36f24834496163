//! Whole answers.

use std::collections::BTreeSet;

use dialect::{About, Foreign, Hearing, NoAnswer, told_as_anthropic};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::told::{about, told};

#[expect(clippy::needless_pass_by_value, reason = "a test reads better with the expectation last and by value")]
fn check(from: Foreign, body: &Value, want: Expect) {
    let told = match from.answer(body.to_string().as_bytes(), &about()) {
        Ok(told) => serde_json::from_slice::<Value>(&told).expect("JSON").to_string(),
        Err(no) => no.to_string(),
    };
    want.assert_eq(&told);
}

#[test]
fn anthropics_answer_is_told_as_openais() {
    let usage = json!({"input_tokens": 11, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2, "output_tokens": 9});
    let content = json!([
        {"type": "thinking", "thinking": "hidden", "signature": "s"},
        {"type": "text", "text": "one "}, {"type": "text", "text": "two"},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"z": 1.0, "a": 2}},
    ]);
    let body = json!({"id": "msg_1", "type": "message", "model": "claude", "content": content, "stop_reason": "tool_use", "usage": usage});
    check(
        Foreign::Anthropic,
        &body,
        expect![[
            r#"{"id":"msg_1","object":"chat.completion","created":7,"model":"claude","choices":[{"index":0,"message":{"role":"assistant","content":"one two","refusal":null,"tool_calls":[{"id":"t1","type":"function","function":{"name":"f","arguments":"{\"z\":1.0,\"a\":2}"}}]},"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":18,"completion_tokens":9,"total_tokens":27,"prompt_tokens_details":{"cached_tokens":5},"completion_tokens_details":{"reasoning_tokens":0}}}"#
        ]],
    );
    check(Foreign::Anthropic, &json!({"type": "error", "error": {"message": "no"}}), expect!["it failed"]);
}

#[test]
fn geminis_answer_is_told_as_openais() {
    let usage = json!({"promptTokenCount": 18, "cachedContentTokenCount": 5, "candidatesTokenCount": 6, "thoughtsTokenCount": 3});
    let parts = json!([
        {"text": "hidden", "thought": true}, {"text": "one "}, {"text": "two"},
        {"functionCall": {"name": "f", "args": {"z": 1.0}}, "thoughtSignature": "c2ln"}, {"functionCall": {"id": "own", "name": "g"}},
    ]);
    let candidate = json!({"content": {"role": "model", "parts": parts}, "finishReason": "STOP"});
    check(
        Foreign::Gemini,
        &json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gem"}),
        expect![[
            r#"{"id":"answer-1","object":"chat.completion","created":7,"model":"gem","choices":[{"index":0,"message":{"role":"assistant","content":"one two","refusal":null,"tool_calls":[{"id":"call_answer-1_0_0","type":"function","function":{"name":"f","arguments":"{\"z\":1.0}"},"extra_content":{"google":{"thought_signature":"c2ln"}}},{"id":"own","type":"function","function":{"name":"g","arguments":"{}"}}]},"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":18,"completion_tokens":9,"total_tokens":27,"prompt_tokens_details":{"cached_tokens":5},"completion_tokens_details":{"reasoning_tokens":3}}}"#
        ]],
    );
    check(
        Foreign::Gemini,
        &json!({"promptFeedback": {"blockReason": "SAFETY"}}),
        expect![[
            r#"{"id":"answer-1","object":"chat.completion","created":7,"model":"model-1","choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":null},"logprobs":null,"finish_reason":"content_filter"}]}"#
        ]],
    );
    check(Foreign::Gemini, &json!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}), expect!["its model failed"]);
    check(Foreign::Gemini, &json!({}), expect!["its model failed"]);
}

/// OpenAI refuses a history with an id of more than 40 letters, Anthropic one with others than these.
#[test]
fn ids_made_for_geminis_calls_can_be_sent_to_any_vendor() {
    let about = |number: u32| About { id: format!("chatcmpl-0660f9f533511c826f86405a{number:08x}"), ..about() };
    let part = json!({"functionCall": {"name": "f", "args": {}}});
    let candidate = |index: u32| json!({"index": index, "content": {"parts": vec![part.clone(); 12]}, "finishReason": "STOP"});
    let body = json!({"candidates": [candidate(0), candidate(1)]}).to_string();
    let mut ids = BTreeSet::new();
    for number in [0, 1] {
        let whole = Foreign::Gemini.answer(body.as_bytes(), &about(number)).expect("an answer");
        let whole: Value = serde_json::from_slice(&whole).expect("JSON");
        let choices = whole["choices"].as_array().expect("choices").iter();
        let calls = choices.flat_map(|choice| choice["message"]["tool_calls"].as_array().expect("calls"));
        ids.extend(calls.map(|call| call["id"].as_str().expect("an id").to_owned()));
        let (mut hearing, mut out) = (Hearing::new(Foreign::Gemini, about(number)), Vec::new());
        let event = json!({"candidates": [candidate(0)]});
        hearing.feed(format!("data: {event}\n\n").as_bytes(), &mut out).expect("a good stream");
        assert!(told(&out).calls.values().all(|(id, ..)| ids.contains(id)), "a stream calls them what the whole answer does");
    }
    assert_eq!(ids.len(), 2 * 2 * 12);
    let good = |id: &String| id.len() <= 40 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    assert!(ids.iter().all(good), "{ids:?}");
}

#[test]
fn arguments_that_are_no_json_cannot_be_told_to_anthropics_clients() {
    let answer = |arguments: &str| {
        let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}});
        let choice = json!({"message": {"role": "assistant", "content": null, "tool_calls": [call]}, "finish_reason": "stop"});
        json!({"id": "x", "model": "m", "choices": [choice]}).to_string()
    };
    assert_eq!(told_as_anthropic(answer("{\"a\":").as_bytes(), &about()), Err(NoAnswer::Failed));
    let told: Value = serde_json::from_slice(&told_as_anthropic(answer("").as_bytes(), &about()).expect("it can be told")).expect("JSON");
    assert_eq!((&told["content"][0]["input"], &told["stop_reason"]), (&json!({}), &json!("tool_use")));
}

/// What Anthropic's clients hear of calls with these arguments when the most tokens were reached.
#[test]
fn a_call_that_the_most_tokens_cut_is_not_told() {
    let check = |arguments: &[&str], want: &Result<Value, NoAnswer>| {
        let call = |arguments: &&str| json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}});
        let calls: Vec<Value> = arguments.iter().map(call).collect();
        let choice = json!({"message": {"role": "assistant", "content": "so", "tool_calls": calls}, "finish_reason": "length"});
        let told = told_as_anthropic(json!({"id": "x", "model": "m", "choices": [choice]}).to_string().as_bytes(), &about());
        let told = told.map(|told| serde_json::from_slice::<Value>(&told).expect("JSON"));
        let got = told.map(|told| {
            let content = told["content"].as_array().expect("blocks").iter();
            json!([told["stop_reason"], content.map(|block| block.get("input").unwrap_or(&block["text"])).collect::<Vec<_>>()])
        });
        assert_eq!(got, *want, "{arguments:?}");
    };
    check(&["{\"a\":"], &Ok(json!(["max_tokens", ["so"]])));
    check(&["{\"a\":1}", "{\"a\":"], &Ok(json!(["max_tokens", ["so", {"a": 1}]])));
    check(&["{\"a\":1}"], &Ok(json!(["max_tokens", ["so", {"a": 1}]])));
    // Only the last can have been cut.
    check(&["{\"a\":", "{}"], &Err(NoAnswer::Failed));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn an_answer_told_to_anthropics_clients_means_the_same(
        text in prop::option::of("[a-z\"\\\\\u{e9}]{1,9}"),
        calls in prop::collection::vec(("[a-z]{1,4}", prop::sample::select(vec!["{}", "{\"a\": 1.0}"])), 0..3),
        finish in prop::sample::select(vec!["stop", "length", "content_filter"]),
        (input, cached, output) in (0..1000_u32, 0..1000_u32, 0..1000_u32),
    ) {
        let calls: Vec<Value> = calls
            .iter()
            .enumerate()
            .map(|(index, (name, input))| json!({"id": format!("c{index}"), "type": "function", "function": {"name": name, "arguments": input}}))
            .collect();
        let finish = if calls.is_empty() { finish } else { "tool_calls" };
        let usage = json!({
            "prompt_tokens": input + cached, "completion_tokens": output, "total_tokens": input + cached + output,
            "prompt_tokens_details": {"cached_tokens": cached}, "completion_tokens_details": {"reasoning_tokens": 0},
        });
        let mut message = json!({"role": "assistant", "content": text, "refusal": null});
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish});
        let answer = json!({"id": "x", "object": "chat.completion", "created": 7, "model": "m", "choices": [choice], "usage": usage});
        let there = told_as_anthropic(answer.to_string().as_bytes(), &about()).expect("it can be told");
        let back = Foreign::Anthropic.answer(&there, &about()).expect("what we write we can read");
        prop_assert_eq!(serde_json::from_slice::<Value>(&back).expect("JSON"), answer);
    }
}
