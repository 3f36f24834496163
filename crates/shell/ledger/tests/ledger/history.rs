//! Random histories, with closings, corrections, invoices and openings in between: the books are the fold of what was booked, whatever happened.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use dispatch::{AttemptId, Known, Record, Settlement};
use fleet::{Fleet, Meter};
use ledger::{Correct, Finding, Invoice, Store, Verification, correct, import_invoice, read_invoice};
use market::{Balances, Tokens, Usage};
use proptest::prelude::*;
use units::{Instant, Quantity, Span};

use crate::closing::{LAPTOP, MINUTE};
use crate::fixture::{TEXT, attempt, decided, fleet, held, open, place, seconds, settlement, start};

/// The laptop's fleet with the names of the small one: closings and invoices need a file that can be read again.
fn text() -> &'static str {
    static RENAMED: OnceLock<String> = OnceLock::new();
    RENAMED.get_or_init(|| {
        let names = [
            ("north-reserved", "reserved"),
            ("spill-on-demand", "tokens"),
            ("[endpoints.spill]", "[endpoints.web]"),
            ("endpoints = [\"spill\"]", "endpoints = [\"web\"]"),
        ];
        names.iter().fold(LAPTOP.to_owned(), |text, (before, after)| text.replace(before, after))
    })
}

fn lab() -> Arc<Fleet> {
    static LAB: OnceLock<Arc<Fleet>> = OnceLock::new();
    Arc::clone(LAB.get_or_init(|| Arc::new(fleet::parse(text()).fleet.expect("it is sound"))))
}

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Decide {
        request: u8,
        hosted: bool,
    },
    Settle {
        request: u8,
        hosted: bool,
        tokens: Tokens,
        bounded: bool,
    },
    Hold {
        request: u8,
        held: u16,
        used: u16,
    },
    Flush,
    Reopen,
    /// Closes what a clock allows that is so many minutes ahead: much of what follows comes late.
    Close {
        ahead: u32,
    },
    /// What an attempt really took, said again maybe.
    Correct {
        request: u8,
        tokens: Tokens,
    },
    /// What a supplier says was taken in the period of some minutes ago.
    Invoice {
        ago: u32,
        input: u32,
        output: u32,
    },
}

fn tokens() -> impl Strategy<Value = Tokens> {
    any::<(u16, u16, u16)>().prop_map(|(input, cached, output)| Tokens {
        input: input.into(),
        cached: cached.min(input).into(),
        output: output.into(),
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..12_u8, any::<bool>()).prop_map(|(request, hosted)| Step::Decide { request, hosted }),
        4 => (0..12_u8, any::<bool>(), tokens(), any::<bool>())
            .prop_map(|(request, hosted, tokens, bounded)| Step::Settle { request, hosted, tokens, bounded }),
        // Milliseconds of the one accelerator that the pool has, over a second.
        2 => (0..12_u8, 0..=1_000_u16, 0..=1_000_u16).prop_map(|(request, one, other)| Step::Hold {
            request,
            held: one.max(other),
            used: one.min(other)
        }),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
        1 => (0..40_u32).prop_map(|ahead| Step::Close { ahead }),
        1 => (0..12_u8, tokens()).prop_map(|(request, tokens)| Step::Correct { request, tokens }),
        1 => (0..20_u32, 0..100_000_u32, 0..100_000_u32).prop_map(|(ago, input, output)| Step::Invoice { ago, input, output }),
    ]
}

/// What the books must be: the first settlement of each attempt, as it was corrected, and all held time, posted one by one.
#[derive(Default)]
struct Expected {
    balances: Balances,
    decided: BTreeSet<AttemptId>,
    /// As they count now.
    settled: BTreeMap<AttemptId, Settlement>,
    corrections: u64,
}

impl Expected {
    fn see(&mut self, record: &Record) {
        let fleet = lab();
        match record {
            Record::Decided { attempt, .. } => _ = self.decided.insert(*attempt),
            Record::Settled(settlement) => {
                if let Entry::Vacant(settled) = self.settled.entry(settlement.attempt) {
                    settled.insert(*settlement);
                    dispatch::postings(&fleet, settlement).iter().for_each(|usage| self.balances.post(&fleet, usage));
                }
            }
            Record::Held(held) => held.usage.iter().for_each(|usage| self.balances.post(&fleet, usage)),
        }
    }

