//! Which supplies can do which work, how fast and when; and what work is worth that nobody states the worth of.

use fleet::{AcceleratorId, CapacityOf, Fleet, Mix, ModelId, PoolId, Use};

use crate::instance::{Fit, On, WorkKind};
use crate::survey::ground::{Ground, part};
use crate::survey::scope::{Kept, kept};
use crate::survey::supplies::Source;
use crate::survey::works::{Asked, Needs};

/// A cached token's work on a replica, as a share of an input token's.
const CACHED_WORK: f64 = 0.1;

/// Every fit, by supply and then work; also one that exclusivities close for good, because they have their price.
pub(crate) fn fits(ground: &Ground<'_>, sources: &[Source], asked: &[Asked<'_>]) -> Vec<Fit> {
    let kept = kept(ground.fleet);
    let mut fits = Vec::new();
    for (supply, source) in sources.iter().enumerate() {
        let there = there(ground, source);
        if !there.contains(&true) {
            continue;
        }
        for (work, asked) in asked.iter().enumerate() {
            let Some(speed) = speed(ground, source, &asked.needs).filter(|speed| *speed > 0.0) else { continue };
            let mut open = there.clone();
            for kept in kept.iter().filter(|kept| barred(ground.fleet, kept, source, &asked.needs)) {
                open[ground.horizon.months_in(kept.span)].fill(false);
            }
            fits.push(Fit { supply, work, speed, open: ranges(ground, &open) });
        }
    }
    fits
}

/// Units of work done by one unit of a supply; none where it does not fit.
fn speed(ground: &Ground<'_>, source: &Source, needs: &Needs<'_>) -> Option<f64> {
    let fleet = ground.fleet;
    match (source.supply.on, needs) {
        (On::Pool(pool), Needs::Serving { model, mix }) => {
            runs(fleet, pool, Use::Serving).then(|| tokens_an_hour(fleet, fleet.pools[pool].accelerator, *model, *mix))?
        }
        (On::Pool(pool), Needs::Training { accelerators, gang }) => {
            let kind = fleet.pools[pool].accelerator;
            let fits = runs(fleet, pool, Use::Training) && accelerators.contains(&kind) && largest(ground, pool) >= i64::from(*gang);
            let peak = |kind: AcceleratorId| fleet.accelerators[kind].peak.count() as f64;
            accelerators.first().filter(|first| fits && peak(**first) > 0.0).map(|first| peak(kind) / peak(*first))
        }
        (On::Tokens(endpoint), Needs::Serving { model, mix }) => {
            (fleet.endpoints[endpoint].model == *model && source.mix == Some(*mix)).then_some(1.0)
        }
        (On::Units(endpoint), Needs::Serving { model, mix }) if fleet.endpoints[endpoint].model == *model => {
            let terms = &ground.deals[source.deal].terms;
            let clause = terms.capacity.iter().find(|clause| clause.of == CapacityOf::Units(*model))?;
            let weight = weight(fleet, *model, *mix);
            (weight > 0.0).then(|| clause.tokens_per_unit_minute as f64 * 60.0 / weight)
        }
        _ => None,
    }
}

fn runs(fleet: &Fleet, pool: PoolId, work: Use) -> bool {
    fleet.accelerators[fleet.pools[pool].accelerator].runs.contains(&work)
}

/// Tokens that one accelerator handles in an hour under the fastest profile.
fn tokens_an_hour(fleet: &Fleet, kind: AcceleratorId, model: ModelId, mix: Mix) -> Option<f64> {
    let profiles = fleet.profiles.iter().map(|(.., profile)| profile);
    let profiles = profiles.filter(|profile| profile.model == model && profile.accelerator == kind);
    let speeds = profiles.filter_map(|profile| {
        let (prefill, decode) = (f64::from(profile.prefill_per_second), f64::from(profile.decode_batch_per_second));
        let seconds = (part(mix.input) + CACHED_WORK * part(mix.cached)) / prefill + part(mix.output) / decode;
        let seconds = seconds * f64::from(profile.accelerators);
        (seconds > 0.0 && seconds.is_finite()).then_some(3600.0 / seconds)
    });
    speeds.reduce(f64::max)
}

