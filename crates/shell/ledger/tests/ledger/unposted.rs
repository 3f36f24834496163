//! What a killed process held since its last reading is posted at the next opening; what one that ended held is not.

use std::path::Path;
use std::time::Duration;

use dispatch::Record;
use fleet::{Id, Meter};
use ledger::{REPLICA, Store, View, verify};
use market::Tokens;
use units::Instant;

use crate::fixture::{attempt, decided, fleet, held, open, seconds, settlement, start};

fn total(store: &Store) -> (i64, i64) {
    let meter = Meter::AcceleratorTime(Id::from_index(0));
    let sums = store.books().balances.iter().filter(|(_, _, on, _)| *on == meter).map(|(.., total)| total).collect::<Vec<_>>();
    sums.iter().fold((0, 0), |sum, total| (sum.0 + total.held.count(), sum.1 + total.used.count()))
}

/// Fills a directory: two accelerators held for five seconds, then an attempt that ends `after`. The copy is as a kill leaves it.
fn killed(after: Instant, copy: &Path) -> Store {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    store.append(&Record::Held(held(&fleet(), start(), Duration::from_secs(5), 10_000, &[(attempt(1, 1), 3_000)]))).expect("appended");
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
