//! Until there is content, another endpoint answers.

use std::time::Duration;

use dispatch::{Known, Outcome};
use fleet::{Dialect, Endpoint};
use gateway::Limits;
use market::Tokens;
use testkit::{Ending, Gate, Reply, Upstream};

use crate::bench::{Bench, endpoint, impatient, sheet};

const WHOLE: &str = r#"{"model":"default","messages":[{"role":"user","content":"hello"}]}"#;
const STREAM: &str = r#"{"model":"default","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;

/// North does this, and west answers all the same.
async fn check(body: &str, fault: Reply) {
    let shown = format!("{fault:?}");
    // Only what hangs is waited for with little patience: elsewhere a slow machine must make no difference.
    let limits = if shown.contains("Hang") { impatient() } else { Limits::default() };
    let bench = Bench::with(limits).await;
    bench.north.then(fault);
    bench.west.then(if body == STREAM { Reply::stream(2) } else { Reply::answer(7, 2) });
    let reply = bench.chat(body).await;
    assert_eq!((reply.status.as_u16(), reply.header("x-baseload-endpoint")), (200, "west"), "{shown}: {}", reply.text);
    assert!(!reply.text.contains("page"), "{shown}");
    let settled = bench.journal.settled(2).await;
    assert_eq!(settled.iter().map(|settlement| settlement.outcome).collect::<Vec<_>>(), [Outcome::Failed, Outcome::Answered], "{shown}");
    assert_eq!((settled[0].attempt.attempt, settled[1].attempt.attempt), (1, 2), "{shown}");
    assert_eq!(settled[1].tokens.output, 2, "{shown}");
    let live = bench.gateway.live();
    assert!(live.endpoints.iter().all(|endpoint| endpoint.outstanding == 0), "{shown}");
    assert_eq!(live.in_flight, 0, "{shown}");
}

#[tokio::test]
async fn whole_answers_move_on() {
    for fault in [
        Reply::busy(None),
        Reply::busy(Some("7")),
        Reply::status(500),
        Reply::status(503),
        Reply::status(401),
        Reply::status(404),
        Reply::page(502),
        Reply::page(200),
        Reply::Drop,
        Reply::Half,
        Reply::Hang(testkit::Gate::default()),
        Reply::Raw(Vec::new()),
    ] {
        check(WHOLE, fault).await;
    }
}

#[tokio::test]
async fn streams_move_on() {
    for fault in [
        Reply::busy(Some("0.5")),
        Reply::status(500),
        Reply::page(502),
        Reply::Drop,
        Reply::Hang(testkit::Gate::default()),
        Reply::ending(0, Ending::Reset),
        Reply::ending(0, Ending::Silent),
        Reply::ending(0, Ending::Error),
        Reply::ending(0, Ending::Hang),
        Reply::Raw(vec![b": still there\n\n".to_vec(), b"data: {\"cho".to_vec()]),
        Reply::Raw(vec![vec![b'x'; gateway::EVENT_MAX + 1]]),
    ] {
        check(STREAM, fault).await;
    }
}

