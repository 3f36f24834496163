//! What bounds supplies together: capacity clauses, pools, power.

use fleet::{CapacityOf, ContractId, Fleet, Id, PoolId, SiteId};

use crate::instance::{Limit, LimitKind, On, Series};
use crate::survey::ground::{Deal, Ground, part};
use crate::survey::months::{micros, share};
use crate::survey::supplies::{Source, add, watts};

const WATTS_MW: f64 = 1e6;

/// What a limit is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Hours,
    Tokens,
    MegawattHours,
}

/// A limit with what the rest of the survey asks of it.
pub(crate) struct Bound {
    pub unit: Unit,
    /// The contract's clause that it is, by position of the deal.
    pub clause: Option<(usize, CapacityOf)>,
    pub limit: Limit,
}

/// Every limit: contracts', pools', sites'.
pub(crate) fn bounds(ground: &Ground<'_>, sources: &[Source], wanted: f64) -> Vec<Bound> {
    let mut bounds: Vec<Bound> = Vec::new();
    for index in 0..ground.deals.len() {
        bounds.extend(clauses(ground, sources, index));
        bounds.extend(terms(ground, sources, index, wanted));
    }
    let pools = ground.fleet.pools.iter().map(|(id, ..)| pool(ground, sources, id));
    bounds.extend(pools.filter(|bound| !bound.limit.terms.is_empty()));
    let held = held(ground);
    let sites = ground.fleet.sites.iter().map(|(id, ..)| site(ground, sources, &held, id));
    bounds.extend(sites.filter(|bound| !bound.limit.terms.is_empty()));
    bounds
}

/// The limits of a deal's capacity clauses; of several for one thing the first counts.
fn clauses(ground: &Ground<'_>, sources: &[Source], index: usize) -> Vec<Bound> {
    let deal = &ground.deals[index];
    let mut things: Vec<CapacityOf> = deal.terms.capacity.iter().map(|clause| clause.of).collect();
    things.extend(sources.iter().filter(|source| source.deal == index).filter_map(|source| source.within));
    let mut seen: Vec<CapacityOf> = Vec::new();
    things.retain(|of| {
        !seen.contains(of) && {
            seen.push(*of);
            true
        }
    });
    let bounds = things.into_iter().map(|of| {
        let own = sources.iter().enumerate().filter(|(_, source)| source.deal == index && source.within == Some(of));
        let (unit, thing) = match of {
            CapacityOf::Accelerators(kind) => {
                (Unit::Hours, format!("capacity of {} in {}", deal.written(), ground.fleet.accelerators.name(kind)))
            }
            CapacityOf::Units(model) => (Unit::Hours, format!("units of {} for {}", deal.written(), ground.fleet.models.name(model))),
            CapacityOf::Power(site) => (Unit::MegawattHours, format!("power of {} at {}", deal.written(), ground.fleet.sites.name(site))),
        };
        let terms = own.map(|(supply, source)| (supply, factor(ground.fleet, source, unit, 1.0)));
        let watts = if unit == Unit::MegawattHours { WATTS_MW } else { 1.0 };
        let most = ground.with_substitutes(deal, |fleet| {
            let months = delivered(ground, fleet, deal.contract, of);
            ground.horizon.by_step(|month, step| months[month] * step.hours / watts)
        });
        let name = format!("{thing}{}", deal.suffix());
        let limit = Limit { name, kind: LimitKind::Contract(deal.contract), terms: terms.collect(), most, expansions: Vec::new() };
        Bound { unit, clause: Some((index, of)), limit }
    });
    bounds.collect()
}

/// What one unit of a supply takes of a limit.
fn factor(fleet: &Fleet, source: &Source, unit: Unit, busy: f64) -> f64 {
    match (source.supply.on, unit) {
        (On::Pool(pool), Unit::MegawattHours) => watts(fleet, pool) * busy / WATTS_MW,
        _ => 1.0,
    }
}

/// Delivered capacity as its mean over each month.
pub(crate) fn delivered(ground: &Ground<'_>, fleet: &Fleet, contract: ContractId, of: CapacityOf) -> Vec<f64> {
    let mut means = vec![0.0; ground.horizon.months.len()];
    let span = ground.horizon.span().overlap(fleet.contracts[contract].term);
    for piece in market::pieces(fleet, contract, of, span) {
        for month in ground.horizon.months_in(piece.span) {
            let whole = ground.horizon.months[month].span;
            means[month] += piece.delivered as f64 * share(micros(whole.overlap(piece.span)), micros(whole));
        }
    }
    means
}

/// The share of each month in which a deal is in force.
pub(crate) fn in_force(ground: &Ground<'_>, deal: &Deal<'_>) -> Vec<f64> {
    ground.horizon.spread_share(deal.terms.term)
}

/// Limits on what no capacity clause bounds, where a choice or a month that is not whole must.
fn terms(ground: &Ground<'_>, sources: &[Source], index: usize, wanted: f64) -> Vec<Bound> {
    let deal = &ground.deals[index];
    let there = in_force(ground, deal);
    let partly = there.iter().any(|share| *share > 0.0 && *share < 1.0);
    let open = sources.iter().enumerate().filter(|(_, source)| source.deal == index && source.within.is_none());
    let open = open.filter(|(_, source)| deal.choice.is_some() || (partly && matches!(source.supply.on, On::Pool(_))));
    let bounds = open.map(|(supply, source)| {
        let unit = if matches!(source.supply.on, On::Tokens(_)) { Unit::Tokens } else { Unit::Hours };
        let all = all_of(ground, source, wanted).into_iter().zip(&ground.horizon.steps);
        let most = all.map(|(all, step)| all * there[step.month]).collect();
        let name = format!("terms of {}", source.supply.name);
        let kind = LimitKind::Contract(deal.contract);
        let limit = Limit { name, kind, terms: vec![(supply, 1.0)], most: ground.series(deal, most), expansions: Vec::new() };
        Bound { unit, clause: None, limit }
    });
    bounds.collect()
}

