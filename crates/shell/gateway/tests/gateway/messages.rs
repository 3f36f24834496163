//! Anthropic's Messages at the door, in front of upstreams that speak OpenAI's API.

use dispatch::{Known, Outcome};
use fleet::{Dialect, Endpoint, KeyAs};
use gateway::Upstream;
use market::Tokens;
use testkit::{Ending, Reply};

use crate::bench::{self, Bench, KEY, LAPTOP, Setup};

const HELLO: &str = r#"{"model":"default","max_tokens":9,"messages":[{"role":"user","content":"hello"}]"#;

async fn send(bench: &Bench, rest: &str) -> bench::Reply {
    bench.send("POST", "/v1/messages", &[("x-api-key", KEY)], &format!("{HELLO}{rest}}}")).await
}

#[tokio::test]
async fn an_answer_is_told_in_its_words_and_metered_in_ours() {
    let bench = Bench::start().await;
    let reply = send(&bench, "").await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let json = reply.json();
    assert_eq!((&json["type"], &json["stop_reason"]), (&"message".into(), &"end_turn".into()));
    assert_eq!(json["content"], serde_json::json!([{"type": "text", "text": "scripted answer"}]));
    assert_eq!((json["usage"]["input_tokens"].as_u64(), json["usage"]["output_tokens"].as_u64()), (Some(7), Some(5)));
    assert_eq!(reply.header("request-id"), reply.header("x-request-id"));
    assert_eq!(bench.north.heard()[0].path, "/v1/chat/completions");
    let settled = bench.journal.settled(1).await;
    assert_eq!((settled[0].known, settled[0].tokens), (Known::Reported, Tokens { input: 7, cached: 0, output: 5 }));
}

/// vLLM's own Messages, behind a key, want it as a bearer's; Anthropic's in `x-api-key`.
#[tokio::test]
async fn an_upstream_hears_the_key_as_its_fleet_file_says() {
    let bench = Bench::start().await;
    bench.only_north();
    let north = bench::endpoint(&bench.fleet, "north");
    let body = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":7,"output_tokens":5}}"#;
    for (key_as, want) in [(KeyAs::Dialect, [Some("vendors-own"), None]), (KeyAs::Bearer, [None, Some("Bearer vendors-own")])] {
        let url = format!("http://{}/v1", bench.north.address());
        let endpoint = Endpoint { dialect: Dialect::Anthropic, key_as, url, ..bench.fleet.endpoints[north].clone() };
        bench.gateway.replace_upstream(north, Upstream::of(&endpoint, "default", Some("vendors-own")).expect("a good URL"));
        let head = vec![("content-type", "application/json".to_owned())];
        bench.north.then(testkit::Reply::Status { status: 200, head, body: body.to_owned() });
        let reply = send(&bench, "").await;
        assert_eq!(reply.json()["content"][0]["text"], "hi", "{}", reply.text);
        let heard = bench.north.heard();
        let last = heard.last().expect("it was asked");
        assert_eq!((last.path.as_str(), [last.header("x-api-key"), last.header("authorization")]), ("/v1/messages", want));
    }
}

