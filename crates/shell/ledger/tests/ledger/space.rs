//! Space on disk, and the journal's segments that give it back.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use dispatch::Record;
use ledger::{LedgerError, Store, verify};
use market::Tokens;

use crate::fixture::{TEXT, attempt, decided, fleet, seconds, settlement, start};

const TAKEN: Tokens = Tokens { input: 2, cached: 0, output: 1 };

#[test]
fn without_a_next_segment_new_work_is_refused_and_what_is_under_way_is_settled() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = Store::open_with(directory.path(), TEXT, fleet(), start(), 2_000).expect("opened");
    // Nothing can be written under the next segment's name, as on a disk without space for another file.
    let next = directory.path().join("journal/00000001.bl");
    fs::create_dir(&next).expect("made");
    let begun = (0..1_000).take_while(|request| store.append(&decided(&fleet(), attempt(*request, 1), true, seconds(1))).is_ok());
    let begun: Vec<u128> = begun.collect();
    assert!((2..100).contains(&begun.len()), "{begun:?}");
    for request in &begun {
        let settled = settlement(&fleet(), attempt(*request, 1), true, TAKEN, seconds(2));
        store.append(&Record::Settled(settled)).expect("what was begun is settled");
    }
    assert!(store.append(&decided(&fleet(), attempt(5_000, 1), true, seconds(3))).is_err());
    fs::remove_dir(&next).expect("removed");
    store.append(&decided(&fleet(), attempt(5_000, 1), true, seconds(3))).expect("there is space again");
    store.append(&Record::Settled(settlement(&fleet(), attempt(5_000, 1), true, TAKEN, seconds(3)))).expect("appended");
    drop(store);
    let verified = verify(directory.path(), None).expect("read");
    assert!(verified.holds(), "{verified:?}");
    assert_eq!(verified.settled, begun.len() as u64 + 1);
}

#[test]
fn booked_segments_expire_and_the_ledger_keeps_what_they_were_for() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = Store::open_with(directory.path(), TEXT, fleet(), start(), 500).expect("opened");
    for request in 0..20 {
        store.append(&decided(&fleet(), attempt(request, 1), true, seconds(1))).expect("appended");
        store.append(&Record::Settled(settlement(&fleet(), attempt(request, 1), true, TAKEN, seconds(2)))).expect("appended");
    }
    store.flush().expect("committed");
    let folder = directory.path().join("journal");
    let count = || folder.read_dir().expect("there").count();
    let before = count();
    assert!(before > 5, "the test means nothing within {before} segments");
    // The first three were last written to a day before the others.
    let written = SystemTime::UNIX_EPOCH + Duration::from_micros(start().micros().unsigned_abs());
    for segment in 0..before {
        let age = Duration::from_secs(if segment < 3 { 86_400 } else { 0 });
        let file = File::options().write(true).open(folder.join(format!("{segment:08}.bl"))).expect("there");
        file.set_modified(written - age).expect("set");
    }
    assert_eq!(store.expire_journal(start(), Duration::from_secs(3 * 86_400)).expect("done"), 0);
    assert_eq!(store.expire_journal(start(), Duration::from_secs(3_600)).expect("done"), 3);
    assert_eq!(store.expire_journal(seconds(10 * 86_400), Duration::ZERO).expect("done"), before - 4, "never the one that is written to");
    assert!(matches!(store.decision(attempt(0, 1)), Err(LedgerError::Missing { what }) if what.contains("expired")));
    let row = &store.attempts_of(attempt(0, 1).request).expect("read")[0];
    assert_eq!((row.settled.is_some(), row.why.list), (true, crate::fixture::LIST));
    drop(store);
    let (store, recovery) = Store::open_with(directory.path(), TEXT, fleet(), start(), 500).expect("opened");
    assert_eq!(recovery, ledger::Recovery::default());
    drop(store);
    let verified = verify(directory.path(), None).expect("read");
    assert!(verified.holds() && verified.settled == 20, "{verified:?}");
}

#[test]
fn the_live_audit_checks_what_was_added_and_finds_what_is_planted() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = Store::open_with(directory.path(), TEXT, fleet(), start(), 500).expect("opened");
    let settle = |request| {
        store.append(&decided(&fleet(), attempt(request, 1), true, seconds(1))).expect("appended");
        store.append(&Record::Settled(settlement(&fleet(), attempt(request, 1), true, TAKEN, seconds(2)))).expect("appended");
    };
    settle(1);
    let first = store.audit(seconds(3)).expect("read");
    // The fleet, the opening, the attempt and its settlement.
    assert_eq!((first.holds(), first.entries, first.settled, first.postings), (true, 4, 1, 2), "{first:?}");
    settle(2);
    let second = store.audit(seconds(3)).expect("read");
    assert_eq!((second.holds(), second.entries, second.head.number), (true, 2, 6));
    settle(3);
    store.flush().expect("committed");
    let database = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
    database.execute_batch("DROP TRIGGER posting_stays; UPDATE posting SET held = 9, used = 9 WHERE id = 5").expect("changed");
    let third = store.audit(seconds(3)).expect("read");
    let found: Vec<String> = third.findings.iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|it| it.contains("entry 8 of the chain")), "{found:?}");
    assert!(found.iter().any(|it| it.contains("posted")), "{found:?}");
    assert!(found.iter().any(|it| it.contains("balances are not the fold")), "{found:?}");
    assert!(!store.audit(seconds(3)).expect("read").holds(), "it doesn't forget");
}
