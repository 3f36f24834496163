//! Answers that come whole.

use dispatch::{Known, Outcome, Record};
use market::Tokens;
use testkit::Reply;

use crate::bench::Bench;

const HELLO: &str = r#"{"model":"smollm2-135m","messages":[{"role":"user","content":"hello"}]}"#;

#[tokio::test]
async fn an_answer_is_decided_journaled_and_metered() {
    let bench = Bench::start().await;
    let reply = bench.chat(HELLO).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "scripted answer");
    assert_eq!((reply.header("x-baseload-endpoint"), reply.header("x-baseload-contract")), ("north", "north-reserved"));
    assert!(reply.header("x-baseload-marginal-price").ends_with(" USD"));
    let settled = bench.journal.settled(1).await;
    assert_eq!((settled[0].outcome, settled[0].known), (Outcome::Answered, Known::Reported));
    assert_eq!(settled[0].tokens, Tokens { input: 7, cached: 0, output: 5 });
    let records = bench.journal.records();
    let [Record::Decided { attempt, decision, question, .. }, Record::Settled(_)] = records.as_slice() else {
        unreachable!("a decision comes before its settlement: {records:?}")
    };
    assert_eq!(attempt.to_string(), format!("{}#1", reply.header("x-request-id")));
    assert_eq!(dispatch::decide(&bench.fleet, question).as_ref(), Ok(decision.as_ref()), "what was journaled replays");
}

/// What an upstream says of usage, and what is metered.
async fn check(usage: Option<Tokens>, want: (Known, Tokens)) {
    let bench = Bench::start().await;
    bench.north.then(Reply::Answer(usage));
    assert_eq!(bench.chat(HELLO).await.status, 200);
    let settled = bench.journal.settled(1).await;
    assert_eq!((settled[0].known, settled[0].tokens), want);
}

#[tokio::test]
async fn what_the_upstream_reports_is_metered_and_else_what_passed_is_counted() {
    let cached = Tokens { input: 9, cached: 4, output: 2 };
    check(Some(cached), (Known::Reported, cached)).await;
    // 35 bytes of messages and 15 of text, by four, rounded down.
    check(None, (Known::Counted, Tokens { input: 8, cached: 0, output: 3 })).await;
}

/// What an upstream that says nothing of usage answered with `choice`, and the output that is metered of a request for 50 tokens at most.
async fn check_counted(choice: &str, output: u32) {
    let bench = Bench::start().await;
    let head = vec![("content-type", "application/json".to_owned())];
    bench.north.then(Reply::Status { status: 200, head, body: format!(r#"{{"choices":[{choice}]}}"#) });
    let body = r#"{"model":"smollm2-135m","max_tokens":50,"messages":[{"role":"user","content":"hello"}]}"#;
    assert_eq!(bench.chat(body).await.status, 200, "{choice:.60}");
    let settled = bench.journal.settled(1).await;
    assert_eq!((settled[0].known, settled[0].tokens.output), (Known::Counted, output), "{choice:.60}");
}

#[tokio::test]
async fn of_an_answer_without_usage_what_was_generated_is_counted_up_to_its_bound() {
    let top = vec![r#"{"token":" word","logprob":-12.5,"bytes":[32,119]}"#; 20].join(",");
    let token = format!(r#"{{"token":" word","logprob":-0.5,"top_logprobs":[{top}]}}"#);
    let logprobs = vec![token; 5].join(",");
    check_counted(&format!(r#"{{"message":{{"content":"twenty bytes of text"}},"logprobs":{{"content":[{logprobs}]}}}}"#), 5).await;
    check_counted(&format!(r#"{{"message":{{"content":"{}"}}}}"#, "x".repeat(4_000)), 50).await;
}

#[tokio::test]
async fn the_class_of_service_and_the_bounds_reach_the_decision() {
    let bench = Bench::start().await;
    let body = r#"{"model":"default","messages":[],"service_tier":"priority","max_tokens":40,"n":1}"#;
    assert_eq!(bench.chat(body).await.status, 200);
    let records = bench.journal.records();
    let Some(Record::Decided { question, .. }) = records.first() else { unreachable!("a decision comes first") };
    assert_eq!((question.ask.tier, question.ask.output_max), (fleet::ServiceTier::Priority, 40));
    assert_eq!(question.seen.len(), 3, "every endpoint of the model was seen");
}
