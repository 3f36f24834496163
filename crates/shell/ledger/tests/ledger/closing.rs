//! Each contract's period closes once, by its own calendar, whatever the clock does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dispatch::{Ask, AttemptId, Cost, Decision, KeyId, KeyScope, Known, Needs, Outcome, Policy, Question, Record, Rule, Settlement};
use fleet::{Calendar, Fleet, Period, ServiceTier};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ledger::{Closed, Correct, Store, closable, correct, verify};
use market::{TokenPrices, Tokens};
use proptest::prelude::*;
use units::{Instant, Money, Span};

use crate::fixture::{attempt, fleet};

fn at(text: &str) -> Instant {
    text.parse::<jiff::Timestamp>().expect("a timestamp").into()
}

/// The spans that close when the clock says each of `nows` in turn, for a contract with that calendar over `[2011, 2040)`.
fn check(zone: &str, anchor: &str, period: Period, began: &str, nows: &[&str], expected: &[(&str, &str)]) {
    let small = fleet();
    let mut terms = small.contracts[small.contracts.id("tokens").expect("it is there")].clone();
    let anchor: DateTime = anchor.parse().expect("a civil time");
    terms.calendar = Calendar::new(TimeZone::get(zone).expect("a zone"), anchor, period);
    terms.term = Span { from: at("2011-01-01T00:00:00Z"), to: at("2040-01-01T00:00:00Z") };
    let (mut closed_to, mut found) = (None, Vec::new());
    for now in nows {
        while let Some((_, span)) = closable(&terms, closed_to, at(began), at(now)) {
            assert!(span.from < span.to && closed_to.is_none_or(|to| to == span.from), "no gap, no overlap, nothing negative");
            closed_to = Some(span.to);
            found.push((span.from.to_string(), span.to.to_string()));
        }
    }
    let found: Vec<(&str, &str)> = found.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    assert_eq!(found, expected, "{zone} {period:?}");
}

