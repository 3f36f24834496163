//! Shadow mode: a request goes where its caller says, once, and the decision stands beside it.

use dispatch::{Outcome, Record};
use testkit::Reply;

use crate::bench::{Bench, KEY, Setup, endpoint};

const WHOLE: &str = r#"{"model":"default","messages":[{"role":"user","content":"hello"}]}"#;

async fn shadow() -> Bench {
    Bench::of(Setup { shadow: true, ..Setup::default() }).await
}

/// A chat whose caller would have gone to `would`.
async fn chat(bench: &Bench, would: &str) -> crate::bench::Reply {
    let head = [("authorization", format!("Bearer {KEY}")), ("x-baseload-would", would.to_owned())];
    let head = head.each_ref().map(|(name, value)| (*name, value.as_str()));
    bench.send("POST", "/v1/chat/completions", &head, WHOLE).await
}

#[tokio::test]
async fn a_request_goes_where_its_caller_says_and_the_advice_is_journaled() {
    let bench = shadow().await;
    // Without shadow mode it would go to one endpoint each time.
    for would in ["north", "west", "spill"] {
        let reply = chat(&bench, would).await;
        assert_eq!((reply.status.as_u16(), reply.header("x-baseload-endpoint")), (200, would), "{}", reply.text);
    }
    let decided = bench.journal.records().into_iter().filter_map(|record| match record {
        Record::Decided { question, decision, .. } => Some((question, decision)),
        _ => None,
    });
    let decided: Vec<_> = decided.collect();
    assert_eq!(decided.len(), 3);
    for ((question, decision), would) in decided.iter().zip(["north", "west", "spill"]) {
        assert_eq!((question.wish, decision.endpoint), (Some(endpoint(&bench.fleet, would)), endpoint(&bench.fleet, would)));
        // What is advised is what would be decided of the same question without the wish.
        let free = dispatch::decide(&bench.fleet, &dispatch::Question { wish: None, ..(**question).clone() }).expect("all are up");
        let advice = decision.advice.as_ref().expect("shadow mode advises");
        assert_eq!((advice.endpoint, advice.contract, advice.cost, advice.list), (free.endpoint, free.contract, free.cost, free.list));
    }
    assert_eq!(bench.journal.settled(3).await.len(), 3, "each is metered where it went");
}

#[tokio::test]
async fn a_failure_is_the_callers_own_and_moves_nowhere() {
    let bench = shadow().await;
    for _ in 0..6 {
        bench.west.then(Reply::status(500));
        let reply = chat(&bench, "west").await;
        assert_eq!(reply.error(), (500, "scripted".to_owned()), "{}", reply.text);
    }
    // It counts as down by now, and its caller still gets it.
    let reply = chat(&bench, "west").await;
    assert_eq!((reply.status.as_u16(), reply.header("x-baseload-endpoint")), (200, "west"), "{}", reply.text);
    let settled = bench.journal.settled(7).await;
    assert!(settled.iter().all(|settlement| settlement.endpoint == endpoint(&bench.fleet, "west")));
    assert_eq!(settled.iter().filter(|settlement| settlement.outcome == Outcome::Failed).count(), 6);
}

#[tokio::test]
async fn a_caller_hears_what_its_own_upstream_said() {
    for (said, want, again) in [
        (Reply::status(404), (404, "scripted"), ""),
        (Reply::status(422), (422, "scripted"), ""),
        (Reply::busy(Some("7")), (429, "upstream_refused"), "7"),
        (Reply::status(503), (503, "scripted"), ""),
        // What is no envelope is not shown, nor what may speak of a key of ours.
        (Reply::page(502), (502, "upstream_refused"), ""),
        (Reply::status(401), (401, "upstream_refused"), ""),
        // It said nothing at all.
        (Reply::Drop, (503, "no_capacity"), "1"),
    ] {
        let (bench, shown) = (shadow().await, format!("{said:?}"));
        bench.west.then(said);
        let reply = chat(&bench, "west").await;
        assert_eq!((reply.error(), reply.header("retry-after")), ((want.0, want.1.to_owned()), again), "{shown}: {}", reply.text);
        assert!(!reply.text.contains("html"), "{}", reply.text);
        let settled = bench.journal.settled(1).await;
        assert_eq!((settled.len(), settled[0].outcome), (1, Outcome::Failed), "{shown}");
        assert!(bench.north.heard().is_empty() && bench.spill.heard().is_empty(), "{shown}: it moves nowhere");
    }
}

#[tokio::test]
async fn who_does_not_say_where_is_told_to() {
    let bench = shadow().await;
    let (status, code) = bench.chat(WHOLE).await.error();
    assert_eq!((status, code.as_str()), (400, "no_shadow"), "the laptop's model has three endpoints and no mark");
    let reply = chat(&bench, "nowhere").await;
    assert!(reply.text.contains("it has: north, west, spill") || reply.text.contains("it has: north, spill, west"), "{}", reply.text);
    assert_eq!(reply.error(), (400, "no_shadow".to_owned()));
    assert!(bench.journal.records().is_empty(), "nothing was called");
}

#[tokio::test]
async fn the_mark_of_the_fleet_file_stands_in_for_the_header() {
    let fleet = crate::bench::LAPTOP.replacen("[endpoints.west]\n", "[endpoints.west]\nshadow = true\n", 1);
    let bench = Bench::of(Setup { shadow: true, fleet, ..Setup::default() }).await;
    assert_eq!(bench.chat(WHOLE).await.header("x-baseload-endpoint"), "west");
    assert_eq!(chat(&bench, "spill").await.header("x-baseload-endpoint"), "spill", "the header goes first");
}

#[tokio::test]
async fn without_shadow_mode_nobody_says_where() {
    let bench = Bench::start().await;
    let free = bench.chat(WHOLE).await.header("x-baseload-endpoint").to_owned();
    for would in ["north", "west", "spill", "nowhere"] {
        assert_eq!(chat(&bench, would).await.header("x-baseload-endpoint"), free);
    }
}
