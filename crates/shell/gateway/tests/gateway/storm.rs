//! Many requests at once, with everything going wrong: each attempt is journaled first and settled exactly once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dispatch::{AttemptId, Outcome, Record};
use testkit::checkers::{Booked, Call, Lost, check_once, check_replay, check_time};
use testkit::{Ending, Heard, Reply};

use crate::bench::{Bench, KEY, endpoint, impatient};

/// What an upstream heard, as a call; the storm does not look at tokens.
fn call(endpoint: fleet::EndpointId, heard: &Heard) -> Call {
    let request = heard.header("x-request-id").and_then(|id| id.parse().ok()).expect("every call has its request's id");
    Call { request, endpoint, at: Duration::ZERO, streamed: false, generated: 0, reported: None }
}

/// Every way that an upstream can behave, in turn, each after one that is good: three failures in a row would take it out.
fn reply(index: usize) -> Reply {
    if index.is_multiple_of(2) {
        return Reply::answer(7, 5);
    }
    match index / 2 % 12 {
        0 => Reply::busy(None),
        1 => Reply::status(500),
        2 => Reply::page(502),
        3 => Reply::Drop,
        4 => Reply::Half,
        5 => Reply::ending(3, Ending::Reset),
        6 => Reply::ending(3, Ending::Silent),
        7 => Reply::ending(3, Ending::Hang),
        8 => Reply::status(422),
        9 => Reply::Answer(None),
        10 => Reply::stream(5),
        _ => Reply::answer(7, 5),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attempt_is_settled_exactly_once() {
    let bench = Arc::new(Bench::with(impatient()).await);
    for index in 0..240 {
        bench.north.then(reply(index));
        bench.west.then(reply(index * 5 + 1));
        bench.spill.then(reply(index * 7 + 2));
    }
    let mut clients = tokio::task::JoinSet::new();
    for index in 0..200 {
        let bench = Arc::clone(&bench);
        clients.spawn(async move {
            let body = format!(r#"{{"model":"default","stream":{},"messages":[]}}"#, index % 2 == 0);
            let (connection, response) = bench.open("POST", "/v1/chat/completions", &[("api-key", KEY)], &body).await;
            // Every fifth client leaves as soon as it has a head.
            if index % 5 != 0 {
                let reply = crate::bench::Reply::read(response).await;
                assert!(reply.status == 200 || reply.json()["error"]["code"].is_string(), "{}", reply.text);
            }
            drop(connection);
        });
    }
    clients.join_all().await;
    let decided = |records: &[Record]| records.iter().filter(|record| matches!(record, Record::Decided { .. })).count();
    bench.journal.settled(decided(&bench.journal.records())).await;
    let mut lives: BTreeMap<AttemptId, Vec<&str>> = BTreeMap::new();
    let records = bench.journal.records();
    let mut outcomes = std::collections::BTreeSet::new();
    for record in &records {
        match record {
            Record::Decided { attempt, .. } => lives.entry(*attempt).or_default().push("decided"),
            Record::Settled(settlement) => {
                outcomes.insert(settlement.outcome);
                lives.entry(settlement.attempt).or_default().push("settled");
            }
            Record::Held(_) => {}
        }
    }
    assert!(lives.values().all(|life| life == &["decided", "settled"]), "{lives:?}");
    let fleet = &bench.fleet;
    let heard =
        [("north", &bench.north), ("west", &bench.west), ("spill", &bench.spill)].map(|(name, at)| (endpoint(fleet, name), at.heard()));
    let calls: Vec<Call> = heard.iter().flat_map(|(endpoint, heard)| heard.iter().map(|heard| call(*endpoint, heard))).collect();
    let booked = Booked::of(&records);
    assert_eq!([check_once(&booked, &calls, &Lost::default()), check_time(&booked, &[]), check_replay(fleet, &records)].concat(), []);
    assert!(lives.len() > 50, "the storm was one: {}", lives.len());
    assert!(outcomes.contains(&Outcome::Answered) && outcomes.contains(&Outcome::Failed), "{outcomes:?}");
    let live = bench.gateway.live();
    assert!(live.endpoints.iter().all(|endpoint| endpoint.outstanding == 0));
    let counted: u64 = live.endpoints.iter().map(|endpoint| endpoint.served + endpoint.failed + endpoint.abandoned).sum();
    assert_eq!((counted, live.in_flight, live.lost_records), (lives.len() as u64, 0, 0));
}
