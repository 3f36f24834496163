//! What bounds supplies together, to the unit: section 2. Amounts are accelerator-, unit- or watt-microseconds, times parts per million.

use std::collections::BTreeMap;

use fleet::{CapacityOf, ContractId, Fleet, Overflow, PoolId, SiteId, Status};
use units::{Money, Span};

use super::dates::{PPM, area, between, later, length};
use super::{Auditor, Rule, Where};

pub(super) fn check(auditor: &mut Auditor<'_>) {
    for step in 0..auditor.plan.steps.len() {
        capacities(auditor, step);
        pools(auditor, step);
        sites(auditor, step);
    }
}

/// Milliseconds of a pool's accelerators in a step, by contract and pool.
fn used(auditor: &Auditor<'_>, step: usize) -> BTreeMap<(ContractId, PoolId), i128> {
    let mut used = BTreeMap::new();
    for found in auditor.flows.iter().filter(|found| found.row.step == step) {
        if let Where::Pool(pool) = found.on {
            *used.entry((found.contract, pool)).or_default() += i128::from(found.row.quantity);
        }
    }
    used
}

fn step_span(auditor: &Auditor<'_>, step: usize) -> (Span, i128) {
    let (month, hours) = auditor.plan.steps[step];
    (auditor.span(month), i128::from(hours))
}

/// What a clause of a contract delivers within a span: amount times microseconds.
pub(super) fn delivers(world: &Fleet, contract: ContractId, of: CapacityOf, span: Span) -> i128 {
    let terms = &world.contracts[contract];
    let within = terms.term.overlap(span);
    if terms.status != Status::Signed || within.is_empty() {
        return 0;
    }
    market::pieces(world, contract, of, within).into_iter().map(|piece| i128::from(piece.delivered) * length(piece.span)).sum()
}

/// Watts at the facility of one accelerator, times a million.
pub(super) fn watts(fleet: &Fleet, pool: PoolId) -> i128 {
    let row = &fleet.pools[pool];
    i128::from(fleet.accelerators[row.accelerator].power.count()) * i128::from(fleet.sites[row.site].pue_ppm)
}

fn capacities(auditor: &mut Auditor<'_>, step: usize) {
    let (span, hours) = step_span(auditor, step);
    let mut taken: BTreeMap<(ContractId, CapacityOf), i128> = BTreeMap::new();
    for ((contract, pool), quantity) in used(auditor, step) {
        let (accelerator, site) = (auditor.world.pools[pool].accelerator, auditor.world.pools[pool].site);
        for clause in &auditor.world.contracts[contract].capacity {
            let each = match clause.of {
                CapacityOf::Accelerators(kind) if kind == accelerator => PPM,
                CapacityOf::Power(at) if at == site => watts(&auditor.world, pool),
                _ => continue,
            };
            *taken.entry((contract, clause.of)).or_default() += quantity * 1_000 * each;
            break;
        }
    }
    for found in auditor.flows.iter().filter(|found| found.row.step == step) {
        let Where::Units(endpoint) = found.on else { continue };
        let of = CapacityOf::Units(auditor.world.endpoints[endpoint].model);
        *taken.entry((found.contract, of)).or_default() += i128::from(found.row.quantity) * 1_000 * PPM;
    }
    let paid_for = paid_for(auditor, span);
    for ((contract, of), taken) in taken {
        let beyond = matches!(auditor.world.contracts[contract].overflow, Some(Overflow::AtRate(_)));
        let place = format!("{}, step {step}", auditor.world.contracts.name(contract));
        let there = delivers(&auditor.world, contract, of, span);
        let there = (there + unrounded(auditor, contract, of, span)) * hours;
        over(auditor, if beyond { None } else { Some(Rule::Capacity) }, &place, taken, there);
        if let Some(paid) = paid_for.get(&(contract, of)) {
            over(auditor, Some(Rule::Venture), &place, taken, *paid * hours);
        }
    }
}

/// What the policy may have ordered beyond whole accelerators, which is what the auditor reads: half of one for each order.
fn unrounded(auditor: &Auditor<'_>, contract: ContractId, of: CapacityOf, span: Span) -> i128 {
    if auditor.turn.is_none() {
        return 0;
    }
    let world = &auditor.world;
    let orders = auditor.plan.added.iter().filter(|added| world.contracts.id(&added.contract) == Some(contract)).count();
    let pools = world.contracts[contract].pools.iter().map(|pool| watts(world, *pool) / PPM + 1);
    let each = if matches!(of, CapacityOf::Power(_)) { pools.max().unwrap_or(0) } else { 1 };
    // What takes its place in part takes whole ones.
    let replaced = world.contracts.iter().any(|(.., terms)| terms.substitutions.iter().any(|it| it.of == contract));
    (i128::try_from(orders).unwrap_or(0) * each + 2 * i128::from(replaced)) * length(span) / 2
}

