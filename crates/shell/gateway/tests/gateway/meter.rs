//! Held time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use dispatch::{AttemptId, Record, RequestId};
use fleet::{ContractId, Fleet};
use gateway::{Clock, Holder, Interval, Limits, Metered, Worked, held_time, holding};
use market::{Drawn, split_busy};
use proptest::prelude::*;
use testkit::checkers::{check_held, check_time};
use testkit::{Gate, Reply};
use units::{Instant, Quantity, Span};

use crate::bench::{Bench, KEY, Setup, endpoint};
use crate::limits::hand;

fn laptop() -> Fleet {
    fleet::parse(include_str!("../../../../../fleets/laptop.toml")).fleet.expect("the laptop fleet is good")
}

fn attempt(request: u128) -> AttemptId {
    AttemptId { request: RequestId(request), attempt: 1 }
}

/// What requests worked that a contract pays for, numbered from one.
fn worked(contract: ContractId, work: &[i64]) -> Vec<Worked> {
    (1..).zip(work).map(|(request, work)| Worked { attempt: attempt(request), contract, work: *work }).collect()
}

/// Who pays for five seconds of an endpoint, what is held and used, and the shares.
fn check(name: &str, busy_ms: u64, work: &[i64], want: &str) {
    let fleet = laptop();
    let (id, from) = (endpoint(&fleet, name), "2026-11-22T10:00:00Z".parse::<jiff::Timestamp>().expect("a time").into());
    let holding = holding(&fleet, id, from, &mut Drawn::default());
    let shown = match holding.first() {
        None => "nobody".to_owned(),
        Some(first) => {
            let span = Span { from, to: from + Duration::from_secs(5) };
            let work = worked(first.contract, work);
            let metered = held_time(&fleet, id, &holding, &Interval { span, busy: Duration::from_millis(busy_ms), work });
            let (usage, shares) = (metered.held.usage[0], metered.held.shares.iter().map(|(_, share)| share.count()).collect::<Vec<_>>());
            let (payer, rest) = (fleet.contracts.name(usage.contract), metered.rest.iter().map(|worked| worked.work).sum::<i64>());
            let booked = metered.booked.as_millis();
            format!("{payer}: held {}, used {}, shares {shares:?}, booked {booked} ms, left {rest}", usage.held, usage.used)
        }
    };
    assert_eq!(shown, want, "{name} {busy_ms} {work:?}");
}

#[test]
fn held_time_is_paid_by_the_contract_that_holds() {
    check("north", 0, &[], "north-reserved: held 5000, used 0, shares [], booked 0 ms, left 0");
    check("north", 2_000, &[30, 10], "north-reserved: held 5000, used 2000, shares [1500, 500], booked 2000 ms, left 0");
    check("north", 9_000, &[0], "north-reserved: held 5000, used 5000, shares [5000], booked 5000 ms, left 0");
    // Twelve units of 100 tokens a minute: 60,000 unit-milliseconds in five seconds, 600 for each weighted token.
    check("west", 5_000, &[10, 5], "west-provisioned: held 60000, used 9000, shares [6000, 3000], booked 5000 ms, left 0");
    // They take in up to a minute's worth at once, and work it off as time goes by.
    check("west", 5_000, &[70, 50], "west-provisioned: held 60000, used 60000, shares [42000, 18000], booked 5000 ms, left 20");
    check("west", 5_000, &[10_000], "west-provisioned: held 60000, used 60000, shares [60000], booked 5000 ms, left 1200");
    // Paid by the token: nobody pays for the time.
    check("spill", 5_000, &[10], "nobody");
}

