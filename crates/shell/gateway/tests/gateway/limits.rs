//! Limits and budgets: never passed by more than one request's own bound, and nothing reserved stays behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use dispatch::{KeyId, Record, Settlement};
use fleet::Allowance;
use gateway::{Balance, Clock, Limits, Owner};
use ledger::{Correct, KeyRow, Spending, SpendingReader};
use market::{LEASE_HOLDS, Leased, RATE_WHOLE, TokenPrices, Tokens};
use testkit::checkers::{Spender, check_budget};
use testkit::{Ending, Gate, Reply};
use units::{Instant, Money};

use crate::bench::{Bench, Setup, endpoint, key, sheet};

const ADA: &str = "bl-ada000000000-canary";
const BOB: &str = "bl-bob000000000-canary";
const FIVE: &str = r#"{"model":"default","max_tokens":5,"messages":[{"role":"user","content":"hello"}]}"#;

fn allowance(requests: &str, tokens: &str, budget: &str) -> Allowance {
    Allowance { requests: requests.parse().ok(), tokens: tokens.parse().ok(), budget: budget.parse().ok() }
}

fn ada(allowance: Allowance) -> KeyRow {
    KeyRow { id: KeyId(1), allowance, ..key("ada000000000", "canary", &[]) }
}

fn bob(allowance: Allowance) -> KeyRow {
    KeyRow { id: KeyId(2), allowance, ..key("bob000000000", "canary", &[]) }
}

/// The laptop fleet with these tables at its end.
pub fn laptop(tables: &str) -> String {
    format!("{}\n{tables}", Setup::default().fleet)
}

/// A clock that stands still until it is moved, in seconds.
pub fn hand() -> (Clock, Arc<AtomicI64>) {
    let seconds = Arc::new(AtomicI64::new(1_800_000_000));
    let read = Arc::clone(&seconds);
    (Clock::from_fn(move || Instant::from_micros(read.load(Ordering::SeqCst) * 1_000_000)), seconds)
}

/// A bench whose endpoints bill this many nanos a token, whoever pays; of each, north is the cheapest at the margin, then west.
async fn priced(setup: Setup, [north, west, spill]: [i64; 3]) -> Bench {
    let bench = Bench::of(setup).await;
    let mut sheet = sheet(&bench.fleet);
    for (name, nanos) in [("north", north), ("west", west), ("spill", spill)] {
        let id = endpoint(&bench.fleet, name);
        let price = sheet.endpoints.iter_mut().find(|price| price.endpoint == id).expect("somebody pays for it");
        price.payers[0].as_mut().expect("somebody pays").list =
            TokenPrices { input: nanos * 1_000_000, cached: nanos * 1_000_000, output: nanos * 1_000_000 };
    }
    bench.gateway.set_sheet(sheet);
    bench
}

/// What is taken of a budget, in nanos.
fn taken(bench: &Bench, owner: Owner) -> i128 {
    let balances = bench.gateway.balances();
    let found: Option<&Balance> = balances.iter().find(|balance| balance.owner == owner);
    found.expect("it has a budget").taken.nanos()
}

fn settlements(bench: &Bench) -> Vec<Settlement> {
    let settled = |record: Record| if let Record::Settled(settlement) = record { Some(settlement) } else { None };
    bench.journal.records().into_iter().filter_map(settled).collect()
}

#[tokio::test]
async fn requests_a_minute_are_counted_told_and_refused() {
    let (clock, seconds) = hand();
    let keys = vec![ada(allowance("2/min", "", "")), bob(Allowance::default())];
    let bench = Bench::of(Setup { keys, clock, ..Setup::default() }).await;
    let first = bench.chat_with(ADA, FIVE).await;
    let told = ["limit", "remaining", "reset"].map(|what| first.header(&format!("x-ratelimit-{what}-requests")).to_owned());
    assert_eq!((first.status.as_u16(), told), (200, ["2", "1", "30s"].map(str::to_owned)));
    assert_eq!(first.header("x-ratelimit-limit-tokens"), "", "there is no such limit");
    assert_eq!(bench.chat_with(ADA, FIVE).await.header("x-ratelimit-reset-requests"), "1m0s");
    let third = bench.chat_with(ADA, FIVE).await;
    assert_eq!(third.error(), (429, "rate_limit_exceeded".to_owned()));
    let back = ["retry-after", "retry-after-ms", "x-ratelimit-remaining-requests", "x-should-retry"].map(|name| third.header(name));
    assert_eq!(back, ["30", "30000", "0", ""]);
    assert_eq!(bench.chat_with(BOB, FIVE).await.status, 200, "another key is not concerned");
    assert_eq!(bench.chat_with(BOB, FIVE).await.header("x-ratelimit-limit-requests"), "", "and hears nothing of limits it lacks");
    seconds.fetch_add(30, Ordering::SeqCst);
    assert_eq!(bench.chat_with(ADA, FIVE).await.status, 200);
    assert_eq!(bench.north.heard().len(), 5, "what is refused reaches no upstream");
}