/// What comes before an answer's first word can be said by another upstream just as well.
#[tokio::test]
async fn a_stream_that_only_said_that_it_would_answer_moves_on() {
    let events = |events: &[&str]| Reply::Raw(events.iter().map(|data| format!("data: {data}\n\n").into_bytes()).collect());
    let role = r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#;
    let filter = r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#;
    for preludes in [vec![filter], vec![filter, filter]] {
        check(STREAM, events(&preludes)).await;
    }
    // A role is said with the first token, and what isn't known to be a prelude is an answer: it is passed on as it comes, and the stream ends
    // with an error. Of what it cost nothing was seen.
    let bench = Bench::start().await;
    bench.north.then(events(&[filter, role]));
    let reply = bench.chat(STREAM).await;
    assert_eq!((reply.events().len(), reply.header("x-baseload-endpoint")), (3, "north"), "{}", reply.text);
    assert_eq!(bench.journal.settled(1).await[0].known, Known::Bounded);
    let bench = Bench::start().await;
    bench.north.then(events(&[role, r#"{"choices":[{"delta":{"refusal":"no"}}]}"#]));
    let reply = bench.chat(STREAM).await;
    assert_eq!((reply.events().len(), reply.header("x-baseload-endpoint")), (3, "north"), "{}", reply.text);
    assert!(reply.events()[0] == role && reply.events()[2].contains("upstream_lost"), "{}", reply.text);
}

#[tokio::test]
async fn an_upstream_that_begins_and_never_ends_is_left_alone() {
    let bench = Bench::start().await;
    for _ in 0..3 {
        bench.north.then(Reply::ending(1, Ending::Reset));
        assert_eq!(bench.chat(STREAM).await.header("x-baseload-endpoint"), "north");
    }
    bench.journal.settled(3).await;
    bench.west.then(Reply::stream(2));
    assert_eq!(bench.chat(STREAM).await.header("x-baseload-endpoint"), "west");
}

#[tokio::test]
async fn where_suppliers_take_no_more_the_client_hears_that_and_when_to_come_back() {
    let check = async |replies: [Reply; 3], error: (u16, &str), again: &str| {
        let bench = Bench::start().await;
        for (upstream, reply) in [&bench.north, &bench.west, &bench.spill].into_iter().zip(replies) {
            upstream.then(reply);
        }
        let reply = bench.chat(WHOLE).await;
        assert_eq!((reply.error(), reply.header("retry-after")), ((error.0, error.1.to_owned()), again), "{}", reply.text);
    };
    let busy = |after| Reply::busy(after);
    check([busy(Some("30")), busy(Some("7")), busy(None)], (429, "overloaded"), "7").await;
    // As Google says it, in the body.
    let google = |after: &str| {
        let info = format!(r#"{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{after}"}}"#);
        Reply::Status { status: 429, head: Vec::new(), body: format!(r#"[{{"error":{{"code":429,"details":[{info}]}}}}]"#) }
    };
    check([google("30s"), google("7s"), busy(None)], (429, "overloaded"), "7").await;
    // Who comes meanwhile hears the same, though nothing is asked.
    let bench = Bench::start().await;
    for upstream in [&bench.north, &bench.west, &bench.spill] {
        upstream.then(busy(Some("7")));
    }
    for _ in 0..2 {
        let reply = bench.chat(WHOLE).await;
        assert_eq!((reply.error(), reply.header("retry-after")), ((429, "overloaded".to_owned()), "7"), "{}", reply.text);
    }
    assert_eq!(bench.north.heard().len(), 1);
    check([busy(None), busy(None), busy(None)], (429, "overloaded"), "1").await;
    check([busy(Some("30")), busy(Some("7")), Reply::status(500)], (503, "no_capacity"), "1").await;
}

/// North does each of these, one after the other, and is asked again each time; west answers. How north's attempts were booked.
async fn check_asked_again(bench: &Bench, faults: &[(&str, Reply)], known: Known, tokens: Option<Tokens>) {
    for (index, (body, fault)) in faults.iter().enumerate() {
        bench.north.then(fault.clone());
        bench.west.then(if *body == STREAM { Reply::stream(2) } else { Reply::answer(7, 2) });
        let reply = bench.chat(body).await;
        assert_eq!((reply.status.as_u16(), reply.header("x-baseload-endpoint")), (200, "west"), "{fault:?}: {}", reply.text);
        assert_eq!(bench.north.heard().len(), index + 1, "it is not passed over");
        let settled = &bench.journal.settled(2 * index + 2).await[2 * index];
        assert_eq!((settled.outcome, settled.known), (Outcome::Failed, known), "{fault:?}");
        assert!(tokens.is_none_or(|tokens| settled.tokens == tokens), "{fault:?}: {settled:?}");
    }
}

/// An upstream that answers with success has done its work, whether we can read the answer or not.
#[tokio::test]
async fn an_answer_that_can_not_be_used_may_be_billed() {
    // As good as any, but for what is said of its coding.
    let packed = |kind: &str, body: &str| {
        let head = vec![("content-type", kind.to_owned()), ("content-encoding", "gzip".to_owned())];
        Reply::Status { status: 200, head, body: body.to_owned() }
    };
    let whole = r#"{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let events = concat!(
        "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n",
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
    );
    for (body, answer) in [
        (WHOLE, packed("application/json", whole)),
        (STREAM, packed("text/event-stream", events)),
        (WHOLE, Reply::Half),
        (STREAM, Reply::Raw(Vec::new())),
        (STREAM, Reply::Raw(vec![vec![b'x'; gateway::EVENT_MAX + 1]])),
    ] {
        let (bench, shown) = (Bench::start().await, format!("{answer:.60?}"));
        bench.north.then(answer);
        bench.west.then(if body == STREAM { Reply::stream(2) } else { Reply::answer(7, 2) });
        assert_eq!(bench.chat(body).await.header("x-baseload-endpoint"), "west", "{shown}");
        let settled = bench.journal.settled(2).await;
        assert_eq!((settled[0].outcome, settled[0].known), (Outcome::Failed, Known::Bounded), "{shown}");
    }
}

#[tokio::test]
async fn an_upstream_whose_model_fails_is_paid_for_and_asked_again() {
    let bench = Bench::start().await;
    let (north, url) = (endpoint(&bench.fleet, "north"), format!("http://{}/v1", bench.north.address()));
    let gemini = Endpoint { dialect: Dialect::Gemini, url, ..bench.fleet.endpoints[north].clone() };
    bench.gateway.replace_upstream(north, gateway::Upstream::of(&gemini, "default", None).expect("a good URL"));
    let said =
        r#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}],"usageMetadata":{"promptTokenCount":18,"thoughtsTokenCount":300}}"#;
    let whole = Reply::Status { status: 200, head: vec![("content-type", "application/json".to_owned())], body: said.to_owned() };
    let stream = Reply::Raw(vec![format!("data: {said}\n\n").into_bytes()]);
    let faults = [(WHOLE, whole.clone()), (STREAM, stream.clone()), (WHOLE, whole), (STREAM, stream)];
    check_asked_again(&bench, &faults, Known::Reported, Some(Tokens { input: 18, cached: 0, output: 300 })).await;
}

#[tokio::test]
async fn an_upstream_whose_model_thinks_for_too_long_is_bounded_and_asked_again() {
    let bench = Bench::with(Limits { first_token_timeout: Duration::from_millis(300), ..Limits::default() }).await;
    let thinks = (STREAM, Reply::ending(0, Ending::Hang));
    check_asked_again(&bench, &[thinks.clone(), thinks.clone(), thinks.clone(), thinks], Known::Bounded, None).await;
}

/// Anthropic says what it read before anything else.
#[tokio::test]
async fn what_was_read_before_an_answer_began_bounds_what_it_cost() {
    let bench = Bench::start().await;
    let (north, url) = (endpoint(&bench.fleet, "north"), format!("http://{}/v1", bench.north.address()));
    let anthropic = Endpoint { dialect: Dialect::Anthropic, url, ..bench.fleet.endpoints[north].clone() };
    bench.gateway.replace_upstream(north, gateway::Upstream::of(&anthropic, "default", None).expect("a good URL"));
    let start =
        r#"{"type":"message_start","message":{"id":"m","usage":{"input_tokens":30,"cache_read_input_tokens":70,"output_tokens":1}}}"#;
    bench.north.then(Reply::Raw(vec![format!("event: message_start\ndata: {start}\n\n").into_bytes()]));
    bench.west.then(Reply::stream(2));
    assert_eq!(bench.chat(STREAM).await.header("x-baseload-endpoint"), "west");
    let lost = &bench.journal.settled(2).await[0];
    assert_eq!((lost.outcome, lost.known, lost.tokens.input, lost.tokens.cached), (Outcome::Failed, Known::Bounded, 100, 70));
}

#[tokio::test]
async fn what_can_not_be_read_is_bounded() {
    check_asked_again(&Bench::start().await, &[(WHOLE, Reply::page(200))], Known::Bounded, None).await;
}

#[tokio::test]
async fn a_model_that_thinks_is_waited_for_while_its_stream_says_anything() {
    let (patience, gate) = (Duration::from_millis(1_500), Gate::default());
    let bench = Bench::with(Limits { first_token_timeout: patience, ..Limits::default() }).await;
    let content = b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: [DONE]\n\n".to_vec();
    let cuts = std::iter::repeat_n(b": thinking\n\n".to_vec(), 10).chain([content]).collect();
    bench.north.then(Reply::Slow(cuts, gate.clone()));
    // The script's own pace: a fifth of the patience each, twice the patience together.
    let mut beat = tokio::time::interval(patience / 5);
    let pace = async {
        loop {
            beat.tick().await;
            gate.open(1);
        }
    };
    let reply = tokio::select! {
        reply = bench.chat(STREAM) => reply,
        () = pace => unreachable!("it goes on for ever"),
    };
    assert_eq!((reply.header("x-baseload-endpoint"), reply.events().last()), ("north", Some(&"[DONE]")), "{}", reply.text);
}

#[tokio::test]
async fn a_later_attempt_is_decided_on_what_things_cost_by_then() {
    let (bench, gate) = (Bench::start().await, Gate::default());
    bench.north.then(Reply::late(&gate, Reply::status(500)));
    let (reply, ()) = tokio::join!(bench.chat(WHOLE), async {
        bench.north.until_heard(1).await;
        let mut sheet = sheet(&bench.fleet);
        let spill = endpoint(&bench.fleet, "spill");
        let price = sheet.endpoints.iter_mut().find(|price| price.endpoint == spill).expect("somebody pays for it");
        price.payers[0].as_mut().expect("somebody pays").marginal = market::TokenPrices::default();
        bench.gateway.set_sheet(sheet);
        gate.open(1);
    });
    assert_eq!(reply.header("x-baseload-endpoint"), "spill", "{}", reply.text);
}

#[tokio::test]
async fn an_upstream_that_refuses_connections_is_passed_over_until_it_may_be_probed() {
    let bench = Bench::start().await;
    let (north, nowhere) = (endpoint(&bench.fleet, "north"), Upstream::nowhere().await.expect("a port"));
    bench.gateway.set_upstream(north, Some(nowhere)).expect("it is this machine");
    assert_eq!(bench.chat(WHOLE).await.header("x-baseload-endpoint"), "west");
    assert_eq!(bench.chat(WHOLE).await.header("x-baseload-endpoint"), "west");
    let failed: Vec<u64> = bench.gateway.live().endpoints.iter().map(|endpoint| endpoint.failed).collect();
    assert_eq!(failed, [1, 0, 0], "the second request did not try it");
    bench.gateway.set_upstream(north, Some(bench.north.address())).expect("it is this machine");
    assert_eq!(bench.chat(WHOLE).await.header("x-baseload-endpoint"), "north", "a process that has come back is up at once");
}

#[tokio::test]
async fn when_all_have_failed_the_client_hears_when_to_come_back() {
    let bench = Bench::start().await;
    for upstream in [&bench.north, &bench.west, &bench.spill] {
        upstream.then(Reply::page(500));
    }
    let reply = bench.chat(WHOLE).await;
    assert_eq!(reply.error(), (503, "no_capacity".to_owned()));
    assert!(reply.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds >= 1));
    assert!(reply.header("retry-after-ms").parse::<u32>().is_ok_and(|ms| ms >= 100));
    assert!(!reply.text.contains("html"));
    assert_eq!(bench.journal.settled(3).await.len(), 3, "each attempt is settled once");
}

#[tokio::test]
async fn the_clients_own_fault_is_told_and_not_tried_elsewhere() {
    let bench = Bench::start().await;
    bench.north.then(Reply::status(422));
    assert_eq!(bench.chat(WHOLE).await.error(), (422, "scripted".to_owned()));
    bench.north.then(Reply::page(400));
    let reply = bench.chat(WHOLE).await;
    assert_eq!(reply.error(), (400, "upstream_refused".to_owned()));
    assert!(!reply.text.contains("html"));
    assert!(bench.west.heard().is_empty());
    let outcomes: Vec<Outcome> = bench.journal.settled(2).await.iter().map(|settlement| settlement.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Failed]);
}

/// An error where a stream should begin, as vLLM says it behind a status of 200.
fn said_late(code: &str) -> Reply {
    let error = format!(r#"{{"error": {{"message": "late", "type": "BadRequestError", "param": "logprobs", "code": {code}}}}}"#);
    Reply::Raw(vec![format!("data: {error}\n\ndata: [DONE]\n\n").into_bytes()])
}

#[tokio::test]
async fn the_clients_own_fault_is_told_when_it_comes_as_a_stream() {
    let bench = Bench::start().await;
    for _ in 0..5 {
        bench.north.then(said_late("400"));
        let reply = bench.chat(STREAM).await;
        assert_eq!(reply.error(), (400, "400".to_owned()));
        let error = &reply.json()["error"];
        assert_eq!((&error["message"], &error["type"], &error["param"]), (&"late".into(), &"BadRequestError".into(), &"logprobs".into()));
    }
    assert_eq!((bench.north.heard().len(), bench.west.heard().len()), (5, 0), "it opens no breaker");
    let settled = bench.journal.settled(5).await;
    assert!(settled.iter().all(|one| (one.outcome, one.tokens) == (Outcome::Failed, Tokens::default())), "{settled:?}");
}

#[tokio::test]
async fn what_is_no_fault_of_the_client_is_tried_elsewhere_also_as_a_stream() {
    for code in ["500", "404", "503", "null", "\"bad_request\"", "40", "4e2", "99999999"] {
        let bench = Bench::start().await;
        bench.north.then(said_late(code));
        bench.west.then(Reply::stream(2));
        assert_eq!(bench.chat(STREAM).await.header("x-baseload-endpoint"), "west", "{code}");
    }
}

/// vLLM that is told to stop ends politely what it has in work.
#[tokio::test]
async fn an_answer_that_its_upstream_gave_up_is_tried_elsewhere() {
    let body = r#"{"choices":[{"message":{"content":"half"},"finish_reason":"abort"}],"usage":{"prompt_tokens":7,"completion_tokens":2}}"#;
    let head = vec![("content-type", "application/json".to_owned())];
    check(WHOLE, Reply::Status { status: 200, head, body: body.to_owned() }).await;
    check(STREAM, Reply::Raw(vec![b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"abort\"}]}\n\ndata: [DONE]\n\n".to_vec()])).await;
}

#[tokio::test]
async fn a_busy_upstream_is_left_alone_for_as_long_as_it_says() {
    let bench = Bench::start().await;
    bench.north.then(Reply::busy(Some("30")));
    for _ in 0..3 {
        assert_eq!(bench.chat(WHOLE).await.header("x-baseload-endpoint"), "west");
    }
    assert_eq!(bench.north.heard().len(), 1);
    bench.only_north();
    let reply = bench.chat(WHOLE).await;
    assert_eq!(reply.error(), (503, "no_capacity".to_owned()));
    let wait: u32 = reply.header("retry-after-ms").parse().expect("a number");
    assert!((100..=1_000).contains(&wait), "the first endpoint that may be back says when, and north is not: {wait}");
}