#[test]
fn periods_close_by_their_own_calendar() {
    // A quarter of an hour after its end, not a moment before.
    let month = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
    check("UTC", "2026-01-01T00:00", Period::Months(1), "2026-01-20T00:00:00Z", &["2026-02-01T00:14:59Z"], &[]);
    check("UTC", "2026-01-01T00:00", Period::Months(1), "2026-01-20T00:00:00Z", &["2026-02-01T00:15:00Z"], &[month]);
    // The day that summer time begins in has 23 hours, the day that it ends in has 25.
    let begins = [("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")];
    check("Europe/Paris", "2026-01-01T00:00", Period::Days(1), "2026-03-29T12:00:00Z", &["2026-03-29T22:15:00Z"], &begins);
    let ends = [("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z")];
    check(
        "Europe/Paris",
        "2026-01-01T00:00",
        Period::Days(1),
        "2026-10-25T12:00:00Z",
        &["2026-10-25T22:59:00Z", "2026-10-25T23:15:00Z"],
        &ends,
    );
    // Anchored on a 31st: months end where there is no 31st, and come back to it. A leap day is in its month.
    let ends = [
        ("2027-12-31T00:00:00Z", "2028-01-31T00:00:00Z"),
        ("2028-01-31T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("2028-02-29T00:00:00Z", "2028-03-31T00:00:00Z"),
    ];
    check("UTC", "2027-12-31T00:00", Period::Months(1), "2028-01-01T00:00:00Z", &["2028-03-31T00:15:00Z"], &ends);
    // Samoa had no 30 December 2011: that day is no period.
    let skipped = [("2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"), ("2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z")];
    check("Pacific/Apia", "2011-01-01T00:00", Period::Days(1), "2011-12-29T12:00:00Z", &["2011-12-31T10:15:00Z"], &skipped);
}

#[test]
fn whatever_the_clock_says_nothing_closes_twice_and_nothing_is_left_out() {
    let hours = [
        ("2026-11-22T00:00:00Z", "2026-11-22T01:00:00Z"),
        ("2026-11-22T01:00:00Z", "2026-11-22T02:00:00Z"),
        ("2026-11-22T02:00:00Z", "2026-11-22T03:00:00Z"),
    ];
    let closes = |nows: &[&str], expected| check("UTC", "2026-01-01T00:00", Period::Minutes(60), "2026-11-22T00:30:00Z", nows, expected);
    // Set back by an hour, and by a second at the very instant, as for a leap second.
    closes(&["2026-11-22T01:20:00Z", "2026-11-22T00:20:00Z", "2026-11-22T01:20:00Z"], &hours[..1]);
    closes(&["2026-11-22T01:15:00Z", "2026-11-22T01:14:59Z", "2026-11-22T01:15:00Z", "2026-11-22T02:15:00Z"], &hours[..2]);
    // Asleep for hours: all of them at once, in order.
    closes(&["2026-11-22T00:40:00Z", "2026-11-22T03:15:00Z"], &hours);
    // Past the second that 32 bits can't count.
    let months = [("2038-01-01T00:00:00Z", "2038-02-01T00:00:00Z"), ("2038-02-01T00:00:00Z", "2038-03-01T00:00:00Z")];
    check("UTC", "2026-01-01T00:00", Period::Months(1), "2038-01-19T03:14:07Z", &["2038-03-01T00:15:00Z"], &months);
    // A clock from before the books closes nothing, and one from after the contract's end no more than there is.
    closes(&["1970-01-01T00:00:00Z"], &[]);
    check(
        "UTC",
        "2026-01-01T00:00",
        Period::Months(12),
        "2039-06-01T00:00:00Z",
        &["2500-01-01T00:00:00Z"],
        &[("2039-01-01T00:00:00Z", "2040-01-01T00:00:00Z")],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn any_walk_of_the_clock_closes_what_its_highest_reading_does(steps in proptest::collection::vec(-90_i64..120, 1..40)) {
        let small = fleet();
        let terms = &small.contracts[small.contracts.id("tokens").expect("it is there")];
        let began = at("2026-11-22T00:02:00Z");
        let (mut now, mut highest, mut closed_to, mut count) = (began.micros(), began, None, 0);
        for minutes in steps {
            now += minutes * 60_000_000;
            highest = highest.max(Instant::from_micros(now));
            while let Some((_, span)) = closable(terms, closed_to, began, Instant::from_micros(now)) {
                prop_assert!(!span.is_empty() && closed_to.is_none_or(|to| to == span.from));
                closed_to = Some(span.to);
                count += 1;
            }
        }
        // Five-minute periods from 00:00 on, each a quarter of an hour after its end.
        let passed = highest.since(at("2026-11-22T00:15:00Z")).as_secs() / 300;
        prop_assert_eq!(count, passed);
    }
}

pub const LAPTOP: &str = include_str!("../../../../../fleets/laptop.toml");
pub const MINUTE: Duration = Duration::from_secs(60);

pub fn laptop() -> Arc<Fleet> {
    Arc::new(fleet::parse(LAPTOP).fleet.expect("it is sound"))
}

pub fn start() -> Instant {
    at("2026-11-22T12:00:00Z")
}

pub fn open(directory: &Path) -> Store {
    open_with(directory, LAPTOP).0
}

/// Opens with another fleet, and gives that too.
pub fn open_with(directory: &Path, text: &str) -> (Store, Arc<Fleet>) {
    let parsed = fleet::parse(text);
    let fleet = Arc::new(parsed.fleet.unwrap_or_else(|| unreachable!("it is sound")));
    (Store::open(directory, text, Arc::clone(&fleet), start()).expect("opened").0, fleet)
}

/// An attempt on the endpoint that is paid by the token: 15 dollars a million input tokens, 60 a million output tokens.
pub fn spill(store: &Store, request: u128, known: Known, tokens: Tokens, ended: Instant) -> AttemptId {
    spill_by(&laptop(), store, request, known, tokens, ended)
}

/// The same by another fleet.
pub fn spill_by(fleet: &Fleet, store: &Store, request: u128, known: Known, tokens: Tokens, ended: Instant) -> AttemptId {
    let attempt = attempt(request, 1);
    let endpoint = fleet.endpoints.id("spill").expect("it is there");
    let (contract, ..) = fleet.contracts.iter().find(|(.., terms)| terms.endpoints.contains(&endpoint)).expect("it is paid by one");
    let list = TokenPrices { input: 15_000_000_000, cached: 15_000_000_000, output: 60_000_000_000 };
    let question = Question {
        wish: None,
        funds: None,
        now: ended,
        fleet: fleet.version,
        policy: Policy::MarginalCost,
        valid_until: ended,
        usable_until: ended,
        ask: Ask {
            id: attempt.request,
            sequence: 0,
            model: fleet.endpoints[endpoint].model,
            tier: ServiceTier::Default,
            needs: Needs::default(),
            tokens,
            input_least: 1,
            output_max: tokens.output,
            scope: KeyScope::default(),
        },
        seen: Vec::new(),
    };
    let decision = Decision {
        endpoint,
        in_units: false,
        contract,
        cost: Cost::default(),
        list,
        rule: Rule::Policy,
        passed_over: Vec::new(),
        advice: None,
    };
    let decided = Record::Decided { attempt, key: KeyId(1), question: Box::new(question), decision: Box::new(decision) };
    store.append(&decided).expect("appended");
    let settled = Settlement {
        attempt,
        endpoint,
        in_units: false,
        contract,
        fleet: fleet.version,
        outcome: Outcome::Answered,
        tokens,
        known,
        list: list.cost(tokens),
        started: ended,
        first_content: None,
        ended,
    };
    store.append(&Record::Settled(settled)).expect("appended");
    attempt
}

fn lines(closed: &Closed) -> Vec<(String, i64, i128)> {
    closed.lines.iter().map(|line| (line.clause.clone(), line.quantity.count(), line.money.nanos())).collect()
}

pub const TOKENS: Tokens = Tokens { input: 1_000, cached: 0, output: 100 };

#[test]
fn a_closed_period_changes_only_by_an_amendment() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    store.close_periods(start() + 19 * MINUTE).expect("closed");
    assert_eq!(store.closings(None).expect("read"), [], "the first ends at 12:05, and its grace at 12:20");
    store.close_periods(start() + 20 * MINUTE).expect("closed");
    let closed = store.closings(Some("spill-on-demand")).expect("read");
    // 1,000 x 15 + 100 x 60 dollars a million.
    assert_eq!(
        lines(&closed[0]),
        [("rates".to_owned(), 1_000, 15_000_000), ("rates".to_owned(), 100, 6_000_000), ("rounding".to_owned(), 0, 0)][..2]
    );
    assert_eq!((closed[0].due, closed[0].span), (Money::from_nanos(21_000_000), Span { from: start(), to: start() + 5 * MINUTE }));
    // The umbrella's floor is 26 cents: 2.1 are counted beside the reservation's 20.
    let umbrella = store.closings(Some("northgrid-umbrella")).expect("read");
    assert_eq!(lines(&umbrella[0]), [("shortfall".to_owned(), 0, 39_000_000)]);
    assert_eq!(store.closings(None).expect("read").len(), 5, "each contract by itself");
    // Late: twice as much again.
    spill(&store, 2, Known::Counted, Tokens { input: 2_000, cached: 0, output: 0 }, start() + 2 * MINUTE);
    store.close_periods(start() + 5 * MINUTE).expect("a clock that was set back");
    assert_eq!(store.closings(None).expect("read").len(), 5);
    assert_eq!(store.late().expect("read").into_iter().collect::<Vec<_>>(), [("spill-on-demand".to_owned(), 1)]);
    drop(store);
    let store = open(directory.path());
    store.close_periods(start() + 25 * MINUTE).expect("closed");
    let closed = store.closings(Some("spill-on-demand")).expect("read");
    assert_eq!(lines(&closed[1]), [("amendment".to_owned(), 0, 30_000_000)]);
    assert_eq!(closed[1].lines[0].place, Some(closed[0].period));
    let umbrella = store.closings(Some("northgrid-umbrella")).expect("read");
    assert_eq!(lines(&umbrella[1])[1], ("amendment".to_owned(), 0, -30_000_000), "what is used late is not short");
    assert!(store.late().expect("read").is_empty());
    store.close_periods(start() + 30 * MINUTE).expect("closed");
    assert_eq!(lines(&store.closings(Some("spill-on-demand")).expect("read")[2]), [], "an amendment is booked once");
    drop(store);
    let verified = verify(directory.path(), None).expect("read");
    assert!(verified.holds(), "{verified:?}");
    assert_eq!(verified.closings, 15);
}

#[test]
fn a_correction_clears_what_was_bounded_and_counts_where_it_was_used() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    let lost = spill(&store, 1, Known::Bounded, TOKENS, start() + MINUTE);
    store.close_periods(start() + 20 * MINUTE).expect("closed");
    let open_total = store.unreconciled_total().expect("read");
    // 1,000 x 15 + 100 x 60 dollars a million, at most.
    assert_eq!((open_total.attempts, open_total.output, open_total.list), (1, 100, Money::from_nanos(21_000_000)));
    let said = |tokens: Tokens| Correct { attempt: lost, tokens, why: "their log".to_owned(), who: "an accountant".to_owned() };
    // Another process, while this one runs.
    let first = correct(directory.path(), &said(Tokens { input: 1_000, cached: 0, output: 40 }), start() + 21 * MINUTE).expect("booked");
    let second = correct(directory.path(), &said(Tokens { input: 900, cached: 0, output: 40 }), start() + 22 * MINUTE).expect("booked");
    assert_eq!((first.corrects, second.corrects), (None, Some(first.number)));
    assert_eq!(store.unreconciled_total().expect("read"), ledger::Unreconciled::default());
    store.close_periods(start() + 25 * MINUTE).expect("closed");
    let closed = store.closings(Some("spill-on-demand")).expect("read");
    // 900 x 15 + 40 x 60 dollars a million.
    assert_eq!(lines(&closed[1]), [("amendment".to_owned(), 0, 15_900_000)]);
    let posted: i64 = store.books().balances.iter().map(|(.., total)| total.held.count()).sum();
    assert_eq!(posted, 940, "the running service has taken it in");
    let row = &store.attempts_of(lost.request).expect("read")[0];
    assert_eq!((row.taken().map(|taken| taken.0.input), row.unreconciled()), (Some(900), false));
    drop(store);
    let verified = verify(directory.path(), None).expect("read");
    assert!(verified.holds(), "{verified:?}");
    assert_eq!((verified.corrections, verified.unreconciled), (2, 0));
}

