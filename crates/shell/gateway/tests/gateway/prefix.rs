//! What an endpoint has read of late, as decisions see it.

use dispatch::{Question, Record};
use testkit::Reply;

use crate::bench::{Bench, endpoint};

fn asked(questions: &[Record]) -> Vec<&Question> {
    let decided =
        questions.iter().filter_map(|record| if let Record::Decided { question, .. } = record { Some(&**question) } else { None });
    decided.collect()
}

#[tokio::test]
async fn the_endpoint_that_read_a_conversation_is_expected_to_hold_it() {
    let mut bench = Bench::start().await;
    for upstream in [&bench.north, &bench.west] {
        upstream.then(Reply::answer(300, 3)).then(Reply::answer(300, 3));
    }
    let opening = format!(r#"{{"role":"user","content":"{}"}}"#, "what a long question ".repeat(60));
    let first = bench.chat(&format!(r#"{{"model":"default","messages":[{opening}]}}"#)).await;
    let more = r#"{"role":"assistant","content":"yes"},{"role":"user","content":"and?"}"#;
    let second = bench.chat(&format!(r#"{{"model":"default","messages":[{opening},{more}]}}"#)).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 200));
    bench.journal.settled(2).await;
    bench.stop().await;
    let records = bench.journal.records();
    let questions = asked(&records);
    assert!(questions[0].seen.iter().all(|seen| seen.cached_tokens == 0) && questions[0].ask.tokens.cached == 0);
    let went = endpoint(&bench.fleet, first.header("x-baseload-endpoint"));
    for seen in &questions[1].seen {
        assert_eq!(seen.cached_tokens > 0, seen.endpoint == went, "{seen:?}");
        assert!(seen.cached_tokens < questions[1].ask.tokens.input);
    }
    assert!(questions[1].ask.tokens.cached > 0, "the best that any candidate holds");
}