/// Weighed tokens in a mixed one.
fn weight(fleet: &Fleet, model: ModelId, mix: Mix) -> f64 {
    let weights = fleet.models[model].weights;
    let kinds = [(mix.input, weights.input_ppm), (mix.cached, weights.cached_ppm), (mix.output, weights.output_ppm)];
    kinds.into_iter().map(|(share, ppm)| part(share) * ppm as f64 / 1e6).sum()
}

fn largest(ground: &Ground<'_>, pool: PoolId) -> i64 {
    ground.fleet.pools[pool].count.pieces(ground.horizon.span()).map(|(_, count)| count).max().unwrap_or(0)
}

/// The months in which a supply is there: its contract in force, its accelerator available.
pub(crate) fn there(ground: &Ground<'_>, source: &Source) -> Vec<bool> {
    let (horizon, deal) = (ground.horizon, &ground.deals[source.deal]);
    let mut there = vec![false; horizon.months.len()];
    there[horizon.months_in(deal.terms.term)].fill(true);
    if let Some(from) = source.supply.accelerator.and_then(|kind| ground.fleet.accelerators[kind].available) {
        let first = horizon.months.partition_point(|month| month.span.from < from);
        there[..first].fill(false);
    }
    there
}

/// Whether an exclusivity keeps a supply from a work.
pub(crate) fn barred(fleet: &Fleet, kept: &Kept<'_>, source: &Source, needs: &Needs<'_>) -> bool {
    let (work, model) = match needs {
        Needs::Serving { model, .. } => (Use::Serving, Some(*model)),
        Needs::Training { .. } => (Use::Training, None),
    };
    kept.bars(fleet, source.supply.contract, source.supply.on, work, model)
}

/// The steps of the months for which `open` is true, in ranges.
pub(crate) fn ranges(ground: &Ground<'_>, open: &[bool]) -> Vec<(usize, usize)> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for (month, _) in open.iter().enumerate().filter(|(_, open)| **open) {
        let steps = ground.horizon.steps_of(month);
        match ranges.last_mut() {
            Some(last) if last.1 == steps.start => last.1 = steps.end,
            _ => ranges.push((steps.start, steps.end)),
        }
    }
    ranges
}

/// Gives work that nobody values its replacement cost: the cheapest list price at which signed contracts sell the same, then.
/// Says of every work what that is at its dearest.
pub(crate) fn value(ground: &Ground<'_>, sources: &[Source], asked: &mut [Asked<'_>], fits: &[Fit]) -> Vec<f64> {
    let mut dearest = Vec::new();
    for (index, asked) in asked.iter_mut().enumerate() {
        let cheapest = cheapest(ground, sources, fits, index);
        dearest.push(cheapest.iter().flatten().fold(0.0, |most: f64, price| most.max(*price)));
        match &mut asked.work.kind {
            WorkKind::Serving { tranches, .. } => {
                for (tranche, _) in tranches.iter_mut().zip(&asked.unvalued).filter(|(_, unvalued)| **unvalued) {
                    tranche.value = cheapest.iter().map(|price| price.unwrap_or(0.0)).collect::<Vec<_>>();
                }
            }
            WorkKind::Training { value, .. } if asked.unvalued.contains(&true) => {
                *value = cheapest.into_iter().flatten().reduce(f64::min).unwrap_or(0.0);
            }
            WorkKind::Training { .. } => {}
        }
    }
    dearest
}

/// The least that a unit of a work costs by the list, by step.
fn cheapest(ground: &Ground<'_>, sources: &[Source], fits: &[Fit], work: usize) -> Vec<Option<f64>> {
    let mut cheapest: Vec<Option<f64>> = vec![None; ground.horizon.steps.len()];
    for fit in fits.iter().filter(|fit| fit.work == work) {
        let source = &sources[fit.supply];
        let Some(list) = source.list.as_ref().filter(|_| source.supply.choice.is_none()) else { continue };
        for step in fit.open.iter().flat_map(|(from, to)| *from..*to) {
            let price = list[ground.horizon.steps[step].month] / fit.speed;
            cheapest[step] = Some(cheapest[step].map_or(price, |least| least.min(price)));
        }
    }
    cheapest
}
