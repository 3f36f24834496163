//! Random histories, with closings in between: the books are the fold of what was booked, whatever happened.

use std::collections::BTreeMap;
use std::time::Duration;

use dispatch::{AttemptId, Known, Record};
use ledger::{Finding, Store, Verification};
use market::{Balances, Tokens};
use proptest::prelude::*;

use crate::fixture::{TEXT, attempt, decided, fleet, held, open, seconds, settlement, start};

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Decide { request: u8, hosted: bool },
    Settle { request: u8, hosted: bool, tokens: (u16, u16, u16), bounded: bool },
    Hold { request: u8, held: u16, used: u16 },
    Flush,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_u8, any::<bool>()).prop_map(|(request, hosted)| Step::Decide { request, hosted }),
        4 => (0..12_u8, any::<bool>(), any::<(u16, u16, u16)>(), any::<bool>())
            .prop_map(|(request, hosted, tokens, bounded)| Step::Settle { request, hosted, tokens, bounded }),
        2 => (0..12_u8, any::<u16>(), any::<u16>()).prop_map(|(request, one, other)| Step::Hold {
            request,
            held: one.max(other),
            used: one.min(other)
        }),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
    ]
}

/// What the books must be: the first settlement of each attempt and all held time, posted one by one.
#[derive(Default)]
struct Expected {
    balances: Balances,
    decided: BTreeMap<AttemptId, bool>,
    settled: BTreeMap<AttemptId, bool>,
}

impl Expected {
    fn see(&mut self, record: &Record) {
        let fleet = fleet();
        match record {
            Record::Decided { attempt, .. } => {
                self.decided.insert(*attempt, true);
            }
            Record::Settled(settlement) => {
                if self.settled.insert(settlement.attempt, true).is_none() {
                    dispatch::postings(&fleet, settlement).iter().for_each(|usage| self.balances.post(&fleet, usage));
                }
            }
            Record::Held(held) => held.usage.iter().for_each(|usage| self.balances.post(&fleet, usage)),
        }
    }

    /// Opening settles what is open, so a later settlement of it is no longer the first.
    fn reopened(&mut self) {
        self.decided.keys().for_each(|attempt| {
            self.settled.entry(*attempt).or_insert(true);
        });
    }
}

fn record(step: &Step, now: units::Instant) -> Option<Record> {
    let fleet = fleet();
    match *step {
        Step::Decide { request, hosted } => Some(decided(&fleet, attempt(u128::from(request), 1), hosted, now)),
        Step::Settle { request, hosted, tokens: (input, cached, output), bounded } => {
            let tokens = Tokens { input: input.into(), cached: cached.into(), output: output.into() };
            let mut settlement = settlement(&fleet, attempt(u128::from(request), 1), hosted, tokens, now);
            settlement.known = if bounded { Known::Bounded } else { Known::Counted };
            Some(Record::Settled(settlement))
        }
        Step::Hold { request, held: all, used } => {
            let shares = [(attempt(u128::from(request), 1), i64::from(used))];
            Some(Record::Held(held(&fleet, now, Duration::from_secs(1), all.into(), &shares)))
        }
        Step::Flush | Step::Reopen => None,
    }
}

/// Each history fills a ledger on disk and verifies it: a share of those that a pure property has.
const SHARE: u32 = 800;
/// With each change.
const HISTORIES: u32 = 20_000;

/// How much is wrong, but for settlements of what was never decided: histories have those.
fn unsound(verified: &Verification) -> usize {
    verified.findings.iter().filter(|finding| !matches!(finding, Finding::NoIntent { .. })).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(HISTORIES.div_ceil(SHARE)))]

    #[test]
    fn the_books_are_the_fold_of_the_history(steps in proptest::collection::vec(step(), 0..80)) {
        let directory = tempfile::tempdir().expect("a folder");
        // Segments of a few records, so that every history rolls.
        let open = || Store::open_with(directory.path(), TEXT, fleet(), start(), 1000).expect("opened").0;
        let mut store = Some(open());
        let mut expected = Expected::default();
        for (second, step) in (0_u64..).zip(&steps) {
            let running = store.as_ref().expect("it is open between steps");
            match (record(step, seconds(second * 40)), step) {
                (Some(record), _) => {
                    running.append(&record).expect("appended");
                    expected.see(&record);
                }
                (None, Step::Reopen) => {
                    drop(store.take());
                    store = Some(open());
                    expected.reopened();
                }
                (None, _) => prop_assert_eq!(unsound(&running.audit(seconds(second * 40)).expect("read")), 0),
            }
        }
        let running = store.take().expect("it is open between steps");
        running.flush().expect("committed");
        prop_assert_eq!(&running.books().balances, &expected.balances);
        drop(running);
        let again = open();
        prop_assert_eq!(&again.books().balances, &expected.balances, "folded anew from the rows");
        drop(again);
        let verified = ledger::verify(directory.path(), None).expect("read");
        prop_assert_eq!(unsound(&verified), 0, "{:?}", verified);
    }
}

