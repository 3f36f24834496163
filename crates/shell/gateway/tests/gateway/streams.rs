//! Answers that are streamed.

use std::time::Duration;

use dispatch::{Known, Outcome};
use gateway::Limits;
use http_body_util::BodyExt;
use market::Tokens;
use testkit::{Ending, Gate, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bench::{Bench, KEY, LAPTOP, Setup, endpoint, impatient};

const STREAM: &str = r#"{"model":"default","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
const WITH_USAGE: &str = r#"{"model":"default","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#;

#[tokio::test]
async fn usage_is_asked_for_metered_and_kept_from_a_client_that_did_not_ask() {
    let bench = Bench::start().await;
    bench.north.then(Reply::stream(3));
    let reply = bench.chat(STREAM).await;
    assert_eq!(reply.header("content-type"), "text/event-stream; charset=utf-8");
    assert_eq!(reply.events().len(), 5, "three of content, the finish and the end: {}", reply.text);
    assert!(!reply.text.contains("usage"));
    assert_eq!(reply.events().last(), Some(&"[DONE]"));
    let asked = bench.north.heard()[0].json().expect("JSON");
    assert_eq!((&asked["stream_options"]["include_usage"], &asked["model"]), (&true.into(), &"smollm2-135m".into()));
    let settled = bench.journal.settled(1).await;
    assert_eq!((settled[0].outcome, settled[0].known), (Outcome::Answered, Known::Reported));
    assert_eq!(settled[0].tokens, Tokens { input: 7, cached: 0, output: 3 });
    assert!(settled[0].first_content.is_some());
}

#[tokio::test]
async fn usage_reaches_a_client_that_asked() {
    let bench = Bench::start().await;
    bench.north.then(Reply::stream(3));
    let reply = bench.chat(WITH_USAGE).await;
    assert_eq!(reply.events().len(), 6, "{}", reply.text);
    assert!(reply.events()[4].contains("\"completion_tokens\":3"));
    assert_eq!(bench.north.heard()[0].body, WITH_USAGE.replace("default", "smollm2-135m").into_bytes(), "nothing else is touched");
}

#[tokio::test]
async fn events_are_sent_as_they_come() {
    let (bench, gate) = (Bench::start().await, Gate::default());
    bench.north.then(Reply::Stream { events: 3, usage: None, ending: Ending::Whole, gate: Some(gate.clone()) });
    gate.open(1);
    let (_connection, response) = bench.open("POST", "/v1/chat/completions", &[("x-api-key", KEY)], STREAM).await;
    let mut body = response.into_body();
    for index in 0..3 {
        let frame = body.frame().await.expect("a frame").expect("no error").into_data().expect("data");
        assert!(String::from_utf8_lossy(&frame).contains(&format!("t{index} ")), "the gate lets one pass at a time");
        gate.open(1);
    }
    body.collect().await.expect("the rest");
    let settled = bench.journal.settled(1).await;
    assert_eq!((settled[0].outcome, settled[0].known, settled[0].tokens.output), (Outcome::Answered, Known::Counted, 3));
}

/// How a stream ends, what the client sees last, how it is settled, and how many tokens are metered.
async fn check(ending: Ending, last: &str, outcome: Outcome, output: u32) {
    let bench = Bench::with(if ending == Ending::Hang { impatient() } else { Limits::default() }).await;
    bench.north.then(Reply::ending(4, ending));
    let reply = bench.chat(STREAM).await;
    assert!(reply.events().last().is_some_and(|event| event.contains(last)), "{ending:?}: {}", reply.text);
    assert_eq!(reply.events().contains(&"[DONE]"), outcome == Outcome::Answered, "{ending:?}");
    let settled = bench.journal.settled(1).await;
    assert_eq!((settled.len(), settled[0].outcome, settled[0].tokens.output), (1, outcome, output), "{ending:?}");
    assert!(settled[0].tokens.output <= bench.north.generated());
}

#[tokio::test]
async fn a_lost_upstream_never_ends_a_stream_cleanly() {
    check(Ending::Whole, "[DONE]", Outcome::Answered, 4).await;
    check(Ending::NoDone, "[DONE]", Outcome::Answered, 4).await;
    check(Ending::Reset, "upstream_lost", Outcome::Cut, 4).await;
    check(Ending::Silent, "upstream_lost", Outcome::Cut, 4).await;
    check(Ending::Error, "upstream_lost", Outcome::Cut, 4).await;
    check(Ending::Hang, "upstream_lost", Outcome::Cut, 4).await;
}

#[tokio::test]
async fn a_stream_is_one_whatever_the_case_of_its_kind_and_with_a_mark_before_it() {
    let bench = Bench::start().await;
    let stream = String::from_utf8(said("north")).expect("text");
    let head = vec![("content-type", "Text/Event-Stream; charset=utf-8".to_owned())];
    bench.north.then(Reply::Status { status: 200, head, body: format!("\u{feff}{stream}") });
    let reply = bench.chat(STREAM).await;
    assert_eq!((reply.header("x-baseload-endpoint"), reply.text.as_str()), ("north", stream.as_str()));
    let settled = bench.journal.settled(1).await;
    assert_eq!((settled[0].outcome, settled[0].known, settled[0].tokens.output), (Outcome::Answered, Known::Counted, 1));
}

/// What an upstream says after content that has a key of ours, and what its client hears of it: the type, the code and the message, or that it was
/// lost.
async fn check_said(error: &str, want: Option<[&str; 3]>) {
    let bench = Bench::start().await;
    let (north, url) = (endpoint(&bench.fleet, "north"), format!("http://{}/v1", bench.north.address()));
    let keyed = fleet::Endpoint { url, ..bench.fleet.endpoints[north].clone() };
    bench.gateway.replace_upstream(north, gateway::Upstream::of(&keyed, "default", Some("vendors-own")).expect("a good URL"));
    let content = r#"{"choices":[{"delta":{"content":"half"}}]}"#;
    bench.north.then(Reply::Raw([content, error].map(|data| format!("data: {data}\n\n").into_bytes()).to_vec()));
    let reply = bench.chat(STREAM).await;
    let last: serde_json::Value = serde_json::from_str(reply.events().last().expect("an event")).expect("JSON");
    let said = ["type", "code", "message"].map(|field| last["error"][field].as_str().unwrap_or_default());
    match want {
        Some(want) => assert_eq!(said, want, "{error}"),
        None => assert_eq!((said[1], reply.text.contains("scripted")), ("upstream_lost", false), "{error}: {}", reply.text),
    }
    assert_eq!(bench.journal.settled(1).await[0].outcome, Outcome::Cut, "{error}");
}

#[tokio::test]
async fn what_an_upstream_says_of_its_failure_after_content_is_told() {
    let vllm = r#"{"error":{"message":"scripted","type":"InternalServerError","param":null,"code":500}}"#;
    check_said(vllm, Some(["InternalServerError", "500", "scripted"])).await;
    check_said(r#"{"error":{"message":"scripted"}}"#, Some(["server_error", "upstream_lost", "scripted"])).await;
    check_said(r#"{"error":"scripted"}"#, Some(["server_error", "upstream_lost", "scripted"])).await;
    // What has our key in it, what may speak of our account, and what says nothing.
    check_said(r#"{"error":{"message":"scripted vendors-own","type":"server_error"}}"#, None).await;
    check_said(r#"{"error":{"message":"scripted","type":"requests","code":"rate_limit_exceeded"}}"#, None).await;
    check_said(r#"{"error":{"message":"scripted","code":401}}"#, None).await;
    check_said(r#"{"error":{"words":"scripted"}}"#, None).await;
}

#[tokio::test]
async fn a_stream_that_its_upstream_gave_up_never_ends_cleanly() {
    let bench = Bench::start().await;
    let event = |choice: &str| format!("data: {{\"choices\":[{choice}]}}\n\n");
    let (half, abort) = (event(r#"{"delta":{"content":"half"}}"#), event(r#"{"delta":{},"finish_reason":"abort"}"#));
    bench.north.then(Reply::Raw(vec![half.into_bytes(), abort.into_bytes(), b"data: [DONE]\n\n".to_vec()]));
    let reply = bench.chat(STREAM).await;
    assert!(
        reply.events()[0].contains("half") && reply.events().last().is_some_and(|event| event.contains("upstream_lost")),
        "{}",
        reply.text
    );
    let settled = bench.journal.settled(1).await;
    assert_eq!((settled[0].outcome, settled[0].known, settled[0].tokens.output), (Outcome::Cut, Known::Counted, 1));
}

/// The bytes of a stream of one choice, with a comment in it.
fn said(word: &str) -> Vec<u8> {
    let events = [
        format!(r#"data: {{"choices":[{{"delta":{{"content":"{word}"}}}}]}}"#),
        ": a comment".to_owned(),
        r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#.to_owned(),
        "data: [DONE]\n\n".to_owned(),
    ];
    events.join("\n\n").into_bytes()
}

/// What Azure says of a prompt before it answers.
const LOOKED_AT: &str = "data: {\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}\n\n";

#[tokio::test]
async fn whoever_waits_hears_that_an_answer_is_to_come_and_gets_it_from_there_or_an_error() {
    let whole = (said("north"), "[DONE]", Outcome::Answered, Known::Counted);
    let lost = (b": still there\n\n".to_vec(), "upstream_lost", Outcome::Cut, Known::Bounded);
    for (rest, last, outcome, known) in [whole, lost] {
        let limits = Limits { prelude_timeout: Duration::ZERO, ..Limits::default() };
        let (bench, gate) = (Bench::with(limits).await, Gate::default());
        bench.north.then(Reply::Slow(vec![LOOKED_AT.into(), rest.clone()], gate.clone()));
        gate.open(1);
        let (_connection, response) = bench.open("POST", "/v1/chat/completions", &[("x-api-key", KEY)], STREAM).await;
        assert_eq!(response.headers()["x-baseload-endpoint"], "north");
        let mut body = response.into_body();
        let first = body.frame().await.expect("a frame").expect("no error").into_data().expect("data");
        assert_eq!(first, LOOKED_AT, "nothing else has come");
        gate.open(1);
        let told = body.collect().await.expect("the rest").to_bytes();
        assert!(told.starts_with(&rest), "comments too: {told:?}");
        assert!(String::from_utf8_lossy(&told).contains(last), "{told:?}");
        let settled = bench.journal.settled(1).await;
        assert_eq!((settled[0].outcome, settled[0].known), (outcome, known));
        assert_eq!(settled[0].first_content.is_some(), outcome == Outcome::Answered, "what only says that it comes is none");
        assert!(bench.west.heard().is_empty());
    }
}

#[tokio::test]
async fn an_answer_that_was_said_to_come_is_not_waited_for_for_ever() {
    let (short, usual) = (Duration::from_millis(800), Limits { prelude_timeout: Duration::ZERO, ..Limits::default() });
    let silent = Limits { first_token_timeout: short, ..usual.clone() };
    for limits in [silent, Limits { answer_timeout: short, ..usual }] {
        let (bench, gate) = (Bench::with(limits).await, Gate::default());
        bench.north.then(Reply::Slow(vec![LOOKED_AT.into(), said("late")], gate.clone()));
        gate.open(1);
        let reply = bench.chat(STREAM).await;
        assert_eq!((reply.header("x-baseload-endpoint"), reply.events().len()), ("north", 2), "{}", reply.text);
        assert!(reply.text.starts_with(LOOKED_AT) && reply.events()[1].contains("upstream_lost"), "{}", reply.text);
        bench.north.until_left(1).await;
        let settled = bench.journal.settled(1).await;
        assert_eq!((settled[0].outcome, settled[0].known), (Outcome::Cut, Known::Bounded));
    }
}

#[tokio::test]
async fn what_says_nothing_before_an_answer_begins_is_not_kept() {
    let bench = Bench::start().await;
    bench.north.then(Reply::Raw(vec![b": still there\n\nretry: 5\n\n".to_vec(), said("north")]));
    let reply = bench.chat(STREAM).await;
    assert!(reply.text.starts_with("data: ") && reply.text.contains("north") && reply.text.contains(": a comment"), "{}", reply.text);
    let flood = b": still there\n\n".repeat(4_096);
    let mut pieces = vec![flood.clone(); gateway::EVENT_MAX / flood.len() + 1];
    pieces.push(said("north"));
    bench.north.then(Reply::Raw(pieces));
    bench.west.then(Reply::Raw(vec![said("west")]));
    let reply = bench.chat(STREAM).await;
    assert!(reply.text.starts_with("data: ") && reply.text.contains("west"), "{}", reply.text);
    let settled = bench.journal.settled(3).await;
    assert_eq!((settled[1].outcome, settled[1].known), (Outcome::Failed, Known::Bounded), "it may have worked all that time");
}

#[tokio::test]
async fn a_stream_that_only_says_comments_has_stopped() {
    let limits = Limits { between_tokens_timeout: Duration::from_millis(300), ..Limits::default() };
    let bench = Bench::with(limits).await;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let north = endpoint(&bench.fleet, "north");
    bench.gateway.set_upstream(north, Some(listener.local_addr().expect("it is bound"))).expect("it is this machine");
    let more = tokio::sync::Semaphore::new(0);
    let upstream = async {
        let (mut stream, _) = listener.accept().await.expect("the gateway connects");
        assert!(stream.read(&mut [0; 4_096]).await.is_ok_and(|length| length > 0), "a request");
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
        stream.write_all(head.as_bytes()).await.expect("the gateway reads");
        // A comment for each piece that has come through, for as long as anybody reads.
        loop {
            _ = stream.write_all(b": still there\n\n").await;
            more.acquire().await.expect("nobody closes it").forget();
        }
    };
    let client = async {
        let (_connection, response) = bench.open("POST", "/v1/chat/completions", &[("x-api-key", KEY)], STREAM).await;
        let (mut body, mut last) = (response.into_body(), String::new());
        while let Some(frame) = body.frame().await {
            last = String::from_utf8_lossy(&frame.expect("no error").into_data().expect("data")).into_owned();
            more.add_permits(1);
        }
        last
    };
    let told = async {
        tokio::select! {
            last = client => last,
            () = upstream => unreachable!("it goes on for as long as the client does"),
        }
    };
    let last = tokio::time::timeout(Duration::from_secs(30), told).await.expect("it does not go on for ever");
    assert!(last.contains("upstream_lost"), "{last}");
}

/// An answer of two choices, of which only the first ends, or both, and no `[DONE]`.
async fn check_choices(ends: &[&str], outcome: Outcome) {
    let fleet = LAPTOP.replace("capabilities = [", "capabilities = [\"multiple-choices\", ");
    let bench = Bench::of(Setup { fleet, ..Setup::default() }).await;
    let event = |choice: &str| format!("data: {{\"choices\":[{choice}]}}\n\n").into_bytes();
    let begin =
        event(r#"{"index":0,"delta":{"content":"a"},"finish_reason":null},{"index":1,"delta":{"content":"b"},"finish_reason":null}"#);
    bench.north.then(Reply::Raw(std::iter::once(begin).chain(ends.iter().map(|end| event(end))).collect()));
    let reply = bench.chat(&STREAM.replace("\"stream\"", "\"n\":2,\"stream\"")).await;
    assert_eq!(reply.events().last() == Some(&"[DONE]"), outcome == Outcome::Answered, "{ends:?}: {}", reply.text);
    assert_eq!(bench.journal.settled(1).await[0].outcome, outcome, "{ends:?}");
}

#[tokio::test]
async fn an_answer_of_several_choices_is_whole_when_all_have_ended() {
    let end = |index: u32| format!(r#"{{"index":{index},"delta":{{}},"finish_reason":"stop"}}"#);
    check_choices(&[&end(0)], Outcome::Cut).await;
    check_choices(&[&end(1), &end(0)], Outcome::Answered).await;
    check_choices(&[&format!("{},{}", end(0), end(1))], Outcome::Answered).await;
}

#[tokio::test]
async fn a_client_that_hangs_up_stops_the_upstream_and_pays_for_what_was_generated() {
    let (bench, gate) = (Bench::start().await, Gate::default());
    bench.north.then(Reply::Stream { events: 100, usage: None, ending: Ending::Whole, gate: Some(gate.clone()) });
    gate.open(2);
    let (connection, response) = bench.open("POST", "/v1/chat/completions", &[("api-key", KEY)], STREAM).await;
    let mut body = response.into_body();
    let mut seen = 0;
    while seen < 2 {
        let frame = body.frame().await.expect("a frame").expect("no error").into_data().expect("data");
        seen += String::from_utf8_lossy(&frame).matches("data: ").count();
    }
    drop((connection, body));
    bench.north.until_left(1).await;
    let settled = bench.journal.settled(1).await;
    assert_eq!((settled[0].outcome, settled[0].known, settled[0].tokens.output), (Outcome::ClientGone, Known::Counted, 2));
    assert_eq!(bench.north.generated(), 2);
}

#[tokio::test]
async fn a_client_that_hangs_up_before_any_content_is_settled_as_bounded() {
    let (bench, gate) = (Bench::start().await, Gate::default());
    bench.north.then(Reply::Hang(gate));
    let body = r#"{"model":"default","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}"#;
    let waiting = bench.open("POST", "/v1/chat/completions", &[("api-key", KEY)], body);
    tokio::select! {
        _ = waiting => unreachable!("the gate stays shut"),
        () = bench.north.until_heard(1) => {}
    }
    bench.north.until_left(1).await;
    let settled = bench.journal.settled(1).await;
    assert_eq!((settled.len(), settled[0].outcome, settled[0].known), (1, Outcome::ClientGone, Known::Bounded));
    assert_eq!(settled[0].tokens.output, 9);
}

#[tokio::test]
async fn a_stream_under_way_ends_well_when_the_gateway_is_told_to_stop() {
    let (mut bench, gate) = (Bench::start().await, Gate::default());
    bench.north.then(Reply::Stream { events: 2, usage: None, ending: Ending::Whole, gate: Some(gate.clone()) });
    gate.open(1);
    let (_connection, response) = bench.open("POST", "/v1/chat/completions", &[("api-key", KEY)], STREAM).await;
    let ((), whole) = tokio::join!(bench.stop(), async {
        gate.open(2);
        response.into_body().collect().await.expect("the whole stream").to_bytes()
    });
    assert!(whole.ends_with(b"data: [DONE]\n\n"));
    assert_eq!(bench.journal.settled(1).await[0].outcome, Outcome::Answered);
}

#[tokio::test]
async fn a_stream_that_outlasts_the_drain_is_settled_before_the_end() {
    let limits = Limits { drain_timeout: Duration::from_millis(30), ..Limits::default() };
    let (mut bench, gate) = (Bench::with(limits).await, Gate::default());
    bench.north.then(Reply::Stream { events: 2, usage: None, ending: Ending::Whole, gate: Some(gate.clone()) });
    gate.open(1);
    let _open = bench.open("POST", "/v1/chat/completions", &[("api-key", KEY)], STREAM).await;
    bench.stop().await;
    let records = bench.journal.records();
    let settled = records.iter().filter(|record| matches!(record, dispatch::Record::Settled(_))).count();
    assert_eq!(settled, 1, "settled by the time that serving has ended");
    bench.north.until_left(1).await;
}