/// As much as a supply can be used in each step: what its pool has, or more than is asked for.
pub(crate) fn all_of(ground: &Ground<'_>, source: &Source, wanted: f64) -> Vec<f64> {
    let (horizon, fleet) = (ground.horizon, ground.fleet);
    match source.supply.on {
        On::Pool(pool) => {
            let count = horizon.means(&fleet.pools[pool].count, |count| count as f64);
            horizon.by_step(|month, step| count[month] * step.hours)
        }
        On::Tokens(_) => vec![wanted; horizon.steps.len()],
        On::Units(endpoint) => {
            let model = fleet.endpoints[endpoint].model;
            let terms = ground.deals[source.deal].terms;
            let clause = terms.capacity.iter().find(|clause| clause.of == CapacityOf::Units(model));
            let weights = fleet.models[model].weights;
            let heaviest = weights.input_ppm.max(weights.cached_ppm).max(weights.output_ppm) as f64 / 1e6;
            let hour = clause.map_or(1, |clause| clause.tokens_per_unit_minute.max(1)) as f64 * 60.0;
            vec![wanted * heaviest / hour; horizon.steps.len()]
        }
    }
}

fn pool(ground: &Ground<'_>, sources: &[Source], pool: PoolId) -> Bound {
    let on = sources.iter().enumerate().filter(|(_, source)| source.supply.on == On::Pool(pool));
    let count = ground.horizon.means(&ground.fleet.pools[pool].count, |count| count as f64);
    let fixed = ground.horizon.by_step(|month, step| count[month] * step.hours);
    let limit = Limit {
        name: format!("pool {}", ground.fleet.pools.name(pool)),
        kind: LimitKind::Pool(pool),
        terms: on.map(|(supply, _)| (supply, 1.0)).collect(),
        most: Series { fixed, by_choice: Vec::new() },
        expansions: Vec::new(),
    };
    Bound { unit: Unit::Hours, clause: None, limit }
}

fn site(ground: &Ground<'_>, sources: &[Source], held: &[Held], site: SiteId) -> Bound {
    let fleet = ground.fleet;
    let power = ground.horizon.means(&fleet.sites[site].power, |watts| watts as f64);
    let mut most = Series { fixed: ground.horizon.by_step(|month, step| power[month] * step.hours / WATTS_MW), by_choice: Vec::new() };
    for held in held.iter().filter(|held| fleet.pools[held.pool].site == site) {
        let idle = idle_watts(fleet, held.pool) / WATTS_MW;
        if idle == 0.0 {
            continue;
        }
        let taken = |means: &[f64]| ground.horizon.by_step(|month, step| -means[month] * idle * step.hours);
        add(&mut most.fixed, &taken(&held.means.fixed));
        most.by_choice.extend(held.means.by_choice.iter().map(|(choice, means)| (*choice, taken(means))));
    }
    let here = sources.iter().enumerate().filter(|(_, source)| source.supply.site == Some(site));
    let busy = |source: &Source| 1.0 - source.supply.accelerator.map_or(0.0, |kind| part(fleet.accelerators[kind].idle));
    let limit = Limit {
        name: format!("power at {}", fleet.sites.name(site)),
        kind: LimitKind::Site(site),
        terms: here.map(|(supply, source)| (supply, factor(fleet, source, Unit::MegawattHours, busy(source)))).collect(),
        most,
        expansions: Vec::new(),
    };
    Bound { unit: Unit::MegawattHours, clause: None, limit }
}

/// Facility watts that one accelerator of a pool takes while nothing runs on it.
pub(crate) fn idle_watts(fleet: &Fleet, pool: PoolId) -> f64 {
    watts(fleet, pool) * part(fleet.accelerators[fleet.pools[pool].accelerator].idle)
}

/// Accelerators that a contract holds on a pool, as their mean over each month.
pub(crate) struct Held {
    pub deal: usize,
    pub pool: PoolId,
    pub means: Series,
}

/// What capacity clauses in accelerators hold, each on the first pool of its kind in the contract's list.
pub(crate) fn held(ground: &Ground<'_>) -> Vec<Held> {
    let mut held = Vec::new();
    for (index, deal) in ground.deals.iter().enumerate() {
        let mut seen = Vec::new();
        for of in deal.terms.capacity.iter().map(|clause| clause.of) {
            let Some(pool) = first_pool(deal, of).filter(|_| !seen.contains(&of)) else { continue };
            seen.push(of);
            let means = ground.with_substitutes(deal, |fleet| delivered(ground, fleet, deal.contract, of));
            held.push(Held { deal: index, pool, means });
        }
    }
    held.sort_by_key(|held| held.pool.index());
    held
}

/// The first pool in a contract's list that has accelerators of a clause's kind.
pub(crate) fn first_pool(deal: &Deal<'_>, of: CapacityOf) -> Option<PoolId> {
    let CapacityOf::Accelerators(kind) = of else { return None };
    deal.terms.pools.iter().copied().find(|pool| deal.fleet.pools[*pool].accelerator == kind)
}
