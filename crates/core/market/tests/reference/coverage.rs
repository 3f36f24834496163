//! What the generator reaches: a comparison that never meets a clause proves nothing about it.

use std::collections::{BTreeMap, BTreeSet};

use fleet::{Basis, Charge, Contract, Least, TierKind};
use market::Clause;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::generator::{Case, cases};
use crate::model::{Account, Reference};

const CASES: usize = 1_500;
/// Cases in which each must turn up.
const CASES_MIN: usize = 50;

/// All that must turn up.
const WANTED: &[&str] = &[
    "a rates line",
    "an overflow line",
    "a prepayment line",
    "a credit line",
    "a penalty line",
    "a shortfall line",
    "a rounding line",
    "metered",
    "committed",
    "graduated over two tiers",
    "volume past the first tier",
    "tiers over the term",
    "an escalated rate",
    "purchase",
    "amortisation",
    "use",
    "a floor in quantity",
    "a floor over listed meters",
    "a floor over listed contracts",
    "a window abated for lateness",
    "carry-in used",
    "a penalty cut by the cap",
    "a window met without carry-in",
    "a partial window",
    "a partial period",
    "a substituted contract",
    "a contract nested two deep",
    "a contract that is not signed",
    "a nested contract in another currency",
    "a listed contract that is not nested",
    "a usage outside the term",
    "a window that counts a nested contract's shortfall",
];

#[test]
fn the_generator_reaches_every_clause() {
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for _ in 0..CASES {
        let case = cases().new_tree(&mut runner).expect("every number makes a case").current();
        let mut here = BTreeSet::new();
        look_at(&case, &mut |what| here.extend([what]));
        here.into_iter().for_each(|what| *seen.entry(what).or_default() += 1);
    }
    let rare: Vec<_> =
        WANTED.iter().map(|what| (*what, seen.get(what).copied().unwrap_or(0))).filter(|(_, times)| *times < CASES_MIN).collect();
    assert!(rare.is_empty(), "too rare in {CASES} cases: {rare:?}; in all {seen:?}");
    let unknown: Vec<_> = seen.keys().filter(|what| !WANTED.contains(what)).collect();
    assert!(unknown.is_empty(), "seen but not wanted: {unknown:?}");
}

fn look_at(case: &Case, see: &mut impl FnMut(&'static str)) {
    let reference = Reference { fleet: &case.fleet, usages: &case.usages };
    let accounts = reference.accounts();
    for (id, account) in &accounts {
        let contract = &case.fleet.contracts[*id];
        if contract.status != fleet::Status::Signed {
            see("a contract that is not signed");
            continue;
        }
        look_at_lines(contract, account, see);
        look_at_windows(contract, account, see);
        if reference.above(*id).len() == 2 {
            see("a contract nested two deep");
        }
        if reference.substituted_ppm(*id, contract.term.from) > 0 && !contract.floors.is_empty() {
            see("a substituted contract");
        }
        if contract.under.is_some_and(|above| case.fleet.contracts[above].currency != contract.currency) {
            see("a nested contract in another currency");
        }
        if contract.floors.iter().flat_map(|floor| &floor.contracts).any(|listed| listed != id && !reference.above(*listed).contains(id)) {
            see("a listed contract that is not nested");
        }
        if case.usages.iter().any(|usage| usage.contract == *id && !contract.term.contains(usage.at)) {
            see("a usage outside the term");
        }
        let short_below = accounts.iter().any(|(other, below)| {
            reference.above(*other).contains(id) && below.settlements.iter().any(|settlement| settlement.shortfall > 0)
        });
        let counts =
            contract.floors.iter().any(|floor| floor.basis == Basis::Purchase && floor.meters.is_empty() && floor.contracts.is_empty());
        if short_below && counts {
            see("a window that counts a nested contract's shortfall");
        }
    }
}

fn look_at_lines(contract: &Contract, account: &Account, see: &mut impl FnMut(&'static str)) {
    for bill in account.bills(contract.rounding.nanos()) {
        if bill.period.to - bill.period.from < bill.period.whole {
            see("a partial period");
        }
        for (clause, _) in bill.lines.iter().filter(|(_, money)| *money != 0) {
            see(match clause {
                Clause::Rates { .. } => "a rates line",
                Clause::Overflow => "an overflow line",
                Clause::Prepayment { .. } => "a prepayment line",
                Clause::Credit { .. } => "a credit line",
                Clause::Penalty { .. } => "a penalty line",
                Clause::Shortfall { .. } => "a shortfall line",
                Clause::Rounding => "a rounding line",
            });
            let Clause::Rates { index, tier } = *clause else { continue };
            let terms = &contract.rates[index];
            see(if terms.charge == Charge::Metered { "metered" } else { "committed" });
            if terms.kind == TierKind::Graduated && bill.lines.iter().any(|(other, _)| *other == Clause::Rates { index, tier: tier + 1 }) {
                see("graduated over two tiers");
            }
            if terms.kind == TierKind::Volume && tier > 0 {
                see("volume past the first tier");
            }
            if terms.over_term && tier > 0 {
                see("tiers over the term");
            }
            if terms.escalation.is_some_and(|escalation| {
                crate::periods::whole_intervals(contract.calendar.zone(), contract.term.from, escalation.every, bill.period.from) > 0
            }) {
                see("an escalated rate");
            }
        }
    }
    if account.capped {
        see("a penalty cut by the cap");
    }
}

fn look_at_windows(contract: &Contract, account: &Account, see: &mut impl FnMut(&'static str)) {
    for settlement in &account.settlements {
        let floor = &contract.floors[settlement.floor];
        if settlement.counted > 0 && settlement.least > 0 {
            see(match floor.basis {
                Basis::Purchase => "purchase",
                Basis::Amortisation => "amortisation",
                Basis::Use => "use",
            });
            if matches!(floor.least, Least::Quantity(..)) {
                see("a floor in quantity");
            }
            if !floor.meters.is_empty() {
                see("a floor over listed meters");
            }
            if !floor.contracts.is_empty() {
                see("a floor over listed contracts");
            }
            if settlement.counted >= settlement.least {
                see("a window met without carry-in");
            }
        }
        if settlement.window.to - settlement.window.from < settlement.window.whole {
            see("a partial window");
        }
        if settlement.abated > 0 {
            see("a window abated for lateness");
        }
        if settlement.carried_in > 0 {
            see("carry-in used");
        }
    }
}
