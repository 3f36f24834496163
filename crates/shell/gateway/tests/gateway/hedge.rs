//! A second endpoint asked beside the first: whose content comes first goes on, and both are metered.

use std::time::Duration;

use dispatch::{Known, Outcome, Settlement};
use gateway::Limits;
use testkit::{Gate, Reply};

use crate::bench::{Bench, KEY, LAPTOP, Setup, endpoint};

const WHOLE: &str = r#"{"model":"default","service_tier":"priority","messages":[{"role":"user","content":"hello"}]}"#;
const STREAM: &str = r#"{"model":"default","service_tier":"priority","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;

/// Two endpoints, of which the first is asked and the second soon after, for `priority`.
async fn hedged() -> Bench {
    hedged_within(Limits::default()).await
}

async fn hedged_within(limits: Limits) -> Bench {
    let class = r#"tier = "priority", ttft = "1 s""#;
    let fleet = LAPTOP.replacen(class, &format!("{class}, hedge = \"1 ms\""), 1);
    assert_ne!(fleet, LAPTOP);
    let fleet = fleet.replace("capabilities = [", "capabilities = [\"embeddings\", ");
    let bench = Bench::of(Setup { fleet, limits, ..Setup::default() }).await;
    bench.without(&["spill"]);
    bench
}

/// Attempts by number: where each went, and how it ended.
fn shown(bench: &Bench, settled: &[Settlement]) -> Vec<(u8, String, Outcome, Known)> {
    let name = |settlement: &Settlement| bench.fleet.endpoints.name(settlement.endpoint).to_owned();
    let mut shown: Vec<_> = settled.iter().map(|it| (it.attempt.attempt, name(it), it.outcome, it.known)).collect();
    shown.sort_by_key(|(number, ..)| *number);
    shown
}

fn nothing_is_left(bench: &Bench) {
    let live = bench.gateway.live();
    assert!(live.endpoints.iter().all(|endpoint| endpoint.outstanding == 0) && live.in_flight == 0);
}

#[tokio::test]
async fn the_second_answers_when_the_first_is_late() {
    for body in [WHOLE, STREAM] {
        let bench = hedged().await;
        bench.north.then(Reply::Hang(Gate::default()));
        bench.west.then(if body == STREAM { Reply::stream(2) } else { Reply::answer(7, 2) });
        let reply = bench.chat(body).await;
        assert_eq!((reply.status.as_u16(), reply.header("x-baseload-endpoint")), (200, "west"), "{}", reply.text);
        let settled = bench.journal.settled(2).await;
        let first = (1, "north".to_owned(), Outcome::Outrun, Known::Bounded);
        let second = (2, "west".to_owned(), Outcome::Answered, Known::Reported);
        assert_eq!(shown(&bench, &settled), [first, second], "both legs are metered, each once");
        nothing_is_left(&bench);
    }
}

#[tokio::test]
async fn what_only_says_that_an_answer_is_to_come_wins_no_race() {
    let (bench, gate) = (hedged_within(Limits { prelude_timeout: Duration::ZERO, ..Limits::default() }).await, Gate::default());
    let looked_at = r#"data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#;
    bench.north.then(Reply::Slow(vec![format!("{looked_at}\n\n").into_bytes(), Vec::new()], gate.clone()));
    gate.open(1);
    bench.west.then(Reply::stream(2));
    assert_eq!(bench.chat(STREAM).await.header("x-baseload-endpoint"), "west");
    bench.journal.settled(2).await;
    nothing_is_left(&bench);
}

#[tokio::test]
async fn an_upstream_that_is_outrun_each_time_is_left_alone() {
    let bench = hedged().await;
    for _ in 0..gateway::OUTRUNS_MAX + 2 {
        bench.north.then(Reply::Hang(Gate::default()));
        assert_eq!(bench.chat(WHOLE).await.header("x-baseload-endpoint"), "west");
    }
    let asked = bench.north.heard().len();
    assert_eq!(bench.chat(WHOLE).await.header("x-baseload-endpoint"), "west");
    assert_eq!(bench.north.heard().len(), asked, "three in a row beyond the most: it hangs");
}

#[tokio::test]
async fn an_upstream_that_is_asked_second_and_loses_is_as_good_as_before() {
    let bench = hedged().await;
    for asked in 1..=usize::try_from(gateway::OUTRUNS_MAX).expect("few") + 4 {
        let gate = Gate::default();
        bench.north.then(Reply::late(&gate, Reply::answer(7, 2)));
        bench.west.then(Reply::Hang(Gate::default()));
        let (reply, ()) = tokio::join!(bench.chat(WHOLE), async {
            bench.west.until_heard(asked).await;
            gate.open(1);
        });
        assert_eq!(reply.header("x-baseload-endpoint"), "north");
    }
    bench.north.then(Reply::status(500));
    assert_eq!(bench.chat(WHOLE).await.header("x-baseload-endpoint"), "west");
}

