//! From the solver's numbers to an exact plan: section 6 of `docs/plan.md`.

mod account;
mod asked;
mod bills;
mod cash;
mod decided_fleet;
mod dependence;
mod flows;
mod gaps;
mod lived;
mod orders;
mod prices;
mod speed;
mod venture;

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

use fleet::{Fleet, ServiceTier};
use units::Money;

use crate::decided::Decided;
use crate::instance::{Instance, WorkKind};
use crate::plan::{Chosen, Plan, PlanMonth};
use crate::problem::Sides;

pub use decided_fleet::decided_fleet;
pub(crate) use decided_fleet::{end, scaled};
pub(crate) use lived::months;
pub use lived::{foreseen, lived, planned_flows};

/// What a plan says beside the solver's answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Beside {
    /// Changes to the file that the plan was made under.
    pub what_if: Vec<String>,
    /// What signing is worth, by choice.
    pub worth: BTreeMap<usize, Money>,
    /// Prices from both sides, by limit and month.
    pub sides: BTreeMap<(usize, usize), Sides>,
    /// The promises that can't hold together, as [`crate::Gap`] names them.
    pub conflicts: BTreeSet<String>,
}

/// What settling reads: the file, the file as decided, and the solver's side.
struct Settling<'a> {
    fleet: &'a Fleet,
    decided: Fleet,
    instance: &'a Instance,
    answer: &'a Decided,
}

/// The plan that the solver's answer comes to: whole quantities within every limit, and exact money.
#[must_use]
pub fn settle(fleet: &Fleet, instance: &Instance, answer: &Decided, beside: &Beside) -> Plan {
    let mut plan = header(fleet, instance, answer, beside);
    plan.added = orders::orders(fleet, instance, answer, &plan);
    let settling = Settling { fleet, decided: decided_fleet(fleet, &plan), instance, answer };
    flows::place(&settling, &mut plan);
    let credited = bills::bill(&settling, &mut plan);
    plan.residual = cash::count(&settling, &credited, &mut plan);
    plan.gaps = gaps::gaps(&settling, &plan, &beside.conflicts);
    (plan.prices, plan.sites) = prices::prices(&settling, &plan, &beside.sides);
    plan.objective = settling.money(answer.objective);
    plan
}

fn header(fleet: &Fleet, instance: &Instance, answer: &Decided, beside: &Beside) -> Plan {
    let mut version = String::new();
    for byte in fleet.version.0 {
        write!(version, "{byte:02x}").expect("strings take all");
    }
    let blocks: Vec<i64> = fleet.horizon.blocks.iter().map(|block| block.hours.ppm()).collect();
    let blocks = if blocks.is_empty() { vec![1_000_000] } else { blocks };
    let choice = |(index, choice): (usize, &crate::instance::Choice)| Chosen {
        contract: fleet.contracts.name(choice.contract).to_owned(),
        signed: answer.taken.get(index).is_some_and(|taken| *taken > 0.5),
        moved: choice.moved,
        by: choice.by,
        worth: beside.worth.get(&index).copied(),
    };
    Plan {
        format: 1,
        fleet: version,
        name: fleet.name.clone(),
        what_if: beside.what_if.clone(),
        currency: fleet.currency.to_string(),
        months: instance.months.iter().map(|month| PlanMonth { span: month.span }).collect(),
        steps: (0..instance.months.len()).flat_map(|month| blocks.iter().map(move |hours| (month, *hours))).collect(),
        choices: instance.choices.iter().enumerate().map(choice).collect(),
        gap_ppb: flows::whole(answer.gap_left * 1e9),
        ..Plan::default()
    }
}

impl Settling<'_> {
    /// The solver's money to the nearest nano-unit.
    fn money(&self, money: f64) -> Money {
        nanos(money * self.instance.scale.money * 1e9)
    }

    /// The solver's money to the nearest hundredth: what is borrowed and raised comes in round sums.
    fn cents(&self, money: f64) -> Money {
        Money::from_nanos(nanos(money * self.instance.scale.money * 100.0).nanos() * 10_000_000)
    }

    /// The most that a raise gives in all.
    fn most_raised(&self, name: &str, begins: units::Instant) -> Money {
        let events = self.fleet.finance.raises.iter().filter(|event| event.name == name && event.terms.cost.is_some());
        let money = events.map(|event| {
            let amount = event.amount;
            self.fleet.in_fleet_currency(amount.money, amount.currency, event.span.from.max(begins)).unwrap_or(amount.money)
        });
        money.sum()
    }
}

/// The one way from floats to money.
#[expect(clippy::cast_possible_truncation, reason = "the cast keeps what is past i128 at its ends")]
fn nanos(nanos: f64) -> Money {
    Money::from_nanos(libm::rint(nanos) as i128)
}

/// The position of a tier among the tranches of a work.
fn tranche(instance: &Instance, work: usize, tier: ServiceTier) -> Option<usize> {
    match &instance.works[work].kind {
        WorkKind::Serving { tranches, .. } => tranches.iter().position(|tranche| tranche.tier == tier),
        WorkKind::Training { .. } => None,
    }
}
