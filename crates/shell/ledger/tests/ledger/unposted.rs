//! What a killed process held since its last reading is posted at the next opening; what one that ended held is not.

use std::path::Path;
use std::time::Duration;

use dispatch::{HeldTime, Record};
use fleet::{Id, Meter};
use ledger::{REPLICA, Store, View, verify};
use market::Tokens;
use units::{Instant, Span};

use crate::fixture::{attempt, decided, fleet, held, open, seconds, settlement, start};

fn total(store: &Store) -> (i64, i64) {
    let meter = Meter::AcceleratorTime(Id::from_index(0));
    let sums = store.books().balances.iter().filter(|(_, _, on, _)| *on == meter).map(|(.., total)| total).collect::<Vec<_>>();
    sums.iter().fold((0, 0), |sum, total| (sum.0 + total.held.count(), sum.1 + total.used.count()))
}

/// Fills a directory: two accelerators held for five seconds, then an attempt that ends `after`. The copy is as a kill leaves it.
fn killed(after: Instant, copy: &Path) -> Store {
    killed_with([held(&fleet(), start(), Duration::from_secs(5), 10_000, &[(attempt(1, 1), 3_000)])], after, copy)
}

/// The same with other held time.
fn killed_with(read: impl IntoIterator<Item = HeldTime>, after: Instant, copy: &Path) -> Store {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    read.into_iter().for_each(|held| store.append(&Record::Held(held)).expect("appended"));
    store.append(&decided(&fleet(), attempt(1, 1), false, start())).expect("appended");
    store.append(&Record::Settled(settlement(&fleet(), attempt(1, 1), false, Tokens::default(), after))).expect("appended");
    store.flush().expect("committed");
    for part in ["", "journal", "fleets"] {
        std::fs::create_dir_all(copy.join(part)).expect("made");
        for file in directory.path().join(part).read_dir().expect("there").flatten().filter(|file| file.path().is_file()) {
            std::fs::copy(file.path(), copy.join(part).join(file.file_name())).expect("copied");
        }
    }
    store
}

fn check(after: Instant, expected: (i64, i64), recovered: Duration) {
    let copy = tempfile::tempdir().expect("a folder");
    let ended = killed(after, copy.path());
    check_opened(copy.path(), expected, recovered);
    drop(ended);
}

fn check_opened(copy: &Path, expected: (i64, i64), recovered: Duration) {
    let (store, recovery) = open(copy);
    assert_eq!((total(&store), recovery.held), (expected, recovered));
    drop(store);
    let (store, recovery) = open(copy);
    assert_eq!((total(&store), recovery.held), (expected, Duration::ZERO), "once");
    drop(store);
    let verified = verify(copy, None).expect("read");
    assert!(verified.holds(), "{verified:?}");
}

#[test]
fn held_time_goes_on_to_the_last_instant_that_the_journal_names() {
    // Two accelerators for 2.5 seconds more, none of it used.
    check(seconds(7) + Duration::from_micros(500_900), (15_000, 3_000), Duration::from_millis(2_500));
    // Nothing was appended after the reading; or so much later that it was not holding any more.
    check(seconds(4), (10_000, 3_000), Duration::ZERO);
    check(seconds(60), (10_000, 3_000), Duration::ZERO);
}

/// Five seconds of an endpoint with so many accelerators, none of it used.
fn idle(name: &str, from: Instant, accelerators: i64) -> HeldTime {
    let endpoint = fleet().endpoints.id(name).expect("it is there");
    HeldTime { endpoint, ..held(&fleet(), from, Duration::from_secs(5), 5_000 * accelerators, &[]) }
}

/// What the books have of an endpoint: spans in seconds since the start, and how much was held in each.
fn spans_of(directory: &Path, name: &str) -> Vec<(u64, u64, i64)> {
    let text = "SELECT from_us, to_us, posting.held FROM held JOIN posting ON source = held.id WHERE endpoint = ?1 ORDER BY held.id";
    let books = rusqlite::Connection::open(directory.join("ledger.db")).expect("a database");
    let mut select = books.prepare(text).expect("it is there");
    let second = |micros: i64| Instant::from_micros(micros).since(start()).as_secs();
    let rows = select.query_map([name], |row| Ok((second(row.get(0)?), second(row.get(1)?), row.get(2)?))).expect("read");
    rows.map(|row| row.expect("a row")).collect()
}

/// Where north has two accelerators and web has one, and a kill came after so many records of their two readings; an attempt ends `after`.
fn check_left_out(records: usize, after: Instant, noted: Option<Instant>, north: &[(u64, u64, i64)], web: &[(u64, u64, i64)]) {
    let copy = tempfile::tempdir().expect("a folder");
    let of = |from| [idle("north", from, 2), idle("web", from, 1)];
    let ended = killed_with([of(start()), of(seconds(5))].into_iter().flatten().take(records), after, copy.path());
    if let Some(until) = noted {
        std::fs::write(copy.path().join(REPLICA), "0123456789abcdef\n").expect("a file");
        View::open(copy.path()).expect("a ledger").note_kept(until).expect("noted");
    }
    // What it posted is not posted again when it is opened once more.
    for _ in 0..2 {
        drop(open(copy.path()));
        assert_eq!(spans_of(copy.path(), "north"), north);
        assert_eq!(spans_of(copy.path(), "web"), web);
    }
    let verified = verify(copy.path(), None).expect("read");
    assert!(verified.holds(), "{verified:?}");
    drop(ended);
}

