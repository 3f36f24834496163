//! What is ordered, in whole accelerators: rounded up where the expansion's limits allow, for else what rests on it would not fit.

use std::collections::BTreeMap;

use fleet::{AcceleratorId, Fleet, Ramp};
use units::Span;

use super::flows::whole;
use super::speed::{integral, micros};
use crate::decided::Decided;
use crate::instance::Instance;
use crate::plan::{Added, Plan};

/// Less than this of an accelerator is the solver's tolerance.
const DUST: f64 = 1e-3;

/// The orders of a plan, by expansion and month.
pub(super) fn orders(fleet: &Fleet, instance: &Instance, answer: &Decided, plan: &Plan) -> Vec<Added> {
    let mut supplied: BTreeMap<(AcceleratorId, usize), i64> = BTreeMap::new();
    let mut orders = Vec::new();
    for (index, row) in instance.expansions.iter().enumerate() {
        let Some(expansion) = fleet.contracts[row.contract].expansions.get(row.clause) else { continue };
        let supply = &fleet.accelerators[row.accelerator].supply;
        let mut left = expansion.most;
        for month in 0..plan.months.len() {
            let thousands = answer.ordered.get(index).and_then(|months| months.get(month)).copied().unwrap_or(0.0);
            let taken = supplied.entry((row.accelerator, month)).or_default();
            let supply = supply.as_ref().map_or(i64::MAX, |supply| mean(supply, plan.months[month].span) - *taken);
            let most = left.min(expansion.per_month.unwrap_or(i64::MAX)).min(supply);
            let count = whole(thousands * 1000.0 + 1.0 - DUST).min(most);
            if count <= 0 {
                continue;
            }
            (left, *taken) = (left - count, *taken + count);
            let contract = fleet.contracts.name(row.contract).to_owned();
            orders.push(Added { contract, clause: row.clause, month, count });
        }
    }
    orders
}

/// The mean of a ramp over a month, rounded down.
fn mean(ramp: &Ramp<i64>, month: Span) -> i64 {
    i64::try_from(integral(ramp, month).div_euclid(micros(month).max(1))).unwrap_or(i64::MAX)
}
