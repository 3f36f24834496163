//! The journal's end cut at the ends of records and beside them; every byte is cut in the tests of recovery itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dispatch::Record;
use ledger::{LedgerError, Store};
use market::Tokens;

use crate::fixture::{TEXT, attempt, decided, fleet, held, seconds, settlement, start};

/// A state directory whose database has nothing of its journal, with the length of the journal after each record.
fn unbooked(directory: &Path) -> (PathBuf, Vec<u8>, Vec<usize>) {
    let segment = directory.join("journal/00000000.bl");
    let fleet = fleet();
    let records = [
        decided(&fleet, attempt(1, 1), true, seconds(1)),
        Record::Settled(settlement(&fleet, attempt(1, 1), true, Tokens { input: 7, cached: 0, output: 4 }, seconds(2))),
        Record::Held(held(&fleet, seconds(1), Duration::from_secs(1), 1000, &[(attempt(1, 1), 600)])),
        Record::Settled(settlement(&fleet, attempt(2, 1), true, Tokens { input: 8, cached: 0, output: 5 }, seconds(3))),
    ];
    let (store, _) = Store::open(directory, TEXT, fleet, start()).expect("opened");
    let mut ends = vec![0];
    for record in &records {
        store.append(record).expect("appended");
        ends.push(usize::try_from(fs::metadata(&segment).expect("there").len()).expect("short"));
    }
    drop(store);
    let bytes = fs::read(&segment).expect("read");
    forget(directory);
    (segment, bytes, ends)
}

/// Makes the database anew, so that the next opening reads the whole journal.
fn forget(directory: &Path) {
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        let path = directory.join(name);
        if path.exists() {
            fs::remove_file(path).expect("removed");
        }
    }
}

#[test]
fn a_cut_journal_gives_back_its_whole_records() {
    let directory = tempfile::tempdir().expect("a folder");
    let (segment, bytes, ends) = unbooked(directory.path());
    let beside = |end: &usize| [end.saturating_sub(1), *end, end + 1];
    for cut in ends.iter().flat_map(beside).filter(|cut| *cut <= bytes.len()) {
        fs::write(&segment, &bytes[..cut]).expect("written");
        let (store, recovery) = Store::open(directory.path(), TEXT, fleet(), start()).expect("opened");
        drop(store);
        let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
        assert_eq!(recovery.replayed, whole, "cut at {cut}");
        assert_eq!(recovery.torn_bytes, (cut - ends[whole]) as u64, "cut at {cut}");
        // Only the decision was there: recovery itself settled it, after what was whole.
        let interrupted = usize::from(whole == 1);
        assert_eq!(recovery.interrupted.len(), interrupted, "cut at {cut}");
        let after = fs::read(&segment).expect("read");
        assert_eq!(&after[..ends[whole]], &bytes[..ends[whole]]);
        assert_eq!(after.len() > ends[whole], interrupted == 1, "cut at {cut}");
        forget(directory.path());
    }
}

#[test]
fn a_missing_or_shortened_journal_is_not_taken_for_an_empty_one() {
    let directory = tempfile::tempdir().expect("a folder");
    let (segment, bytes, _) = unbooked(directory.path());
    drop(Store::open(directory.path(), TEXT, fleet(), start()).expect("opened"));
    fs::write(&segment, &bytes[..bytes.len() - 1]).expect("written");
    assert!(matches!(Store::open(directory.path(), TEXT, fleet(), start()), Err(LedgerError::Damaged { .. })));
    fs::remove_file(&segment).expect("removed");
    assert!(matches!(Store::open(directory.path(), TEXT, fleet(), start()), Err(LedgerError::Missing { .. })));
}
