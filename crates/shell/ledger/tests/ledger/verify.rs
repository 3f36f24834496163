//! The offline check finds what was planted, and nothing in sound books.

use std::path::Path;
use std::time::Duration;

use dispatch::Record;
use ledger::{Finding, LedgerError, Verification, verify};
use market::Tokens;

use crate::closing;
use crate::fixture::{attempt, decided, fleet, held, open, seconds, settlement};

/// The tables whose rows are never changed.
const TABLES: [&str; 6] = ["attempt", "settlement", "held", "held_share", "posting", "entry"];

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
    let found = verify(directory.path(), None).expect("read");
    // Each record, the fleet, the opening and the ending.
    let expected = Verification {
        attempts: 4,
        settled: 3,
        held: 1,
        postings: 5,
        records: 8,
        entries: 11,
        head: found.head,
        ..Verification::default()
    };
    assert_eq!((&found, found.head.number), (&expected, 11));
    assert_eq!(verify(directory.path(), Some(found.head.hash)).expect("read"), expected, "a check changes nothing");
    let store = open(directory.path());
    assert!(matches!(verify(directory.path(), None), Err(ledger::LedgerError::Locked { .. })));
    drop(store);
}

#[test]
fn what_is_booked_names_only_rows_that_are_there() {
    let directory = tempfile::tempdir().expect("a folder");
    filled(directory.path());
    let database = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
    let astray = || database.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get::<_, i64>(0)).expect("checked");
    assert_eq!(astray(), 0);
    database.execute_batch("PRAGMA foreign_keys = off; DELETE FROM fleet").expect("deleted");
    assert_eq!(astray(), 4 + 3 + 1 + 5 + 1, "attempts, settlements, held time, postings and the opening name it");
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
    let found = verify(directory.path(), None).expect("read");
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
            "INSERT INTO posting SELECT 99, contract, meter, subject, at_us, held, used, fleet, request, attempt, correction, source FROM posting WHERE id = 1",
            format!("attempt {one} posted"),
        ),
        (
            "INSERT INTO posting SELECT -1, contract, meter, subject, at_us, 1000, 0, fleet, request, attempt, correction, source FROM posting WHERE source IS NOT NULL",
            "posting has 6 rows, and the chain 5 of them".to_owned(),
        ),
        ("DELETE FROM settlement WHERE request = (SELECT request FROM attempt WHERE id = 1)", format!("attempt {one} posted")),
        ("UPDATE settlement SET output = 5 WHERE request = (SELECT request FROM attempt WHERE id = 2)", "is not what is booked".to_owned()),
        ("DELETE FROM attempt WHERE id = 1", format!("attempt {one} is settled and was never decided")),
        ("UPDATE posting SET used = held + 1 WHERE source IS NOT NULL", "not between nothing and what was held".to_owned()),
        ("UPDATE held_share SET quantity = 399 WHERE number = 0", "shares don't add up".to_owned()),
        ("UPDATE held SET to_us = from_us - 1", "ends before it begins".to_owned()),
        ("UPDATE journal_position SET settled_below = 99", "was never settled".to_owned()),
        ("UPDATE journal_position SET offset = offset - 1", "where the journal has no record's end".to_owned()),
        ("UPDATE attempt SET key = 9 WHERE id = 1", "entry 3 of the chain is not what its hash says".to_owned()),
        ("UPDATE settlement SET list = 1 WHERE request = (SELECT request FROM attempt WHERE id = 1)", "entry 4 of the chain".to_owned()),
        ("UPDATE fleet SET name = 'other'", "entry 1 of the chain".to_owned()),
        ("UPDATE entry SET number = 99 WHERE number = 5", "entry 6 of the chain".to_owned()),
        ("DELETE FROM entry WHERE number = 11", "ending has 1 rows, and the chain 0 of them".to_owned()),
        ("INSERT INTO conflict VALUES (1, x'01', 1, x'00')", "conflict has 1 rows, and the chain 0 of them".to_owned()),
        (
            "PRAGMA foreign_keys = off; UPDATE opening SET id = 2; UPDATE entry SET row = 2 WHERE kind = 'opening'",
            "entry 2 of the chain is row 2 of opening, where 1 comes".to_owned(),
        ),
    ];
    for (change, expected) in cases {
        let found = planted(change);
        assert!(found.contains(&expected), "{change}: {found:?}");
    }
}

/// Rows name their fleet by its number: two versions with the same names and other prices would change places, and no hash has the number.
#[test]
fn fleets_that_change_places_are_found() {
    let directory = tempfile::tempdir().expect("a folder");
    drop(closing::open(directory.path()));
    drop(closing::open_with(directory.path(), &closing::by_the_hour()));
    assert!(verify(directory.path(), None).expect("read").holds());
    let database = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
    let change = "PRAGMA foreign_keys = off; DROP TRIGGER entry_stays; UPDATE fleet SET id = -id; UPDATE fleet SET id = 3 + id;
        UPDATE entry SET row = 3 - row WHERE kind = 'fleet'";
    database.execute_batch(change).expect("changed");
    drop(database);
    let found: Vec<String> = verify(directory.path(), None).expect("read").findings.iter().map(ToString::to_string).collect();
    assert!(found.iter().any(|finding| finding.contains("is row 2 of fleet, where 1 comes next")), "{found:?}");
    assert!(!found.iter().any(|finding| finding.contains("not what its hash says")), "{found:?}");
}

#[test]
fn a_text_of_a_fleet_that_was_changed_is_found_and_not_read() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, fleet) = closing::open_with(directory.path(), closing::LAPTOP);
    assert_eq!(store.fleet().expect("kept").version, fleet.version);
    let kept = std::fs::read_dir(directory.path().join("fleets")).expect("a folder").flatten().next().expect("one text").path();
    std::fs::write(&kept, closing::by_the_hour()).expect("written");
    assert!(matches!(store.fleet(), Err(LedgerError::Changed { version }) if version == fleet.version));
    drop(store);
    let found = verify(directory.path(), None).expect("read");
    assert_eq!(found.findings, [Finding::FleetText { version: fleet.version }]);
    // Where nothing needs it, none is no fault.
    std::fs::remove_file(&kept).expect("it is there");
    assert!(verify(directory.path(), None).expect("read").holds());
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
        } else if table == "entry" {
            "kind"
        } else {
            "request"
        };
        assert!(database.execute(&format!("UPDATE {table} SET {column} = {column}"), []).is_err(), "{table}");
        assert!(database.execute(&format!("DELETE FROM {table}"), []).is_err(), "{table}");
    }
}

#[test]
fn what_was_changed_with_its_chain_still_lacks_the_noted_head() {
    let directory = tempfile::tempdir().expect("a folder");
    filled(directory.path());
    let noted = verify(directory.path(), None).expect("read").head.hash;
    // A forger who computes everything anew: the same directory without its last attempt.
    let forged = tempfile::tempdir().expect("a folder");
    drop(open(forged.path()));
    let found = verify(forged.path(), Some(noted)).expect("read");
    assert_eq!(found.findings, [ledger::Finding::Head { hash: noted }]);
    // What comes after it changes nothing.
    drop(open(directory.path()));
    assert!(verify(directory.path(), Some(noted)).expect("read").holds());
}
