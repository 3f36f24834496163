//! What must hold of decisions, attempts, held time and caps by themselves: the one rule for tests, the simulation and the live audit.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use fleet::{AcceleratorId, CapacityOf, ContractId, Fleet, Meter, ModelId, PoolId, SiteId};
use units::{Instant, Span};

use crate::decide::{Decision, Question, decide};
use crate::record::{HeldTime, Settlement};

/// Whether a decision that is taken again, from what it saw, is the same bit for bit.
#[must_use]
pub fn is_the_same_again(fleet: &Fleet, question: &Question, decision: &Decision) -> bool {
    decide(fleet, question).as_ref() == Ok(decision)
}

/// Whether an attempt ends no earlier than it begins, and has its first content in between.
#[must_use]
pub fn is_in_order(settled: &Settlement) -> bool {
    let content = settled.first_content.unwrap_or(settled.started);
    settled.started <= content && content <= settled.ended && settled.started <= settled.ended
}

/// Up to where the time of each endpoint is held; `K` names endpoints.
#[derive(Clone, Debug)]
pub struct HeldUntil<K>(BTreeMap<K, Instant>);

impl<K> Default for HeldUntil<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> HeldUntil<K> {
    /// Takes the next span of an endpoint, and says what is wrong with it.
    pub fn wrong_with(&mut self, endpoint: K, held: &HeldTime) -> Option<&'static str> {
        if held.span.is_empty() {
            return Some("is held over nothing or less");
        }
        // A note that nothing is held there any more may lie in a span that is made up for later.
        if held.usage.is_empty() {
            return None;
        }
        let until = self.0.entry(endpoint).or_insert(Instant::MIN);
        let twice = held.span.from < *until;
        *until = held.span.to.max(*until);
        twice.then_some("is held twice")
    }

    /// Up to where an endpoint's time is held.
    pub fn of<Q: Ord + ?Sized>(&self, endpoint: &Q) -> Instant
    where
        K: Borrow<Q>,
    {
        self.0.get(endpoint).copied().unwrap_or(Instant::MIN)
    }

    /// Up to where any endpoint's time is held.
    #[must_use]
    pub fn newest(&self) -> Instant {
        self.0.values().copied().max().unwrap_or(Instant::MIN)
    }

    /// The clock was set back to `to` between two processes: what the one before held later than that says nothing of what this one holds.
    pub fn set_back(&mut self, to: Instant) {
        self.0.retain(|_, until| *until <= to);
    }
}

/// Where at any instant more accelerators are held than a pool has, or they take more power than their site may, or more provisioned units
/// are held than their contract has delivered, in words.
#[must_use]
pub fn held_beyond<'a>(fleet: &Fleet, held: impl IntoIterator<Item = &'a HeldTime>) -> Vec<String> {
    let held: Vec<&HeldTime> = held.into_iter().filter(|held| !held.span.is_empty()).collect();
    let mut found = Vec::new();
    let accelerators = held.iter().flat_map(|held| uses(fleet, held)).map(|used| (used.span, used)).collect();
    at_each_start(accelerators, |at, open| found.extend(beyond_at(fleet, open, at)));
    let units = held.iter().flat_map(|held| units(held).map(|units| (held.span, units))).collect();
    at_each_start(units, |at, open| found.extend(units_beyond_at(fleet, open, at)));
    found
}

/// Looks, wherever a span begins, at all that is held then.
fn at_each_start<T>(mut spans: Vec<(Span, T)>, mut look: impl FnMut(Instant, &[&T])) {
    spans.sort_by_key(|(span, _)| span.from);
    let mut open = Vec::<&(Span, T)>::new();
    for begun in spans.chunk_by(|(one, _), (next, _)| one.from == next.from) {
        let at = begun[0].0.from;
        open.retain(|(span, _)| span.contains(at));
        open.extend(begun);
        look(at, &open.iter().map(|(_, what)| what).collect::<Vec<_>>());
    }
}

