//! Who may come in, what is refused, and what else there is to ask for.

use dispatch::{Known, Outcome, Record};
use gateway::{Clock, Limits};
use testkit::{Gate, Reply};
use units::Instant;

use crate::bench::{Bench, KEY, Setup};

const HELLO: &str = r#"{"model":"default","messages":[{"role":"user","content":"hello"}]}"#;

#[tokio::test]
async fn only_good_keys_come_in_and_all_others_hear_the_same() {
    let bench = Bench::start().await;
    let mut told = std::collections::BTreeSet::new();
    for key in ["", "Bearer", "Bearer bl-abcdefabcdef-wrong", "Bearer bl-nobody-canary-secret", "Basic eDp5", "Bearer sk-x"] {
        let reply = bench.send("POST", "/v1/chat/completions", &[("authorization", key)], HELLO).await;
        assert_eq!(reply.error(), (401, "invalid_api_key".to_owned()), "{key}");
        told.insert(reply.text);
    }
    assert_eq!(told.len(), 1);
    let twice = [("authorization", "Bearer bl-abcdefabcdef-canary-secret"), ("authorization", "Bearer x")];
    assert_eq!(bench.send("POST", "/v1/chat/completions", &twice, HELLO).await.status, 401);
    for head in [("api-key", KEY), ("x-api-key", KEY)] {
        assert_eq!(bench.send("POST", "/chat/completions", &[head], HELLO).await.status, 200, "also without /v1");
    }
    let narrow = [("authorization", "Bearer bl-fedcbafedcba-other")];
    assert_eq!(bench.send("POST", "/v1/chat/completions", &narrow, HELLO).await.error(), (404, "model_not_found".to_owned()));
    assert_eq!(bench.send("GET", "/v1/models", &narrow, "").await.json()["data"], serde_json::json!([]));
    bench.gateway.set_keys(&[]);
    assert_eq!(bench.chat(HELLO).await.status, 401, "a key that is gone is gone at once");
}

#[tokio::test]
async fn a_model_that_no_contract_pays_for_any_more_says_so() {
    // The contracts of the laptop end in 2031.
    let clock = Clock::from_fn(|| Instant::from_micros(1_930_000_000_000_000));
    let bench = Bench::of(Setup { clock, ..Setup::default() }).await;
    let reply = bench.chat(HELLO).await;
    assert_eq!((reply.error(), reply.header("retry-after")), ((503, "no_capacity".to_owned()), "60"));
    assert_eq!(reply.json()["error"]["message"], "No contract in force pays for the model 'smollm2-135m' at the moment.");
    assert!(bench.north.heard().is_empty(), "nothing was called");
}

/// What a body is answered with, and which parameter is at fault.
async fn check(bench: &Bench, body: &str, status: u16, param: Option<&str>) {
    let reply = bench.chat(body).await;
    assert_eq!(reply.error().0, status, "{body}: {}", reply.text);
    assert_eq!(reply.json()["error"]["param"].as_str(), param, "{body}: {}", reply.text);
}