#[test]
fn what_is_planted_in_closings_and_corrections_is_found() {
    let cases = [
        ("closing", "UPDATE closing SET due = 1 WHERE id = 1", "its lines don't add up to what is due"),
        ("closing", "UPDATE closing SET at_us = to_us WHERE id = 1", "it was closed before its time"),
        ("closing", "UPDATE closing SET from_us = from_us + 1 WHERE id = 6", "it doesn't begin where the one before it ended"),
        (
            "closing_line",
            "UPDATE closing_line SET money = money + 1 WHERE closing = 4 AND number = 0",
            "its digest is not that of its lines",
        ),
        ("posting", "UPDATE posting SET held = 2, used = 2 WHERE id = 1", "it comes to"),
        ("correction", "UPDATE correction SET output = 7", "its postings are not what it changes"),
        ("correction", "UPDATE correction SET corrects = 1", "it doesn't correct the one before it"),
    ];
    for (table, change, expected) in cases {
        let directory = tempfile::tempdir().expect("a folder");
        let store = open(directory.path());
        let one = spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
        for minutes in [20, 25] {
            store.close_periods(start() + minutes * MINUTE).expect("closed");
        }
        drop(store);
        let said = Correct { attempt: one, tokens: Tokens::default(), why: String::new(), who: String::new() };
        correct(directory.path(), &said, start()).expect("booked");
        assert!(verify(directory.path(), None).expect("read").holds());
        let database = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
        database.execute_batch(&format!("PRAGMA foreign_keys = off; DROP TRIGGER {table}_stays; {change}")).expect("changed");
        drop(database);
        let found = verify(directory.path(), None).expect("read");
        assert!(found.findings.iter().any(|finding| finding.to_string().contains(expected)), "{change}: {:?}", found.findings);
        assert!(found.findings.iter().any(|finding| matches!(finding, ledger::Finding::Chain { .. })), "{change}: {:?}", found.findings);
    }
}

