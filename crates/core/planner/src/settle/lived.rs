//! What was done in a scenario, in a plan's words: quantities to the nearest base unit, money to the nearest nano-unit. Nothing is
//! brought within a limit here: the auditor has to see what was done.

use std::collections::BTreeMap;

use fleet::Fleet;
use units::Money;

use super::flows::whole;
use super::{Beside, header, nanos};
use crate::decided::Decided;
use crate::instance::{Event, EventKind, Instance, On, WorkKind};
use crate::plan::{Added, Flow, MonthMoney, Plan, Raised, Served, Trained};
use crate::policy::Run;
use crate::state::Month;

/// Below this a number is the solver's tolerance, in the instance's units.
const NOTHING: f64 = 1e-6;

/// The plan that a run from the first month on came to in `world`, the instance as it was in the scenario; what is signed is what `signed` took of
/// `instance`. It has no prices, and says what fell due by the month only. Nothing for a run that kept nothing.
#[must_use]
pub fn lived(fleet: &Fleet, instance: &Instance, signed: &Decided, world: &Instance, run: &Run) -> Option<Plan> {
    run.did.as_ref().map(|did| told(fleet, header(fleet, instance, signed, &Beside::default()), world, (did, &run.months)))
}

/// The same of an answer that knew `world`, the instance with its choices as it was in the scenario. What the solver leaves below zero, within its
/// tolerance, is nothing.
#[must_use]
pub fn foreseen(fleet: &Fleet, world: &Instance, answer: &Decided) -> Plan {
    let mut did = answer.clone();
    let by_work = did.served.iter_mut().flatten().chain(&mut did.late);
    let lists = by_work.chain(&mut did.ordered).chain(&mut did.raised).chain([&mut did.used, &mut did.drawn, &mut did.repaid]);
    lists.flatten().filter(|amount| (-NOTHING..0.0).contains(*amount)).for_each(|amount| *amount = 0.0);
    told(fleet, header(fleet, world, answer, &Beside::default()), world, (&did, &months(world, &did)))
}

fn told(fleet: &Fleet, header: Plan, world: &Instance, (did, months): (&Decided, &[Month])) -> Plan {
    Plan {
        added: added(fleet, world, did),
        flows: planned_flows(fleet, world, &did.used),
        served: served(world, did),
        trained: trained(world, did),
        raised: raised(world, did),
        money: money(world, months, did),
        ..header
    }
}

/// What an answer comes to by the month. What it pays for compute is what its cash leaves for that. To the solver it is all the same whether money is
/// missing when it has to be or before, with interest; here it is missing when it has to be.
pub(crate) fn months(world: &Instance, answer: &Decided) -> Vec<Month> {
    let treasury = &world.treasury;
    let rate = treasury.debt.as_ref().map_or(0.0, |debt| debt.rate);
    let of_month = |of: &[f64], month: usize| of.get(month).copied().unwrap_or(0.0);
    let (mut cash, mut debt) = (treasury.cash, treasury.debt.as_ref().map_or(0.0, |debt| debt.owed));
    let mut held = cash;
    let month = |month: usize| {
        let events = |kind: fn(&Event) -> bool| {
            let events = treasury.events.iter().filter(|event| kind(event));
            events.map(|event| event.amounts.at(month, &answer.taken)).sum::<f64>()
        };
        let capex = world.expansions.iter().zip(&answer.ordered).map(|(expansion, ordered)| expansion.capex[month] * ordered[month]);
        let mut came = Month {
            cash: of_month(&answer.cash, month),
            debt: of_month(&answer.debt, month),
            gap: of_month(&answer.gap, month),
            revenue: events(|event| event.kind == EventKind::Revenue) + earned(world, answer, month),
            energy: energy(world, answer, month) - events(|event| event.kind == EventKind::Energy),
            capex: capex.sum(),
            given: events(|event| event.kind == EventKind::Raise),
            other: events(|event| matches!(event.kind, EventKind::Cost | EventKind::Stake)),
            raised: answer.raised.iter().map(|raised| raised[month]).sum(),
            ..Month::default()
        };
        let lent = of_month(&answer.drawn, month) - of_month(&answer.repaid, month) - rate * debt;
        let there = (1.0 + treasury.interest) * cash + came.revenue + came.given + came.other + came.raised + lent + came.gap;
        came.compute = there - came.cash;
        let left = came.cash - came.gap + (1.0 + treasury.interest) * (held - cash);
        (cash, debt) = (came.cash, came.debt);
        came.gap = if treasury.bound { (treasury.floor[month] - left).max(0.0) } else { 0.0 };
        came.cash = left + came.gap;
        held = came.cash;
        came
    };
    (0..world.months.len()).map(month).collect()
}

/// The steps of a month.
fn steps_of(world: &Instance, month: usize) -> impl Iterator<Item = usize> {
    (0..world.steps.len()).filter(move |step| world.steps[*step].month == month)
}

/// What served tokens earn in a month.
fn earned(world: &Instance, answer: &Decided, month: usize) -> f64 {
    let mut earned = 0.0;
    for (work, served) in world.works.iter().zip(&answer.served) {
        let WorkKind::Serving { tranches, .. } = &work.kind else { continue };
        for (tranche, served) in tranches.iter().zip(served) {
            earned += steps_of(world, month).map(|step| tranche.price[step] * served[step]).sum::<f64>();
        }
    }
    earned
}

/// What the energy of what is used in a month costs.
fn energy(world: &Instance, answer: &Decided, month: usize) -> f64 {
    let steps = world.steps.len();
    let fit = |(index, fit): (usize, &crate::instance::Fit)| {
        let used: f64 = steps_of(world, month).map(|step| answer.used[index * steps + step]).sum();
        world.supplies[fit.supply].energy[month] * used
    };
    world.fits.iter().enumerate().map(fit).sum()
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

/// What quantities of each fit in each step, as [`Decided::used`] has them, are as flows: what a policy followed, for who checks what it did beside.
#[must_use]
pub fn planned_flows(fleet: &Fleet, world: &Instance, used: &[f64]) -> Vec<Flow> {
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
            let used = used[index * steps + step];
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

fn money(world: &Instance, months: &[Month], did: &Decided) -> Vec<MonthMoney> {
    let money = |amount: f64| nanos(amount * world.scale.money * 1e9);
    let treasury = &world.treasury;
    let rate = treasury.debt.as_ref().map_or(0.0, |debt| debt.rate);
    let (mut cash, mut debt) = (treasury.cash, treasury.debt.as_ref().map_or(0.0, |debt| debt.owed));
    let row = |(month, came): (usize, &Month)| {
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
    months.iter().enumerate().map(row).collect()
}
