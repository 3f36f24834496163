//! What one more unit costs, by supply and month, from the solver's duals.

use std::collections::BTreeMap;

use fleet::{Fleet, Status};
use units::{Money, Span};

use super::account::{clause, joules, mean_watts};
use super::cash::used;
use super::speed::{delivered, integral, micros};
use super::{Settling, nanos};
use crate::instance::{Limit, LimitKind, On, Supply};
use crate::plan::{MonthPrice, Plan, SitePrice};
use crate::problem::Sides;

/// Prices by limit and month, from both sides.
type AllSides = BTreeMap<(usize, usize), Sides>;

/// The prices of every supply and site, month by month.
pub(super) fn prices(settling: &Settling<'_>, plan: &Plan, sides: &AllSides) -> (Vec<MonthPrice>, Vec<SitePrice>) {
    let mut prices = Vec::new();
    for index in 0..settling.instance.supplies.len() {
        let pricing = Pricing { settling, plan, sides, index, supply: &settling.instance.supplies[index] };
        prices.extend((0..plan.months.len()).filter_map(|month| pricing.month(month)));
    }
    (prices, sites(settling, plan, sides))
}

struct Pricing<'a> {
    settling: &'a Settling<'a>,
    plan: &'a Plan,
    sides: &'a AllSides,
    index: usize,
    supply: &'a Supply,
}

impl Pricing<'_> {
    /// The price in a month in which the contract is in force.
    fn month(&self, month: usize) -> Option<MonthPrice> {
        let (fleet, supply) = (&self.settling.decided, self.supply);
        let terms = &fleet.contracts[supply.contract];
        let span = self.plan.months[month].span.overlap(terms.term);
        if terms.status != Status::Signed || span.is_empty() {
            return None;
        }
        let list = self.shown(self.mean(month, |step| self.list(step)));
        let energy = self.shown(supply.energy.get(month).copied().unwrap_or(0.0));
        let floor_credit = self.shown(self.mean(month, |step| self.credit(step, month)));
        let power = self.limits(month, |kind| matches!(kind, LimitKind::Site(_)));
        let capacity = self.limits(month, |kind| !matches!(kind, LimitKind::Site(_)));
        let (capacity_less, capacity_more) = self.both_sides(month);
        let (pool, endpoint) = match supply.on {
            On::Pool(pool) => (Some(fleet.pools.name(pool).to_owned()), None),
            On::Tokens(endpoint) | On::Units(endpoint) => (None, Some(fleet.endpoints.name(endpoint).to_owned())),
        };
        let contract = fleet.contracts.name(supply.contract).to_owned();
        let of_month = self.plan.flows.iter().filter(|flow| self.plan.steps[flow.step].0 == month);
        let unit = supply.on.unit();
        let mine = of_month.filter(|flow| (&flow.contract, &flow.pool, &flow.endpoint, flow.unit) == (&contract, &pool, &endpoint, unit));
        let planned = mine.map(|flow| flow.quantity).sum();
        let there = there(fleet, supply, self.plan.months[month].span);
        let total = list + energy - floor_credit + power + capacity;
        Some(MonthPrice {
            contract,
            pool,
            endpoint,
            unit,
            month,
            list,
            energy,
            floor_credit,
            power,
            capacity,
            total,
            capacity_less,
            capacity_more,
            planned,
            there,
        })
    }

    /// Money per unit of the supply's quantity as money per accelerator-hour, unit-hour or million tokens.
    fn shown(&self, price: f64) -> Money {
        let base = if matches!(self.supply.on, On::Tokens(_)) { 1e6 } else { 3.6e6 };
        nanos(price * self.settling.instance.scale.money * base / self.supply.base_units * 1e9)
    }

    /// The mean over the steps of a month, weighed by their hours.
    fn mean(&self, month: usize, of: impl Fn(usize) -> f64) -> f64 {
        let steps = self.settling.instance.steps.iter().enumerate().filter(|(_, step)| step.month == month);
        let (sum, hours) = steps.fold((0.0, 0.0), |(sum, hours), (index, step)| (sum + of(index) * step.hours, hours + step.hours));
        if hours > 0.0 { sum / hours } else { 0.0 }
    }

    /// The metered rate, or that of the tier which the plan's quantity has reached.
    fn list(&self, step: usize) -> f64 {
        let instance = self.settling.instance;
        let flat = self.supply.rate.get(step).copied().unwrap_or(0.0);
        let tiers = instance.tiered.iter().filter(|tiered| tiered.terms.iter().any(|(supply, at, _)| (*supply, *at) == (self.index, step)));
        let reached = tiers.map(|tiered| {
            let quantity: f64 = tiered.terms.iter().map(|(supply, step, share)| share * self.quantity(*supply, *step)).sum();
            tiered.tiers.iter().take_while(|(from, _)| *from <= quantity).last().map_or(0.0, |(_, rate)| *rate)
        });
        flat + reached.sum::<f64>()
    }

    fn quantity(&self, supply: usize, step: usize) -> f64 {
        let (instance, answer) = (self.settling.instance, self.settling.answer);
        let fits = instance.fits.iter().enumerate().filter(|(_, fit)| fit.supply == supply);
        fits.map(|(fit, _)| answer.used.get(fit * instance.steps.len() + step).copied().unwrap_or(0.0)).sum()
    }

    /// What a unit takes off shortfalls to come, in the money of its own month.
    fn credit(&self, step: usize, month: usize) -> f64 {
        let (instance, prices) = (self.settling.instance, &self.settling.answer.prices);
        let worth = |month: usize| prices.cash.get(month).copied().filter(|worth| *worth > 0.0);
        let floors = instance.floors.iter().enumerate().map(|(index, floor)| {
            let dual = prices.floors.get(index).copied().unwrap_or(0.0);
            let later = worth(floor.due).zip(worth(month)).map_or(1.0, |(due, now)| due / now);
            let terms = floor.terms.iter().filter(|(supply, at, _)| (*supply, *at) == (self.index, step));
            terms.map(|(.., counts)| counts * dual * later).sum::<f64>()
        });
        floors.sum()
    }

    fn limits(&self, month: usize, of: impl Fn(LimitKind) -> bool) -> Money {
        let (instance, prices) = (self.settling.instance, &self.settling.answer.prices);
        let mine = instance.limits.iter().enumerate().filter(|(_, limit)| of(limit.kind));
        let price = mine.map(|(index, limit)| {
            let dual = |step: usize| prices.limits.get(index).and_then(|steps| steps.get(step)).copied().unwrap_or(0.0);
            self.factor(limit) * self.mean(month, dual)
        });
        self.shown(price.sum())
    }

    fn factor(&self, limit: &Limit) -> f64 {
        limit.terms.iter().filter(|(supply, _)| *supply == self.index).map(|(_, factor)| *factor).sum()
    }

    /// Capacity from both sides, where both were computed for all of its limits.
    fn both_sides(&self, month: usize) -> (Option<Money>, Option<Money>) {
        let limits = self.settling.instance.limits.iter().enumerate();
        let mine = limits.filter(|(_, limit)| !matches!(limit.kind, LimitKind::Site(_)) && self.factor(limit) > 0.0);
        let found: Vec<(f64, Sides)> =
            mine.filter_map(|(index, limit)| Some((self.factor(limit), *self.sides.get(&(index, month))?))).collect();
        let sum = |side: fn(&Sides) -> Option<f64>| {
            let prices: Option<Vec<f64>> = found.iter().map(|(factor, sides)| Some(factor * side(sides)?)).collect();
            prices.filter(|prices| !prices.is_empty()).map(|prices| self.shown(prices.iter().sum()))
        };
        (sum(|sides| sides.less), sum(|sides| sides.more))
    }
}