/// The provisioned units that a span of held time comes to, by who pays for them; a part of one counts as one.
fn units(held: &HeldTime) -> impl Iterator<Item = (ContractId, ModelId, i64)> {
    let length = i64::try_from(held.span.length().as_millis()).unwrap_or(i64::MAX).max(1);
    held.usage.iter().filter_map(move |usage| match usage.meter {
        Meter::UnitTime(model) => Some((usage.contract, model, (usage.held.count().max(0) + length - 1) / length)),
        _ => None,
    })
}

/// What is held at an instant beyond the units that were delivered.
fn units_beyond_at(fleet: &Fleet, held: &[&(ContractId, ModelId, i64)], at: Instant) -> Vec<String> {
    let mut counts: BTreeMap<(ContractId, ModelId), i64> = BTreeMap::new();
    for (contract, model, count) in held {
        let held = counts.entry((*contract, *model)).or_default();
        *held = held.saturating_add(*count);
    }
    let beyond = counts.into_iter().filter_map(|((contract, model), count)| {
        let most = market::delivered(fleet, contract, CapacityOf::Units(model), at);
        let (contract, model) = (fleet.contracts.name(contract), fleet.models.name(model));
        (count > most).then(|| format!("contract {contract} holds {count} of {most} units of {model} at {at}"))
    });
    beyond.collect()
}

struct Use {
    pool: PoolId,
    accelerator: AcceleratorId,
    count: i64,
    span: Span,
}

/// The accelerators that a span of held time comes to, whoever pays for them; a part of one counts as one.
fn uses(fleet: &Fleet, held: &HeldTime) -> Vec<Use> {
    let Some(pool) = fleet.endpoints[held.endpoint].pool else { return Vec::new() };
    let length = u64::try_from(held.span.length().as_millis()).unwrap_or(u64::MAX).max(1);
    let mut times: BTreeMap<AcceleratorId, u64> = BTreeMap::new();
    for usage in &held.usage {
        if let Meter::AcceleratorTime(accelerator) = usage.meter {
            let time = times.entry(accelerator).or_default();
            *time = time.saturating_add(usage.held.count().max(0).cast_unsigned());
        }
    }
    let used = |(accelerator, time): (_, u64)| {
        let count = i64::try_from(time.div_ceil(length)).unwrap_or(i64::MAX);
        Use { pool, accelerator, count, span: held.span }
    };
    times.into_iter().map(used).collect()
}

/// What is beyond its pool or site at an instant, of what is held then.
fn beyond_at(fleet: &Fleet, held: &[&Use], at: Instant) -> Vec<String> {
    let (mut pools, mut sites): (BTreeMap<PoolId, i64>, BTreeMap<SiteId, i128>) = Default::default();
    for used in held {
        let site = fleet.pools[used.pool].site;
        let watts = i128::from(used.count) * i128::from(fleet.accelerators[used.accelerator].power.count());
        let held = pools.entry(used.pool).or_default();
        *held = held.saturating_add(used.count);
        *sites.entry(site).or_default() += watts * i128::from(fleet.sites[site].pue_ppm);
    }
    let pools = pools.into_iter().filter_map(|(pool, count)| {
        let most = fleet.pools[pool].count.at(at).unwrap_or(0);
        (count > most).then(|| format!("pool {} holds {count} of {most} at {at}", fleet.pools.name(pool)))
    });
    let sites = sites.into_iter().filter_map(|(site, watts)| {
        let most = i128::from(fleet.sites[site].power.at(at).unwrap_or(0)) * 1_000_000;
        (watts > most).then(|| format!("site {} takes {watts} of {most} microwatts at {at}", fleet.sites.name(site)))
    });
    pools.chain(sites).collect()
}

/// How much there was of something that has a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Of what.
    pub what: &'static str,
    /// The most that was seen.
    pub most: u64,
    /// The cap.
    pub cap: u64,
}

/// What is over its cap, in words.
pub fn over(readings: &[Reading]) -> impl Iterator<Item = String> {
    let over = readings.iter().filter(|reading| reading.most > reading.cap);
    over.map(|Reading { what, most, cap }| format!("{what}: {most} of at most {cap}"))
}
