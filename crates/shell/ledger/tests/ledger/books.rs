//! What is appended is booked once, and the books are the fold of what is booked.

use std::time::Duration;

use dispatch::{Known, Outcome, Record, Rule};
use fleet::{Id, Meter};
use ledger::{LedgerError, Store};
use market::Tokens;
use units::{Money, Quantity};

use crate::fixture::{LIST, TEXT, attempt, decided, fleet, fleet_with, held, in_units, open, place, seconds, settlement, start};

fn total(store: &Store, contract: &str, meter: Meter) -> (i64, i64) {
    let contract = fleet().contracts.id(contract).expect("it is there");
    let books = store.books();
    let sums = books.balances.iter().filter(|(of, _, on, _)| *of == contract && *on == meter);
    sums.fold((0, 0), |sum, (.., total)| (sum.0 + total.held.count(), sum.1 + total.used.count()))
}

#[test]
fn tokens_post_where_tokens_are_priced_and_time_posts_as_it_is_held() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, recovery) = open(directory.path());
    assert_eq!(recovery, ledger::Recovery::default());
    let fleet = fleet();
    for (request, hosted) in [(1, true), (2, false)] {
        store.append(&decided(&fleet, attempt(request, 1), hosted, seconds(1))).expect("appended");
        let tokens = Tokens { input: 7, cached: 3, output: 4 };
        store.append(&Record::Settled(settlement(&fleet, attempt(request, 1), hosted, tokens, seconds(2)))).expect("appended");
    }
    let shares = [(attempt(2, 1), 600)];
    store.append(&Record::Held(held(&fleet, seconds(1), Duration::from_secs(1), 1000, &shares))).expect("appended");
    store.flush().expect("committed");
    let model = Id::from_index(0);
    // This contract has no price for cached input, so that counts as input.
    assert_eq!(total(&store, "tokens", Meter::InputTokens(model)), (7, 7));
    assert_eq!(total(&store, "tokens", Meter::CachedTokens(model)), (0, 0));
    assert_eq!(total(&store, "tokens", Meter::OutputTokens(model)), (4, 4));
    assert_eq!(total(&store, "reserved", Meter::InputTokens(model)), (0, 0));
    assert_eq!(total(&store, "reserved", Meter::AcceleratorTime(Id::from_index(0))), (1000, 600));
    let attempts = store.attempts(10).expect("read");
    assert_eq!(
        attempts.iter().map(|row| (row.attempt, row.endpoint.as_str())).collect::<Vec<_>>(),
        [(attempt(2, 1), "north"), (attempt(1, 1), "web")]
    );
    assert!(attempts.iter().all(|row| row.settled.is_some_and(|settled| settled.outcome == Outcome::Answered)));
}

#[test]
fn what_units_take_posts_no_tokens_of_a_contract_that_prices_them() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, fleet) = (open(directory.path()).0, fleet());
    let tokens = Tokens { input: 7, cached: 3, output: 4 };
    let settled = |request| Record::Settled(settlement(&fleet, attempt(request, 1), true, tokens, seconds(2)));
    for request in [1, 2] {
        store.append(&decided(&fleet, attempt(request, 1), true, seconds(1))).expect("appended");
        store.append(&settled(request)).expect("appended");
    }
    for request in [3, 4] {
        store.append(&in_units(decided(&fleet, attempt(request, 1), true, seconds(1)))).expect("appended");
    }
    for record in [in_units(settled(3)), in_units(settled(3))] {
        store.append(&record).expect("appended");
    }
    store.flush().expect("committed");
    assert_eq!(total(&store, "tokens", Meter::InputTokens(Id::from_index(0))), (14, 14));
    // The fourth was under way when the process ended.
    drop(store);
    let (store, recovery) = open(directory.path());
    assert_eq!(recovery.interrupted, [attempt(4, 1)]);
    let shown: Vec<_> = store.attempts(10).expect("read").iter().rev().map(|row| row.settled.map(|settled| settled.in_units)).collect();
    assert_eq!(shown, [Some(false), Some(false), Some(true), Some(true)]);
    assert_eq!(store.conflicts().expect("read"), [], "the same again is nothing new");
    drop(store);
    let found = ledger::verify(directory.path(), None).expect("read");
    assert!(found.holds() && found.attempts == 4, "{:?}", found.findings);
}

#[test]
fn an_attempt_is_settled_once() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    let fleet = fleet();
    let first = settlement(&fleet, attempt(1, 1), true, Tokens { input: 7, cached: 0, output: 4 }, seconds(2));
    let other = settlement(&fleet, attempt(1, 1), true, Tokens { input: 9, cached: 0, output: 9 }, seconds(3));
    for record in [decided(&fleet, attempt(1, 1), true, seconds(1)), Record::Settled(first), Record::Settled(first), Record::Settled(other)]
    {
        store.append(&record).expect("appended");
    }
    store.flush().expect("committed");
    assert_eq!(total(&store, "tokens", Meter::OutputTokens(Id::from_index(0))), (4, 4));
    let row = &store.attempts(9).expect("read")[0];
    // 7 input tokens at a nano, 4 output tokens at two, whatever the contract's floors.
    assert_eq!((row.settled, first.list), (Some(first), Money::from_nanos(15)));
    assert_eq!((row.why.rule, row.why.list), (Rule::Policy, LIST));
    assert_eq!(store.conflicts().expect("read"), [attempt(1, 1)], "the same again is none, another is one");
}