/// Appends that many settled attempts of three tokens each and gives their fold.
fn append_many(store: &Store, requests: std::ops::Range<u128>) -> Balances {
    let fleet = fleet();
    let mut expected = Balances::default();
    for request in requests {
        let settlement = settlement(&fleet, attempt(request, 1), true, Tokens { input: 2, cached: 0, output: 1 }, seconds(1));
        store.append(&Record::Settled(settlement)).expect("appended");
        dispatch::postings(&fleet, &settlement).iter().for_each(|usage| expected.post(&fleet, usage));
    }
    expected
}

#[test]
fn what_memory_does_not_hold_is_read_back_from_the_journal() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = Store::open_with(directory.path(), TEXT, fleet(), start(), 1 << 20).expect("opened");
    let other = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
    // While another process writes, nothing can be committed, and more comes than the queue may hold.
    other.execute_batch("BEGIN IMMEDIATE").expect("begun");
    let expected = append_many(&store, 0..20_000);
    other.execute_batch("COMMIT").expect("done");
    store.flush().expect("committed");
    assert_eq!(store.books().balances, expected);
}

/// Settles that many attempts in one commit, tells those in `again` a second time and the first of them also otherwise, and checks the books.
fn check_commit(count: u128, again: &[u128]) {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    let other = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
    // All of them wait while another process writes.
    other.execute_batch("BEGIN IMMEDIATE").expect("begun");
    let fleet = fleet();
    let of = |request: u128, input: u32| {
        let tokens = Tokens { input, cached: 0, output: 1 };
        let settled = settlement(&fleet, attempt(request, 1), true, tokens, seconds(1));
        [decided(&fleet, attempt(request, 1), true, seconds(1)), Record::Settled(settled)]
    };
    for request in 0..count {
        of(request, 2).iter().for_each(|record| store.append(record).expect("appended"));
    }
    for request in again {
        of(*request, 2).iter().for_each(|record| store.append(record).expect("appended"));
    }
    for request in again.iter().take(1) {
        of(*request, 3).iter().for_each(|record| store.append(record).expect("appended"));
    }
    other.execute_batch("COMMIT").expect("done");
    store.flush().expect("committed");
    let used: i64 = store.books().balances.iter().map(|(.., total)| total.held.count()).sum();
    drop(store);
    let found = ledger::verify(directory.path(), None).expect("read");
    let settled = u64::try_from(count).expect("a few");
    let seen = (found.attempts, found.settled, found.conflicts, used.unsigned_abs());
    assert_eq!(seen, (settled, settled, again.len().min(1) as u64, settled * 3), "{count} and {again:?}: {found:?}");
    assert!(found.holds(), "{count} and {again:?}: {:?}", found.findings);
}

#[test]
fn a_commit_of_any_size_books_each_entry_once() {
    for count in [1, 3, 4, 5, 8, 50] {
        check_commit(count, &[]);
        check_commit(count, &[count - 1]);
        check_commit(count, &[0, count / 2]);
    }
}

#[test]
fn a_commit_that_fails_is_reported_and_tried_again() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    let other = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
    let fault = "CREATE TRIGGER fault BEFORE INSERT ON posting WHEN (SELECT count(*) FROM posting) >= 3
                 BEGIN SELECT RAISE(ABORT, 'a fault'); END";
    other.execute_batch(fault).expect("planted");
    append_many(&store, 0..10);
    let error = store.flush().expect_err("the database refuses");
    assert!(matches!(error, ledger::LedgerError::Commit(_)), "{error}");
    assert_eq!(store.attempts(9).expect("read"), [], "all of a commit or nothing");
    // What comes meanwhile must not be booked ahead of what failed.
    append_many(&store, 10..15);
    other.execute_batch("DROP TRIGGER fault").expect("removed");
    // A retry may have been under way when the fault went: the next one succeeds.
    store.flush().or_else(|_| store.flush()).expect("committed");
    let (shown, rows) = (store.books(), store.attempts(99).expect("read").len());
    assert_eq!((shown.balances.iter().map(|(.., total)| total.held.count()).sum::<i64>(), rows), (15 * 3, 0));
    drop(store);
    assert_eq!(ledger::verify(directory.path(), None).expect("read").settled, 15);
}