/// A lease of a second for each of sixty requests a minute, as whoever shares them grants it.
#[tokio::test]
async fn of_a_shared_rate_only_what_is_leased_is_taken_and_a_request_waits_for_that() {
    let (clock, seconds) = hand();
    let now = || Instant::from_micros(seconds.load(Ordering::SeqCst) * 1_000_000);
    let limits = Limits { shared: true, ..Limits::default() };
    let bench = Bench::of(Setup { keys: vec![ada(allowance("60/min", "", ""))], clock, limits, ..Setup::default() }).await;
    let parts = bench.gateway.rate_parts();
    assert_eq!(parts.len(), 1, "it has no other rate");
    let part = &parts[0];
    assert_eq!((part.owner, part.kind), (Owner::Key(KeyId(1)), "requests"));
    let grant = |more: i64, free: i64| {
        let keep = part.standing().taken + more;
        part.renew(Leased { granted: keep, keep, free }, now() + LEASE_HOLDS);
    };
    let (first, ()) = tokio::join!(bench.chat_with(ADA, FIVE), async {
        while part.standing().need == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(part.standing().need, RATE_WHOLE / 60);
        grant(RATE_WHOLE / 60, RATE_WHOLE / 60 * 59);
    });
    let told = ["limit", "remaining", "reset"].map(|what| first.header(&format!("x-ratelimit-{what}-requests")).to_owned());
    assert_eq!((first.status.as_u16(), told), (200, ["60", "59", "1s"].map(str::to_owned)), "what the bucket of all has");
    assert_eq!(part.standing().need, 0, "nobody waits any more");

    grant(0, 0);
    let dry = bench.chat_with(ADA, FIVE).await;
    assert_eq!((dry.error(), dry.header("retry-after-ms")), ((429, "rate_limit_exceeded".to_owned()), "1000"));
    seconds.fetch_add(6, Ordering::SeqCst);
    assert_eq!(bench.chat_with(ADA, FIVE).await.error(), (503, "no_lease".to_owned()));
    grant(RATE_WHOLE / 60, 0);
    assert_eq!(bench.chat_with(ADA, FIVE).await.status, 200);
    assert_eq!(bench.north.heard().len(), 2);
}

#[tokio::test]
async fn tokens_are_taken_before_and_put_right_after() {
    let (clock, _) = hand();
    let bench = Bench::of(Setup { keys: vec![ada(allowance("", "1k/min", ""))], clock, ..Setup::default() }).await;
    let large = r#"{"model":"default","max_tokens":900,"messages":[{"role":"user","content":"hello"}]}"#;
    let (gate, answered) = (Gate::default(), Reply::answer(7, 5));
    bench.north.then(Reply::Hang(gate.clone())).then(answered);
    let (first, second) = tokio::join!(bench.chat_with(ADA, large), async {
        bench.north.until_heard(1).await;
        let second = bench.chat_with(ADA, large).await;
        gate.open(1);
        second
    });
    assert_eq!((first.status.as_u16(), second.error()), (200, (429, "rate_limit_exceeded".to_owned())), "two at once are too many");
    // The first took 12 tokens as counted from its text at most: what it did not use came back.
    let third = bench.chat_with(ADA, large).await;
    assert_eq!(third.status, 200);
    bench.journal.settled(2).await;
    let used: i64 = settlements(&bench).iter().map(|settled| i64::from(settled.tokens.input + settled.tokens.output)).sum();
    let last = bench.chat_with(ADA, FIVE).await;
    let left: i64 = last.header("x-ratelimit-remaining-tokens").parse().expect("a number");
    assert!((1_000 - used - 30..=1_000 - used).contains(&left), "{left} of 1,000 are left after {used} and one more");
    let huge = r#"{"model":"default","max_tokens":2000,"messages":[]}"#;
    let never = bench.chat_with(ADA, huge).await;
    assert_eq!((never.error(), never.header("x-should-retry")), ((429, "rate_limit_exceeded".to_owned()), "false"));
}

