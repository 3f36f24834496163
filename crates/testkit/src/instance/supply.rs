//! Random ways to get compute, and what bounds them.

use fleet::{AcceleratorId, ContractId, EndpointId, Id, PartyId, PoolId, SiteId};
use planner::{Choice, Expansion, Instance, Limit, LimitKind, On, Series, Supply};

use super::number_of;
use crate::dice::Dice;

const SITES: usize = 2;
const POOLS: usize = 3;
const ACCELERATORS: usize = 2;
const PARTIES: usize = 3;
/// Parties from this one on make accelerators.
pub(super) const VENDORS: usize = 3;
/// Units of quantity that a supply has in a month, at least and at most.
const CAPACITY: (f64, f64) = (40.0, 200.0);
const MONTH_HOURS: f64 = 730.0;

/// Up to six supplies; about a third hang on a choice, of which some may also be signed to start later.
pub(super) fn draw(instance: &mut Instance, dice: &mut Dice) {
    let deals = dice.count(1, 6);
    let mut contract = 0;
    for deal in 0..deals {
        let shares = deal > 0 && dice.chance(0.25);
        contract += usize::from(deal > 0 && !shares);
        let group = shares.then(|| instance.supplies.last().and_then(|supply| supply.choice)).flatten();
        let choice = if shares { group } else { dice.chance(0.35).then(|| choose(instance, dice, contract, 0)) };
        let supply = one(instance, dice, contract, choice);
        let start = if dice.chance(0.3) { dice.count(0, instance.months.len() / 2) } else { 0 };
        push(instance, dice, supply.clone(), start);
        if choice.is_some() && !shares && dice.chance(0.4) {
            let later = choose(instance, dice, contract, 2);
            push(instance, dice, Supply { choice: Some(later), name: format!("{} later", supply.name), ..supply }, start + 2);
        }
    }
    bound_pools(instance, dice);
    if let (true, Some(choice)) = (dice.chance(0.5), instance.choices.len().checked_sub(1)) {
        substitute(instance, choice);
    }
}

fn choose(instance: &mut Instance, dice: &mut Dice, contract: usize, moved: i32) -> usize {
    let group = instance.choices.last().map_or(0, |last| if moved == 0 { last.group + 1 } else { last.group });
    let (name, by) = (format!("contract {contract}, {moved} months later"), dice.count(0, instance.months.len() - 1));
    instance.choices.push(Choice { name, contract: ContractId::from_index(contract), moved, group, by });
    instance.choices.len() - 1
}

fn one(instance: &Instance, dice: &mut Dice, contract: usize, choice: Option<usize>) -> Supply {
    let (place, kind) = (dice.count(0, POOLS - 1), dice.between(0.0, 1.0));
    let on = match kind {
        0.0..0.65 => On::Pool(PoolId::from_index(place)),
        0.65..0.85 => On::Tokens(EndpointId::from_index(place)),
        _ => On::Units(EndpointId::from_index(place)),
    };
    let is_pool = matches!(on, On::Pool(_));
    let accelerator = place % ACCELERATORS;
    let base = dice.between(0.8, 3.0);
    Supply {
        name: format!("contract {contract} on {on:?}"),
        contract: ContractId::from_index(contract),
        on,
        site: is_pool.then(|| SiteId::from_index(place % SITES)),
        accelerator: is_pool.then(|| AcceleratorId::from_index(accelerator)),
        party: PartyId::from_index(contract % PARTIES),
        vendor: is_pool.then(|| PartyId::from_index(VENDORS + accelerator)),
        choice,
        floating: dice.chance(0.3),
        rate: dice.series(instance.steps.len(), 0.9 * base, 1.1 * base),
        due: due(instance.months.len(), dice),
        energy: if is_pool { dice.series(instance.months.len(), 0.02, 0.2) } else { vec![0.0; instance.months.len()] },
        arithmetic: if is_pool { [1.0, 2.25][accelerator] } else { 0.0 },
        base_units: if matches!(on, On::Tokens(_)) { 1e12 } else { 3.6e12 },
    }
}

/// Bills that come at the end of each month, one later, or each quarter; never after the plan.
pub(super) fn due(months: usize, dice: &mut Dice) -> Vec<usize> {
    let rhythm = dice.count(0, 2);
    let of = |month: usize| [month, month + 1, month / 3 * 3 + 2][rhythm];
    (0..months).map(|month| of(month).min(months - 1)).collect()
}

