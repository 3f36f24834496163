//! What keys have spent is told once, whatever is corrected before it is read, between and after.

use std::path::Path;

use dispatch::{Known, Outcome, Record, Settlement};
use ledger::{Correct, SpendingReader, Store, View, correct};
use market::Tokens;
use units::Instant;

use crate::fixture::{attempt, decided, fleet, open, seconds, settlement};

const fn tokens(input: u32, output: u32) -> Tokens {
    Tokens { input, cached: 0, output }
}

/// Three attempts, decided at seconds 10, 20 and 30: 10 input and 5 output tokens, which are 20 nanos; the last one is only bounded, by
/// 10 and 20, which are 50.
fn three(directory: &Path) -> Store {
    let (store, _) = open(directory);
    for (request, took, known) in
        [(1, tokens(10, 5), Known::Reported), (2, tokens(10, 5), Known::Reported), (3, tokens(10, 20), Known::Bounded)]
    {
        let (id, at) = (attempt(u128::from(request), 1), seconds(10 * request));
        let told = settlement(&fleet(), id, true, took, at);
        let outcome = if known == Known::Bounded { Outcome::Cut } else { told.outcome };
        store.append(&decided(&fleet(), id, true, at)).expect("appended");
        store.append(&Record::Settled(Settlement { known, outcome, ..told })).expect("appended");
    }
    store.flush().expect("committed");
    store
}

/// As another process does it.
fn said(directory: &Path, request: u128, took: Tokens) {
    let said = Correct { attempt: attempt(request, 1), tokens: took, why: "the bill".to_owned(), who: "ada".to_owned() };
    correct(directory, &said, seconds(99)).expect("corrected");
}

/// What is told: seconds and nanos.
fn begin(view: &View, since: Option<Instant>) -> (SpendingReader, Vec<(u64, i128)>) {
    let mut told = Vec::new();
    let reader =
        SpendingReader::begin(view, since, |spending| told.push((spending.decided.since(seconds(0)).as_secs(), spending.list.nanos())));
    (reader.expect("read"), told)
}

fn catch_up(reader: &mut SpendingReader, view: &View) -> Vec<(u64, i128)> {
    let mut told = Vec::new();
    let read = reader.catch_up(view, |spending| told.push((spending.decided.since(seconds(0)).as_secs(), spending.list.nanos())));
    read.expect("read");
    told
}

#[test]
fn a_correction_counts_as_what_it_changes_of_what_its_attempt_counted_before() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = three(directory.path());
    said(directory.path(), 1, tokens(4, 3));
    let (mut reader, told) = begin(&store, Some(seconds(0)));
    assert_eq!(told, [(10, 10), (20, 20), (30, 50)], "four and twice three, not ten and twice five");
    assert_eq!(begin(&store, Some(seconds(20))).1, [(20, 20), (30, 50)]);
    assert_eq!(catch_up(&mut reader, &store), []);
    said(directory.path(), 1, tokens(0, 0));
    said(directory.path(), 2, tokens(10, 9));
    said(directory.path(), 2, tokens(10, 4));
    said(directory.path(), 3, tokens(10, 1));
    assert_eq!(catch_up(&mut reader, &store), [(10, -10), (20, 8), (20, -10), (30, -38)]);
    assert_eq!(catch_up(&mut reader, &store), [], "each once");
    assert_eq!(begin(&store, Some(seconds(0))).1, [(10, 0), (20, 18), (30, 12)]);
}

#[test]
fn wherever_a_reader_begins_it_comes_to_the_same() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = three(directory.path());
    let mut readers = Vec::new();
    for (request, output) in [(1, 9), (2, 0), (1, 2), (3, 7), (1, 5), (2, 6), (3, 0)] {
        readers.push(begin(&store, Some(seconds(0))));
        said(directory.path(), request, tokens(10, output));
    }
    for (mut reader, mut told) in readers {
        told.extend(catch_up(&mut reader, &store));
        let sums = [10, 20, 30].map(|decided| told.iter().filter(|(second, _)| *second == decided).map(|(_, nanos)| nanos).sum::<i128>());
        assert_eq!(sums, [10 + 2 * 5, 10 + 2 * 6, 10], "{told:?}");
    }
    let (mut none, told) = begin(&store, None);
    assert_eq!(told, [], "nothing has a budget yet");
    said(directory.path(), 1, tokens(10, 6));
    assert_eq!(catch_up(&mut none, &store), [(10, 2)], "and what has one later hears of what is corrected then");
}

#[test]
fn more_corrections_than_are_read_at_once_are_all_told() {
    let directory = tempfile::tempdir().expect("a folder");
    let store = three(directory.path());
    let (mut reader, _) = begin(&store, None);
    let database = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
    database
        .execute_batch(
            "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 2500)
             INSERT INTO correction (id, request, attempt, corrects, input, cached, output, list, why, who, at_us)
             SELECT n, request, attempt, nullif(n - 1, 0), n, 0, 0, 20 + 3 * n, '', '', 0 FROM number, settlement
             WHERE settlement.ended = (SELECT min(ended) FROM settlement)",
        )
        .expect("they are there");
    let told = catch_up(&mut reader, &store);
    assert_eq!(told.len(), 2_500);
    assert!(told.iter().all(|change| *change == (10, 3)), "each adds three nanos to the one before it");
    assert_eq!(catch_up(&mut reader, &store), []);
}