#[tokio::test]
async fn bad_bodies_are_refused_with_their_parameter_and_reach_no_upstream() {
    let bench = Bench::start().await;
    check(&bench, "", 400, None).await;
    check(&bench, "[\"default\"]", 400, None).await;
    check(&bench, "{\"model\":\"default\",\"messages\":[}", 400, None).await;
    check(&bench, r#"{"messages":[]}"#, 400, Some("model")).await;
    check(&bench, r#"{"model":5,"messages":[]}"#, 400, Some("model")).await;
    check(&bench, r#"{"model":"default"}"#, 400, Some("messages")).await;
    check(&bench, r#"{"model":"default","messages":"hi"}"#, 400, Some("messages")).await;
    check(&bench, r#"{"model":"nobody","messages":[]}"#, 404, Some("model")).await;
    check(&bench, r#"{"model":"default","messages":[],"stream":"yes"}"#, 400, Some("stream")).await;
    check(&bench, r#"{"model":"default","messages":[],"max_tokens":-1}"#, 400, Some("max_tokens")).await;
    check(&bench, r#"{"model":"default","messages":[],"service_tier":"gold"}"#, 400, Some("service_tier")).await;
    check(&bench, r#"{"model":"default","messages":[],"stream":true,"stream_options":[true]}"#, 400, Some("stream_options")).await;
    check(&bench, r#"{"model":"default","mod\u0065l":"other","messages":[]}"#, 400, Some("model")).await;
    check(&bench, r#"{"model":"default","messages":[],"n":2}"#, 400, Some("n")).await;
    check(&bench, r#"{"model":"default","messages":[],"tools":[{}]}"#, 400, Some("tools")).await;
    check(&bench, r#"{"model":"default","messages":[],"tools":[{"type":"web_search"}]}"#, 400, Some("tools[0].type")).await;
    check(&bench, r#"{"model":"default","messages":[],"web_search_options":{}}"#, 400, Some("web_search_options")).await;
    check(&bench, r#"{"model":"default","messages":[],"modalities":["text","audio"]}"#, 400, Some("modalities")).await;
    check(&bench, r#"{"model":"default","messages":[],"audio":{"voice":"alloy","format":"wav"}}"#, 400, Some("audio")).await;
    check(&bench, r#"{"model":"default","messages":[],"response_format":{"type":"json_object"}}"#, 400, Some("response_format")).await;
    check(&bench, r#"{"model":"default","messages":[],"logprobs":true}"#, 400, Some("logprobs")).await;
    let long = format!(r#"{{"model":"default","messages":[{{"role":"user","content":"{}"}}]}}"#, "word ".repeat(40_000));
    check(&bench, &long, 400, Some("messages")).await;
    assert!(bench.north.heard().is_empty() && bench.west.heard().is_empty() && bench.spill.heard().is_empty());
    assert!(bench.journal.records().is_empty());
}

#[tokio::test]
async fn limits_are_reached_and_told() {
    let bench = Bench::with(Limits { body_bytes_max: 1_000, in_flight_max: 1, queue_max: 0, ..Limits::default() }).await;
    let long = format!(r#"{{"model":"default","messages":[],"x":"{}"}}"#, "x".repeat(1_000));
    assert_eq!(bench.chat(&long).await.error(), (413, "request_too_large".to_owned()));
    let gate = Gate::default();
    bench.north.then(Reply::Hang(gate.clone()));
    let (first, second) = tokio::join!(bench.chat(HELLO), async {
        bench.north.until_heard(1).await;
        let second = bench.chat(HELLO).await;
        gate.open(1);
        second
    });
    assert_eq!(first.status, 200);
    assert_eq!(second.error(), (503, "overloaded".to_owned()));
    assert_eq!(bench.chat(HELLO).await.status, 200, "the place was given back");
}

/// Images and files come in bodies: vendors take 32 MB and more.
#[tokio::test]
async fn a_body_of_many_megabytes_is_taken() {
    let bench = Bench::start().await;
    let long = format!(r#"{{"model":"smollm2-135m","messages":[],"x":"{}"}}"#, "x".repeat(31 << 20));
    assert_eq!(bench.chat(&long).await.status, 200);
    assert_eq!(bench.north.heard()[0].body.len(), long.len());
}

#[tokio::test]
async fn all_bodies_share_one_room_and_what_has_none_is_told() {
    let bench = Bench::with(Limits { bodies_bytes_max: 140_000, ..Limits::default() }).await;
    let long = format!(r#"{{"model":"default","messages":[],"x":"{}"}}"#, "x".repeat(30_000));
    let gate = Gate::default();
    bench.north.then(Reply::Hang(gate.clone()));
    let (first, (second, small)) = tokio::join!(bench.chat(&long), async {
        bench.north.until_heard(1).await;
        let told = (bench.chat(&long).await, bench.chat(HELLO).await);
        gate.open(1);
        told
    });
    assert_eq!((first.status.as_u16(), second.error(), small.status.as_u16()), (200, (503, "overloaded".to_owned()), 200));
    assert_eq!(bench.chat(&long).await.status, 200, "the room was given back");
    let before = bench.north.heard().len();
    // More often than an upstream may fail before it is down.
    for _ in 0..4 {
        bench.north.then(Reply::Status { status: 200, head: vec![("content-type", "application/json".to_owned())], body: long.repeat(5) });
        assert_eq!(bench.chat(HELLO).await.error(), (503, "overloaded".to_owned()));
    }
    assert_eq!((bench.chat(HELLO).await.status.as_u16(), bench.north.heard().len() - before), (200, 5), "it is not north's fault");
    let bounded = |record: &Record| matches!(record, Record::Settled(end) if (end.outcome, end.known) == (Outcome::Failed, Known::Bounded));
    assert_eq!(bench.journal.records().iter().filter(|record| bounded(record)).count(), 4, "what was answered may be billed");
}

#[tokio::test]
async fn the_copy_that_goes_to_an_upstream_takes_room_too() {
    let bench = Bench::with(Limits { bodies_bytes_max: 80_000, ..Limits::default() }).await;
    let long = |model: &str| format!(r#"{{"model":"{model}","messages":[],"x":"{}"}}"#, "x".repeat(30_000));
    for _ in 0..4 {
        assert_eq!(bench.chat(&long("default")).await.error(), (503, "overloaded".to_owned()), "twice that is more than one key may have");
    }
    assert!(bench.north.heard().is_empty() && bench.west.heard().is_empty());
    assert_eq!(bench.chat(&long("smollm2-135m")).await.status, 200, "what needs no other name is not copied, and nobody is blamed");
    assert_eq!(bench.north.heard().len(), 1);
}

#[tokio::test]
async fn nothing_is_called_that_the_journal_did_not_take() {
    let bench = Bench::start().await;
    bench.journal.fill();
    assert_eq!(bench.chat(HELLO).await.error(), (503, "journal_unavailable".to_owned()));
    assert!(bench.north.heard().is_empty());
    assert_eq!(bench.gateway.live().in_flight, 0);
}

#[tokio::test]
async fn routes_are_known_and_others_refused() {
    let bench = Bench::start().await;
    assert_eq!(bench.get("/v1/chat/completions").await.error(), (405, "method_not_supported".to_owned()));
    assert_eq!(bench.get("/v1/responses").await.error(), (405, "method_not_supported".to_owned()));
    assert_eq!(bench.get("/v1/assistants").await.error(), (404, "unknown_url".to_owned()));
    for kept in ["/v1/files", "/v1/batches", "/v1/organization/costs?start_time=1"] {
        assert_eq!(bench.get(kept).await.error(), (404, "not_supported".to_owned()), "without a state directory");
    }
    assert_eq!(bench.get("/").await.error(), (404, "unknown_url".to_owned()));
    assert_eq!(bench.get("/v1/models/nobody").await.error(), (404, "model_not_found".to_owned()));
    assert_eq!(bench.get("/v1/models/default").await.json()["object"], "model");
    let models = bench.get("/models").await.json();
    let names: Vec<&str> = models["data"].as_array().expect("a list").iter().filter_map(|model| model["id"].as_str()).collect();
    assert_eq!(names, ["default", "smollm2-135m"]);
    for field in ["id", "object", "created", "owned_by"] {
        assert!(!models["data"][0][field].is_null(), "{field}");
    }
    assert_eq!((bench.get("/healthz").await.text, bench.get("/readyz").await.text), ("ok\n".to_owned(), "ready\n".to_owned()));
    assert_eq!(bench.get("/health").await.text, "ok\n");
    let completion = r#"{"model":"default","prompt":"hello"}"#;
    let reply = bench.send("POST", "/v1/completions", &[("api-key", KEY)], completion).await;
    assert_eq!((reply.status.as_u16(), bench.north.heard()[0].path.as_str()), (200, "/v1/completions"));
    bench.journal.settled(1).await;
    let metrics = bench.get("/metrics").await.text;
    let of = "model=\"smollm2-135m\",endpoint=\"north\",contract=\"north-reserved\"";
    assert!(metrics.contains(&format!("baseload_attempts_total{{{of},tier=\"default\",outcome=\"answered\"}} 1\n")), "{metrics}");
    assert!(metrics.contains(&format!("baseload_tokens_total{{{of},kind=\"output\"}} 5\n")));
    let status = bench.get("/api/status").await.json();
    assert_eq!((&status["endpoints"][0]["served"], &status["recent"][0]["endpoint"]), (&1.into(), &"north".into()));
}

#[tokio::test]
async fn a_wrong_method_hears_which_ones_are_right() {
    let bench = Bench::start().await;
    for (method, path, allowed) in [
        ("GET", "/v1/chat/completions", "POST"),
        ("HEAD", "/v1/messages", "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("DELETE", "/healthz", "GET, HEAD"),
        ("PUT", "/v1/organization/usage/completions", "GET, HEAD"),
    ] {
        let reply = bench.send(method, path, &[("api-key", KEY)], "").await;
        assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, allowed), "{method} {path}");
    }
    let (whole, head) = (bench.get("/v1/models").await, bench.send("HEAD", "/v1/models", &[("api-key", KEY)], "").await);
    assert_eq!((head.status, head.text.as_str()), (whole.status, ""));
    assert_eq!(head.header("content-type"), whole.header("content-type"));
    assert_eq!(bench.send("HEAD", "/v1/models", &[], "").await.status, 401);
}

#[tokio::test]
async fn a_packed_body_is_told_from_one_that_is_no_json() {
    let bench = Bench::start().await;
    for (coding, status) in [("gzip", 415), ("br, identity", 415), ("Identity", 200)] {
        let reply = bench.send("POST", "/v1/chat/completions", &[("api-key", KEY), ("content-encoding", coding)], HELLO).await;
        assert_eq!(reply.status.as_u16(), status, "{coding}: {}", reply.text);
        assert!(status == 200 || reply.error().1 == "unsupported_encoding", "{}", reply.text);
    }
    assert_eq!(bench.north.heard().len(), 1);
}

#[tokio::test]
async fn heads_are_built_anew_and_bodies_pass_untouched() {
    let bench = Bench::start().await;
    let body = "{ \"unknown\" : [1.50e3, \"\\u00e9\"],\n \"model\":\"smollm2-135m\", \"messages\":[] }";
    let head = [
        ("authorization", "Bearer bl-abcdefabcdef-canary-secret"),
        ("cookie", "session=canary"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-baseload-endpoint", "spill"),
        ("traceparent", "00-abc-def-01"),
    ];
    let reply = bench.send("POST", "/v1/chat/completions?x=y", &head, body).await;
    assert_eq!(reply.status, 200);
    let heard = &bench.north.heard()[0];
    assert_eq!(String::from_utf8_lossy(&heard.body), body);
    let mut names: Vec<&str> = heard.head.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "accept-encoding", "content-length", "content-type", "host", "traceparent", "user-agent", "x-request-id"]);
    assert_eq!(heard.header("x-request-id"), Some(reply.header("x-request-id")));
}

/// A head may say one thing in several lines.
#[tokio::test]
async fn all_lines_of_what_goes_on_go_on() {
    let bench = Bench::start().await;
    let head = [("api-key", KEY), ("tracestate", "a=b"), ("tracestate", "c=d"), ("openai-beta", "one"), ("openai-beta", "two")];
    assert_eq!(bench.send("POST", "/v1/chat/completions", &head, HELLO).await.status, 200);
    let heard = &bench.north.heard()[0];
    for (name, want) in [("tracestate", ["a=b", "c=d"]), ("openai-beta", ["one", "two"])] {
        let lines: Vec<&str> = heard.head.iter().filter(|(said, _)| said == name).map(|(_, value)| value.as_str()).collect();
        assert_eq!(lines, want);
    }
}

#[tokio::test]
async fn a_web_page_that_points_its_own_name_here_learns_nothing() {
    let bench = Bench::start().await;
    for path in ["/metrics", "/api/status"] {
        let status = async |host: &str| bench.named(host, path).await.status.as_u16();
        assert_eq!((status("evil.example:80").await, status("localhost:1").await, status("127.0.0.1").await), (401, 200, 200), "{path}");
        assert_eq!((status("[::1]:80").await, status("203.0.113.7:80").await, status("10.0.0.7").await), (200, 401, 401));
    }
}