/// By the hour from 11:00 on, where it was by five minutes: the numbers of its periods are other ones, and smaller.
pub fn by_the_hour() -> String {
    LAPTOP.replace(
        "calendar = { anchor = 2026-01-01, period = \"5 minutes\" }",
        "calendar = { anchor = 2026-01-01, period = \"60 minutes\" }",
    )
}

#[test]
fn a_period_of_an_earlier_calendar_is_amended_by_no_other_and_by_nothing_that_it_was_not() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    store.close_periods(start() + 20 * MINUTE).expect("closed");
    // Late, before and after the calendar changes.
    spill(&store, 2, Known::Reported, TOKENS, start() + 2 * MINUTE);
    store.close_periods(start() + 25 * MINUTE).expect("closed");
    spill(&store, 3, Known::Reported, TOKENS, start() + 3 * MINUTE);
    store.flush().expect("committed");
    drop(store);
    let (store, _) = open_with(directory.path(), &by_the_hour());
    store.close_periods(start() + 75 * MINUTE).expect("closed");
    store.close_periods(start() + 135 * MINUTE).expect("closed");
    let closed = store.closings(Some("spill-on-demand")).expect("read");
    let told: Vec<_> = closed.iter().map(|closed| (closed.span.from, closed.span.to, closed.due.nanos())).collect();
    let at = |minutes: u32| start() + minutes * MINUTE;
    // Each attempt is 21 millidollars, and is billed once: the hour's statement has all three, less the two that were closed before.
    assert_eq!(told, [(at(0), at(5), 21_000_000), (at(5), at(10), 21_000_000), (at(10), at(60), 21_000_000), (at(60), at(120), 0),]);
    assert_eq!(lines(&closed[2]).last(), Some(&("closed-before".to_owned(), 0, -42_000_000)));
    drop(store);
    let verified = verify(directory.path(), None).expect("read");
    assert!(verified.holds(), "{verified:?}");
}