#[test]
fn what_was_in_flight_is_settled_within_its_bounds_at_the_next_opening() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    store.append(&decided(&fleet(), attempt(5, 1), true, seconds(1))).expect("appended");
    drop(store);
    let (store, recovery) = open(directory.path());
    assert_eq!(recovery.interrupted, [attempt(5, 1)]);
    let rows = store.unreconciled(9).expect("read");
    let settled = rows[0].settled.expect("it is settled");
    assert_eq!(
        (settled.outcome, settled.known, settled.tokens),
        (Outcome::Interrupted, Known::Bounded, Tokens { input: 10, cached: 0, output: 20 })
    );
    assert_eq!(store.books().balances.iter().count(), 0, "what is only bounded is not posted");
    drop(store);
    assert_eq!(open(directory.path()).1, ledger::Recovery::default(), "and only once");
}

/// The next process may begin in another billing period.
#[test]
fn what_was_in_flight_ended_when_its_process_was_last_heard_of() {
    for (opened, ended) in [(3_600, 3), (2, 2), (0, 1)] {
        let directory = tempfile::tempdir().expect("a folder");
        let (store, _) = open(directory.path());
        store.append(&decided(&fleet(), attempt(5, 1), true, seconds(1))).expect("appended");
        store.append(&decided(&fleet(), attempt(6, 1), true, seconds(1))).expect("appended");
        store.append(&Record::Settled(settlement(&fleet(), attempt(6, 1), true, Tokens::default(), seconds(3)))).expect("appended");
        drop(store);
        let (store, _) = Store::open(directory.path(), TEXT, fleet(), seconds(opened)).expect("opened");
        let settled = store.unreconciled(9).expect("read")[0].settled.expect("it is settled");
        assert_eq!(settled.ended, seconds(ended), "opened at {opened}");
    }
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    store.append(&decided(&fleet(), attempt(5, 1), true, seconds(1))).expect("appended");
    store.append(&Record::Held(held(&fleet(), start(), Duration::from_secs(5), 10_000, &[]))).expect("appended");
    drop(store);
    let (store, _) = Store::open(directory.path(), TEXT, fleet(), seconds(3_600)).expect("opened");
    assert_eq!(
        store.unreconciled(9).expect("read")[0].settled.expect("it is settled").ended,
        seconds(5),
        "it held its replicas until then"
    );
}

#[test]
fn a_second_process_is_kept_out_until_the_first_has_gone() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    let again = Store::open(directory.path(), TEXT, fleet(), start());
    assert!(matches!(again, Err(LedgerError::Locked { .. })));
    let copy = store.clone();
    drop(store);
    assert!(matches!(Store::open(directory.path(), TEXT, fleet(), start()), Err(LedgerError::Locked { .. })));
    drop(copy);
    open(directory.path());
}

#[test]
fn a_newer_store_is_refused() {
    let directory = tempfile::tempdir().expect("a folder");
    drop(open(directory.path()));
    let database = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
    database.pragma_update(None, "user_version", 99).expect("set");
    drop(database);
    let newer = Store::open(directory.path(), TEXT, fleet(), start());
    assert!(matches!(newer, Err(LedgerError::Newer { found: 99, .. })));
    assert!(matches!(Store::open_keys(directory.path()), Err(LedgerError::Newer { found: 99, .. })));
}

#[test]
fn books_go_by_name_when_the_fleet_changes() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    let old = fleet();
    store.append(&decided(&old, attempt(1, 1), true, seconds(1))).expect("appended");
    let tokens = Tokens { input: 7, cached: 0, output: 4 };
    store.append(&Record::Settled(settlement(&old, attempt(1, 1), true, tokens, seconds(2)))).expect("appended");
    drop(store);
    let new = fleet_with(Some("a-first"));
    let (contract, meter) = (place(&new, true).1, Meter::OutputTokens(Id::from_index(0)));
    assert_ne!(contract, place(&old, true).1, "the test means nothing if the ids are the same");
    let (store, _) = Store::open(directory.path(), TEXT, std::sync::Arc::clone(&new), start()).expect("opened");
    let sum: Quantity = store.books().balances.iter().filter(|row| (row.0, row.2) == (contract, meter)).map(|row| row.3.held).sum();
    assert_eq!(sum, Quantity::new(4));
    // A late record of the old version still finds its names.
    store.append(&decided(&old, attempt(2, 1), true, seconds(3))).expect("appended");
    store.append(&Record::Settled(settlement(&old, attempt(2, 1), true, tokens, seconds(4)))).expect("appended");
    store.flush().expect("committed");
    let sum: Quantity = store.books().balances.iter().filter(|row| (row.0, row.2) == (contract, meter)).map(|row| row.3.held).sum();
    assert_eq!(sum, Quantity::new(8));
    assert_eq!(store.fleet_text(old.version).expect("kept"), TEXT);
}

#[test]
fn what_can_not_be_booked_is_not_appended() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    let strange = fleet_with(Some("another"));
    assert!(matches!(store.append(&decided(&strange, attempt(1, 1), true, start())), Err(LedgerError::Missing { .. })));
    let mut uneven = held(&fleet(), start(), Duration::from_secs(1), 1000, &[(attempt(1, 1), 600)]);
    uneven.shares[0].1 = Quantity::new(599);
    assert!(matches!(store.append(&Record::Held(uneven)), Err(LedgerError::Unbalanced { .. })));
    let more = held(&fleet(), start(), Duration::from_secs(1), 1000, &[(attempt(1, 1), 1001)]);
    assert!(matches!(store.append(&Record::Held(more)), Err(LedgerError::Unbalanced { .. })));
    drop(store);
    assert_eq!(open(directory.path()).1, ledger::Recovery::default());
}