#[tokio::test]
async fn a_team_and_the_fleet_share_their_limits_among_keys() {
    let (clock, _) = hand();
    let fleet = laptop("[teams.chat]\nrequests = \"2/min\"\n[limits]\nrequests = \"3/min\"\n");
    let team = |row: KeyRow| KeyRow { team: Some("chat".to_owned()), ..row };
    let keys = vec![
        team(ada(allowance("9/min", "", ""))),
        team(bob(Allowance::default())),
        KeyRow { id: KeyId(3), ..key("eve000000000", "canary", &[]) },
    ];
    let bench = Bench::of(Setup { fleet, keys, clock, ..Setup::default() }).await;
    let first = bench.chat_with(ADA, FIVE).await;
    let told = ["limit", "remaining"].map(|what| first.header(&format!("x-ratelimit-{what}-requests")).to_owned());
    assert_eq!(told, ["2", "1"].map(str::to_owned), "the least that is left is told");
    assert_eq!(bench.chat_with(BOB, FIVE).await.status, 200);
    let third = bench.chat_with(BOB, FIVE).await;
    assert!(third.text.contains("your team may take 2 requests a minute"), "{}", third.text);
    assert_eq!(bench.chat_with("bl-eve000000000-canary", FIVE).await.status, 200, "what the team was refused was not taken from the fleet");
    assert!(bench.chat_with("bl-eve000000000-canary", FIVE).await.text.contains("the whole fleet may take 3"));
}

/// Twelve tokens an answer at 1,000 nanos: each costs 12,000. Set aside are five and the input, which is 8 by its 35 bytes at first and
/// 7 as soon as the upstream has said so.
#[tokio::test]
async fn a_budget_pays_for_what_it_can_and_no_more() {
    let bench = priced(Setup { keys: vec![ada(allowance("", "", "0.00003 USD/month"))], ..Setup::default() }, [1_000; 3]).await;
    assert_eq!(bench.chat_with(ADA, FIVE).await.status, 200);
    assert_eq!(taken(&bench, Owner::Key(KeyId(1))), 12_000);
    assert_eq!(bench.chat_with(ADA, FIVE).await.status, 200);
    assert_eq!(taken(&bench, Owner::Key(KeyId(1))), 24_000);
    let third = bench.chat_with(ADA, FIVE).await;
    assert_eq!((third.error(), third.header("x-should-retry")), ((429, "insufficient_quota".to_owned()), "false"));
    assert_eq!((third.json()["error"]["type"].as_str(), third.header("retry-after")), (Some("insufficient_quota"), ""));
    assert_eq!((bench.north.heard().len(), taken(&bench, Owner::Key(KeyId(1)))), (2, 24_000));
}

#[tokio::test]
async fn a_new_period_begins_with_a_whole_budget_and_old_requests_stay_in_theirs() {
    let (clock, seconds) = hand();
    let bench = priced(Setup { keys: vec![ada(allowance("", "", "0.00002 USD/day"))], clock, ..Setup::default() }, [1_000; 3]).await;
    let gate = Gate::default();
    bench.north.then(Reply::Hang(gate.clone()));
    let (old, ()) = tokio::join!(bench.chat_with(ADA, FIVE), async {
        bench.north.until_heard(1).await;
        assert_eq!(taken(&bench, Owner::Key(KeyId(1))), 13_000);
        seconds.fetch_add(86_400, Ordering::SeqCst);
        assert_eq!(bench.chat_with(ADA, FIVE).await.status, 200);
        gate.open(1);
    });
    assert_eq!(old.status, 200);
    assert_eq!(taken(&bench, Owner::Key(KeyId(1))), 12_000, "the old request was settled in the day that it began in");
}