#[test]
fn a_contract_that_left_the_fleet_file_is_closed_by_the_last_version_that_had_it() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    store.flush().expect("committed");
    drop(store);
    let renamed = LAPTOP.replace("spill-on-demand", "spill-by-token");
    let fleet = Arc::new(fleet::parse(&renamed).fleet.expect("it is sound"));
    // Whatever a clock said later, it left when a process first began without it.
    for (minute, again) in [(7, false), (95, true), (25, true)] {
        let (store, _) = Store::open(directory.path(), &renamed, Arc::clone(&fleet), start() + minute * MINUTE).expect("opened");
        if again {
            // What was in flight when the process before ended, or was found out by an invoice.
            spill(&store, 2, Known::Reported, TOKENS, start() + 2 * MINUTE);
        }
        store.close_periods(start() + 60 * MINUTE).expect("closed");
        let closed = store.closings(Some("spill-on-demand")).expect("read");
        let told: Vec<_> = closed.iter().map(|closed| (closed.span.from, closed.span.to, closed.due.nanos())).collect();
        let at = |minutes: u32| start() + minutes * MINUTE;
        // The period in which it left is its last.
        assert_eq!(told, [(at(0), at(5), 21_000_000), (at(5), at(10), 0)]);
        // And so the export has it.
        let rows = ledger::focus_rows(&store, &fleet, Span { from: start(), to: at(60) }, at(60)).expect("read");
        let cell = |row, name| ledger::COLUMNS.iter().find(|column| column.name == name).expect("it is one of ours").of(row).shown();
        let exported: Vec<_> = rows.iter().filter(|row| cell(*row, "x_Contract") == "spill-on-demand").collect();
        assert!(!exported.is_empty() && exported.iter().any(|row| cell(*row, "BilledCost").starts_with("0.015")), "{exported:?}");
        let other = store.closings(Some("spill-by-token")).expect("read");
        assert_eq!(other.iter().map(|closed| closed.due.nanos()).collect::<Vec<_>>(), [0; 9]);
        drop(store);
        let verified = verify(directory.path(), None).expect("read");
        assert!(verified.holds(), "{verified:?}");
    }
}

