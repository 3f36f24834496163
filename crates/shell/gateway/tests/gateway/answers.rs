//! Answers that come whole.

use dispatch::{Known, Outcome, Record};
use market::Tokens;

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