#[tokio::test]
async fn other_limits_leave_what_is_taken_taken() {
    let bench = priced(Setup { keys: vec![ada(allowance("9/min", "", "1 USD/month"))], ..Setup::default() }, [1_000; 3]).await;
    let gate = Gate::default();
    bench.north.then(Reply::answer(7, 5)).then(Reply::Hang(gate.clone()));
    assert_eq!(bench.chat_with(ADA, FIVE).await.status, 200);
    let (late, ()) = tokio::join!(bench.chat_with(ADA, FIVE), async {
        bench.north.until_heard(2).await;
        bench.gateway.set_keys(&[ada(allowance("3/min", "", "0.00003 USD/month"))]);
        assert_eq!(taken(&bench, Owner::Key(KeyId(1))), 24_000, "12 tokens spent and 12 set aside");
        let third = bench.chat_with(ADA, FIVE).await;
        assert_eq!(third.error(), (429, "insufficient_quota".to_owned()));
        gate.open(1);
    });
    assert_eq!(late.status, 200);
    let spent: i128 = bench.journal.settled(2).await.iter().map(|settlement| settlement.list.nanos()).sum();
    assert_eq!(taken(&bench, Owner::Key(KeyId(1))), spent, "what was under way is put right in the new account");
}

/// I7, live: 64 clients at once on a budget for ten answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_clients_at_once_never_overspend_a_budget() {
    let budget = 120_000;
    const BUDGET: &str = "0.00012 USD/month";
    let fleet = laptop(&format!("[teams.chat]\nbudget = \"{BUDGET}\"\n"));
    let keys = vec![KeyRow { team: Some("chat".to_owned()), ..ada(Allowance::default()) }];
    let bench = Arc::new(priced(Setup { fleet, keys, ..Setup::default() }, [1_000; 3]).await);
    let team = Owner::Team(bench.fleet.teams.id("chat").expect("it is there"));
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let bench = Arc::clone(&bench);
        clients.spawn(async move {
            let mut answered = 0_usize;
            for _ in 0..4 {
                let reply = bench.chat_with(ADA, FIVE).await;
                assert!(reply.status == 200 || reply.error() == (429, "insufficient_quota".to_owned()), "{}", reply.text);
                answered += usize::from(reply.status == 200);
            }
            answered
        });
    }
    let answered: usize = clients.join_all().await.into_iter().sum();
    let settled = bench.journal.settled(answered).await;
    let spent: i128 = settled.iter().map(|settlement| settlement.list.nanos()).sum();
    assert_eq!((settled.len(), taken(&bench, team)), (answered, spent), "nothing is reserved any more, and nothing was lost");
    // A request's own bound is 13,000: less than that is left over, and never more than the budget is spent.
    assert!(spent <= budget && spent > budget - 2 * 13_000, "{spent} of {budget}");
    let (records, spender) = (bench.journal.records(), Spender { keys: vec![KeyId(1)], budget: BUDGET.parse().expect("a budget") });
    // A request fits beside eight also by what was set aside for them, and beside nine not even by what they took: so it is the same on
    // which side of a beginning another thread wrote an end.
    assert_eq!(check_budget(&bench.fleet, &spender, &records), []);
}

/// Of another gateway (BerriAI/litellm 41344): the budget was checked on the model that was asked for, and the fallback was billed.
#[tokio::test]
async fn a_fallback_is_checked_against_the_budget_by_what_it_bills() {
    let bench = priced(Setup { keys: vec![ada(allowance("", "", "0.0001 USD/month"))], ..Setup::default() }, [1_000, 100_000, 2_000]).await;
    bench.north.then(Reply::page(500));
    let reply = bench.chat_with(ADA, FIVE).await;
    assert_eq!((reply.status.as_u16(), reply.header("x-baseload-endpoint")), (200, "spill"), "west would be next, but can't be paid");
    let records = bench.journal.records();
    let reasons = records.iter().filter_map(|record| match record {
        Record::Decided { question, decision, .. } => Some((question, decision)),
        Record::Settled(_) | Record::Held(_) => None,
    });
    for (question, decision) in reasons {
        let west = decision.passed_over.iter().find(|passed| passed.endpoint == endpoint(&bench.fleet, "west")).expect("it was seen");
        assert!(matches!(west.reason, dispatch::Reason::OverBudget { short } if short > Money::ZERO), "{west:?}");
        assert_eq!(dispatch::decide(&bench.fleet, question).as_ref(), Ok(&**decision), "what the accounts could pay is replayed");
    }
    assert_eq!(taken(&bench, Owner::Key(KeyId(1))), 24_000, "the failed attempt cost nothing, the other twelve tokens at 2,000");
    bench.spill.then(Reply::page(500));
    bench.north.then(Reply::page(500));
    let reply = bench.chat_with(ADA, FIVE).await;
    assert_eq!(reply.error(), (503, "no_capacity".to_owned()), "the two that can be paid have failed, and may be back");
    assert!(bench.west.heard().is_empty());
}