#[test]
fn a_contract_that_is_signed_no_longer_is_closed_as_one_that_left() {
    for status in ["\"ended\"", "\"stalled\"", "{ substituted_by = \"west-standard\" }"] {
        let directory = tempfile::tempdir().expect("a folder");
        let store = open(directory.path());
        spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
        store.close_periods(start() + 20 * MINUTE).expect("closed");
        // One late, and one in the period under way.
        spill(&store, 2, Known::Reported, TOKENS, start() + 2 * MINUTE);
        spill(&store, 3, Known::Reported, TOKENS, start() + 6 * MINUTE);
        store.flush().expect("committed");
        drop(store);
        let head = "[contracts.spill-on-demand]\n";
        let ended = LAPTOP.replace(head, &format!("{head}status = {status}\n"));
        let fleet = Arc::new(fleet::parse(&ended).fleet.expect("it is sound"));
        let at = |minutes: u32| start() + minutes * MINUTE;
        for minute in [7, 95] {
            let (store, _) = Store::open(directory.path(), &ended, Arc::clone(&fleet), at(minute)).expect("opened");
            store.close_periods(at(60)).expect("closed");
            let closed = store.closings(Some("spill-on-demand")).expect("read");
            let told: Vec<_> = closed.iter().map(|closed| (closed.span.from, closed.span.to, closed.due.nanos())).collect();
            assert_eq!(told, [(at(0), at(5), 21_000_000), (at(5), at(10), 42_000_000)], "{status}");
            let rows = ledger::focus_rows(&store, &fleet, Span { from: start(), to: at(60) }, at(60)).expect("read");
            let cell = |row, name| ledger::COLUMNS.iter().find(|column| column.name == name).expect("it is one of ours").of(row).shown();
            let exported = rows.iter().filter(|row| cell(*row, "x_Contract") == "spill-on-demand");
            let exported: Vec<_> = exported.map(|row| (cell(row, "BilledCost"), cell(row, "x_Closing").is_empty())).collect();
            let expected = ["0.015", "0.006", "0.015", "0.006", "0.021"].map(|billed| (billed.to_owned(), false));
            assert_eq!(exported, expected, "{status}");
            drop(store);
            let verified = verify(directory.path(), None).expect("read");
            assert!(verified.holds(), "{verified:?}");
        }
    }
}

#[test]
fn a_contract_that_is_used_after_it_left_one_fleet_file_is_closed_all_the_same() {
    let directory = tempfile::tempdir().expect("a folder");
    drop(open(directory.path()));
    let renamed = LAPTOP.replace("spill-on-demand", "spill-by-token");
    let fleet = Arc::new(fleet::parse(&renamed).fleet.expect("it is sound"));
    let (store, _) = Store::open(directory.path(), &renamed, Arc::clone(&fleet), start() + MINUTE).expect("opened");
    // As by a replica that has it for longer.
    spill(&store, 1, Known::Reported, TOKENS, start() + 11 * MINUTE);
    store.close_periods(start() + 60 * MINUTE).expect("closed");
    let closed = store.closings(Some("spill-on-demand")).expect("read");
    assert_eq!(closed.iter().map(|closed| closed.due.nanos()).collect::<Vec<_>>(), [0, 0, 21_000_000]);
    store.close_periods(start() + 90 * MINUTE).expect("closed");
    assert_eq!(store.closings(Some("spill-on-demand")).expect("read").len(), 3, "and no further than it was used");
    drop(store);
    assert!(verify(directory.path(), None).expect("read").holds());
}