/// Before Anthropic's own endpoints too, whose bodies pass as they are: what it bills beside tokens nobody would meter.
#[tokio::test]
async fn what_runs_at_the_supplier_is_refused_and_what_runs_at_the_client_passes() {
    let capable = LAPTOP.replace(r#"["chat", "completions"]"#, r#"["chat", "tools"]"#);
    let fleet = capable.replace("[endpoints.north]\n", "[endpoints.north]\ndialect = \"anthropic\"\n");
    let bench = Bench::of(Setup { fleet, ..Setup::default() }).await;
    bench.only_north();
    let north = bench::endpoint(&bench.fleet, "north");
    let url = format!("http://{}/v1", bench.north.address());
    let endpoint = Endpoint { url, ..bench.fleet.endpoints[north].clone() };
    bench.gateway.replace_upstream(north, Upstream::of(&endpoint, "default", None).expect("a good URL"));
    for (rest, param) in [
        (r#","tools":[{"name":"f"},{"type":"web_search_20250305","name":"web_search"}]"#, "tools[1].type"),
        (r#","tools":[{"type":"code_execution_20250825","name":"code_execution"}]"#, "tools[0].type"),
        (r#","mcp_servers":[{"type":"url","url":"https://example.com","name":"x"}]"#, "mcp_servers"),
        (r#","speed":"fast""#, "speed"),
        (r#","inference_geo":"us""#, "inference_geo"),
    ] {
        let reply = send(&bench, rest).await;
        let message = reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert_eq!((reply.status.as_u16(), message.contains(&format!("'{param}'"))), (400, true), "{}", reply.text);
    }
    assert!(bench.north.heard().is_empty(), "nothing was called");
    let body = r#"{"type":"message","role":"assistant","model":"m","content":[],"stop_reason":"end_turn","usage":{"input_tokens":7,"output_tokens":5}}"#;
    bench.north.then(Reply::Status { status: 200, head: vec![("content-type", "application/json".to_owned())], body: body.to_owned() });
    let own = r#","tools":[{"name":"f","input_schema":{}},{"type":"bash_20250124","name":"bash"}],"mcp_servers":[],"service_tier":"auto""#;
    let reply = send(&bench, own).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let heard = String::from_utf8(bench.north.heard()[0].body.to_vec()).expect("text");
    assert!(heard.ends_with(&format!("{own}}}")), "{heard}");
}

/// What is settled when every endpoint would answer a call of a tool with these arguments: the status, the calls, and the first's end.
async fn check_arguments(finish: &str, arguments: &str, want: u16) {
    let bench = Bench::start().await;
    let call = serde_json::json!({ "id": "c", "type": "function", "function": { "name": "f", "arguments": arguments } });
    let choice = serde_json::json!({ "message": { "role": "assistant", "content": "so", "tool_calls": [call] }, "finish_reason": finish });
    let usage = serde_json::json!({ "prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12 });
    let body = serde_json::json!({ "id": "x", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage }).to_string();
    for upstream in [&bench.north, &bench.west, &bench.spill] {
        let head = vec![("content-type", "application/json".to_owned())];
        upstream.then(Reply::Status { status: 200, head, body: body.clone() });
    }
    let reply = send(&bench, "").await;
    assert_eq!(reply.status.as_u16(), want, "{}", reply.text);
    assert_eq!(reply.json()["type"], if want == 200 { "message" } else { "error" }, "{}", reply.text);
    let heard: usize = [&bench.north, &bench.west, &bench.spill].map(|upstream| upstream.heard().len()).iter().sum();
    let settled = bench.journal.settled(1).await;
    let tokens = Tokens { input: 7, cached: 0, output: 5 };
    assert_eq!((heard, settled.len(), settled[0].outcome, settled[0].tokens), (1, 1, Outcome::Answered, tokens), "{finish} {arguments}");
}

#[tokio::test]
async fn an_answer_without_words_for_it_is_paid_for_once() {
    check_arguments("tool_calls", r#"{"a":1}"#, 200).await;
    check_arguments("length", r#"{"a":"#, 200).await;
    check_arguments("tool_calls", r#"{"a":"#, 502).await;
}

/// Gemini says beside each event what was used so far: what is lost before its end has cost that, thoughts included.
#[tokio::test]
async fn a_stream_of_geminis_that_is_lost_costs_what_it_said() {
    let bench = Bench::start().await;
    bench.only_north();
    let north = bench::endpoint(&bench.fleet, "north");
    let url = format!("http://{}/v1beta", bench.north.address());
    let endpoint = Endpoint { dialect: Dialect::Gemini, url, ..bench.fleet.endpoints[north].clone() };
    bench.gateway.replace_upstream(north, Upstream::of(&endpoint, "default", Some("vendors-own")).expect("a good URL"));
    let said = r#"{"candidates":[{"content":{"parts":[{"text":"so"}]}}],"usageMetadata":{"promptTokenCount":18,"candidatesTokenCount":4,"thoughtsTokenCount":300}}"#;
    bench.north.then(Reply::Raw(vec![format!("data: {said}\r\n\r\n").into_bytes()]));
    let reply = bench.chat(r#"{"model":"default","stream":true,"messages":[{"role":"user","content":"hello"}]}"#).await;
    assert!(reply.text.contains("upstream_lost"), "{}", reply.text);
    let settled = bench.journal.settled(1).await;
    let tokens = Tokens { input: 18, cached: 0, output: 304 };
    assert_eq!((settled[0].outcome, settled[0].known, settled[0].tokens), (Outcome::Cut, Known::Reported, tokens));
}

#[tokio::test]
async fn a_stream_has_its_events_in_their_order() {
    let bench = Bench::start().await;
    bench.north.then(Reply::stream(2));
    let reply = send(&bench, r#","stream":true"#).await;
    let names: Vec<&str> = reply.text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    let delta = "content_block_delta";
    let want = ["message_start", "content_block_start", delta, delta, "content_block_stop", "message_delta", "message_stop"];
    assert_eq!(names, want, "{}", reply.text);
    let settled = bench.journal.settled(1).await;
    assert_eq!((settled[0].outcome, settled[0].known), (Outcome::Answered, Known::Reported));
}

#[tokio::test]
async fn a_stream_that_was_lost_ends_with_its_error() {
    let bench = Bench::start().await;
    bench.north.then(Reply::ending(2, Ending::Reset));
    let reply = send(&bench, r#","stream":true"#).await;
    let (_, last) = reply.text.trim_end().rsplit_once("\n\n").expect("several events");
    assert!(last.starts_with("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\""), "{}", reply.text);
    assert_eq!(bench.journal.settled(1).await[0].outcome, Outcome::Cut);
}

#[tokio::test]
async fn an_error_of_anthropics_own_after_content_is_told_as_it_is() {
    for (kind, said) in [("overloaded_error", Some("Overloaded")), ("authentication_error", None), ("timeout_error", Some("Late"))] {
        let bench = Bench::start().await;
        let north = bench::endpoint(&bench.fleet, "north");
        let url = format!("http://{}/v1", bench.north.address());
        let endpoint = Endpoint { dialect: Dialect::Anthropic, url, ..bench.fleet.endpoints[north].clone() };
        bench.gateway.replace_upstream(north, Upstream::of(&endpoint, "default", None).expect("a good URL"));
        let event = |kind: &str, rest: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\",{rest}}}\n\n").into_bytes();
        let error = format!(r#""error":{{"type":"{kind}","message":"{}"}}"#, said.unwrap_or("of our key"));
        bench.north.then(Reply::Raw(vec![
            event("message_start", r#""message":{"id":"m","usage":{"input_tokens":3,"output_tokens":1}}"#),
            event("content_block_delta", r#""index":0,"delta":{"type":"text_delta","text":"half"}"#),
            event("error", &error),
        ]));
        let reply = send(&bench, r#","stream":true"#).await;
        let last = reply.text.trim_end().rsplit("\n\n").next().expect("an event");
        let (kind, said) = said.map_or(("api_error", "The model server was lost"), |said| (kind, said));
        let want = format!("event: error\ndata: {{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\"message\":\"{said}");
        assert!(last.starts_with(&want), "{}", reply.text);
        assert_eq!(bench.journal.settled(1).await[0].outcome, Outcome::Cut);
    }
}

#[tokio::test]
async fn models_are_told_in_its_words() {
    let bench = Bench::start().await;
    let get = async |path: &str| bench.send("GET", path, &[("x-api-key", KEY), ("anthropic-version", "2023-06-01")], "").await;
    let list = get("/v1/models").await.json();
    let names: Vec<&str> = list["data"].as_array().expect("a list").iter().filter_map(|model| model["id"].as_str()).collect();
    assert_eq!(names, ["default", "smollm2-135m"]);
    assert_eq!(
        (&list["has_more"], &list["first_id"], &list["last_id"]),
        (&false.into(), &"default".into(), &"smollm2-135m".into()),
        "{list}"
    );
    let one = get("/v1/models/default").await.json();
    assert_eq!(one, list["data"][0]);
    assert_eq!((&one["type"], &one["display_name"]), (&"model".into(), &"default".into()), "{one}");
    assert!(one["created_at"].as_str().is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()), "{one}");
    let none = get("/v1/models/nobody").await;
    assert_eq!((none.status.as_u16(), &none.json()["error"]["type"]), (404, &"not_found_error".into()));
}

#[tokio::test]
async fn what_is_told_in_other_words_has_so_many_values_at_most() {
    let bench = Bench::start().await;
    let reply = send(&bench, &format!(r#","stop_sequences":["x"{}]"#, ",0".repeat(gateway::JSON_VALUES_MAX))).await;
    let message = reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!((reply.status.as_u16(), message.contains("values")), (400, true), "{}", reply.text);
    assert!(bench.north.heard().is_empty());
}

#[tokio::test]
async fn what_no_endpoint_can_be_told_is_refused_before_any_call() {
    let bench = Bench::start().await;
    for (rest, what) in
        [(r#","top_k":3"#, "'top_k'"), (r#","container":"c""#, "'container'"), (r#","model":"default""#, "'model' is given twice")]
    {
        let reply = send(&bench, rest).await;
        let json = reply.json();
        assert_eq!((reply.status.as_u16(), &json["error"]["type"]), (400, &"invalid_request_error".into()), "{}", reply.text);
        assert!(json["error"]["message"].as_str().is_some_and(|message| message.contains(what)), "{}", reply.text);
    }
    let reply = bench.send("POST", "/v1/messages/count_tokens", &[("x-api-key", KEY)], "{}").await;
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]["type"]), (404, &"not_found_error".into()));
    assert!(bench.north.heard().is_empty());
    assert!(bench.journal.records().is_empty());
}