#[tokio::test]
async fn the_first_goes_on_when_the_second_fails() {
    let (bench, gate) = (hedged().await, Gate::default());
    bench.north.then(Reply::Hang(gate.clone()));
    bench.west.then(Reply::status(500));
    let (reply, failed) = tokio::join!(bench.chat(WHOLE), async {
        let failed = bench.journal.settled(1).await;
        gate.open(1);
        failed
    });
    assert_eq!(shown(&bench, &failed), [(2, "west".to_owned(), Outcome::Failed, Known::Counted)]);
    assert_eq!((reply.status.as_u16(), reply.header("x-baseload-endpoint")), (200, "north"), "{}", reply.text);
    let settled = bench.journal.settled(2).await;
    assert_eq!(settled.iter().filter(|it| it.outcome == Outcome::Answered && it.endpoint == endpoint(&bench.fleet, "north")).count(), 1);
    nothing_is_left(&bench);
}

#[tokio::test]
async fn with_nowhere_else_to_go_the_first_is_waited_for() {
    let (bench, gate) = (hedged().await, Gate::default());
    bench.only_north();
    bench.north.then(Reply::Hang(gate.clone()));
    gate.open(1);
    let reply = bench.chat(WHOLE).await;
    assert_eq!((reply.status.as_u16(), reply.header("x-baseload-endpoint")), (200, "north"), "{}", reply.text);
    assert_eq!(bench.journal.settled(1).await.len(), 1);
    nothing_is_left(&bench);
}

#[tokio::test]
async fn when_both_fail_the_request_moves_on_with_another_number() {
    let class = r#"tier = "priority", ttft = "1 s""#;
    let fleet = LAPTOP.replacen(class, &format!("{class}, hedge = \"1 ms\""), 1);
    let bench = Bench::of(Setup { fleet, limits: crate::bench::impatient(), ..Setup::default() }).await;
    // The first is given up in time, the second at once, and neither is asked again.
    bench.north.then(Reply::Hang(Gate::default()));
    bench.west.then(Reply::status(500));
    bench.spill.then(Reply::answer(7, 2));
    let reply = bench.chat(WHOLE).await;
    assert_eq!((reply.status.as_u16(), reply.header("x-baseload-endpoint")), (200, "spill"), "{}", reply.text);
    let settled = bench.journal.settled(3).await;
    let outcomes: Vec<_> = shown(&bench, &settled).into_iter().map(|(number, _, outcome, _)| (number, outcome)).collect();
    assert_eq!(outcomes, [(1, Outcome::Failed), (2, Outcome::Failed), (3, Outcome::Answered)]);
    nothing_is_left(&bench);
}

/// A whole answer with this body.
fn answer(body: String) -> Reply {
    Reply::Status { status: 200, head: vec![("content-type", "application/json".to_owned())], body }
}

#[tokio::test]
async fn what_is_no_upstreams_fault_leaves_the_other_to_answer() {
    let bench = hedged_within(Limits { upstream_body_bytes_max: 100, ..Limits::default() }).await;
    let (first, second) = (Gate::default(), Gate::default());
    bench.north.then(Reply::late(&first, answer(format!("{{\"data\":\"{}\"}}", "A".repeat(100)))));
    bench.west.then(Reply::late(&second, answer("{\"data\":[]}".to_owned())));
    let vectors = r#"{"model":"default","service_tier":"priority","input":"hello"}"#;
    let (reply, ()) = tokio::join!(bench.send("POST", "/v1/embeddings", &[("api-key", KEY)], vectors), async {
        bench.north.until_heard(1).await;
        bench.west.until_heard(1).await;
        first.open(1);
        bench.journal.settled(1).await;
        second.open(1);
    });
    assert_eq!((reply.status.as_u16(), reply.header("x-baseload-endpoint")), (200, "west"), "{}", reply.text);
    let settled = bench.journal.settled(2).await;
    let first = (1, "north".to_owned(), Outcome::Failed, Known::Bounded);
    assert_eq!(shown(&bench, &settled)[0], first);
    nothing_is_left(&bench);
}

#[tokio::test]
async fn a_refusal_of_either_is_told_when_the_other_has_failed() {
    for north_is_first in [true, false] {
        for (north, west) in [(422, 500), (500, 422)] {
            // The first one's refusal ends it at once.
            if north_is_first && north == 422 {
                continue;
            }
            let (bench, first, second) = (hedged().await, Gate::default(), Gate::default());
            bench.north.then(Reply::late(if north_is_first { &first } else { &second }, Reply::status(north)));
            bench.west.then(Reply::late(if north_is_first { &second } else { &first }, Reply::status(west)));
            let (reply, ()) = tokio::join!(bench.chat(WHOLE), async {
                bench.north.until_heard(1).await;
                bench.west.until_heard(1).await;
                first.open(1);
                bench.journal.settled(1).await;
                second.open(1);
            });
            assert_eq!(reply.error(), (422, "scripted".to_owned()), "{north} and {west}, {north_is_first}");
            assert_eq!(bench.journal.settled(2).await.len(), 2);
            nothing_is_left(&bench);
        }
    }
}