#[test]
fn what_was_used_of_a_model_that_left_the_fleet_file_is_charged_by_the_last_rates_that_it_was_used_under() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    drop(store);
    let renamed = LAPTOP.replace("smollm2-135m", "another");
    let (store, fleet) = open_with(directory.path(), &renamed);
    // The books that prices are made from know it.
    let (books, spilled) = (store.books(), fleet.contracts.id("spill-on-demand").expect("it is there"));
    let period = fleet.contracts[spilled].calendar.index(start());
    assert_eq!(market::statement(&books.terms, &books.balances, spilled, period).due.nanos(), 21_000_000);
    store.close_periods(start() + 20 * MINUTE).expect("closed");
    let closed = &store.closings(Some("spill-on-demand")).expect("read")[0];
    assert_eq!(lines(closed), [("earlier-rates".to_owned(), 1_000, 15_000_000), ("earlier-rates".to_owned(), 100, 6_000_000)]);
    assert_eq!(closed.lines[1].meter, Some((fleet::MeterKind::OutputTokens, "smollm2-135m".to_owned())));
    // It counts towards the floor above it: 26 cents, less the reservation's 20 and these 2.1.
    assert_eq!(lines(&store.closings(Some("northgrid-umbrella")).expect("read")[0]), [("shortfall".to_owned(), 0, 39_000_000)]);
    let rows = ledger::focus_rows(&store, &fleet, Span { from: start(), to: start() + 5 * MINUTE }, start() + 20 * MINUTE).expect("read");
    let cell = |row, name| ledger::COLUMNS.iter().find(|column| column.name == name).expect("it is one of ours").of(row).shown();
    let exported: Vec<_> = rows.iter().filter(|row| cell(*row, "x_Clause") == "earlier-rates").map(|row| cell(row, "BilledCost")).collect();
    assert_eq!(exported, ["0.015", "0.006"]);
    let days = [start(), start() + 60 * MINUTE];
    let spent = store.spent(&fleet, &days).expect("read").into_iter().filter(|spent| spent.contract == spilled);
    assert_eq!(spent.map(|spent| spent.money.nanos()).collect::<Vec<_>>(), [21_000_000]);
    // Back at another price: what is closed stays as it was, and what came late is charged by what it was closed by.
    let dearer = LAPTOP.replace("input = \"15 USD", "input = \"30 USD").replace("output = \"60 USD", "output = \"120 USD");
    assert_ne!(dearer, LAPTOP);
    drop(store);
    let (store, _) = open_with(directory.path(), &dearer);
    spill(&store, 2, Known::Reported, TOKENS, start() + 22 * MINUTE);
    spill(&store, 3, Known::Reported, TOKENS, start() + 2 * MINUTE);
    store.close_periods(start() + 40 * MINUTE).expect("closed");
    let dues: Vec<_> = store.closings(Some("spill-on-demand")).expect("read").iter().map(|closed| closed.due.nanos()).collect();
    assert_eq!(dues, [21_000_000, 21_000_000, 0, 0, 42_000_000]);
    drop(store);
    let verified = verify(directory.path(), None).expect("read");
    assert!(verified.holds(), "{verified:?}");
}

#[test]
fn a_meter_that_is_used_on_without_a_price_is_free() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    store.close_periods(start() + 20 * MINUTE).expect("closed");
    drop(store);
    let (store, fleet) = open_with(directory.path(), &LAPTOP.replacen("input = \"15 USD/1M tokens\"\n", "", 1));
    for (request, minute) in [(2, 6), (3, 12)] {
        spill_by(&fleet, &store, request, Known::Reported, TOKENS, start() + minute * MINUTE);
    }
    store.close_periods(start() + 40 * MINUTE).expect("closed");
    let dues: Vec<_> = store.closings(Some("spill-on-demand")).expect("read").iter().map(|closed| closed.due.nanos()).collect();
    assert_eq!(dues, [21_000_000, 6_000_000, 6_000_000, 0, 0]);
    drop(store);
    let verified = verify(directory.path(), None).expect("read");
    assert!(verified.holds(), "{verified:?}");
}

#[test]
fn what_no_text_is_left_of_is_told_while_its_period_is_open() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    drop(store);
    std::fs::remove_dir_all(directory.path().join("fleets")).expect("removed");
    let renamed = LAPTOP.replace("smollm2-135m", "another");
    let reopen = |text: &str, minute: u32| {
        let fleet = Arc::new(fleet::parse(text).fleet.expect("it is sound"));
        let (store, recovery) = Store::open(directory.path(), text, fleet, start() + minute * MINUTE).expect("opened");
        (store, recovery.unpriced)
    };
    let (store, unpriced) = reopen(&renamed, 2);
    assert_eq!(unpriced, [ledger::Unpriced { contract: "spill-on-demand".to_owned(), subject: "smollm2-135m".to_owned() }]);
    drop(store);
    let (store, unpriced) = reopen(LAPTOP, 3);
    assert_eq!(unpriced, [], "it is back");
    store.close_periods(start() + 20 * MINUTE).expect("closed");
    assert_eq!(store.closings(Some("spill-on-demand")).expect("read")[0].due.nanos(), 21_000_000);
    drop(store);
    assert_eq!(reopen(&renamed, 21).1, [], "its period is closed");
}

