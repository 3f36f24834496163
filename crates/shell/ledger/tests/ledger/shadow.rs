//! What shadow mode would have saved, counted by hand; and its advice is booked like everything else.

use dispatch::{Advice, Cost, Ground, Record, Saved};
use ledger::{LedgerError, Move, View, verify};
use market::{TokenPrices, Tokens};
use units::{Money, Span};

use crate::fixture::{LIST, attempt, decided, fleet, open, place, seconds, settlement};

const TAKEN: Tokens = Tokens { input: 7, cached: 0, output: 4 };

/// A decision on `web`, at its list prices, with `north` advised at a tenth of them.
fn shadowed(request: u128, north: bool) -> Record {
    let (fleet, nanos) = (fleet(), Money::from_nanos);
    let Record::Decided { attempt, key, question, mut decision } = decided(&fleet, attempt(request, 1), true, seconds(1)) else {
        unreachable!("it is one")
    };
    let (endpoint, contract) = place(&fleet, !north);
    let marginal = TokenPrices { input: 100_000, cached: 0, output: 200_000 };
    decision.cost = Cost { marginal: nanos(20), energy: nanos(5), scarcity: nanos(0), cache_loss: nanos(1), slo_miss: nanos(9) };
    let cost = Cost { marginal: nanos(2), energy: nanos(8), scarcity: nanos(1), cache_loss: nanos(0), slo_miss: nanos(4) };
    let list = TokenPrices { input: i64::MAX, cached: -1, output: 3 };
    decision.advice = Some(Box::new(Advice { endpoint, contract, prepaid: true, cost, list, marginal, given: LIST }));
    Record::Decided { attempt, key, question, decision }
}

#[test]
fn savings_are_what_each_move_would_have_saved() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    let fleet = fleet();
    // Two that should have gone elsewhere, one that went right, one that is still open, one without shadow mode.
    for (request, north) in [(1, true), (2, true), (3, false), (4, true)] {
        store.append(&shadowed(request, north)).expect("appended");
    }
    store.append(&decided(&fleet, attempt(5, 1), true, seconds(1))).expect("appended");
    for request in [1, 2, 3, 5] {
        store.append(&Record::Settled(settlement(&fleet, attempt(request, 1), true, TAKEN, seconds(2)))).expect("appended");
    }
    store.flush().expect("committed");
    let view = View::open(directory.path()).expect("opened");
    let found = view.shadowed(Span::ALWAYS).expect("read");
    // 7 x 1 + 4 x 2 nanos at list prices.
    assert_eq!((found.attempts, found.agreed, found.unknown, found.list), (3, 1, 1, Money::from_nanos(45)));
    let how = Move { from: "web".into(), to: "north".into(), contract: "reserved".into(), ground: Ground::Prepaid };
    assert_eq!(found.moves.keys().collect::<Vec<_>>(), [&how]);
    let moved = found.moves[&how];
    assert_eq!((moved.attempts, moved.list), (2, Money::from_nanos(30)));
    // Tokens: 15 nanos, and 1.5 rounded half to even elsewhere; twice.
    let nanos = |count: i128| Money::from_nanos(count * 2);
    let saved = Saved { tokens: nanos(15 - 2), energy: nanos(5 - 8), scarcity: nanos(0 - 1), cache_loss: nanos(1), slo_miss: nanos(9 - 4) };
    assert_eq!(moved.saved, saved);
    assert_eq!(found.saved(), saved);
    let none = view.shadowed(Span { from: seconds(2), to: seconds(9) }).expect("read");
    assert_eq!(none, ledger::Shadowed::default(), "all were decided before");
    drop((view, store));
    let found = verify(directory.path(), None).expect("read");
    assert!(found.holds(), "{:?}", found.findings);
}

/// What the check says of an advice that was changed as no code of ours can.
fn check_planted(change: &str) {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    store.append(&shadowed(1, true)).expect("appended");
    store.append(&Record::Settled(settlement(&fleet(), attempt(1, 1), true, TAKEN, seconds(2)))).expect("appended");
    drop(store);
    let database = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
    assert!(database.execute(change, []).is_err(), "{change}: a trigger keeps it");
    database.execute_batch("DROP TRIGGER advice_stays; DROP TRIGGER advice_kept").expect("dropped");
    assert_eq!(database.execute(change, []), Ok(1), "{change}");
    drop(database);
    let found = verify(directory.path(), None).expect("read").findings;
    let shown: Vec<_> = found.iter().map(ToString::to_string).collect();
    for said in ["is not what its hash says", "is not what is booked"] {
        assert!(shown.iter().any(|finding| finding.contains(said)), "{change}: {shown:?}");
    }
}

#[test]
fn an_advice_stays_as_it_was_booked() {
    check_planted("UPDATE advice SET given_output = 1 + given_output");
    check_planted("DELETE FROM advice");
}

#[test]
fn a_store_from_before_shadow_mode_is_brought_forward_with_its_entries() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    store.append(&decided(&fleet(), attempt(1, 1), true, seconds(1))).expect("appended");
    store.append(&Record::Settled(settlement(&fleet(), attempt(1, 1), true, TAKEN, seconds(2)))).expect("appended");
    drop(store);
    let database = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
    let before = "DROP TABLE advice; DROP TABLE in_units; DROP TABLE key_change; DROP INDEX settlement_ended; ALTER TABLE api_key DROP COLUMN rotated; PRAGMA user_version = 3";
    database.execute_batch(before).expect("as it was");
    drop(database);
    let (store, _) = open(directory.path());
    store.append(&shadowed(2, true)).expect("appended");
    drop(store);
    let found = verify(directory.path(), None).expect("read");
    assert!(found.holds() && found.attempts == 2, "{:?}", found.findings);
    let database = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
    database.pragma_update(None, "user_version", 2).expect("older still");
    assert!(matches!(View::open(directory.path()), Err(LedgerError::Older { found: 2, oldest: 3 })));
}
