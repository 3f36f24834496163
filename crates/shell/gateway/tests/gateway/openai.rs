//! Embeddings and responses: passed through, translated, refused.

use std::time::Duration;

use dispatch::{Known, Outcome};
use gateway::Limits;
use http_body_util::BodyExt;
use market::Tokens;
use serde_json::{Value, json};
use testkit::{Ending, Gate, Reply};

use crate::bench::{Bench, KEY, LAPTOP, Setup};

/// The laptop fleet with a model that can do this.
async fn able(capabilities: &str) -> Bench {
    able_within(capabilities, Limits::default()).await
}

async fn able_within(capabilities: &str, limits: Limits) -> Bench {
    let text = LAPTOP.replace(r#"capabilities = ["chat", "completions"]"#, &format!("capabilities = [{capabilities}]"));
    assert_ne!(text, LAPTOP, "the laptop fleet states its model's capabilities");
    Bench::of(Setup { fleet: text, limits, ..Setup::default() }).await
}

async fn post(bench: &Bench, path: &str, body: &str) -> crate::bench::Reply {
    bench.send("POST", path, &[("authorization", &format!("Bearer {KEY}"))], body).await
}

fn answer(body: &Value) -> Reply {
    Reply::Status { status: 200, head: vec![("content-type", "application/json".to_owned())], body: body.to_string() }
}

#[tokio::test]
async fn embeddings_pass_through_and_take_input_only() {
    let bench = able(r#""embeddings""#).await;
    let list = json!({
        "object": "list", "model": "x", "data": [{ "object": "embedding", "index": 0, "embedding": "AACAPw==" }],
        "usage": { "prompt_tokens": 8, "total_tokens": 8 },
    });
    for input in [r#""hello""#, r#"["hello", "you"]"#, "[1, 2, 3]", "[[1, 2], [3]]"] {
        bench.north.then(answer(&list));
        let body =
            format!(r#"{{"input": {input} , "model":"smollm2-135m","encoding_format":"base64","dimensions":64,"unknown":{{"a":[1.50]}}}}"#);
        let reply = post(&bench, "/v1/embeddings", &body).await;
        assert_eq!((reply.status.as_u16(), reply.json()), (200, list.clone()), "{input}");
        let heard = bench.north.heard();
        let last = heard.last().expect("it was called");
        assert_eq!((last.path.as_str(), String::from_utf8_lossy(&last.body).as_ref()), ("/v1/embeddings", body.as_str()));
    }
    let settled = bench.journal.settled(4).await;
    let tokens = Tokens { input: 8, cached: 0, output: 0 };
    assert!(settled.iter().all(|one| (one.known, one.tokens) == (Known::Reported, tokens)), "{settled:?}");
}

#[tokio::test]
async fn many_inputs_are_embedded_at_once_and_one_too_long_is_not() {
    let bench = able(r#""embeddings""#).await;
    let ask = |input: &Value| json!({ "model": "default", "input": input }).to_string();
    let word = "word ".repeat(1_000);
    let many = json!(vec![word; 20]);
    bench.north.then(answer(&json!({ "data": [], "usage": { "prompt_tokens": 9 } })));
    assert_eq!(post(&bench, "/embeddings", &ask(&many)).await.status, 200);
    let refused = post(&bench, "/embeddings", &ask(&json!("word ".repeat(20_000)))).await;
    assert_eq!(refused.error(), (400, "context_length_exceeded".to_owned()));
    assert_eq!(refused.json()["error"]["param"], "input");
    for (body, param) in [(r#"{"model":"default"}"#, "input"), (r#"{"model":"default","input":7}"#, "input")] {
        assert_eq!(post(&bench, "/embeddings", body).await.json()["error"]["param"], param, "{body}");
    }
    let chat = bench.chat(r#"{"model":"default","messages":[]}"#).await;
    assert_eq!((chat.error(), &chat.json()["error"]["param"]), ((400, "unsupported_value".to_owned()), &json!("messages")));
}

const RESPONDS: &str = r#""chat", "responses", "tools""#;

#[tokio::test]
async fn responses_pass_through_where_the_upstream_speaks_them() {
    let bench = able(RESPONDS).await;
    let response = json!({
        "id": "resp_up", "object": "response", "status": "completed", "error": null, "output": [{ "type": "message" }], "unknown": 1.50,
        "usage": { "input_tokens": 9, "input_tokens_details": { "cached_tokens": 4 }, "output_tokens": 2, "total_tokens": 11 },
    });
    let check = async |body: &str, sent: &str| {
        bench.north.then(answer(&response));
        let reply = post(&bench, "/v1/responses", body).await;
        assert_eq!((reply.status.as_u16(), reply.json()), (200, response.clone()), "{body}");
        let heard = bench.north.heard();
        let last = heard.last().expect("it was called");
        assert_eq!((last.path.as_str(), String::from_utf8_lossy(&last.body).as_ref()), ("/v1/responses", sent));
    };
    check(r#"{"model":"smollm2-135m","input":"hi","x":1.50}"#, r#"{"store":false,"model":"smollm2-135m","input":"hi","x":1.50}"#).await;
    check(r#"{"model":"default","input":[],"store": null}"#, r#"{"model":"smollm2-135m","input":[],"store": false}"#).await;
    check(r#"{"model":"smollm2-135m","input":"hi","store":false}"#, r#"{"model":"smollm2-135m","input":"hi","store":false}"#).await;
    // These run at the client.
    let own = r#"{"store":false,"model":"smollm2-135m","input":"hi","tools":[{"type":"apply_patch"},{"type":"shell","environment":{"type":"local"}}]}"#;
    check(own, own).await;
    let settled = bench.journal.settled(4).await;
    let tokens = Tokens { input: 9, cached: 4, output: 2 };
    assert!(settled.iter().all(|one| (one.outcome, one.known, one.tokens) == (Outcome::Answered, Known::Reported, tokens)));
}

fn typed(kind: &str, more: &Value) -> Vec<u8> {
    let mut event = json!({ "type": kind });
    event.as_object_mut().expect("an object").extend(more.as_object().expect("fields").clone());
    format!("event: {kind}\ndata: {event}\n\n").into_bytes()
}

const STREAMED: &str = r#"{"model":"default","input":"hi","stream":true}"#;

#[tokio::test]
async fn a_responses_stream_passes_byte_for_byte_and_ends_with_its_own_event() {
    let bench = able(RESPONDS).await;
    let usage = json!({ "input_tokens": 9, "output_tokens": 2, "input_tokens_details": { "cached_tokens": 4 } });
    let events = [
        typed("response.created", &json!({ "response": { "status": "in_progress", "usage": null, "error": null } })),
        typed("response.output_text.delta", &json!({ "delta": "x\"type\":\"error\"" })),
        typed("response.completed", &json!({ "response": { "status": "completed", "usage": usage, "error": null } })),
    ];
    bench.north.then(Reply::Raw(events.to_vec()));
    let reply = post(&bench, "/v1/responses", STREAMED).await;
    assert_eq!(reply.text.as_bytes(), events.concat());
    let settled = bench.journal.settled(1).await;
    assert_eq!((settled[0].outcome, settled[0].tokens), (Outcome::Answered, Tokens { input: 9, cached: 4, output: 2 }));
}

/// Upstream cuts the stream after so many of its events: the code and message that the client hears last, and what is booked.
async fn check_cut(events: &[Vec<u8>], code: &str, message: &str) {
    let bench = able(RESPONDS).await;
    bench.north.then(Reply::Raw(events.to_vec()));
    let reply = post(&bench, "/v1/responses", STREAMED).await;
    let last = reply.text.trim_end().rsplit("\n\n").next().expect("an event");
    let (name, data) = last.split_once('\n').expect("a name and data");
    let data: Value = serde_json::from_str(data.trim_start_matches("data: ")).expect("JSON");
    assert_eq!((name, &data["code"], &data["error"]["code"]), ("event: error", &json!(code), &json!(code)));
    assert!(data["message"].as_str().is_some_and(|said| said.starts_with(message)), "{data}");
    assert_eq!(bench.journal.settled(1).await[0].outcome, Outcome::Cut);
}

#[tokio::test]
async fn a_cut_responses_stream_ends_with_an_error_event() {
    let begun = typed("response.output_text.delta", &json!({ "delta": "x" }));
    check_cut(std::slice::from_ref(&begun), "upstream_lost", "The model server was lost").await;
    check_cut(&[begun, typed("error", &json!({ "code": "x", "message": "m" }))], "x", "m").await;
}

#[tokio::test]
async fn a_response_that_failed_says_so_itself_and_what_it_used() {
    let usage = json!({ "input_tokens": 9, "output_tokens": 2, "total_tokens": 11 });
    let failed = json!({ "status": "failed", "error": { "code": "server_error", "message": "m" }, "output": [], "usage": usage });
    let (created, last) = (typed("response.created", &json!({ "response": {} })), typed("response.failed", &json!({ "response": failed })));
    let begun = typed("response.output_text.delta", &json!({ "delta": "x" }));
    let used = Tokens { input: 9, cached: 0, output: 2 };
    // After content its own words are the end; before any, another upstream answers.
    let bench = able(RESPONDS).await;
    let events = [created.clone(), begun.clone(), last.clone()];
    bench.north.then(Reply::Raw(events.to_vec()));
    assert_eq!(post(&bench, "/v1/responses", STREAMED).await.text.as_bytes(), events.concat());
    let cut = &bench.journal.settled(1).await[0];
    assert_eq!((cut.outcome, cut.known, cut.tokens), (Outcome::Cut, Known::Reported, used));
    bench.north.then(Reply::Raw(vec![created.clone(), last]));
    let done = typed("response.completed", &json!({ "response": { "usage": usage } }));
    bench.west.then(Reply::Raw(vec![created, begun, done]));
    assert_eq!(post(&bench, "/v1/responses", STREAMED).await.header("x-baseload-endpoint"), "west");
    bench.north.then(answer(&failed));
    bench.west.then(answer(&json!({ "output": [], "error": null, "usage": usage })));
    assert_eq!(post(&bench, "/v1/responses", r#"{"model":"default","input":"hi"}"#).await.header("x-baseload-endpoint"), "west");
    for settled in &bench.journal.settled(5).await[1..] {
        assert_eq!((settled.known, settled.tokens), (Known::Reported, used));
    }
}

#[tokio::test]
async fn a_response_that_was_said_to_come_and_failed_says_so_itself() {
    let usage = json!({ "input_tokens": 9, "output_tokens": 2, "total_tokens": 11 });
    let failed = json!({ "status": "failed", "error": { "code": "server_error", "message": "m" }, "output": [], "usage": usage });
    let (created, last) = (typed("response.created", &json!({ "response": {} })), typed("response.failed", &json!({ "response": failed })));
    let limits = Limits { prelude_timeout: Duration::ZERO, ..Limits::default() };
    let (bench, gate) = (able_within(RESPONDS, limits).await, Gate::default());
    bench.north.then(Reply::Slow(vec![created.clone(), last.clone()], gate.clone()));
    gate.open(1);
    let (_connection, response) = bench.open("POST", "/v1/responses", &[("x-api-key", KEY)], STREAMED).await;
    let mut body = response.into_body();
    let first = body.frame().await.expect("a frame").expect("no error").into_data().expect("data");
    assert_eq!(first, created);
    gate.open(1);
    assert_eq!(body.collect().await.expect("the rest").to_bytes(), last);
    let cut = &bench.journal.settled(1).await[0];
    let used = Tokens { input: 9, cached: 0, output: 2 };
    assert_eq!((cut.outcome, cut.known, cut.tokens, cut.first_content), (Outcome::Cut, Known::Reported, used, None));
}

#[tokio::test]
async fn what_a_response_takes_as_a_chat_is_reckoned_by_its_values() {
    let bench = Bench::of(Setup { limits: Limits { bodies_bytes_max: 2 << 20, ..Limits::default() }, ..Setup::default() }).await;
    let asked = |zeros: usize| format!(r#"{{"model":"default","input":"hi","metadata":[{}0]}}"#, "0,".repeat(zeros));
    assert_eq!(post(&bench, "/v1/responses", &asked(1_000)).await.status, 200);
    // Forty kilobytes of text, and three megabytes as a tree.
    assert_eq!(post(&bench, "/v1/responses", &asked(20_000)).await.error(), (503, "overloaded".to_owned()));
    assert_eq!(post(&bench, "/v1/responses", &asked(300_000)).await.error().0, 400);
    let deep = format!(r#"{{"model":"default","input":"hi","metadata":{}{}}}"#, "[".repeat(70), "]".repeat(70));
    assert_eq!(post(&bench, "/v1/responses", &deep).await.error().0, 400);
    assert_eq!(bench.north.heard().len(), 1);
    // A stream that never ends would be kept for its last event.
    let chunk = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n", "x".repeat(60_000)).into_bytes();
    bench.north.then(Reply::Raw(vec![chunk; 64]));
    let reply = post(&bench, "/v1/responses", STREAMED).await;
    let last = reply.text.trim_end().rsplit("\n\n").next().expect("an event");
    assert!(last.starts_with("event: error") && last.contains("overloaded"), "{last:.200}");
}

#[tokio::test]
async fn what_responses_would_have_to_remember_is_refused_by_name() {
    let bench = able(RESPONDS).await;
    for (field, param) in [
        (r#""store":true"#, "store"),
        (r#""previous_response_id":"resp_1""#, "previous_response_id"),
        (r#""background":true"#, "background"),
        (r#""tools":[{"type":"web_search"}]"#, "tools[0].type"),
        (r#""tools":[{"type":"shell","environment":{"type":"container_auto"}}]"#, "tools[0].type"),
    ] {
        for path in ["/v1/responses", "/responses"] {
            let reply = post(&bench, path, &format!(r#"{{"model":"default","input":"hi",{field}}}"#)).await;
            assert_eq!((reply.error().0, &reply.json()["error"]["param"]), (400, &json!(param)), "{field}");
        }
    }
    assert!(bench.north.heard().is_empty(), "nothing was called");
}

#[tokio::test]
async fn responses_are_told_as_chats_where_the_upstream_speaks_only_those() {
    let bench = Bench::start().await;
    let reply = post(&bench, "/v1/responses", r#"{"model":"default","input":"hi","instructions":"Be brief.","max_output_tokens":9}"#).await;
    let response = reply.json();
    assert_eq!((reply.status.as_u16(), &response["object"], &response["status"]), (200, &json!("response"), &json!("completed")));
    assert_eq!(response["output"][0]["content"][0]["text"], "scripted answer");
    assert_eq!((&response["usage"]["input_tokens"], &response["usage"]["output_tokens"]), (&json!(7), &json!(5)));
    assert_eq!(response["id"], reply.header("x-request-id").replace("req_", "resp_"));
    assert_eq!(reply.header("x-baseload-endpoint"), "north");
    let heard = &bench.north.heard()[0];
    let want = json!({
        "model": "smollm2-135m", "max_completion_tokens": 9,
        "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "hi" }],
    });
    assert_eq!((heard.path.as_str(), heard.json().expect("JSON")), ("/v1/chat/completions", want));
    let settled = bench.journal.settled(1).await;
    assert_eq!(settled[0].tokens, Tokens { input: 7, cached: 0, output: 5 });
    let refused = post(&bench, "/v1/responses", r#"{"model":"default","input":"hi","truncation":"auto"}"#).await;
    assert_eq!((refused.error().0, &refused.json()["error"]["param"]), (400, &json!("truncation")));
    let unknown = post(&bench, "/v1/responses", r#"{"model":"none","input":"hi"}"#).await;
    assert_eq!(unknown.error(), (404, "model_not_found".to_owned()));
}

/// The client sent a response, and never heard of a chat.
#[tokio::test]
async fn what_is_wrong_with_a_response_is_told_in_its_own_names() {
    let bench = Bench::start().await;
    let check = async |more: &Value, code: &str, param: &str, message: &str| {
        let mut body = json!({ "model": "default", "instructions": "Be brief.", "input": [{ "role": "user", "content": [{ "type": "input_text", "text": "hi" }] }] });
        for (name, value) in more.as_object().expect("fields") {
            body[name] = value.clone();
        }
        let reply = post(&bench, "/v1/responses", &body.to_string()).await;
        assert_eq!((reply.error(), &reply.json()["error"]["param"]), ((400, code.to_owned()), &json!(param)), "{more}");
        let told = reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(told.contains(message), "{told}");
    };
    check(&json!({ "input": "word ".repeat(20_000) }), "context_length_exceeded", "input", "maximum context length").await;
    let format = json!({ "format": { "type": "json_schema", "name": "n", "schema": {} } });
    check(&json!({ "text": format }), "unsupported_value", "text.format", "structured output").await;
    assert!(bench.north.heard().is_empty(), "nothing was called");
    let error = json!({ "message": "'messages[1].content[0]' is bad.", "type": "invalid_request_error", "param": "messages[1].content[0]", "code": "bad" });
    let head = vec![("content-type", "application/json".to_owned())];
    bench.north.then(Reply::Status { status: 400, head, body: json!({ "error": error }).to_string() });
    check(&json!({}), "bad", "input[0].content[0]", "'input[0].content[0]' is bad.").await;
}

fn kinds(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("event: ")).collect()
}

#[tokio::test]
async fn a_told_stream_has_typed_events_and_never_ends_cleanly_when_cut() {
    let bench = Bench::start().await;
    bench.north.then(Reply::stream(2)).then(Reply::ending(2, Ending::Reset));
    let reply = post(&bench, "/v1/responses", STREAMED).await;
    let want = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds(&reply.text), want);
    let last = reply.text.trim_end().rsplit("data: ").next().expect("data");
    let completed: Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(completed["response"]["output"][0]["content"][0]["text"], "t0 t1 ");
    assert_eq!(completed["response"]["usage"]["output_tokens"], 2);
    let cut = post(&bench, "/v1/responses", STREAMED).await;
    assert_eq!((kinds(&cut.text).last(), kinds(&cut.text).contains(&"response.completed")), (Some(&"error"), false));
    let outcomes: Vec<Outcome> = bench.journal.settled(2).await.iter().map(|one| one.outcome).collect();
    assert_eq!(outcomes, [Outcome::Answered, Outcome::Cut]);
}
