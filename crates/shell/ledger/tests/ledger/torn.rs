//! The journal's end, cut and damaged at every byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dispatch::Record;
use ledger::{LedgerError, Store};
use market::Tokens;
use proptest::prelude::*;

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
fn a_journal_cut_anywhere_gives_back_its_whole_records() {
    let directory = tempfile::tempdir().expect("a folder");
    let (segment, bytes, ends) = unbooked(directory.path());
    for cut in 0..=bytes.len() {
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
fn a_flipped_bit_stops_the_opening_unless_it_is_in_the_last_record() {
    let directory = tempfile::tempdir().expect("a folder");
    let (segment, bytes, ends) = unbooked(directory.path());
    let last = ends[ends.len() - 2];
    for place in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (place % 8);
        fs::write(&segment, &flipped).expect("written");
        let opened = Store::open(directory.path(), TEXT, fleet(), start());
        let began = ends.iter().rev().find(|end| **end <= place).copied().expect("the first is zero");
        match opened {
            Err(LedgerError::Damaged { offset, .. }) => assert!(began < last && offset == began as u64, "flipped at {place}"),
            Ok((_, recovery)) => {
                assert!(began == last && recovery.torn_bytes == (bytes.len() - last) as u64, "flipped at {place}");
            }
            Err(other) => assert_eq!(other.to_string(), "", "flipped at {place}"),
        }
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_after_the_journal_are_cut_and_never_booked(noise in proptest::collection::vec(any::<u8>(), 1..400)) {
        let directory = tempfile::tempdir().expect("a folder");
        let (segment, bytes, ends) = unbooked(directory.path());
        fs::write(&segment, [bytes.as_slice(), &noise].concat()).expect("written");
        let (_, recovery) = Store::open(directory.path(), TEXT, fleet(), start()).expect("opened");
        prop_assert_eq!((recovery.replayed, recovery.torn_bytes), (ends.len() - 1, noise.len() as u64));
    }
}