#[test]
fn what_comes_late_is_charged_by_the_terms_that_its_period_was_closed_by() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    store.close_periods(start() + 20 * MINUTE).expect("closed");
    drop(store);
    // From now on by quarters of an hour, and dearer. The first of them begins at 12:00 and takes the time before in.
    let quarters = LAPTOP.replace("period = \"5 minutes\"", "period = \"15 minutes\"").replace("input = \"15 USD", "input = \"30 USD");
    let (store, _) = open_with(directory.path(), &quarters);
    store.close_periods(start() + 30 * MINUTE).expect("closed");
    spill(&store, 2, Known::Reported, TOKENS, start() + 16 * MINUTE);
    store.close_periods(start() + 45 * MINUTE).expect("closed");
    drop(store);
    // By ten minutes, at the old price again: the next one begins at 12:30.
    let tens = LAPTOP.replace("period = \"5 minutes\"", "period = \"10 minutes\"");
    let (store, _) = open_with(directory.path(), &tens);
    spill(&store, 3, Known::Reported, TOKENS, start() + 17 * MINUTE);
    spill(&store, 4, Known::Reported, TOKENS, start() + 38 * MINUTE);
    store.close_periods(start() + 55 * MINUTE).expect("closed");
    let closed = store.closings(Some("spill-on-demand")).expect("read");
    let told: Vec<_> = closed.iter().map(|closed| (closed.span.from, closed.due.nanos())).collect();
    let at = |minutes: u32| start() + minutes * MINUTE;
    // The quarter from 12:15 on was closed at 30 dollars a million of input.
    assert_eq!(told, [(at(0), 21_000_000), (at(5), 15_000_000), (at(15), 36_000_000), (at(30), 57_000_000)]);
    drop(store);
    // By 35 minutes: the period from 12:35 on has half of what was closed from 12:30 to 12:40.
    let (store, _) = open_with(directory.path(), &LAPTOP.replace("period = \"5 minutes\"", "period = \"35 minutes\""));
    store.close_periods(start() + 85 * MINUTE).expect("closed");
    let last = store.closings(Some("spill-on-demand")).expect("read").pop().expect("it was closed");
    assert_eq!((last.span.from, lines(&last).last().cloned()), (at(40), Some(("closed-before".to_owned(), 0, -10_500_000))));
    drop(store);
    let verified = verify(directory.path(), None).expect("read");
    assert!(verified.holds(), "{verified:?}");
}

#[test]
fn money_of_two_currencies_is_not_added_up() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = open(directory.path());
    spill(&store, 1, Known::Reported, TOKENS, start() + MINUTE);
    store.close_periods(start() + 20 * MINUTE).expect("closed");
    // Late, for a period that was closed in dollars.
    spill(&store, 2, Known::Reported, TOKENS, start() + 2 * MINUTE);
    store.flush().expect("committed");
    drop(store);
    let (store, _) = open_with(directory.path(), &LAPTOP.replace("USD", "EUR"));
    store.close_periods(start() + 25 * MINUTE).expect("closed");
    drop(store);
    // In dollars again, by quarters of an hour: the first has all three attempts, of which 21 millidollars were closed before; and a third of
    // its time was closed in euros.
    let (store, _) = open_with(directory.path(), &LAPTOP.replace("period = \"5 minutes\"", "period = \"15 minutes\""));
    spill(&store, 3, Known::Reported, TOKENS, start() + 6 * MINUTE);
    store.close_periods(start() + 30 * MINUTE).expect("closed");
    let closed = store.closings(Some("spill-on-demand")).expect("read");
    let told: Vec<_> = closed.iter().map(|closed| (closed.currency.to_string(), closed.due.nanos())).collect();
    assert_eq!(told, [("USD", 21_000_000), ("EUR", 0), ("USD", 21_000_000)].map(|(currency, due)| (currency.to_owned(), due)));
    assert_eq!(lines(&closed[1]), []);
    assert_eq!(lines(&closed[2]).last(), Some(&("closed-before".to_owned(), 0, -42_000_000)));
    drop(store);
    let verified = verify(directory.path(), None).expect("read");
    assert!(verified.holds(), "{verified:?}");
}