/// Nothing that is reserved stays behind, however a request ends.
#[tokio::test]
async fn no_reservation_outlives_its_request() {
    let bench = priced(Setup { keys: vec![ada(allowance("", "1M/min", "1 USD/month"))], ..Setup::default() }, [1_000; 3]).await;
    let stream = r#"{"model":"default","stream":true,"max_tokens":50,"messages":[]}"#;
    let mut settled = 0;
    for (reply, attempts, body) in [
        (Reply::status(422), 1, FIVE),
        (Reply::Drop, 2, FIVE),
        (Reply::Half, 2, FIVE),
        (Reply::busy(None), 2, FIVE),
        (Reply::Answer(None), 1, FIVE),
        (Reply::ending(3, Ending::Reset), 1, stream),
        (Reply::ending(3, Ending::Error), 1, stream),
        (Reply::Answer(None), 1, FIVE),
    ] {
        bench.north.then(reply.clone());
        bench.chat_with(ADA, body).await;
        settled += attempts;
        bench.journal.settled(settled).await;
        let spent: i128 = settlements(&bench).iter().map(|settlement| settlement.list.nanos()).sum();
        assert_eq!(taken(&bench, Owner::Key(KeyId(1))), spent, "{reply:?}");
    }
    // A client that hangs up, before any content and after.
    let gate = Gate::default();
    bench.north.then(Reply::Hang(gate));
    let heard = bench.north.heard().len();
    tokio::select! {
        _ = bench.open("POST", "/v1/chat/completions", &[("api-key", ADA)], FIVE) => unreachable!("the gate stays shut"),
        () = bench.north.until_heard(heard + 1) => {}
    }
    let spent: i128 = bench.journal.settled(settled + 1).await.iter().map(|settlement| settlement.list.nanos()).sum();
    assert_eq!(taken(&bench, Owner::Key(KeyId(1))), spent);
    bench.journal.fill();
    assert_eq!(bench.chat_with(ADA, FIVE).await.status, 503);
    assert_eq!(taken(&bench, Owner::Key(KeyId(1))), spent, "what the journal did not take is not reserved");
}