/// What there is of a supply in a month, in its base units; `None` is no limit.
fn there(fleet: &Fleet, supply: &Supply, month: Span) -> Option<i64> {
    let whole = |amount: i128| i64::try_from(amount.div_euclid(1_000)).unwrap_or(i64::MAX);
    match supply.on {
        On::Tokens(_) => None,
        On::Units(endpoint) => {
            let of = fleet::CapacityOf::Units(fleet.endpoints[endpoint].model);
            Some(whole(delivered(fleet, supply.contract, of, month)))
        }
        On::Pool(id) => {
            let pool = &fleet.pools[id];
            let count = integral(&pool.count, month.overlap(fleet.contracts[supply.contract].term));
            let capacity = clause(fleet, supply.contract, id).map(|of| {
                let there = delivered(fleet, supply.contract, of, month);
                let site = &fleet.sites[pool.site];
                let watts = i128::from(fleet.accelerators[pool.accelerator].power.count()) * i128::from(site.pue_ppm);
                let power = matches!(of, fleet::CapacityOf::Power(_));
                if power { there.saturating_mul(1_000_000).div_euclid(watts.max(1)) } else { there }
            });
            Some(whole(capacity.map_or(count, |capacity| capacity.min(count))))
        }
    }
}

fn sites(settling: &Settling<'_>, plan: &Plan, sides: &AllSides) -> Vec<SitePrice> {
    let (fleet, instance) = (&settling.decided, settling.instance);
    let mut prices = Vec::new();
    for (site, name, row) in fleet.sites.iter() {
        let limit = instance.limits.iter().position(|limit| limit.kind == LimitKind::Site(site));
        for (month, span) in plan.months.iter().map(|month| month.span).enumerate() {
            let sides = limit.and_then(|limit| sides.get(&(limit, month))).copied().unwrap_or(Sides { less: None, more: None });
            let used = mean_watts(joules(fleet, site, span, &used(fleet, plan, month)), span);
            let limit = integral(&row.power, span).div_euclid(micros(span).max(1));
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let money = |price: Option<f64>| price.map(|price| settling.money(price));
            prices.push(SitePrice { site: name.to_owned(), month, used, limit, less: money(sides.less), more: money(sides.more) });
        }
    }
    prices
}