#[test]
fn a_replica_draws_contracts_in_order_and_leaves_the_rest_to_the_next_endpoint() {
    let text = include_str!("../../../../../fleets/laptop.toml");
    let more = "[contracts.north-by-the-hour]\nparty = \"northgrid\"\npreset = \"on-demand\"\norder = 1\npools = [\"north\"]\n\
        rate = \"3 USD/accelerator-hour\"\nstart = 2026-01-01\nend = 2031-01-01\n\n\
        [endpoints.north-two]\nmodel = \"smollm2-135m\"\npool = \"north\"\nslots = 4\nqueue = 16\nprofile = \"smollm2-on-a-share\"\n\n";
    let text = text.replacen("[contracts.west-standard]", &format!("{more}[contracts.west-standard]"), 1);
    let text = text.replacen(
        "[pools.north]\nsite = \"desk\"\naccelerator = \"cpu-share\"\ncount = 1",
        "[pools.north]\nsite = \"desk\"\naccelerator = \"cpu-share\"\ncount = 2",
        1,
    );
    let fleet = fleet::parse(&text).fleet.expect("it is good");
    let at = "2026-11-22T10:00:00Z".parse::<jiff::Timestamp>().expect("a time").into();
    let mut drawn = Drawn::default();
    let payers = ["north", "north-two"].map(|name| shown(&fleet, &holding(&fleet, endpoint(&fleet, name), at, &mut drawn)));
    assert_eq!(payers, [["north-reserved 1"], ["north-by-the-hour 1"]]);
}

/// Each contract that holds, and how many.
fn shown(fleet: &Fleet, holding: &[Holder]) -> Vec<String> {
    holding.iter().map(|holder| format!("{} {}", fleet.contracts.name(holder.contract), holder.count)).collect()
}

/// The laptop fleet with a second endpoint on west's units, and a second contract that has units there: eight from July 2026 on, of which
/// five are delivered in November.
fn shared_units() -> Fleet {
    let text = include_str!("../../../../../fleets/laptop.toml");
    let text = text.replacen("endpoints = [\"west\"]\nunits = 12", "endpoints = [\"west\", \"west-two\"]\nunits = 12", 1);
    let more = "\n[endpoints.west-two]\nmodel = \"smollm2-135m\"\nregion = \"home\"\nslots = 4\nqueue = 16\n\
        url = \"http://127.0.0.1:1/v1\"\n\n\
        [contracts.west-more]\nparty = \"westcloud\"\npreset = \"provisioned\"\nendpoints = [\"west\", \"west-two\"]\n\
        units = [{ from = 2026-07-01, is = 8 }]\ntokens_per_unit_minute = 100\nrate = \"0.1 USD/unit-hour\"\n\
        delivery = { tranches = [{ due = 2026-07-01, count = 5, delivered = 2026-11-01 }, { due = 2026-07-01, count = 3 }] }\n\
        start = 2026-01-01\nend = 2031-01-01\n";
    let parsed = fleet::parse(&(text + more));
    parsed.fleet.unwrap_or_else(|| unreachable!("it is good: {:?}", parsed.diagnostics))
}

/// What is held on both endpoints of west's units then, each contract's once.
fn check_units(at: &str, first: &[&str]) {
    let fleet = shared_units();
    let (at, mut drawn) = (at.parse::<jiff::Timestamp>().expect("a time").into(), Drawn::default());
    let mut held = |name| shown(&fleet, &holding(&fleet, endpoint(&fleet, name), at, &mut drawn));
    assert_eq!(held("west"), first, "{at}");
    assert_eq!(held("west-two"), [""; 0], "{at}");
}

#[test]
fn units_are_held_once_by_each_contract_as_far_as_they_are_delivered() {
    check_units("2026-06-01T00:00:00Z", &["west-provisioned 12"]);
    check_units("2026-10-31T00:00:00Z", &["west-provisioned 12"]);
    check_units("2026-11-22T10:00:00Z", &["west-more 5", "west-provisioned 12"]);
}

