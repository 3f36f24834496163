//! The offline check finds what was planted, and nothing in sound books.

use std::path::Path;
use std::time::Duration;

use dispatch::Record;
use ledger::{Verification, verify};
use market::Tokens;

use crate::fixture::{attempt, decided, fleet, held, open, seconds, settlement};

/// The tables whose rows are never changed.
const TABLES: [&str; 5] = ["attempt", "settlement", "held", "held_share", "posting"];

fn filled(directory: &Path) {
    let (store, _) = open(directory);
    let fleet = fleet();
    for request in 1..=3 {
        store.append(&decided(&fleet, attempt(request, 1), request != 2, seconds(1))).expect("appended");
        let tokens = Tokens { input: 7, cached: 3, output: 4 };
        store.append(&Record::Settled(settlement(&fleet, attempt(request, 1), request != 2, tokens, seconds(2)))).expect("appended");
    }
    let shares = [(attempt(2, 1), 400), (attempt(2, 1), 200)];
    store.append(&Record::Held(held(&fleet, seconds(1), Duration::from_secs(1), 1000, &shares))).expect("appended");
    store.append(&decided(&fleet, attempt(4, 1), true, seconds(9))).expect("appended");
}

#[test]
fn sound_books_pass_with_their_counts() {
    let directory = tempfile::tempdir().expect("a folder");
    filled(directory.path());
    let expected = Verification { attempts: 4, settled: 3, held: 1, postings: 5, records: 8, ..Verification::default() };
    assert_eq!(verify(directory.path()).expect("read"), expected);
    assert_eq!(verify(directory.path()).expect("read"), expected, "a check changes nothing");
    let store = open(directory.path());
    assert!(matches!(verify(directory.path()), Err(ledger::LedgerError::Locked { .. })));
    drop(store);
}

/// Changes the database as no code of ours can, and says what the check says.
fn planted(change: &str) -> String {
    let directory = tempfile::tempdir().expect("a folder");
    filled(directory.path());
    let database = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
    for table in TABLES {
        database.execute_batch(&format!("DROP TRIGGER {table}_stays; DROP TRIGGER {table}_kept")).expect("dropped");
    }
    database.execute_batch(change).expect("changed");
    drop(database);
    let found = verify(directory.path()).expect("read");
    assert_eq!(found.wrong, found.findings.len() as u64);
    found.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_planted_is_found() {
    let one = attempt(1, 1);
    let cases = [
        ("UPDATE posting SET used = 5, held = 5 WHERE id = 1", format!("attempt {one} posted")),
        ("DELETE FROM posting WHERE id = 1", format!("attempt {one} posted")),
        (
            "INSERT INTO posting SELECT 99, contract, meter, subject, at_us, held, used, fleet, request, attempt, source FROM posting WHERE id = 1",
            format!("attempt {one} posted"),
        ),
        ("DELETE FROM settlement WHERE request = (SELECT request FROM attempt WHERE id = 1)", format!("attempt {one} posted")),
        ("UPDATE settlement SET output = 5 WHERE request = (SELECT request FROM attempt WHERE id = 2)", "is not what is booked".to_owned()),
        ("DELETE FROM attempt WHERE id = 1", format!("attempt {one} is settled and was never decided")),
        ("UPDATE posting SET used = held + 1 WHERE source IS NOT NULL", "not between nothing and what was held".to_owned()),
        ("UPDATE held_share SET quantity = 399 WHERE number = 0", "shares don't add up".to_owned()),
        ("UPDATE held SET to_us = from_us - 1", "ends before it begins".to_owned()),
        ("UPDATE journal_position SET settled_below = 99", "was never settled".to_owned()),
        ("UPDATE journal_position SET offset = offset - 1", "where the journal has no record's end".to_owned()),
    ];
    for (change, expected) in cases {
        let found = planted(change);
        assert!(found.contains(&expected), "{change}: {found:?}");
    }
}

#[test]
fn booked_rows_refuse_to_be_changed() {
    let directory = tempfile::tempdir().expect("a folder");
    filled(directory.path());
    let database = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
    for table in TABLES {
        let column = if table == "held" {
            "endpoint"
        } else if table == "posting" {
            "contract"
        } else {
            "request"
        };
        assert!(database.execute(&format!("UPDATE {table} SET {column} = 'x'"), []).is_err(), "{table}");
        assert!(database.execute(&format!("DELETE FROM {table}"), []).is_err(), "{table}");
    }
}
