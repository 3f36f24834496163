//! Where work goes, in whole base units: rounded down, and less where a limit has no room left or nothing more is asked for.

use std::collections::BTreeMap;

use fleet::{WorkloadId, WorkloadKind};

use super::Settling;
use super::account::Account;
use super::asked::{jobs, wanted};
use super::speed::speed;
use crate::instance::{Fit, On, Work};
use crate::plan::{Flow, Plan, Served, Trained};

/// The one way out of the solver's numbers: down to a whole number.
#[expect(clippy::cast_possible_truncation, reason = "the cast keeps what is past i64 at its ends")]
pub(super) fn whole(number: f64) -> i64 {
    libm::floor(number) as i64
}

/// Fills `flows`, `served` and `trained`.
pub(super) fn place(settling: &Settling<'_>, plan: &mut Plan) {
    let mut backlogs: BTreeMap<WorkloadId, Backlog> = BTreeMap::new();
    for (month, _) in settling.instance.months.iter().enumerate() {
        for work in training(settling) {
            let jobs = jobs(settling.fleet, plan, &settling.fleet.workloads[work.workload].kind);
            let backlog = backlogs.entry(work.workload).or_default();
            backlog.open += jobs.arrives[month];
            backlog.allowed += jobs.arrives[month] - jobs.due[month];
            (backlog.arrived, backlog.done) = (jobs.arrives[month], 0);
        }
        let steps: Vec<usize> = (0..plan.steps.len()).filter(|step| plan.steps[*step].0 == month).collect();
        for step in steps {
            place_step(settling, plan, step, &mut backlogs);
        }
        for (workload, less) in super::dependence::keep(settling, plan, month) {
            if let Some(backlog) = backlogs.get_mut(&workload) {
                backlog.done -= less;
            }
        }
        for work in training(settling) {
            let Some(backlog) = backlogs.get_mut(&work.workload) else { continue };
            backlog.open -= backlog.done;
            let late = (backlog.open - backlog.allowed).max(0);
            backlog.open -= late;
            let (arrived, done) = (backlog.arrived, backlog.done);
            plan.trained.push(Trained { month, workload: work.name.clone(), arrived, done, late, backlog: backlog.open });
        }
    }
}

fn training<'a>(settling: &Settling<'a>) -> impl Iterator<Item = &'a Work> {
    let works = settling.instance.works.iter();
    let fleet = settling.fleet;
    works.filter(move |work| matches!(fleet.workloads[work.workload].kind, WorkloadKind::Training { .. }))
}

/// Where a training workload stands.
#[derive(Clone, Copy, Debug, Default)]
struct Backlog {
    open: i64,
    /// What arrived so far less what fell due so far.
    allowed: i64,
    arrived: i64,
    done: i64,
}

fn place_step(settling: &Settling<'_>, plan: &mut Plan, step: usize, backlogs: &mut BTreeMap<WorkloadId, Backlog>) {
    let (instance, fleet) = (settling.instance, settling.fleet);
    let mut account = Account::open(&settling.decided, plan, step);
    let mut tiers = tiers(settling, plan, step);
    let mut open: Vec<i64> = tiers.iter().map(|tiers| tiers.iter().map(|tier| tier.wanted).sum()).collect();
    for (index, fit) in instance.fits.iter().enumerate() {
        let (supply, work) = (&instance.supplies[fit.supply], &instance.works[fit.work]);
        let Some(speed) = speed(fleet, supply.contract, supply.on, work.workload) else { continue };
        // Within its capacity and beyond it, a contract's use of a pool is one flow: the first fit speaks for all.
        let same = |other: &Fit| {
            let of = &instance.supplies[other.supply];
            (of.contract, of.on, other.work) == (supply.contract, supply.on, fit.work)
        };
        if instance.fits[..index].iter().any(same) {
            continue;
        }
        let all = instance.fits.iter().enumerate().skip(index).filter(|(_, other)| same(other));
        let used: f64 = all.filter_map(|(index, _)| settling.answer.used.get(index * plan.steps.len() + step)).sum();
        let backlog = backlogs.get_mut(&work.workload);
        let asked = backlog.as_ref().map_or(open[fit.work], |backlog| backlog.open - backlog.done);
        let mut quantity = whole(used * supply.base_units).min(account.room(supply.contract, supply.on)).max(0);
        if speed.done(quantity) > asked {
            quantity = speed.quantity(asked);
        }
        let done = speed.done(quantity);
        if done <= 0 {
            continue;
        }
        account.take(supply.contract, supply.on, quantity);
        match backlog {
            Some(backlog) => backlog.done += done,
            None => open[fit.work] -= done,
        }
        let (pool, endpoint) = match supply.on {
            On::Pool(pool) => (Some(fleet.pools.name(pool).to_owned()), None),
            On::Tokens(endpoint) | On::Units(endpoint) => (None, Some(fleet.endpoints.name(endpoint).to_owned())),
        };
        let contract = fleet.contracts.name(supply.contract).to_owned();
        let (unit, workload) = (supply.on.unit(), work.name.clone());
        plan.flows.push(Flow { step, contract, pool, endpoint, unit, workload, quantity, done });
    }
    for (work, tiers) in tiers.iter_mut().enumerate() {
        let done = tiers.iter().map(|tier| tier.wanted).sum::<i64>() - open[work];
        share(settling, (work, step), tiers, done);
    }
    plan.served.extend(tiers.into_iter().flatten());
}

/// What each tier wants, by work.
fn tiers(settling: &Settling<'_>, plan: &Plan, step: usize) -> Vec<Vec<Served>> {
    let of = |work: &Work| match &settling.fleet.workloads[work.workload].kind {
        WorkloadKind::Serving { classes, .. } => {
            let asked = classes.iter().filter_map(|class| class.demand.as_ref().map(|demand| (class.tier, demand)));
            let served = |(tier, demand)| {
                let wanted = wanted(settling.fleet, plan, demand, step);
                Served { step, workload: work.name.clone(), tier, wanted, served: 0 }
            };
            asked.map(served).collect()
        }
        WorkloadKind::Training { .. } => Vec::new(),
    };
    settling.instance.works.iter().map(of).collect()
}

/// Shares what is done out as the solver did; what rounding leaves goes to the tier that may wait least.
fn share(settling: &Settling<'_>, (work, step): (usize, usize), tiers: &mut [Served], done: i64) {
    let tokens = settling.instance.scale.tokens;
    let solver = settling.answer.served.get(work);
    let mut left = done;
    for tier in tiers.iter_mut() {
        let tranche = crate::settle::tranche(settling.instance, work, tier.tier);
        let served = tranche.and_then(|tranche| solver?.get(tranche)?.get(step)).copied().unwrap_or(0.0);
        tier.served = whole(served * tokens).clamp(0, tier.wanted).min(left);
        left -= tier.served;
    }
    for tier in tiers.iter_mut().rev() {
        let more = left.min(tier.wanted - tier.served);
        tier.served += more;
        left -= more;
    }
}