#[test]
fn endpoints_that_a_kill_left_out_of_a_reading_have_no_gap_and_no_overlap() {
    let (north, web) = ((0, 5, 10_000), (0, 5, 5_000));
    let later = (5, 10, 10_000);
    // The whole reading is there, and two seconds more.
    check_left_out(4, seconds(12), None, &[north, later, (10, 12, 4_000)], &[web, (5, 10, 5_000), (10, 12, 2_000)]);
    // Of the second reading only the first endpoint is.
    check_left_out(3, seconds(12), None, &[north, later, (10, 12, 4_000)], &[web, (5, 10, 5_000), (10, 12, 2_000)]);
    // Nothing is named after it; or so much later that nothing was held any more, but to its end.
    check_left_out(3, seconds(4), None, &[north, later], &[web, (5, 10, 5_000)]);
    check_left_out(3, seconds(60), None, &[north, later], &[web, (5, 10, 5_000)]);
    // None of it is.
    check_left_out(2, seconds(7), None, &[north, (5, 7, 4_000)], &[web, (5, 7, 2_000)]);
}

#[test]
fn one_of_several_replicas_posts_what_a_kill_left_out_as_far_as_it_was_its_own() {
    let (north, web) = ((0, 5, 10_000), (0, 5, 5_000));
    let later = (5, 10, 10_000);
    check_left_out(3, seconds(12), Some(seconds(11)), &[north, later, (10, 11, 2_000)], &[web, (5, 10, 5_000), (10, 11, 1_000)]);
    check_left_out(3, seconds(12), Some(seconds(8)), &[north, later], &[web, (5, 8, 3_000)]);
    check_left_out(3, seconds(12), Some(seconds(4)), &[north, later], &[web]);
}

#[test]
fn who_noted_that_nothing_is_held_any_more_left_nothing_out() {
    let copy = tempfile::tempdir().expect("a folder");
    let span = Span { from: seconds(5), to: seconds(5) + Duration::from_millis(1) };
    let nothing = HeldTime { span, usage: Vec::new(), ..idle("north", seconds(5), 2) };
    let ended = killed_with([idle("north", start(), 2), idle("web", start(), 1), nothing], seconds(7), copy.path());
    drop(open(copy.path()));
    assert_eq!(spans_of(copy.path(), "web"), [(0, 5, 5_000)]);
    drop(ended);
}

#[test]
fn one_of_several_replicas_posts_no_further_than_held_time_was_its_own() {
    for (noted, expected, recovered) in [
        (Some(seconds(60)), (15_000, 3_000), Duration::from_millis(2_500)),
        (Some(seconds(6)), (12_000, 3_000), Duration::from_secs(1)),
        (Some(seconds(4)), (10_000, 3_000), Duration::ZERO),
        (None, (10_000, 3_000), Duration::ZERO),
    ] {
        let copy = tempfile::tempdir().expect("a folder");
        let ended = killed(seconds(7) + Duration::from_micros(500_900), copy.path());
        std::fs::write(copy.path().join(REPLICA), "0123456789abcdef\n").expect("a file");
        if let Some(until) = noted {
            View::open(copy.path()).expect("a ledger").note_kept(until).expect("noted");
        }
        check_opened(copy.path(), expected, recovered);
        drop(ended);
    }
}

#[test]
fn a_process_that_ended_in_good_order_left_nothing_out() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    store.append(&Record::Held(held(&fleet(), start(), Duration::from_secs(5), 10_000, &[]))).expect("appended");
    store.append(&decided(&fleet(), attempt(1, 1), false, start())).expect("appended");
    store.append(&Record::Settled(settlement(&fleet(), attempt(1, 1), false, Tokens::default(), seconds(7)))).expect("appended");
    drop(store);
    let (store, recovery) = open(directory.path());
    assert_eq!((total(&store), recovery.held), ((10_000, 0), Duration::ZERO));
}

#[test]
fn the_books_say_up_to_when_held_time_is_posted() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    assert_eq!(store.held_until().expect("read"), None);
    for (from, length) in [(start(), 5), (seconds(5), 7), (seconds(5), 2)] {
        store.append(&Record::Held(held(&fleet(), from, Duration::from_secs(length), 1, &[]))).expect("appended");
    }
    store.flush().expect("committed");
    assert_eq!(store.behind(), 0, "what is flushed is shown");
    assert_eq!(store.held_until().expect("read"), Some(seconds(12)));
}
