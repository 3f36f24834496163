//! Promises that a plan does not keep.

use std::collections::{BTreeMap, BTreeSet};

use fleet::WorkloadKind;
use units::{MeterUnit, Money, Quantity};

use super::Settling;
use super::account::MILLION;
use crate::plan::{Gap, MonthMoney, Plan};

/// The broken promises of a plan; `conflicts` are those that can't hold together. What is less than a millionth is rounding.
pub(super) fn gaps(settling: &Settling<'_>, plan: &Plan, conflicts: &BTreeSet<String>) -> Vec<Gap> {
    let mut gaps: BTreeMap<String, (usize, Broken)> = BTreeMap::new();
    let mut note = |promise: String, month: usize, by: Broken| {
        gaps.entry(promise).and_modify(|(_, sum)| sum.add(by)).or_insert((month, by));
    };
    for (month, money) in plan.money.iter().enumerate() {
        if money.gap.nanos() > turnover(money).nanos() / MILLION {
            note("finance.cash.floor".to_owned(), month, Broken::Money(money.gap));
        }
    }
    for step in 0..plan.steps.len() {
        for (_, name, workload) in settling.fleet.workloads.iter() {
            let WorkloadKind::Serving { classes, .. } = &workload.kind else { continue };
            let (mut promised, mut served) = (0_i128, 0_i128);
            for tier in plan.served.iter().filter(|served| served.step == step && served.workload == name) {
                let least = classes.iter().find(|class| class.tier == tier.tier).and_then(|class| class.least);
                promised += i128::from(tier.wanted) * i128::from(least.map_or(0, units::Share::ppm)) / MILLION;
                served += i128::from(tier.served);
            }
            if promised - served > promised / MILLION {
                note(format!("workloads.{name}.least"), plan.steps[step].0, Broken::Tokens(promised - served));
            }
        }
    }
    for row in &plan.trained {
        let workload = settling.fleet.workloads.id(&row.workload).map(|id| &settling.fleet.workloads[id].kind);
        let Some(WorkloadKind::Training { promised: true, work, .. }) = workload else { continue };
        if i128::from(row.late) > i128::from(work.count()) / MILLION {
            note(format!("workloads.{}.deadline", row.workload), row.month, Broken::Time(i128::from(row.late)));
        }
    }
    let gap = |(promise, (month, by)): (String, (usize, Broken))| {
        let conflicts = conflicts.contains(&promise);
        Gap { promise, month, by: by.shown(&plan.currency), conflicts }
    };
    gaps.into_iter().map(gap).collect()
}

/// The largest sum of money that moves in a month.
fn turnover(money: &MonthMoney) -> Money {
    let moved =
        [money.revenue, money.raised, -money.other, money.drawn, money.repaid, money.contracts, money.energy, money.capex, money.cash];
    moved.into_iter().map(|money| money.max(-money)).max().unwrap_or(Money::ZERO)
}

/// By how much a promise is broken.
#[derive(Clone, Copy, Debug)]
enum Broken {
    Money(Money),
    Tokens(i128),
    Time(i128),
}

impl Broken {
    fn add(&mut self, more: Self) {
        match (self, more) {
            (Self::Money(sum), Self::Money(more)) => *sum += more,
            (Self::Tokens(sum), Self::Tokens(more)) | (Self::Time(sum), Self::Time(more)) => *sum += more,
            _ => {}
        }
    }

    fn shown(self, currency: &str) -> String {
        match self {
            Self::Money(money) => format!("{money} {currency}"),
            Self::Tokens(tokens) => format!("{tokens} tokens"),
            Self::Time(time) => Quantity::new(i64::try_from(time).unwrap_or(i64::MAX)).shown(MeterUnit::AcceleratorMs),
        }
    }
}