    /// Opening settles what is open, within bounds, so a later settlement of it is no longer the first.
    fn reopened(&mut self, store: &Store) {
        store.flush().expect("committed");
        for attempt in &self.decided {
            self.settled.entry(*attempt).or_insert_with(|| {
                let rows = store.attempts_of(attempt.request).expect("read");
                rows[0].settled.filter(|settled| settled.known == Known::Bounded).expect("opening settles what is open")
            });
        }
    }

    fn can_be_corrected(&self, attempt: AttemptId) -> bool {
        self.decided.contains(&attempt) && self.settled.contains_key(&attempt)
    }

    /// Only what it changes is posted, when the attempt ended.
    fn correct(&mut self, attempt: AttemptId, tokens: Tokens) {
        let (fleet, was) = (lab(), self.settled[&attempt]);
        let is = Settlement { tokens, known: Known::Counted, ..was };
        let mut changes: BTreeMap<Meter, i64> = BTreeMap::new();
        dispatch::postings(&fleet, &is).iter().for_each(|usage| *changes.entry(usage.meter).or_default() += usage.held.count());
        dispatch::postings(&fleet, &was).iter().for_each(|usage| *changes.entry(usage.meter).or_default() -= usage.held.count());
        for (meter, change) in changes.into_iter().filter(|(_, change)| *change != 0) {
            let change = Quantity::new(change);
            self.balances.post(&fleet, &Usage { contract: was.contract, meter, at: was.ended, held: change, used: change });
        }
        self.settled.insert(attempt, is);
        self.corrections += 1;
    }

    /// What is known only within bounds of what the token contract pays over this span.
    fn bounded(&self, span: Span) -> BTreeSet<AttemptId> {
        let (_, contract) = place(&lab(), true);
        let open = self.settled.values().filter(|settled| settled.known == Known::Bounded && settled.contract == contract);
        let within = open.filter(|settled| span.contains(settled.ended)).map(|settled| settled.attempt);
        within.filter(|attempt| self.decided.contains(attempt)).collect()
    }
}

fn record(step: &Step, now: Instant) -> Option<Record> {
    let fleet = lab();
    match *step {
        Step::Decide { request, hosted } => Some(decided(&fleet, attempt(u128::from(request), 1), hosted, now)),
        Step::Settle { request, hosted, tokens, bounded } => {
            let mut settlement = settlement(&fleet, attempt(u128::from(request), 1), hosted, tokens, now);
            settlement.known = if bounded { Known::Bounded } else { Known::Counted };
            Some(Record::Settled(settlement))
        }
        Step::Hold { request, held: all, used } => {
            let shares = [(attempt(u128::from(request), 1), i64::from(used))];
            Some(Record::Held(held(&fleet, now, Duration::from_secs(1), all.into(), &shares)))
        }
        Step::Flush | Step::Reopen | Step::Close { .. } | Step::Correct { .. } | Step::Invoice { .. } => None,
    }
}

/// Each history fills a ledger on disk, closes its periods and verifies it: a share of those that a pure property has.
const SHARE: u32 = 800;
/// With each change.
const HISTORIES: u32 = 20_000;

/// What is wrong, but for settlements of what was never decided, and decisions that were never taken: histories have those.
fn unsound(verified: Verification) -> Vec<Finding> {
    let planted = |finding: &Finding| matches!(finding, Finding::NoIntent { .. } | Finding::Replayed { .. });
    verified.findings.into_iter().filter(|finding| !planted(finding)).collect()
}

fn open_lab(directory: &Path) -> Store {
    // Segments of a few records, so that every history rolls.
    Store::open_with(directory, text(), lab(), start(), 1000).expect("opened").0
}