#[test]
fn each_contracts_units_are_used_by_what_it_pays() {
    let fleet = shared_units();
    let (id, from) = (endpoint(&fleet, "west"), "2026-11-22T10:00:00Z".parse::<jiff::Timestamp>().expect("a time").into());
    let holding = holding(&fleet, id, from, &mut Drawn::default());
    let work: Vec<Worked> = holding.iter().zip([10, 30]).flat_map(|(holder, work)| worked(holder.contract, &[work, 0])).collect();
    let (span, busy) = (Span { from, to: from + Duration::from_secs(5) }, Duration::ZERO);
    let metered = held_time(&fleet, id, &holding, &Interval { span, busy, work });
    let used: Vec<i64> = metered.held.usage.iter().map(|usage| usage.used.count()).collect();
    assert_eq!((used, metered.held.shares.len(), metered.rest.len()), (vec![6_000, 18_000], 2, 0));
    assert_eq!(check_held(&fleet, std::slice::from_ref(&metered.held)), []);
    // As when each endpoint held them.
    let twice = [metered.held.clone(), metered.held];
    assert!(check_held(&fleet, &twice)[0].what.starts_with("contract west-more holds 10 of 5 units of smollm2-135m"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn held_is_used_and_idle_and_shares_add_up(
        name in prop::sample::select(vec!["north", "west"]),
        span_ms in 1..100_000_u64,
        busy_ms in 0..200_000_u64,
        work in prop::collection::vec(0..10_000_i64, 0..20),
    ) {
        let fleet = laptop();
        let (id, from) = (endpoint(&fleet, name), Instant::from_micros(1_795_000_000_000_000));
        let holding = holding(&fleet, id, from, &mut Drawn::default());
        let span = Span { from, to: from + Duration::from_millis(span_ms) };
        let work = worked(holding[0].contract, &work);
        let interval = Interval { span, busy: Duration::from_millis(busy_ms), work: work.clone() };
        let Metered { held: record, booked, rest } = held_time(&fleet, id, &holding, &interval);
        let usage = record.usage[0];
        prop_assert!(rest.is_empty() || usage.held - usage.used <= Quantity::new(600), "less than a token more would have fit");
        prop_assert!(Quantity::ZERO <= usage.used && usage.used <= usage.held);
        prop_assert!(booked <= interval.busy && booked <= span.length());
        let shared: Quantity = record.shares.iter().map(|(_, share)| *share).sum();
        prop_assert_eq!(shared, usage.used, "what nobody worked is not used");
        prop_assert_eq!(check_held(&fleet, std::slice::from_ref(&record)), []);
        prop_assert_eq!(check_time(&[], std::slice::from_ref(&record)), []);
        prop_assert_eq!(split_busy(usage.used, &work.iter().map(|worked| worked.work).collect::<Vec<_>>()).len(), work.len());
    }
}

#[tokio::test]
async fn a_run_posts_what_it_held_to_the_end_without_gap_or_overlap() {
    let mut bench = Bench::start().await;
    bench.north.then(Reply::stream(3));
    let reply = bench.chat(r#"{"model":"default","stream":true,"messages":[]}"#).await;
    assert_eq!(reply.status, 200);
    bench.journal.settled(1).await;
    bench.stop().await;
    let records = bench.journal.records();
    let held = |name: &str| -> Vec<_> {
        let of = endpoint(&bench.fleet, name);
        records
            .iter()
            .filter_map(|record| if let Record::Held(held) = record { Some(held) } else { None })
            .filter(|held| held.endpoint == of)
            .collect()
    };
    let north = held("north");
    assert!(!north.is_empty() && held("spill").is_empty());
    assert!(north.windows(2).all(|pair| pair[0].span.to == pair[1].span.from));
    let sum: i64 = north.iter().map(|held| held.usage[0].held.count()).sum();
    let (first, last) = (north[0].span.from, north[north.len() - 1].span.to);
    assert_eq!(u128::from(sum.unsigned_abs()), last.since(first).as_millis(), "one accelerator all the time");
    let named: Vec<AttemptId> = north.iter().flat_map(|held| held.shares.iter().map(|(attempt, _)| *attempt)).collect();
    let asked = reply.header("x-request-id");
    assert!(named.iter().all(|attempt| attempt.request.to_string() == asked), "only the attempt that was there takes a share");
}

#[tokio::test]
async fn what_is_only_bounded_takes_no_share_from_what_was_worked() {
    let (clock, seconds) = hand();
    let mut bench = Bench::of(Setup { clock, ..Setup::default() }).await;
    let body = r#"{"model":"default","max_tokens":2000,"messages":[]}"#;
    bench.north.then(Reply::Hang(Gate::default()));
    tokio::select! {
        _ = bench.open("POST", "/v1/chat/completions", &[("api-key", KEY)], body) => unreachable!("the gate stays shut"),
        () = bench.north.until_heard(1) => { seconds.fetch_add(2, Ordering::SeqCst); }
    }
    bench.journal.settled(1).await;
    let asked = bench.chat(body).await.header("x-request-id").to_owned();
    bench.journal.settled(2).await;
    bench.stop().await;
    let shares =
        bench.journal.records().into_iter().filter_map(|record| if let Record::Held(held) = record { Some(held.shares) } else { None });
    let named: Vec<String> = shares.flatten().map(|(attempt, _)| attempt.request.to_string()).collect();
    assert_eq!(named, [asked], "the two seconds were waited, and the answer was work");
}

#[tokio::test]
async fn units_of_a_contract_that_prices_tokens_too_take_what_fits_and_the_rest_is_paid_by_the_token() {
    let rates = [("units", "0.1 USD/unit-hour"), ("input", "1 USD/1M tokens"), ("output", "2 USD/1M tokens")];
    let rate = |(meter, rate)| format!("\n[[contracts.west-both.rates]]\nmeter = \"{meter}\"\nof = \"smollm2-135m\"\nrate = \"{rate}\"\n");
    let both = "\n[contracts.west-both]\nparty = \"westcloud\"\nendpoints = [\"west\"]\nstart = 2026-01-01\nend = 2031-01-01\n\n\
        [[contracts.west-both.capacity]]\nmodel = \"smollm2-135m\"\nunits = 5\ntokens_per_unit_minute = 100\n";
    let fleet = crate::bench::LAPTOP.to_owned() + both + &rates.map(rate).concat();
    let (clock, seconds) = hand();
    let mut bench = Bench::of(Setup { fleet, clock: clock.clone(), ..Setup::default() }).await;
    bench.without(&["north", "spill"]);
    let sheet = market::price_sheet(&bench.fleet, &market::Balances::default(), &market::Forecast::default(), clock.now());
    bench.gateway.set_sheet(market::PriceSheet { valid_until: Instant::MAX, usable_until: Instant::MAX, ..sheet });
    // The first takes all of a minute's units, so the second is beyond them.
    for (input, output) in [(490, 10), (20, 3)] {
        bench.west.then(Reply::answer(input, output));
        assert_eq!(bench.chat(r#"{"model":"default","max_tokens":20,"messages":[]}"#).await.status, 200);
    }
    let settled = bench.journal.settled(2).await;
    seconds.fetch_add(60, Ordering::SeqCst);
    bench.stop().await;
    let both = bench.fleet.contracts.id("west-both").expect("it is there");
    let posted = |settlement| -> Vec<i64> { dispatch::postings(&bench.fleet, settlement).iter().map(|usage| usage.held.count()).collect() };
    let shown: Vec<_> = settled.iter().map(|settlement| (settlement.contract, settlement.in_units, posted(settlement))).collect();
    assert_eq!(shown, [(both, true, vec![]), (both, false, vec![20, 3])]);
    let held = bench.journal.records().into_iter().filter_map(|record| if let Record::Held(held) = record { Some(held) } else { None });
    let shares: Vec<AttemptId> = held.flat_map(|held| held.shares.into_iter().map(|(attempt, _)| attempt)).collect();
    assert!(!shares.is_empty() && shares.iter().all(|attempt| *attempt == settled[0].attempt), "{shares:?}");
    let decided = bench.journal.records().into_iter().filter_map(|record| match record {
        Record::Decided { question, decision, .. } => Some(dispatch::decide(&bench.fleet, &question) == Ok(*decision)),
        Record::Settled(_) | Record::Held(_) => None,
    });
    assert_eq!(decided.collect::<Vec<_>>(), [true, true], "decided again by what the journal says it is the same");
}

/// A run of twenty seconds that is told to post nothing before `posted`, and of what others hold too only from `from` to `until`, by seconds. What
/// it posts of the north replica, as from-to, a span of nothing held as `-`.
async fn check_kept(shared: bool, posted: i64, kept: Option<(i64, i64)>, expected: &[&str]) {
    let began = 1_795_000_000_000_000;
    let now = Arc::new(AtomicI64::new(began));
    let clock = Clock::from_fn({
        let now = Arc::clone(&now);
        move || Instant::from_micros(now.load(Ordering::Relaxed))
    });
    let limits = Limits { shared, ..Limits::default() };
    let mut bench = Bench::of(Setup { limits, clock, ..Setup::default() }).await;
    let at = |seconds: i64| Instant::from_micros(began + seconds * 1_000_000);
    bench.gateway.hold_from(at(posted));
    if let Some((from, until)) = kept {
        bench.gateway.keep_held(at(from), at(until));
    }
    now.store(at(20).micros(), Ordering::Relaxed);
    bench.stop().await;
    let north = endpoint(&bench.fleet, "north");
    let shown: Vec<String> = bench
        .journal
        .records()
        .iter()
        .filter_map(|record| if let Record::Held(held) = record { Some(held) } else { None })
        .filter(|held| held.endpoint == north)
        .map(|held| {
            let [from, to] = [held.span.from, held.span.to].map(|at| (at.micros() - began) / 1_000);
            let sum: i64 = held.usage.iter().map(|usage| usage.held.count()).sum();
            assert!(held.usage.is_empty() || sum == to - from, "one accelerator: {held:?}");
            format!("{from}{}{to}", if held.usage.is_empty() { "-" } else { " to " })
        })
        .collect();
    assert_eq!(shown, expected, "{shared} {posted} {kept:?}");
    let last = kept.map_or(if shared { Instant::MIN.micros() } else { at(20).micros() }, |(_, until)| at(until).min(at(20)).micros());
    assert_eq!(bench.gateway.held_posted().micros(), last);
}

#[tokio::test]
async fn of_several_gateways_each_posts_what_it_is_told_to_and_none_posts_what_is_posted() {
    check_kept(false, 0, None, &["0 to 20000"]).await;
    check_kept(false, 7, None, &["7000 to 20000"]).await;
    check_kept(true, 0, None, &[]).await;
    check_kept(true, 0, Some((0, 30)), &["0 to 20000"]).await;
    check_kept(true, 0, Some((5, 30)), &["5000 to 20000"]).await;
    check_kept(true, 9, Some((5, 12)), &["9000 to 12000", "12000-12001"]).await;
}

/// Two gateways on one accelerator, of which the first posts it: it is busy for a second, the other for that one and the next. The second in
/// which both were counts once, and each attempt has a share by its work.
#[tokio::test]
async fn who_posts_held_time_posts_what_another_gateway_used_of_it() {
    let (clock, seconds) = hand();
    let limits = Limits { shared: true, ..Limits::default() };
    let setup = || Setup { clock: clock.clone(), limits: limits.clone(), ..Setup::default() };
    let (mut first, mut second) = (Bench::of(setup()).await, Bench::of(setup()).await);
    let from = clock.now();
    first.gateway.keep_held(from, from + Duration::from_secs(3_600));
    let gates = [Gate::default(), Gate::default()];
    for (bench, gate, output) in [(&first, &gates[0], 10), (&second, &gates[1], 30)] {
        bench.north.then(Reply::Late(gate.clone(), Box::new(Reply::answer(0, output))));
    }
    let body = r#"{"model":"default","max_tokens":30,"messages":[]}"#;
    let moved = async {
        for (bench, gate) in [(&first, &gates[0]), (&second, &gates[1])] {
            first.north.until_heard(1).await;
            second.north.until_heard(1).await;
            seconds.fetch_add(1, Ordering::SeqCst);
            gate.open(1);
            bench.journal.settled(1).await;
        }
    };
    tokio::join!(first.chat(body), second.chat(body), moved);
    let attempts = [first.journal.settled(1).await[0].attempt, second.journal.settled(1).await[0].attempt];
    second.stop().await;
    assert!(!second.journal.records().iter().any(|record| matches!(record, Record::Held(_))), "it is another's to post");
    for (endpoint, used) in second.gateway.take_used() {
        first.gateway.add_used(endpoint, used);
    }
    assert_eq!(second.gateway.take_used(), [], "it is told once");
    first.stop().await;
    let north = endpoint(&first.fleet, "north");
    let (mut used, mut shares) = (Quantity::ZERO, [Quantity::ZERO; 2]);
    for record in first.journal.records() {
        let Record::Held(held) = record else { continue };
        if held.endpoint == north {
            used += held.usage.iter().map(|usage| usage.used).sum::<Quantity>();
            for (attempt, share) in held.shares {
                shares[attempts.iter().position(|of| *of == attempt).expect("one of the two")] += share;
            }
        }
    }
    assert_eq!((used.count(), shares[0] + shares[1]), (2_000, used));
    assert!(shares[0] > Quantity::ZERO && shares[1] > shares[0], "{shares:?}");
}
