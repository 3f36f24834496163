//! The ledgers of several replicas, put together from copies of their entries.

use std::path::Path;
use std::time::Duration;

use dispatch::{KeyId, Record};
use ledger::{ChainEntry, Copied, Hash, Store, View, Whole};
use market::Tokens;

use crate::fixture::{attempt, decided, fleet, held, open, seconds, settlement, start};

const TOKENS: Tokens = Tokens { input: 10, cached: 0, output: 5 };

/// Books `count` hosted attempts and one span of held time at a replica.
fn fill(directory: &Path, replica: u128, count: u128) -> Store {
    let (store, fleet) = (open(directory).0, fleet());
    for request in 0..count {
        let attempt = attempt(replica * 1_000 + request, 1);
        store.append(&decided(&fleet, attempt, true, start())).expect("appended");
        store.append(&Record::Settled(settlement(&fleet, attempt, true, TOKENS, seconds(1)))).expect("appended");
    }
    store.append(&Record::Held(held(&fleet, start(), Duration::from_secs(1), 1_000, &[]))).expect("appended");
    store.flush().expect("committed");
    store
}

/// The entries of two replicas, one after another, as they may have come in turn.
fn copies(first: &View, second: &View) -> Vec<Copied> {
    let entries = |replica, view: &View| -> Vec<(i64, ChainEntry)> {
        let last = view.synced_entries().expect("synced");
        view.entries(0, last, usize::MAX).expect("they are there").into_iter().map(|entry| (replica, entry)).collect()
    };
    let (mut first, mut second) = (entries(1, first).into_iter(), entries(2, second).into_iter());
    let mut turns = Vec::new();
    while first.len() + second.len() > 0 {
        turns.extend(first.next());
        turns.extend(second.next());
    }
    let copied = |((replica, entry), place)| Copied { replica, place, key: Some(format!("key-{replica}")), entry };
    turns.into_iter().zip(1..).map(copied).collect()
}

fn whole(folder: &Path, copies: &[Copied], pieces: usize) -> Whole {
    let mut whole = Whole::open(folder).expect("a folder");
    for piece in copies.chunks(pieces) {
        whole.add(piece).expect("it takes them");
    }
    whole
}

#[test]
fn the_books_of_all_are_the_sum_of_each_ones_however_they_come() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (first, second) = (fill(&at("first"), 1, 3), fill(&at("second"), 2, 4));
    let copies = copies(&first, &second);
    let chain = |replica| {
        let entries = copies.iter().filter(|copied| copied.replica == replica);
        entries.fold(Hash::default(), |hash, copied| {
            assert_eq!(hash.then(&copied.entry.text), copied.entry.hash, "a copy proves itself");
            copied.entry.hash
        })
    };
    assert_ne!(chain(1), chain(2));
    let mut together = whole(&at("whole"), &copies, 4);
    let view = View::open(&at("whole")).expect("a ledger like any other");
    let shown: Vec<_> =
        view.attempts(99).expect("attempts").iter().map(|row| (row.attempt.request.0, row.key, row.settled.is_some())).collect();
    assert_eq!(shown.len(), 7);
    assert!(
        shown.iter().all(|(request, key, settled)| *settled && *key == KeyId(u32::try_from(request / 1_000).expect("small"))),
        "{shown:?}"
    );
    let books = |whole: &mut Whole| whole.books(&fleet(), start()).expect("books");
    let sum: i64 = [first.books(), second.books()].iter().flat_map(|books| totals(books)).sum();
    assert_eq!(totals(&books(&mut together)).iter().sum::<i64>(), sum);
    assert_eq!((together.place().expect("a place"), sum), (i64::try_from(copies.len()).expect("few"), 7 * 15 + 2 * 1_000));
}

fn totals(books: &ledger::Books) -> Vec<i64> {
    books.balances.iter().map(|(.., total)| total.held.count()).collect()
}

#[test]
fn periods_close_once_for_all_and_every_place_closes_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (first, second) = (fill(&at("first"), 1, 3), fill(&at("second"), 2, 4));
    let mut copies = copies(&first, &second);
    let (mut here, mut there) = (whole(&at("here"), &copies, 4), whole(&at("there"), &copies, 1));
    let later = seconds(3_600);
    let closed = here.closing(&fleet(), later).expect("it closes");
    assert!(closed.len() > 2 && closed.iter().all(|entry| entry.kind == "closing"), "{}", closed.len());
    assert_eq!(there.closing(&fleet(), later).expect("it closes"), closed, "word for word");
    assert_eq!(here.closing(&fleet(), later).expect("it closes"), closed, "nothing is closed before all have it");
    let place = here.place().expect("a place");
    let all: Vec<Copied> =
        closed.into_iter().zip(place + 1..).map(|(entry, place)| Copied { replica: 0, place, key: None, entry }).collect();
    here.add(&all).expect("it takes them");
    copies.extend(all);
    assert_eq!(here.closing(&fleet(), later).expect("it closes"), [], "once");
    let again = whole(&at("again"), &copies, 3);
    assert_eq!(again.place().expect("a place"), here.place().expect("a place"));
    let view = View::open(&at("again")).expect("a ledger like any other");
    let due: i128 = view.closings(None).expect("closings").iter().map(|closed| closed.due.nanos()).sum();
    assert_eq!(due, 7 * 15 + 2 * 1_000, "a nano a token and a millisecond");
}