/// Says what an attempt took, beside the running store.
fn corrects(directory: &Path, expected: &mut Expected, (attempt, tokens): (AttemptId, Tokens), now: Instant) -> Result<(), TestCaseError> {
    let said = Correct { attempt, tokens, why: String::new(), who: String::new() };
    let booked = correct(directory, &said, now);
    prop_assert_eq!(booked.is_ok(), expected.can_be_corrected(attempt), "{:?}", booked);
    if booked.is_ok() {
        expected.correct(attempt, tokens);
    }
    Ok(())
}

const INVOICE: &str = "InvoiceId,BilledCost,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ProviderName,SkuMeter,ServiceName,ConsumedQuantity,\
    ConsumedUnit,x_Contract\n";

/// Imports what a supplier says was taken in the period that `at` lies in: all that was bounded of it is cleared, within its bounds.
fn imports(
    (directory, store): (&Path, &Store),
    expected: &mut Expected,
    (at, input, output): (Instant, u32, u32),
    now: Instant,
) -> Result<(), TestCaseError> {
    let fleet = lab();
    let terms = &fleet.contracts[place(&fleet, true).1];
    let period = terms.period(terms.calendar.index(at));
    // The same file is imported once only, and two may say the same.
    let number = now.micros();
    let line = |meter: &str, taken: u32| {
        let Span { from, to } = period;
        format!("{number},1,USD,{from},{to},northgrid,{meter},smollm2-135m,{taken},Tokens,tokens\n")
    };
    let text = [INVOICE, &line("Input Tokens", input), &line("Output Tokens", output)].concat();
    let lines = read_invoice(text.as_bytes()).expect("an invoice");
    let invoice = Invoice { name: "supplier.csv", bytes: text.as_bytes(), lines: &lines, who: "" };
    let found = import_invoice(directory, &fleet, &invoice, now).expect("imported");
    prop_assert_eq!(found.cleared.iter().copied().collect::<BTreeSet<_>>(), expected.bounded(period));
    for attempt in found.cleared {
        let (tokens, _) = store.attempts_of(attempt.request).expect("read")[0].taken().expect("it is cleared");
        let bound = expected.settled[&attempt].tokens;
        prop_assert!(tokens.input <= bound.input && tokens.output <= bound.output, "{tokens:?} of {bound:?}");
        expected.correct(attempt, tokens);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(HISTORIES.div_ceil(SHARE)))]

    #[test]
    fn the_books_are_the_fold_of_the_history(steps in proptest::collection::vec(step(), 0..80)) {
        let directory = tempfile::tempdir().expect("a folder");
        let mut store = Some(open_lab(directory.path()));
        let mut expected = Expected::default();
        for (second, step) in (0_u64..).zip(&steps) {
            let (running, now) = (store.as_ref().expect("it is open between steps"), seconds(second * 40));
            if let Some(record) = record(step, now) {
                running.append(&record).expect("appended");
                expected.see(&record);
                continue;
            }
            running.flush().expect("committed");
            match *step {
                Step::Reopen => {
                    drop(store.take());
                    expected.reopened(store.insert(open_lab(directory.path())));
                    continue;
                }
                Step::Close { ahead } => running.close_periods(now + MINUTE * ahead).expect("closed"),
                Step::Correct { request, tokens } => {
                    corrects(directory.path(), &mut expected, (attempt(u128::from(request), 1), tokens), now)?;
                }
                Step::Invoice { ago, input, output } => {
                    let at = (now - MINUTE * ago).max(start());
                    imports((directory.path(), running), &mut expected, (at, input, output), now)?;
                }
                Step::Flush | Step::Decide { .. } | Step::Settle { .. } | Step::Hold { .. } => {}
            }
            prop_assert_eq!(unsound(running.audit(now).expect("read")), Vec::new());
        }
        let running = store.take().expect("it is open between steps");
        running.flush().expect("committed");
        // Nothing ends by then; what others booked is taken in.
        running.close_periods(start()).expect("closed");
        prop_assert_eq!(&running.books().balances, &expected.balances);
        drop(running);
        let again = open_lab(directory.path());
        prop_assert_eq!(&again.books().balances, &expected.balances, "folded anew from the rows");
        drop(again);
        let verified = ledger::verify(directory.path(), None).expect("read");
        prop_assert_eq!(verified.corrections, expected.corrections);
        prop_assert_eq!(unsound(verified), Vec::new());
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
