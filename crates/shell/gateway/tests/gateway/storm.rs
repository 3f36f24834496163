//! Many requests at once, with everything going wrong: whatever the seed, what the journal, the upstreams and the clients remember agrees.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dispatch::{AttemptId, HeldTime, Outcome, Record};
use gateway::Limits;
use proptest::prelude::*;
use testkit::checkers::{
    Booked, Call, Lost, Reading, Told, check_caps, check_durable, check_held, check_live, check_once, check_replay, check_time,
    check_tokens,
};
use testkit::{Dice, Ending, Reply};

use crate::bench::{Bench, KEY, endpoint, impatient};

/// Each history is a storm of requests through a gateway: a share of those that a pure property has.
const SHARE: u32 = 2_000;
/// With each change.
const HISTORIES: u32 = 20_000;
/// Requests of one storm.
const REQUESTS: usize = 200;
/// Requests under way at once, at most.
const AT_ONCE: usize = 48;
/// Each of them may have given a place back whose attempt's end it is about to write.
const THREADS: usize = 2;
/// How long an answer may take, in line and from three upstreams that hang.
const PATIENCE: Duration = Duration::from_secs(30);
/// What an event of content looks like on its way to a client.
const CONTENT: &str = "\"content\":\"t";

/// Some way that an upstream can behave, each after one that is good: three failures in a row would take it out.
fn reply(dice: &mut Dice, index: usize) -> Reply {
    if index.is_multiple_of(2) {
        return Reply::answer(7, 5);
    }
    let events = u32::try_from(dice.count(0, 6)).expect("few");
    match dice.count(0, 12) {
        0 => Reply::busy(None),
        1 => Reply::status(500),
        2 => Reply::page(502),
        3 => Reply::Drop,
        4 => Reply::Half,
        5 => Reply::ending(events, Ending::Reset),
        6 => Reply::ending(events, Ending::Silent),
        7 => Reply::ending(events, Ending::Hang),
        8 => Reply::ending(events, Ending::Error),
        9 => Reply::status(422),
        10 => Reply::Answer(None),
        11 => Reply::stream(events.max(1)),
        _ => Reply::answer(7, events.max(1)),
    }
}

/// Asks, and listens to the end or leaves as soon as there is a head.
async fn ask(bench: &Bench, began: Instant, streamed: bool, leaves: bool) -> Told {
    let asked = began.elapsed();
    let body = format!(r#"{{"model":"default","stream":{streamed},"messages":[]}}"#);
    let (connection, response) = bench.open("POST", "/v1/chat/completions", &[("api-key", KEY)], &body).await;
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let request = header("x-request-id").and_then(|id| id.parse().ok());
    let endpoint = header("x-baseload-endpoint").map(|name| endpoint(&bench.fleet, name));
    let status = Some(response.status().as_u16());
    let told = Told { request, endpoint, asked, over: None, status, delivered: 0, usage: None, whole: false };
    if leaves {
        drop((connection, response));
        return Told { over: Some(began.elapsed()), ..told };
    }
    let reply = crate::bench::Reply::read(response).await;
    assert!(reply.status == 200 || reply.json()["error"]["code"].is_string(), "{}", reply.text);
    // A stream may come to who asked for none.
    let whole = !reply.text.contains("data: ") || reply.text.ends_with("data: [DONE]\n\n");
    let delivered = u32::try_from(reply.text.matches(CONTENT).count()).expect("few");
    Told { over: Some(began.elapsed()), delivered, whole, ..told }
}

/// The most attempts that were open at once, by the journal.
fn open_at_once(records: &[Record]) -> usize {
    let (mut open, mut most) = (BTreeSet::<AttemptId>::new(), 0);
    for record in records {
        match record {
            Record::Decided { attempt, .. } => _ = open.insert(*attempt),
            Record::Settled(settled) => _ = open.remove(&settled.attempt),
            Record::Held(_) => {}
        }
        most = most.max(open.len());
    }
    most
}

async fn storm(seed: u64) {
    let (mut dice, began) = (Dice::new(seed), Instant::now());
    let bench =
        Arc::new(Bench::with(Limits { serving_threads: THREADS, in_flight_max: AT_ONCE, queue_timeout: PATIENCE, ..impatient() }).await);
    for index in 0..240 {
        for upstream in [&bench.north, &bench.west, &bench.spill] {
            upstream.then(reply(&mut dice, index));
        }
    }
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..REQUESTS {
        let (bench, streamed, leaves) = (Arc::clone(&bench), dice.chance(0.5), dice.chance(0.2));
        clients.spawn(async move { ask(&bench, began, streamed, leaves).await });
    }
    let told = clients.join_all().await;
    let decided = |records: &[Record]| records.iter().filter(|record| matches!(record, Record::Decided { .. })).count();
    bench.journal.settled(decided(&bench.journal.records())).await;
    let mut bench = Arc::into_inner(bench).expect("every client has gone");
    bench.stop().await;
    check(seed, &bench, &told, began);
}

fn check(seed: u64, bench: &Bench, told: &[Told], began: Instant) {
    let (fleet, records) = (&bench.fleet, bench.journal.records());
    let booked = Booked::of(&records);
    let upstreams = [("north", &bench.north), ("west", &bench.west), ("spill", &bench.spill)];
    let heard = upstreams.iter().flat_map(|(name, upstream)| {
        let heard = upstream.heard().into_iter();
        heard.map(|heard| heard.call(endpoint(fleet, name), began).expect("every call has its request's id"))
    });
    let calls: Vec<Call> = heard.collect();
    let held: Vec<HeldTime> =
        records.iter().filter_map(|record| if let Record::Held(held) = record { Some(held.clone()) } else { None }).collect();
    let settled = records.iter().filter(|record| matches!(record, Record::Settled(_))).count();
    let at_once = Reading { what: "attempts at once", most: open_at_once(&records) as u64, cap: (AT_ONCE + THREADS) as u64 };
    let found = [
        check_once(&booked, &calls, &Lost::default()),
        check_tokens(&booked, &calls, told),
        check_held(fleet, &held),
        check_replay(fleet, &records),
        check_time(&booked, &held),
        check_caps(&[at_once]),
        check_live(told, &booked, Duration::ZERO, PATIENCE),
        check_durable(&bench.journal.intents(began), &booked, &calls, told, &Lost::default()),
    ];
    assert_eq!(found.concat(), [], "seed {seed}");
    let outcomes: BTreeSet<Outcome> = booked.iter().filter_map(|row| Some(row.settled?.outcome)).collect();
    assert!(booked.len() > 50 && !held.is_empty() && settled == booked.len(), "the storm was one: {} {}", booked.len(), held.len());
    assert!([Outcome::Answered, Outcome::Failed, Outcome::Cut].iter().all(|outcome| outcomes.contains(outcome)), "{outcomes:?}");
    let live = bench.gateway.live();
    assert!(live.endpoints.iter().all(|endpoint| endpoint.outstanding == 0));
    let counted: u64 = live.endpoints.iter().map(|endpoint| endpoint.served + endpoint.failed + endpoint.abandoned).sum();
    assert_eq!((counted, live.in_flight, live.lost_records), (booked.len() as u64, 0, 0));
}

proptest! {
    // Smaller seeds are no smaller storms.
    #![proptest_config(ProptestConfig {
        cases: HISTORIES.div_ceil(SHARE), failure_persistence: None, max_shrink_iters: 0, ..ProptestConfig::default()
    })]

    #[test]
    fn every_attempt_is_settled_exactly_once(seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(storm(seed));
    }
}
