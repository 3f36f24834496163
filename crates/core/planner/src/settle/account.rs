//! An exact account of every limit: what is left of it after what was taken, so that rounding exceeds none.

use std::collections::BTreeMap;

use fleet::{CapacityOf, ContractId, Fleet, Overflow, PoolId, SiteId, Status};
use units::Span;

use super::speed::{delivered, integral, micros};
use super::venture::funded;
use crate::instance::On;
use crate::plan::Plan;

/// Parts in a whole share.
pub(super) const MILLION: i128 = 1_000_000;

/// What bounds supplies together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Capacity(ContractId, CapacityOf),
    Pool(PoolId),
    Site(SiteId),
}

/// What a step has left of everything. Amounts are in microseconds and parts per million of the thing, a site's in watts and parts of parts.
pub(super) struct Account<'a> {
    fleet: &'a Fleet,
    left: BTreeMap<Key, i128>,
}

impl<'a> Account<'a> {
    /// All that there is in `step` of the plan, by the fleet as the plan decides it.
    pub fn open(fleet: &'a Fleet, plan: &Plan, step: usize) -> Self {
        let (month, hours) = plan.steps[step];
        let (span, hours) = (plan.months[month].span, i128::from(hours));
        let mut left = BTreeMap::new();
        let funded = funded(fleet, plan.months[0].span.from, span);
        for (contract, _, terms) in fleet.contracts.iter() {
            for of in terms.capacity.iter().map(|clause| clause.of) {
                let there = delivered(fleet, contract, of, span);
                let there = funded.get(&(contract, of)).map_or(there, |funded| there.min(*funded));
                left.insert(Key::Capacity(contract, of), there * hours);
            }
        }
        for (pool, _, row) in fleet.pools.iter() {
            left.insert(Key::Pool(pool), integral(&row.count, span) * hours);
        }
        for (site, _, row) in fleet.sites.iter() {
            left.insert(Key::Site(site), integral(&row.power, span) * hours * MILLION - idle(fleet, site, span, hours));
        }
        Self { fleet, left }
    }

    /// The most base units of a supply that still fit within every limit.
    pub fn room(&self, contract: ContractId, on: On) -> i64 {
        let limits = self.limits(contract, on).into_iter().map(|(key, each)| self.left.get(&key).map_or(0, |left| left.div_euclid(each)));
        limits.min().map_or(i64::MAX, |room| i64::try_from(room.max(0)).unwrap_or(i64::MAX))
    }

    /// Takes so many base units of a supply.
    pub fn take(&mut self, contract: ContractId, on: On, quantity: i64) {
        for (key, each) in self.limits(contract, on) {
            *self.left.entry(key).or_default() -= each * i128::from(quantity);
        }
    }

    /// What bounds a supply, and what a base unit takes of it. A base unit of time is a millisecond.
    fn limits(&self, contract: ContractId, on: On) -> Vec<(Key, i128)> {
        // What exceeds the capacity is then charged at the overflow's rate.
        let bounded = !matches!(self.fleet.contracts[contract].overflow, Some(Overflow::AtRate(_)));
        match on {
            On::Tokens(_) => Vec::new(),
            On::Units(_) if !bounded => Vec::new(),
            On::Units(endpoint) => {
                vec![(Key::Capacity(contract, CapacityOf::Units(self.fleet.endpoints[endpoint].model)), 1_000 * MILLION)]
            }
            On::Pool(id) => {
                let pool = &self.fleet.pools[id];
                let site = &self.fleet.sites[pool.site];
                let chip = &self.fleet.accelerators[pool.accelerator];
                let watts = i128::from(chip.power.count()) * i128::from(site.pue_ppm);
                let working = MILLION - i128::from(chip.idle.ppm());
                let mut limits = vec![(Key::Pool(id), 1_000 * MILLION)];
                limits.extend(clause(self.fleet, contract, id).filter(|_| bounded).map(|of| {
                    let each = if matches!(of, CapacityOf::Power(_)) { watts } else { MILLION };
                    (Key::Capacity(contract, of), 1_000 * each)
                }));
                limits.push((Key::Site(pool.site), 1_000 * watts * working));
                limits.retain(|(_, each)| *each > 0);
                limits
            }
        }
    }
}

/// The capacity clause that bounds a contract's use of a pool: the first for its accelerators, or for power at its site.
pub(super) fn clause(fleet: &Fleet, contract: ContractId, pool: PoolId) -> Option<CapacityOf> {
    let pool = &fleet.pools[pool];
    let bounds = |of: &CapacityOf| *of == CapacityOf::Accelerators(pool.accelerator) || *of == CapacityOf::Power(pool.site);
    fleet.contracts[contract].capacity.iter().map(|clause| clause.of).find(bounds)
}

/// What the capacity clauses of signed contracts hold at a site over a span: accelerator-microseconds by pool.
pub(super) fn held(fleet: &Fleet, site: SiteId, span: Span) -> Vec<(PoolId, i128)> {
    let mut held = Vec::new();
    for (contract, _, terms) in fleet.contracts.iter().filter(|(.., terms)| terms.status == Status::Signed) {
        for clause in &terms.capacity {
            let CapacityOf::Accelerators(kind) = clause.of else { continue };
            let first = terms.pools.iter().copied().find(|pool| fleet.pools[*pool].accelerator == kind);
            if let Some(pool) = first.filter(|pool| fleet.pools[*pool].site == site) {
                held.push((pool, delivered(fleet, contract, clause.of, span)));
            }
        }
    }
    held
}

/// What is held draws while it idles, rounded up: it comes off a site's power first.
fn idle(fleet: &Fleet, site: SiteId, span: Span, hours: i128) -> i128 {
    let draws = held(fleet, site, span).into_iter().map(|(pool, held)| {
        let chip = &fleet.accelerators[fleet.pools[pool].accelerator];
        let watts = i128::from(chip.power.count()) * i128::from(fleet.sites[site].pue_ppm);
        let share = i128::from(chip.idle.ppm()) * held * hours;
        watts * (share.div_euclid(MILLION) + i128::from(share.rem_euclid(MILLION) > 0))
    });
    draws.sum()
}

/// The joules of a site in a month: what is held idles, and what is used works, rounded half to even once.
pub(super) fn joules(fleet: &Fleet, site: SiteId, span: Span, used: &BTreeMap<PoolId, i64>) -> i64 {
    let pue = i128::from(fleet.sites[site].pue_ppm);
    let power = |pool: PoolId| &fleet.accelerators[fleet.pools[pool].accelerator];
    let idle = held(fleet, site, span).into_iter().map(|(pool, held)| (power(pool), i128::from(power(pool).idle.ppm()) * held));
    let here = used.iter().filter(|(pool, _)| fleet.pools[**pool].site == site);
    let working = here.map(|(pool, used)| (power(*pool), (MILLION - i128::from(power(*pool).idle.ppm())) * i128::from(*used) * 1_000));
    let sum: i128 = idle.chain(working).map(|(chip, time)| i128::from(chip.power.count()) * pue * time).sum();
    i64::try_from(units::round_half_even(sum, MILLION * MILLION * MILLION)).unwrap_or(i64::MAX)
}

/// The mean power of a site's use in a month, in watts.
pub(super) fn mean_watts(joules: i64, span: Span) -> i64 {
    i64::try_from(units::round_half_even(i128::from(joules) * MILLION, micros(span).max(1))).unwrap_or(i64::MAX)
}
