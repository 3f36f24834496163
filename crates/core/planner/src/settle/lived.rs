//! What the policy did in a scenario, in a plan's words: quantities to the nearest base unit, money to the nearest nano-unit. Nothing is
//! brought within a limit here: the auditor has to see what was done.

use std::collections::BTreeMap;

use fleet::Fleet;
use units::Money;

use super::flows::whole;
use super::nanos;
use crate::decided::Decided;
use crate::instance::{Instance, On, WorkKind};
use crate::plan::{Added, Flow, MonthMoney, Plan, Raised, Served, Trained};
use crate::policy::Run;

/// The plan that a run came to in `world`, the instance as it was in the scenario; `plan` is the one that it followed. It has no prices, and says
/// what fell due by the month only. Nothing for a run that kept nothing.
#[must_use]
pub fn lived(fleet: &Fleet, world: &Instance, plan: &Plan, run: &Run) -> Option<Plan> {
    let did = run.did.as_ref()?;
    let header = Plan {
        format: plan.format,
        fleet: plan.fleet.clone(),
        name: plan.name.clone(),
        what_if: plan.what_if.clone(),
        currency: plan.currency.clone(),
        months: plan.months.clone(),
        steps: plan.steps.clone(),
        choices: plan.choices.clone(),
        ..Plan::default()
    };
    Some(Plan {
        added: added(fleet, world, did),
        flows: flows(fleet, world, did),
        served: served(world, did),
        trained: trained(world, did),
        raised: raised(world, did),
        money: money(world, run, did),
        ..header
    })
}

fn nearest(number: f64) -> i64 {
    whole(libm::rint(number))
}

fn added(fleet: &Fleet, world: &Instance, did: &Decided) -> Vec<Added> {
    let rows = world.expansions.iter().zip(&did.ordered).flat_map(|(expansion, months)| {
        let row = |(month, thousands): (usize, &f64)| Added {
            contract: fleet.contracts.name(expansion.contract).to_owned(),
            clause: expansion.clause,
            month,
            count: nearest(thousands * 1_000.0),
        };
        months.iter().enumerate().map(row).collect::<Vec<_>>()
    });
    rows.filter(|row| row.count != 0).collect()
}

fn flows(fleet: &Fleet, world: &Instance, did: &Decided) -> Vec<Flow> {
    let steps = world.steps.len();
    // Within its capacity and beyond it, a contract's use of a pool is one flow.
    let mut sums: BTreeMap<_, (f64, f64)> = BTreeMap::new();
    for (index, fit) in world.fits.iter().enumerate() {
        let supply = &world.supplies[fit.supply];
        let unit = match &world.works[fit.work].kind {
            WorkKind::Serving { .. } => world.scale.tokens,
            WorkKind::Training { .. } => world.scale.hours * 3_600_000.0,
        };
        for step in 0..steps {
            let used = did.used[index * steps + step];
            if used > 0.0 {
                let sum = sums.entry((step, supply.contract, supply.on, fit.work)).or_default();
                *sum = (sum.0 + used * supply.base_units, sum.1 + used * fit.speed * unit);
            }
        }
    }
    let row = |((step, contract, on, work), (quantity, done)): ((usize, _, On, usize), (f64, f64))| {
        let (pool, endpoint) = match on {
            On::Pool(pool) => (Some(fleet.pools.name(pool).to_owned()), None),
            On::Tokens(endpoint) | On::Units(endpoint) => (None, Some(fleet.endpoints.name(endpoint).to_owned())),
        };
        let (contract, workload) = (fleet.contracts.name(contract).to_owned(), world.works[work].name.clone());
        Flow { step, contract, pool, endpoint, unit: on.unit(), workload, quantity: nearest(quantity), done: nearest(done) }
    };
    sums.into_iter().map(row).filter(|row| row.quantity > 0).collect()
}

fn served(world: &Instance, did: &Decided) -> Vec<Served> {
    let tokens = world.scale.tokens;
    let mut rows = Vec::new();
    for (work, served) in world.works.iter().zip(&did.served) {
        let WorkKind::Serving { tranches, .. } = &work.kind else { continue };
        for (tranche, served) in tranches.iter().zip(served) {
            rows.extend(served.iter().enumerate().map(|(step, served)| Served {
                step,
                workload: work.name.clone(),
                tier: tranche.tier,
                wanted: nearest(tranche.demand[step] * tokens),
                served: nearest(served * tokens),
            }));
        }
    }
    rows
}

fn trained(world: &Instance, did: &Decided) -> Vec<Trained> {
    let unit = world.scale.hours * 3_600_000.0;
    let steps = world.steps.len();
    let mut rows = Vec::new();
    for (index, work) in world.works.iter().enumerate() {
        let WorkKind::Training { arrivals, .. } = &work.kind else { continue };
        let fits: Vec<usize> = (0..world.fits.len()).filter(|fit| world.fits[*fit].work == index).collect();
        let mut backlog = 0.0;
        for (month, arrived) in arrivals.iter().enumerate() {
            let in_month = (0..steps).filter(|step| world.steps[*step].month == month);
            let done: f64 =
                in_month.flat_map(|step| fits.iter().map(move |fit| world.fits[*fit].speed * did.used[fit * steps + step])).sum();
            let late = did.late[index][month];
            backlog += arrived - done - late;
            let whole = |hours: f64| nearest(hours * unit);
            let (arrived, done, late) = (whole(*arrived), whole(done), whole(late));
            rows.push(Trained { month, workload: work.name.clone(), arrived, done, late, backlog: whole(backlog.max(0.0)) });
        }
    }
    rows
}

fn raised(world: &Instance, did: &Decided) -> Vec<Raised> {
    let money = |amount: f64| nanos(amount * world.scale.money * 1e9);
    let rows = world.treasury.windows.iter().zip(&did.raised).flat_map(|(window, months)| {
        let row = |(month, amount): (usize, &f64)| Raised { month, name: window.name.clone(), amount: money(*amount) };
        months.iter().enumerate().map(row).collect::<Vec<_>>()
    });
    rows.filter(|row| row.amount > Money::ZERO).collect()
}

fn money(world: &Instance, run: &Run, did: &Decided) -> Vec<MonthMoney> {
    let money = |amount: f64| nanos(amount * world.scale.money * 1e9);
    let treasury = &world.treasury;
    let rate = treasury.debt.as_ref().map_or(0.0, |debt| debt.rate);
    let (mut cash, mut debt) = (treasury.cash, treasury.debt.as_ref().map_or(0.0, |debt| debt.owed));
    let row = |(month, came): (usize, &crate::state::Month)| {
        let row = MonthMoney {
            interest: money(treasury.interest * cash),
            revenue: money(came.revenue),
            raised: money(came.raised + came.given),
            other: money(came.other),
            drawn: money(did.drawn[month]),
            repaid: money(did.repaid[month]),
            debt_interest: money(rate * debt),
            contracts: money(came.compute - came.energy - came.capex),
            energy: money(came.energy),
            capex: money(came.capex),
            gap: money(came.gap),
            cash: money(came.cash),
            debt: money(came.debt),
        };
        (cash, debt) = (came.cash, came.debt);
        row
    };
    run.months.iter().enumerate().map(row).collect()
}
