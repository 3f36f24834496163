//! Random histories of use, lateness, corrections, closings, clocks and fleet files: what was used is billed once, whatever happened.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dispatch::{AttemptId, Known};
use fleet::Fleet;
use ledger::{Correct, Finding, Store, Verification, correct, verify};
use market::Tokens;
use proptest::prelude::*;
use units::{Instant, Money};

use crate::closing::{LAPTOP, MINUTE, spill_by, start};

/// Fleet files that a lab may go on with: what an attempt costs is the same in each.
fn files() -> [String; 6] {
    let calendar = |minutes: u32| LAPTOP.replace("period = \"5 minutes\"", &format!("period = \"{minutes} minutes\""));
    [
        LAPTOP.to_owned(),
        LAPTOP.replace("smollm2-135m", "another"),
        LAPTOP.replace("spill-on-demand", "spill-by-token"),
        calendar(15),
        calendar(60),
        both().replace("[contracts.spill-on-demand]\n", "[contracts.spill-on-demand]\nstatus = \"ended\"\n"),
    ]
}

/// Of which each history has one open at a time.
fn contracts(store: &Store) -> impl Iterator<Item = ledger::Closed> {
    ["spill-on-demand", "spill-by-token"].into_iter().flat_map(|contract| store.closings(Some(contract)).expect("read"))
}

#[derive(Clone, Debug)]
enum Step {
    /// An attempt that ended some minutes ago, and is booked now.
    Use { ago: u32, input: u32, output: u32, bounded: bool },
    /// A supplier's word on one of the attempts so far.
    Correct { which: prop::sample::Index, input: u32, output: u32 },
    /// Closes what the clock allows once it is moved by so many minutes.
    Close { forward: u32, back: u32 },
    /// The process ends, and another begins with one of the files.
    Begin { file: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let late = prop_oneof![3 => Just(0), 1 => 0..90_u32];
    prop_oneof![
        6 => (late, 0..9_u32, 0..9_u32, any::<bool>()).prop_map(|(ago, input, output, bounded)| Step::Use { ago, input, output, bounded }),
        2 => (any::<prop::sample::Index>(), 0..9_u32, 0..9_u32).prop_map(|(which, input, output)| Step::Correct { which, input, output }),
        4 => (0..40_u32, prop_oneof![4 => Just(0), 1 => 0..60_u32]).prop_map(|(forward, back)| Step::Close { forward, back }),
        2 => (0..6_usize).prop_map(|file| Step::Begin { file }),
    ]
}

/// A thousand input tokens are 1.5 cents, a hundred output tokens 0.6: nothing is rounded.
fn tokens(input: u32, output: u32) -> Tokens {
    Tokens { input: input * 1_000, cached: 0, output: output * 100 }
}

fn price(tokens: Tokens) -> Money {
    Money::from_nanos(i128::from(tokens.input) * 15_000 + i128::from(tokens.output) * 60_000)
}

fn begin(directory: &Path, text: &str, now: Instant) -> (Store, Arc<Fleet>) {
    let fleet = Arc::new(fleet::parse(text).fleet.expect("it is sound"));
    (Store::open(directory, text, Arc::clone(&fleet), now).expect("opened").0, fleet)
}

/// Closes until nothing is left to be.
fn close(store: &Store, now: Instant) {
    let count = || store.closings(None).expect("read").len();
    let mut before = usize::MAX;
    while count() != before {
        before = count();
        store.close_periods(now).expect("closed");
    }
}

/// What is wrong, but for decisions: those here were never taken.
fn unsound(verified: Verification) -> Vec<Finding> {
    verified.findings.into_iter().filter(|finding| !matches!(finding, Finding::Replayed { .. })).collect()
}

/// Each history fills a ledger on disk, closes its periods and verifies it: a share of those that a pure property has.
const SHARE: u32 = 500;
/// With each change.
const HISTORIES: u32 = 20_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(HISTORIES.div_ceil(SHARE)))]

    #[test]
    fn what_was_used_is_billed_once(steps in prop::collection::vec(step(), 0..50)) {
        let directory = tempfile::tempdir().expect("a folder");
        let (files, mut now) = (files(), start());
        let (mut store, mut fleet) = begin(directory.path(), &files[0], now);
        let mut attempts: Vec<AttemptId> = Vec::new();
        let mut taken: BTreeMap<AttemptId, Option<Tokens>> = BTreeMap::new();
        for step in &steps {
            match step {
                Step::Use { ago, input, output, bounded } => {
                    let (known, tokens) = (if *bounded { Known::Bounded } else { Known::Reported }, tokens(*input, *output));
                    let ended = (now - *ago * MINUTE).max(start());
                    let attempt = spill_by(&fleet, &store, attempts.len() as u128 + 1, known, tokens, ended);
                    attempts.push(attempt);
                    taken.insert(attempt, (!bounded).then_some(tokens));
                }
                Step::Correct { which, input, output } => {
                    let Some(attempt) = (!attempts.is_empty()).then(|| *which.get(&attempts)) else { continue };
                    store.flush().expect("committed");
                    let said = Correct { attempt, tokens: tokens(*input, *output), why: String::new(), who: String::new() };
                    correct(directory.path(), &said, now).expect("booked");
                    taken.insert(attempt, Some(said.tokens));
                }
                Step::Close { forward, back } => {
                    now = (now + *forward * MINUTE - *back * MINUTE).max(start());
                    close(&store, now);
                    prop_assert_eq!(unsound(store.audit(now).expect("read")), Vec::new());
                }
                Step::Begin { file } => {
                    drop(store);
                    (store, fleet) = begin(directory.path(), &files[*file], now);
                }
            }
        }
        // Both contracts come back for good, so that what came late for either is taken up.
        drop(store);
        now = contracts_closed_to(directory.path(), now) + Duration::from_secs(3 * 3_600);
        let (store, _) = begin(directory.path(), &both(), now);
        close(&store, now);
        let billed: Money = contracts(&store).map(|closed| closed.due).sum();
        let expected: Money = taken.values().flatten().map(|tokens| price(*tokens)).sum();
        prop_assert_eq!(billed, expected);
        drop(store);
        prop_assert_eq!(unsound(verify(directory.path(), None).expect("read")), Vec::new());
    }
}

/// A file with both contracts.
fn both() -> String {
    LAPTOP.replace("[contracts.spill-on-demand]", &[&of_token(), "[contracts.spill-on-demand]"].concat())
}

/// The other contract, beside the first one.
fn of_token() -> String {
    let from = LAPTOP.find("[contracts.spill-on-demand]").expect("it is there");
    let text = &LAPTOP[from..];
    let to = text.find("\n\n").expect("it ends");
    text[..=to].replace("spill-on-demand", "spill-by-token") + "\n"
}

/// When everything that is closed had ended, at the earliest `now`.
fn contracts_closed_to(directory: &Path, now: Instant) -> Instant {
    let view = ledger::View::open(directory).expect("opened");
    let closed = view.closings(None).expect("read").iter().map(|closed| closed.span.to).max();
    closed.map_or(now, |closed| closed.max(now))
}