/// Adds a supply and the capacity that its contract delivers from `start` on: without its choice there is none.
fn push(instance: &mut Instance, dice: &mut Dice, supply: Supply, start: usize) {
    let (full, ramp) = (dice.between(CAPACITY.0, CAPACITY.1), dice.between(0.0, 0.05));
    let there = |month: usize| if month < start { 0.0 } else { full * (1.0 + ramp * number_of(month - start)) };
    let amounts: Vec<f64> = instance.steps.iter().map(|step| there(step.month) * step.hours / MONTH_HOURS).collect();
    let none = vec![0.0; amounts.len()];
    let most = match supply.choice {
        Some(choice) => Series { fixed: none, by_choice: vec![(choice, amounts)] },
        None => Series { fixed: amounts, by_choice: vec![] },
    };
    instance.limits.push(Limit {
        name: format!("capacity of {}", supply.name),
        kind: LimitKind::Contract(supply.contract),
        terms: vec![(instance.supplies.len(), 1.0)],
        most,
        expansions: vec![],
    });
    instance.supplies.push(supply);
}

/// What stands in a pool bounds all contracts on it together.
fn bound_pools(instance: &mut Instance, dice: &mut Dice) {
    for pool in (0..POOLS).map(PoolId::from_index) {
        let on_it = |(index, supply): (usize, &Supply)| (supply.on == On::Pool(pool)).then_some((index, 1.0));
        let terms: Vec<(usize, f64)> = instance.supplies.iter().enumerate().filter_map(on_it).collect();
        let full = number_of(terms.len()) * dice.between(60.0, 200.0);
        if terms.len() > 1 {
            let fixed = instance.steps.iter().map(|step| full * step.hours / MONTH_HOURS).collect();
            let most = Series { fixed, by_choice: vec![] };
            instance.limits.push(Limit { name: format!("pool {pool:?}"), kind: LimitKind::Pool(pool), terms, most, expansions: vec![] });
        }
    }
}

/// Signing the choice takes three tenths of a contract that stands without it.
fn substitute(instance: &mut Instance, choice: usize) {
    if let Some(limit) = instance.limits.iter_mut().find(|limit| limit.most.by_choice.is_empty()) {
        let amounts = limit.most.fixed.iter().map(|amount| -0.3 * amount).collect();
        limit.most.by_choice.push((choice, amounts));
    }
}

/// Rights to raise what contracts deliver on pools.
pub(super) fn draw_expansions(instance: &mut Instance, dice: &mut Dice) {
    let count = instance.months.len();
    let shared: Vec<Vec<f64>> = (0..ACCELERATORS).map(|_| dice.series(count, 0.0, 40.0)).collect();
    let scarce = dice.chance(0.6);
    for supply in 0..instance.supplies.len() {
        let Supply { contract, accelerator, choice, .. } = instance.supplies[supply].clone();
        if let (Some(accelerator), true) = (accelerator, dice.chance(0.4)) {
            let position = instance.expansions.len();
            let of_step = instance.steps.iter().map(|step| step.hours / 1000.0).collect();
            instance.limits[supply].expansions.push((position, of_step));
            instance.expansions.push(Expansion {
                name: format!("expansion {position}"),
                contract,
                clause: 0,
                accelerator,
                choice,
                most: dice.between(20.0, 150.0),
                per_month: dice.series(count, 0.0, 40.0),
                lead: dice.count(0, 3),
                held: dice.chance(0.3).then_some((count / 3, count / 2)),
                capex: dice.series(count, 0.0, 2.0),
                running: dice.series(count, 0.1, 0.8),
                due: due(count, dice),
                supply: scarce.then(|| shared[accelerator.index()].clone()),
            });
        }
    }
}

/// Power of sites; what expansions have installed takes some of it while idle.
pub(super) fn draw_sites(instance: &mut Instance, dice: &mut Dice) {
    for site in (0..SITES).map(SiteId::from_index) {
        let there = |supply: &Supply| supply.site == Some(site);
        let numbered = instance.supplies.iter().enumerate().filter(|(_, supply)| there(supply));
        let terms: Vec<(usize, f64)> = numbered.map(|(index, _)| (index, dice.between(0.5, 1.5))).collect();
        let full = number_of(terms.len()) * dice.between(30.0, 150.0);
        let idle = |step: &planner::Step| -0.2 * step.hours / 1000.0;
        let on_it = terms.iter().flat_map(|(supply, _)| instance.limits[*supply].expansions.iter().map(|(position, _)| *position));
        let expansions = on_it.map(|position| (position, instance.steps.iter().map(idle).collect())).collect();
        let fixed = instance.steps.iter().map(|step| full * step.hours / MONTH_HOURS).collect();
        if !terms.is_empty() && dice.chance(0.7) {
            let most = Series { fixed, by_choice: vec![] };
            instance.limits.push(Limit { name: format!("power of {site:?}"), kind: LimitKind::Site(site), terms, most, expansions });
        }
    }
}
