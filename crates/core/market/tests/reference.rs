//! Contract arithmetic computed twice: `market`'s statements against a reference written from `docs/contracts.md` alone.
//!
//! The reference shares no code with `market`: it steps civil dates, adds up the time between all changes, and divides digit
//! by digit. Only the clause names and the posted usage are `market`'s. More cases: `BASELOAD_REFERENCE_CASES=100000`, others:
//! `BASELOAD_REFERENCE_SEED=7`.

#[path = "reference/capacity.rs"]
mod capacity;
#[path = "reference/charges.rs"]
mod charges;
#[path = "reference/clauses.rs"]
mod clauses;
#[path = "reference/coverage.rs"]
mod coverage;
#[path = "reference/division.rs"]
mod division;
#[path = "reference/examples.rs"]
mod examples;
#[path = "reference/floors.rs"]
mod floors;
#[path = "reference/generator.rs"]
mod generator;
#[path = "reference/genes.rs"]
mod genes;
#[path = "reference/model.rs"]
mod model;
#[path = "reference/periods.rs"]
mod periods;
#[path = "reference/sketch.rs"]
mod sketch;

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use fleet::{ContractId, Fleet};
use market::{Balances, Clause, Statement, Usage};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};

use crate::generator::Case;
use crate::model::{Bill, Reference};

/// Where `market` and the reference part, with the fleet it happened on; prints as it reads.
struct Difference(String);

impl fmt::Debug for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[expect(clippy::disallowed_methods, reason = "how many cases are tried is no decision of the core")]
fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn statements_are_the_references_to_the_nano() -> Result<(), Difference> {
    let cases = u32::try_from(from_environment("BASELOAD_REFERENCE_CASES", 20_000)).unwrap_or(u32::MAX);
    let seed = RngSeed::Fixed(from_environment("BASELOAD_REFERENCE_SEED", 1));
    let config = Config { cases, rng_seed: seed, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let found = TestRunner::new(config)
        .run(&generator::cases(), |case: Case| compare(&case.fleet, &case.usages).map_err(|difference| TestCaseError::fail(difference.0)));
    match found {
        Ok(()) => Ok(()),
        Err(TestError::Fail(difference, case)) => Err(Difference(format!("\n{difference}\non{case:?}"))),
        Err(TestError::Abort(reason)) => Err(Difference(reason.to_string())),
    }
}

/// Compares every period of every contract.
fn compare(fleet: &Fleet, usages: &[Usage]) -> Result<(), Difference> {
    let mut balances = Balances::default();
    usages.iter().for_each(|usage| balances.post(fleet, usage));
    for (id, account) in (Reference { fleet, usages }).accounts() {
        let bills = account.bills(fleet.contracts[id].rounding.nanos());
        let numbers: Vec<i64> = market::periods(fleet, id).collect();
        let expected: Vec<i64> = bills.iter().map(|bill| bill.period.number).collect();
        if numbers != expected {
            return Err(Difference(format!("{id:?}: market has periods {numbers:?}, the reference {expected:?}")));
        }
        for bill in &bills {
            compare_period(fleet, &balances, id, bill)?;
        }
    }
    Ok(())
}

fn compare_period(fleet: &Fleet, balances: &Balances, id: ContractId, bill: &Bill) -> Result<(), Difference> {
    let place = format!("{id:?} period {}", bill.period.number);
    let statement = catch_unwind(AssertUnwindSafe(|| market::statement(fleet, balances, id, bill.period.number)));
    let statement = statement.map_err(|_| Difference(format!("{place}: market panics where the reference has {bill:?}")))?;
    let Statement { contract, period, span, lines, due } = &statement;
    let mut wrong = Vec::new();
    if (*contract, *period, span.from.micros(), span.to.micros()) != (id, bill.period.number, bill.period.from, bill.period.to) {
        wrong.push(format!("it is about {contract:?} period {period} [{}, {})", span.from, span.to));
    }
    if !lines.is_sorted_by_key(|line| line.clause) {
        wrong.push("its lines are out of order".to_owned());
    }
    let (by_market, by_reference) =
        (by_clause(lines.iter().map(|line| (line.clause, line.money.nanos()))), by_clause(bill.lines.iter().copied()));
    for clause in by_market.keys().chain(by_reference.keys()).collect::<BTreeSet<_>>() {
        let (market, reference) = (by_market.get(clause).unwrap_or(&0), by_reference.get(clause).unwrap_or(&0));
        if market != reference {
            wrong.push(format!("{clause:?}: market {market}, reference {reference}"));
        }
    }
    let charged = lines.iter().filter(|line| matches!(line.clause, Clause::Rates { .. } | Clause::Overflow));
    let mut quantities: Vec<_> = charged.map(|line| (line.clause, line.meter, i128::from(line.quantity.count()))).collect();
    quantities.sort_unstable();
    if quantities != bill.quantities {
        wrong.push(format!("quantities: market {quantities:?}, reference {:?}", bill.quantities));
    }
    if due.nanos() != bill.due {
        wrong.push(format!("due: market {}, reference {}", due.nanos(), bill.due));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Difference(format!("{place}:\n  {}", wrong.join("\n  ")))) }
}

/// The sums of a clause's lines, without those that come to nothing.
fn by_clause(lines: impl Iterator<Item = (Clause, i128)>) -> BTreeMap<Clause, i128> {
    let mut sums = BTreeMap::new();
    lines.for_each(|(clause, money)| *sums.entry(clause).or_default() += money);
    sums.retain(|_, money| *money != 0);
    sums
}
