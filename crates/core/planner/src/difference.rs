//! How one plan differs from another: money by kind, what is signed, when it first falls short, who does how much.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use units::Money;

use crate::plan::{MonthMoney, Plan};

/// What plan `b` has more than plan `a`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The objective.
    pub objective: Money,
    /// Cash at the end, and what makes it up, each kind of money over all months: the parts add up to the first.
    pub cash: Money,
    /// The parts, in the order of a month's money; money out is below zero when `b` pays more.
    pub parts: Vec<(String, Money)>,
    /// Contracts that `b` signs and `a` doesn't, and the other way round, or at another start.
    pub signed: Vec<Signed>,
    /// Promises that either breaks: the first month in each, if any.
    pub gaps: Vec<(String, Option<usize>, Option<usize>)>,
    /// Quantities by contract and calendar year, in base units, where they differ: in `a` and in `b`.
    pub quantities: Vec<Shifted>,
}

/// A contract on which two plans decide differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Which contract.
    pub contract: String,
    /// By how many months `a` moves it; `None` when it doesn't sign.
    pub a: Option<i32>,
    /// By how many months `b` does.
    pub b: Option<i32>,
}

/// A contract's quantity in a year.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shifted {
    /// Which contract.
    pub contract: String,
    /// In which calendar year.
    pub year: i16,
    /// In `a`.
    pub a: i64,
    /// In `b`.
    pub b: i64,
}

impl Difference {
    /// Whether the plans differ in nothing that is looked at.
    #[must_use]
    pub fn is_none(&self) -> bool {
        let parts = self.parts.iter().map(|(_, part)| *part).chain([self.objective, self.cash]);
        parts.into_iter().all(|part| part == Money::ZERO)
            && self.signed.is_empty()
            && self.quantities.is_empty()
            && self.gaps.iter().all(|(_, a, b)| a == b)
    }
}

/// What `b` has more than `a`, part by part.
#[must_use]
pub fn diff(a: &Plan, b: &Plan) -> Difference {
    let (before, after) = (parts(a), parts(b));
    let parts: Vec<(String, Money)> = before.iter().zip(&after).map(|((name, a), (_, b))| ((*name).to_owned(), *b - *a)).collect();
    let last = |plan: &Plan| plan.money.last().map_or(Money::ZERO, |month| month.cash);
    Difference {
        objective: b.objective - a.objective,
        cash: last(b) - last(a),
        parts,
        signed: signed(a, b),
        gaps: gaps(a, b),
        quantities: quantities(a, b),
    }
}

/// Every kind of money over all months; together, what is left at the end.
fn parts(plan: &Plan) -> [(&'static str, Money); 12] {
    let sum = |of: fn(&MonthMoney) -> Money| plan.money.iter().map(of).sum::<Money>();
    let opening = plan.money.first().map_or(Money::ZERO, |first| first.cash - moved(first));
    [
        ("cash at the beginning", opening),
        ("interest", sum(|row| row.interest)),
        ("revenue", sum(|row| row.revenue)),
        ("raised", sum(|row| row.raised)),
        ("other", sum(|row| row.other)),
        ("drawn", sum(|row| row.drawn)),
        ("repaid", -sum(|row| row.repaid)),
        ("interest on debt", -sum(|row| row.debt_interest)),
        ("contracts", -sum(|row| row.contracts)),
        ("energy", -sum(|row| row.energy)),
        ("capex", -sum(|row| row.capex)),
        ("missing", sum(|row| row.gap)),
    ]
}

/// What a month's money comes to.
fn moved(row: &MonthMoney) -> Money {
    row.interest + row.revenue + row.raised + row.other + row.drawn + row.gap
        - row.repaid
        - row.debt_interest
        - row.contracts
        - row.energy
        - row.capex
}

fn signed(a: &Plan, b: &Plan) -> Vec<Signed> {
    let of = |plan: &Plan, contract: &str| {
        let signed = plan.choices.iter().find(|choice| choice.signed && choice.contract == contract);
        signed.map(|choice| choice.moved)
    };
    let names: BTreeSet<&str> = a.choices.iter().chain(&b.choices).map(|choice| choice.contract.as_str()).collect();
    let rows = names.into_iter().map(|name| Signed { contract: name.to_owned(), a: of(a, name), b: of(b, name) });
    rows.filter(|row| row.a != row.b).collect()
}

fn gaps(a: &Plan, b: &Plan) -> Vec<(String, Option<usize>, Option<usize>)> {
    let of = |plan: &Plan, promise: &str| plan.gaps.iter().find(|gap| gap.promise == promise).map(|gap| gap.month);
    let names: BTreeSet<&str> = a.gaps.iter().chain(&b.gaps).map(|gap| gap.promise.as_str()).collect();
    names.into_iter().map(|name| (name.to_owned(), of(a, name), of(b, name))).collect()
}

fn quantities(a: &Plan, b: &Plan) -> Vec<Shifted> {
    let mut sums: BTreeMap<(String, i16), (i64, i64)> = BTreeMap::new();
    for (plan, second) in [(a, false), (b, true)] {
        for flow in &plan.flows {
            let month = plan.steps.get(flow.step).and_then(|(month, _)| plan.months.get(*month));
            // A month's middle lies in its year in every time zone.
            let year = month.map_or(0, |month| {
                let middle = i64::midpoint(month.span.from.micros(), month.span.to.micros());
                Timestamp::from(units::Instant::from_micros(middle)).to_zoned(TimeZone::UTC).year()
            });
            let (one, other) = sums.entry((flow.contract.clone(), year)).or_default();
            let sum = if second { other } else { one };
            *sum = sum.saturating_add(flow.quantity);
        }
    }
    let rows = sums.into_iter().map(|((contract, year), (a, b))| Shifted { contract, year, a, b });
    rows.filter(|row| row.a != row.b).collect()
}