#[tokio::test]
async fn balances_are_a_fold_of_what_was_spent_in_the_present_period() {
    let fleet = laptop("[teams.chat]\nbudget = \"3 USD/week\"\n[limits]\nbudget = \"5 USD/year\"\n");
    let keys = vec![KeyRow { team: Some("chat".to_owned()), ..ada(allowance("", "", "1 USD/day")) }, bob(Allowance::default())];
    let (clock, _) = hand();
    let bench = Bench::of(Setup { fleet, keys, clock, ..Setup::default() }).await;
    // The clock stands at 2027-01-15T08:00:00Z, a Friday.
    let year = "2027-01-01T00:00:00Z".parse::<jiff::Timestamp>().expect("a time");
    assert_eq!(bench.gateway.balances_from(), Some(year.into()));
    for (key, decided, list) in [
        (1, "2027-01-15T00:00:00Z", 1),
        (1, "2027-01-14T23:59:59Z", 10),
        (1, "2027-01-10T12:00:00Z", 100),
        (2, "2027-01-15T01:00:00Z", 1_000),
        (9, "2027-01-02T00:00:00Z", 10_000),
        (1, "2026-12-31T23:59:59Z", 100_000),
        // What corrections take back counts in the same periods.
        (2, "2027-01-15T01:00:00Z", -400),
        (1, "2026-12-31T23:59:59Z", -100_000),
    ] {
        let decided = decided.parse::<jiff::Timestamp>().expect("a time").into();
        bench.gateway.count_spent(Spending { key: KeyId(key), decided, list: Money::from_nanos(list) });
    }
    let team = Owner::Team(bench.fleet.teams.id("chat").expect("it is there"));
    assert_eq!([Owner::Key(KeyId(1)), team, Owner::Fleet].map(|owner| taken(&bench, owner)), [1, 11, 10_711]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn balances_are_the_same_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = laptop("[limits]\nbudget = \"5 USD/year\"\n");
    let fleet = Arc::new(fleet::parse(&text).fleet.expect("the fleet is good"));
    let clock = Clock::system();
    let (store, _) = ledger::Store::open(folder.path(), &text, Arc::clone(&fleet), clock.now()).expect("a new store");
    let keys = vec![ada(Allowance::default())];
    let bench = Bench::of(Setup { fleet: text.clone(), keys: keys.clone(), ..Setup::default() }).await;
    bench.chat_with(ADA, FIVE).await;
    bench.chat_with(ADA, FIVE).await;
    bench.journal.settled(2).await;
    for record in bench.journal.records().iter().filter(|record| !matches!(record, Record::Held(_))) {
        store.append(record).expect("booked");
    }
    store.flush().expect("committed");
    let again = Bench::of(Setup { fleet: text.clone(), keys: keys.clone(), ..Setup::default() }).await;
    let spent = |spending| again.gateway.count_spent(spending);
    let mut reader = SpendingReader::begin(&store, again.gateway.balances_from(), spent).expect("read");
    let before = taken(&bench, Owner::Fleet);
    assert!(before > 0);
    assert_eq!(taken(&again, Owner::Fleet), before);

    // Another process says that the first one took nothing: the running gateway hears of it once, and one that begins later no more.
    let first = settlements(&bench)[0];
    let said = Correct { attempt: first.attempt, tokens: Tokens::default(), why: "the bill".to_owned(), who: "ada".to_owned() };
    ledger::correct(folder.path(), &said, clock.now()).expect("corrected");
    for _ in 0..2 {
        reader.catch_up(&store, spent).expect("read");
        assert_eq!(taken(&again, Owner::Fleet), before - first.list.nanos());
    }
    let later = Bench::of(Setup { fleet: text, keys, ..Setup::default() }).await;
    let spent = |spending| later.gateway.count_spent(spending);
    let mut reader = SpendingReader::begin(&store, later.gateway.balances_from(), spent).expect("read");
    reader.catch_up(&store, spent).expect("read");
    assert_eq!(taken(&later, Owner::Fleet), before - first.list.nanos());
}

/// How many input tokens a request with this part was decided on.
async fn decided_on(bench: &Bench, part: &str) -> u32 {
    let body = format!(r#"{{"model":"default","messages":[{{"role":"user","content":[{part}]}}]}}"#);
    assert_eq!(bench.chat(&body).await.status, 200);
    let asked = |record: Record| if let Record::Decided { question, .. } = record { Some(question.ask.tokens.input) } else { None };
    bench.journal.records().into_iter().filter_map(asked).next_back().expect("it was decided")
}

#[tokio::test]
async fn a_file_counts_by_its_size_and_no_more_than_the_context_holds() {
    let bench = Bench::start().await;
    let file = |letters: usize| {
        let base64 = "A".repeat(letters);
        format!(r#"{{"type":"file","file":{{"file_data":"data:application/pdf;base64,{base64}"}}}}"#)
    };
    // Four letters a token, with some hundred around them.
    assert!((1_750..1_800).contains(&decided_on(&bench, &file(7_000)).await));
    assert_eq!(decided_on(&bench, &file(40_000)).await, 2_048);
    let sound = format!(r#"{{"type":"input_audio","input_audio":{{"data":"{}","format":"wav"}}}}"#, "A".repeat(40_000));
    assert!((1_500..1_550).contains(&decided_on(&bench, &sound).await), "what is seen or heard counts little");
}
