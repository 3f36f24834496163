//! Promises: each that is broken is said to be, and no other. What is less than a millionth is rounding.

use std::collections::BTreeMap;

use fleet::WorkloadKind;
use units::Money;

use super::dates::PPM;
use super::{Auditor, Rule};

pub(super) fn check(auditor: &mut Auditor<'_>) {
    let mut broken = BTreeMap::new();
    cash(auditor, &mut broken);
    serving(auditor, &mut broken);
    training(auditor, &mut broken);
    for gap in &auditor.plan.gaps {
        match broken.remove(&gap.promise) {
            Some(month) => auditor.same(Rule::Promise, format!("{}: first month", gap.promise), &gap.month, &month),
            None => auditor.report(Rule::Promise, gap.promise.as_str(), "is kept"),
        }
    }
    for (promise, month) in broken {
        auditor.report(Rule::Promise, promise, format!("is broken in month {month}, and not said to be"));
    }
}

/// The first month of each promise that is broken.
type Broken = BTreeMap<String, usize>;

fn note(broken: &mut Broken, promise: String, month: usize) {
    broken.entry(promise).and_modify(|first| *first = month.min(*first)).or_insert(month);
}

fn cash(auditor: &Auditor<'_>, broken: &mut Broken) {
    for (month, row) in auditor.plan.money.iter().enumerate() {
        let moved = [row.revenue, row.raised, row.other, row.drawn, row.repaid, row.contracts, row.energy, row.capex, row.cash];
        let most = moved.iter().map(|money: &Money| money.nanos().abs()).max().unwrap_or(0);
        if row.gap.nanos() > most / PPM {
            note(broken, "finance.cash.floor".to_owned(), month);
        }
    }
}

fn serving(auditor: &Auditor<'_>, broken: &mut Broken) {
    let (fleet, plan) = (auditor.fleet, auditor.plan);
    let mut sums: BTreeMap<(&str, usize), (i128, i128)> = BTreeMap::new();
    for row in &plan.served {
        let Some(workload) = fleet.workloads.id(&row.workload) else { continue };
        let WorkloadKind::Serving { classes, .. } = &fleet.workloads[workload].kind else { continue };
        let class = classes.iter().find(|class| class.tier == row.tier);
        let least = class.and_then(|class| class.least).map_or(0, units::Share::ppm);
        let (promised, served) = sums.entry((&row.workload, row.step)).or_default();
        *promised += i128::from(row.wanted) * i128::from(least) / PPM;
        *served += i128::from(row.served);
    }
    for ((workload, step), (promised, served)) in sums {
        if promised - served > promised / PPM {
            note(broken, format!("workloads.{workload}.least"), plan.steps[step].0);
        }
    }
}

fn training(auditor: &Auditor<'_>, broken: &mut Broken) {
    let fleet = auditor.fleet;
    for row in &auditor.plan.trained {
        let Some(workload) = fleet.workloads.id(&row.workload) else { continue };
        if let WorkloadKind::Training { promised: true, work, .. } = &fleet.workloads[workload].kind
            && i128::from(row.late) > i128::from(work.count()) / PPM
        {
            note(broken, format!("workloads.{}.deadline", row.workload), row.month);
        }
    }
}