fn over(auditor: &mut Auditor<'_>, rule: Option<Rule>, place: &str, taken: i128, there: i128) {
    if let Some(rule) = rule.filter(|_| taken > there + auditor.slack(there, 0)) {
        let share = (taken - there).saturating_mul(PPM) / there.max(1);
        auditor.report(rule, place, format!("{share} parts per million over ({} of {there})", taken - there));
    }
}

/// What a joint venture's money has built, shared out to the power clauses with its party by the names of contracts.
fn paid_for(auditor: &Auditor<'_>, month: Span) -> BTreeMap<(ContractId, CapacityOf), i128> {
    let world = &auditor.world;
    let mut all = BTreeMap::new();
    for (_, venture) in &world.ventures {
        let by = later(world, month.to, -i64::from(venture.lead_months));
        let mut paid = Money::ZERO;
        for stake in &venture.stakes {
            let part = stake.amount.money.times_ratio(between(stake.span.from, by.min(stake.span.to)), length(stake.span).max(1));
            let at = auditor.begins().max(by.min(stake.span.to));
            paid += world.in_fleet_currency(part, stake.amount.currency, at).unwrap_or(part);
        }
        let means = paid.nanos() + venture.leverage.of(paid).nanos();
        let price = venture.cost_per_watt;
        let mut watts = i128::from(i64::MAX);
        if price.money > Money::ZERO {
            watts = means * i128::from(price.per) / price.money.nanos();
        }
        let mut left = watts * length(month);
        for (contract, _, terms) in world.contracts.iter().filter(|(.., terms)| terms.party == venture.party) {
            for clause in terms.capacity.iter().filter(|clause| matches!(clause.of, CapacityOf::Power(_))) {
                let built = delivers(world, contract, clause.of, month).min(left);
                all.insert((contract, clause.of), built);
                left -= built;
            }
        }
    }
    all
}

fn pools(auditor: &mut Auditor<'_>, step: usize) {
    let (span, hours) = step_span(auditor, step);
    let mut sums: BTreeMap<PoolId, i128> = BTreeMap::new();
    for ((_, pool), quantity) in used(auditor, step) {
        *sums.entry(pool).or_default() += quantity * 1_000 * PPM;
    }
    for (pool, taken) in sums {
        let place = format!("{}, step {step}", auditor.world.pools.name(pool));
        let there = area(&auditor.world.pools[pool].count, span) * hours;
        over(auditor, Some(Rule::Pool), &place, taken, there);
    }
}

/// Accelerators held at a site: each clause on the first of its contract's pools with that accelerator.
pub(super) fn held(world: &Fleet, site: SiteId, span: Span) -> BTreeMap<PoolId, i128> {
    let mut held = BTreeMap::new();
    for (contract, _, terms) in world.contracts.iter() {
        for clause in &terms.capacity {
            let CapacityOf::Accelerators(kind) = clause.of else { continue };
            if let Some(pool) = terms.pools.iter().find(|pool| world.pools[**pool].accelerator == kind)
                && world.pools[*pool].site == site
            {
                *held.entry(*pool).or_default() += delivers(world, contract, clause.of, span);
            }
        }
    }
    held
}

fn sites(auditor: &mut Auditor<'_>, step: usize) {
    let (span, hours) = step_span(auditor, step);
    let world = &auditor.world;
    let mut excess = Vec::new();
    for (site, name, row) in world.sites.iter() {
        let idle = |pool: PoolId| i128::from(world.accelerators[world.pools[pool].accelerator].idle.ppm());
        let mut taken = 0;
        for ((_, pool), quantity) in used(auditor, step) {
            if world.pools[pool].site == site {
                taken += watts(world, pool) * (PPM - idle(pool)) * quantity * 1_000;
            }
        }
        if taken == 0 {
            continue;
        }
        for (pool, time) in held(world, site, span) {
            taken += watts(world, pool) * ((idle(pool) * time * hours) / PPM);
        }
        let there = area(&row.power, span) * hours * PPM;
        excess.push((format!("{name}, step {step}"), taken, there));
    }
    for (place, taken, there) in excess {
        over(auditor, Some(Rule::SitePower), &place, taken, there);
    }
}
