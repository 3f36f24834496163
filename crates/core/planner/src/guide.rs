//! What a plan says to the next clock: planned quantities as flows, and what scarce power is worth.

use std::collections::BTreeMap;

use fleet::{ContractId, Fleet, Meter, Mix, WorkloadId, WorkloadKind};
use market::{Flow, Forecast};
use units::{Instant, MeterUnit, Money, Quantity, Rate, Share, Span, round_half_even};

use crate::plan::{Flow as Planned, Plan};

const HOUR_US: i128 = 3_600_000_000;
const MWH_JOULES: i64 = 3_600_000_000;

/// The plan as a forecast from `now` on: each contract's meters at the mean pace that the plan has for them until the end of the longest floor window that
/// `now` lies in (without one, of the month), and at each site what one more joule takes away from others. Empty when the plan does not cover `now`.
///
/// What the plan names and the fleet no longer has is left out.
#[must_use]
pub fn guide(fleet: &Fleet, plan: &Plan, now: Instant) -> Forecast {
    let Some(present) = plan.months.iter().position(|month| month.span.contains(now)) else { return Forecast::default() };
    let mut planned: BTreeMap<(ContractId, Meter), i128> = BTreeMap::new();
    let mut hours: BTreeMap<ContractId, Span> = BTreeMap::new();
    for flow in &plan.flows {
        let Some(contract) = fleet.contracts.id(&flow.contract) else { continue };
        let ahead = *hours.entry(contract).or_insert_with(|| ahead(fleet, plan, contract, present, now));
        let month = plan.steps.get(flow.step).map_or(0, |(month, _)| *month);
        if month >= present && plan.months[month].span.from < ahead.to {
            for (meter, quantity) in meters(fleet, contract, flow) {
                *planned.entry((contract, meter)).or_default() += quantity;
            }
        }
    }
    let pace = |((contract, meter), quantity): ((ContractId, Meter), i128)| {
        let length = i128::from(hours[&contract].to.micros() - hours[&contract].from.micros()).max(1);
        let per_hour = round_half_even(quantity * HOUR_US, length);
        let flow = Flow { per_hour: Quantity::new(i64::try_from(per_hour).unwrap_or(i64::MAX)), error: Share::NONE };
        ((contract, meter), flow)
    };
    Forecast { flows: planned.into_iter().map(pace).collect(), power: power(fleet, plan, present) }
}

/// From the month that is present to the end of the months that the contract's longest floor window, or an umbrella's, reaches into.
fn ahead(fleet: &Fleet, plan: &Plan, contract: ContractId, present: usize, now: Instant) -> Span {
    let windows = fleet.chain(contract).flat_map(|id| {
        let terms = &fleet.contracts[id];
        terms.floors.iter().map(|floor| {
            let calendar = terms.calendar.with_period(floor.per);
            calendar.span(calendar.index(now)).overlap(terms.term).to
        })
    });
    let end = windows.max().unwrap_or(now).max(plan.months[present].span.to);
    let last = plan.months.iter().rev().find(|month| month.span.from < end).map_or(end, |month| month.span.to);
    Span { from: plan.months[present].span.from, to: last }
}

/// The meters that a planned quantity counts on.
fn meters(fleet: &Fleet, contract: ContractId, flow: &Planned) -> Vec<(Meter, i128)> {
    let quantity = i128::from(flow.quantity);
    if let Some(pool) = flow.pool.as_ref().and_then(|name| fleet.pools.id(name)) {
        return vec![(Meter::AcceleratorTime(fleet.pools[pool].accelerator), quantity)];
    }
    let Some(endpoint) = flow.endpoint.as_ref().and_then(|name| fleet.endpoints.id(name)) else { return Vec::new() };
    let model = fleet.endpoints[endpoint].model;
    if flow.unit == MeterUnit::UnitMs {
        return vec![(Meter::UnitTime(model), quantity)];
    }
    let mix = fleet.workloads.id(&flow.workload).map_or_else(Mix::default, |id| mix(fleet, id));
    let part = |share: Share| round_half_even(quantity * i128::from(share.ppm()), i128::from(Share::ALL.ppm()));
    // A contract without a price for cached tokens sells them as input.
    let priced = fleet.contracts[contract].rates.iter().any(|clause| clause.meter == Meter::CachedTokens(model));
    let parts = [
        (Meter::InputTokens(model), part(mix.input) + if priced { 0 } else { part(mix.cached) }),
        (Meter::CachedTokens(model), if priced { part(mix.cached) } else { 0 }),
        (Meter::OutputTokens(model), part(mix.output)),
    ];
    parts.into_iter().filter(|(_, quantity)| *quantity > 0).collect()
}

fn mix(fleet: &Fleet, workload: WorkloadId) -> Mix {
    match &fleet.workloads[workload].kind {
        WorkloadKind::Serving { mix, .. } => *mix,
        WorkloadKind::Training { .. } => Mix::default(),
    }
}

/// What a joule more takes away from others: the price of having one less.
fn power(fleet: &Fleet, plan: &Plan, present: usize) -> BTreeMap<fleet::SiteId, Rate> {
    let now = plan.sites.iter().filter(|price| price.month == present);
    let price = now.filter_map(|price| Some((fleet.sites.id(&price.site)?, price.less.or(price.more)?)));
    let price = price.filter(|(_, money)| *money > Money::ZERO);
    price.map(|(site, money)| (site, Rate { money, per: MWH_JOULES })).collect()
}
