//! Ways to get compute: one contract on one pool or endpoint.

use fleet::{AcceleratorId, CapacityOf, Charge, EndpointId, Fleet, Meter, Mix, Overflow, PoolId, Preset, WorkloadKind};
use units::Rate;

use crate::instance::{On, Supply};
use crate::survey::ground::{Deal, Ground, money, part};

/// Milliseconds of an hour: base units in one unit of time.
pub(crate) const HOUR_MS: f64 = 3_600_000.0;
const HOUR_SECONDS: f64 = 3600.0;

/// Whether a supply lies within the contract's capacity, or beyond it at the overflow's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Within,
    Beyond,
}

/// A supply with what the rest of the survey asks of it.
pub(crate) struct Source {
    /// Position of its contract in [`Ground::deals`].
    pub deal: usize,
    pub reach: Reach,
    /// Tokens of which kinds it sells.
    pub mix: Option<Mix>,
    /// What bounds it, if anything of its contract does.
    pub within: Option<CapacityOf>,
    /// What a unit costs by the list in the fleet's currency, by month; none where the contract sets no price.
    pub list: Option<Vec<f64>>,
    pub supply: Supply,
}

impl Source {
    /// How much of a meter an hour or a token of the supply is, in hours or tokens.
    pub fn counts(&self, fleet: &Fleet, meter: Meter) -> f64 {
        match (self.supply.on, meter) {
            (On::Pool(pool), Meter::AcceleratorTime(kind)) if fleet.pools[pool].accelerator == kind => 1.0,
            (On::Units(endpoint), Meter::UnitTime(model)) if fleet.endpoints[endpoint].model == model => 1.0,
            (On::Tokens(endpoint), Meter::InputTokens(model) | Meter::CachedTokens(model) | Meter::OutputTokens(model))
                if fleet.endpoints[endpoint].model == model =>
            {
                self.kinds(fleet, model).into_iter().find(|(of, _)| *of == meter).map_or(0.0, |(_, share)| share)
            }
            _ => 0.0,
        }
    }

    /// The meters that a mixed token is posted to. Without a price of their own, cached tokens are input.
    fn kinds(&self, fleet: &Fleet, model: fleet::ModelId) -> [(Meter, f64); 3] {
        let mix = self.mix.unwrap_or_default();
        let (input, cached, output) = (part(mix.input), part(mix.cached), part(mix.output));
        let rates = &fleet.contracts[self.supply.contract].rates;
        let priced = rates.iter().any(|clause| clause.meter == Meter::CachedTokens(model));
        let (input, cached) = if priced { (input, cached) } else { (input + cached, 0.0) };
        [(Meter::InputTokens(model), input), (Meter::CachedTokens(model), cached), (Meter::OutputTokens(model), output)]
    }
}

/// Every supply, in the order of their names.
pub(crate) fn sources(ground: &Ground<'_>) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for (index, deal) in ground.deals.iter().enumerate() {
        for pool in pools(deal) {
            sources.extend(on_pool(ground, index, pool));
        }
        for endpoint in deal.terms.endpoints.iter().filter(|endpoint| deal.fleet.endpoints[**endpoint].pool.is_none()) {
            sources.extend(hosted(ground, index, *endpoint));
        }
    }
    for source in &mut sources {
        price(ground, source);
    }
    sources.sort_by(|a, b| a.supply.name.cmp(&b.supply.name));
    sources
}

/// The pools whose time a contract pays: those it names, and those of the endpoints that it names.
fn pools(deal: &Deal<'_>) -> Vec<PoolId> {
    let mut pools = deal.terms.pools.clone();
    pools.extend(deal.terms.endpoints.iter().filter_map(|endpoint| deal.fleet.endpoints[*endpoint].pool));
    pools.sort_unstable();
    pools.dedup();
    pools
}

/// The capacity clause that bounds accelerators of a kind at a pool's site: the first in the file.
fn bound(deal: &Deal<'_>, pool: PoolId) -> Option<CapacityOf> {
    let pool = &deal.fleet.pools[pool];
    let fits = |of: &CapacityOf| *of == CapacityOf::Accelerators(pool.accelerator) || *of == CapacityOf::Power(pool.site);
    let clause = deal.terms.capacity.iter().map(|clause| clause.of).find(fits);
    let expands = || deal.terms.expansions.iter().any(|expansion| expansion.accelerator == pool.accelerator);
    clause.or_else(|| expands().then_some(CapacityOf::Accelerators(pool.accelerator)))
}

fn on_pool(ground: &Ground<'_>, index: usize, pool: PoolId) -> Vec<Source> {
    let deal = &ground.deals[index];
    let (fleet, kind) = (deal.fleet, deal.fleet.pools[pool].accelerator);
    let name = format!("{} on {}", deal.written(), fleet.pools.name(pool));
    let make = |reach, within| {
        let mut source = source(ground, index, On::Pool(pool), &name, reach);
        source.within = within;
        source.supply.site = Some(fleet.pools[pool].site);
        source.supply.accelerator = Some(kind);
        source.supply.vendor = fleet.accelerators[kind].vendor;
        source.supply.energy = energy(ground, pool);
        source.supply.arithmetic = petaflops(fleet, kind);
        source.supply.floating = matches!(deal.terms.preset, Some(Preset::OnDemand | Preset::Spot));
        source
    };
    let meter = Meter::AcceleratorTime(kind);
    let metered = deal.terms.rates.iter().any(|clause| clause.meter == meter && clause.charge == Charge::Metered);
    match bound(deal, pool) {
        Some(of) if matches!(deal.terms.overflow, Some(Overflow::AtRate(_))) => {
            vec![make(Reach::Within, Some(of)), make(Reach::Beyond, None)]
        }
        Some(of) => vec![make(Reach::Within, Some(of))],
        None if metered => vec![make(Reach::Within, None)],
        None => Vec::new(),
    }
}

fn hosted(ground: &Ground<'_>, index: usize, endpoint: EndpointId) -> Vec<Source> {
    let deal = &ground.deals[index];
    let model = deal.fleet.endpoints[endpoint].model;
    let name = format!("{} on {}", deal.written(), deal.fleet.endpoints.name(endpoint));
    let mut sources = Vec::new();
    let clause = deal.terms.capacity.iter().find(|clause| clause.of == CapacityOf::Units(model));
    if let Some(clause) = clause.filter(|clause| clause.tokens_per_unit_minute > 0) {
        let mut units = source(ground, index, On::Units(endpoint), &name, Reach::Within);
        units.within = Some(clause.of);
        sources.push(units);
        if matches!(deal.terms.overflow, Some(Overflow::AtRate(_))) {
            sources.push(source(ground, index, On::Units(endpoint), &name, Reach::Beyond));
        }
    }
    let tokens = [Meter::InputTokens(model), Meter::CachedTokens(model), Meter::OutputTokens(model)];
    if deal.terms.overflow.is_none() && deal.terms.rates.iter().any(|clause| tokens.contains(&clause.meter)) {
        let mixes = mixes(ground.fleet, model);
        for (work, mix) in &mixes {
            let name = if mixes.len() > 1 { format!("{name}, mixed as {work}") } else { name.clone() };
            let mut tokens = source(ground, index, On::Tokens(endpoint), &name, Reach::Within);
            tokens.mix = Some(*mix);
            tokens.supply.base_units = 1.0;
            sources.push(tokens);
        }
    }
    sources
}

/// What workloads of a model are mixed of, each once, with the first that is: a mixed token has one price.
fn mixes(fleet: &Fleet, model: fleet::ModelId) -> Vec<(&str, Mix)> {
    let mut mixes: Vec<(&str, Mix)> = Vec::new();
    for (_, name, workload) in fleet.workloads.iter() {
        let WorkloadKind::Serving { model: of, mix, .. } = &workload.kind else { continue };
        if *of == model && !mixes.iter().any(|(_, known)| known == mix) {
            mixes.push((name, *mix));
        }
    }
    mixes
}

fn source(ground: &Ground<'_>, deal: usize, on: On, name: &str, reach: Reach) -> Source {
    let terms = &ground.deals[deal];
    let beyond = if reach == Reach::Beyond { ", beyond its capacity" } else { "" };
    let supply = Supply {
        name: format!("{name}{beyond}{}", terms.suffix()),
        contract: terms.contract,
        on,
        site: None,
        accelerator: None,
        party: terms.terms.party,
        vendor: None,
        choice: terms.choice,
        floating: false,
        rate: vec![0.0; ground.horizon.steps.len()],
        due: terms.due.clone(),
        energy: vec![0.0; ground.horizon.months.len()],
        arithmetic: 0.0,
        base_units: HOUR_MS,
    };
    Source { deal, reach, mix: None, within: None, list: None, supply }
}

/// What the energy of an hour's work costs beyond that of an idle hour, by month.
fn energy(ground: &Ground<'_>, pool: PoolId) -> Vec<f64> {
    let fleet = ground.fleet;
    let busy = 1.0 - part(fleet.accelerators[fleet.pools[pool].accelerator].idle);
    vec![watts(fleet, pool) * busy * watt_hour(fleet, pool); ground.horizon.months.len()]
}

/// What a watt-hour costs at a pool's site.
pub(crate) fn watt_hour(fleet: &Fleet, pool: PoolId) -> f64 {
    per(fleet.sites[fleet.pools[pool].site].energy, HOUR_SECONDS)
}

/// Facility watts that one accelerator of a pool takes at work.
pub(crate) fn watts(fleet: &Fleet, pool: PoolId) -> f64 {
    let pool = &fleet.pools[pool];
    fleet.accelerators[pool.accelerator].power.count() as f64 * fleet.sites[pool.site].pue_ppm as f64 / 1e6
}

fn petaflops(fleet: &Fleet, kind: AcceleratorId) -> f64 {
    fleet.accelerators[kind].peak.count() as f64 / 1e9
}

/// Sets what a unit costs: metered at the rate of its bills, committed by the list only.
fn price(ground: &Ground<'_>, source: &mut Source) {
    let deal = &ground.deals[source.deal];
    let mut list: Option<Vec<f64>> = None;
    let (mut metered, mut committed) = (None, None);
    for (index, clause) in deal.terms.rates.iter().enumerate() {
        let counts = source.counts(deal.fleet, clause.meter);
        if counts == 0.0 {
            continue;
        }
        let prices = clause_price(ground, deal, index, counts);
        match clause.charge {
            Charge::Metered => {
                if !tiered(deal, index) {
                    add(&mut source.supply.rate, &ground.horizon.by_step(|month, _| prices[month]));
                }
                add(metered.get_or_insert_with(|| vec![0.0; prices.len()]), &prices);
            }
            Charge::Committed => committed = committed.or(Some(prices)),
        }
    }
    if source.reach == Reach::Beyond {
        let each = overflow_rate(deal);
        let prices = by_month(ground, deal, |bill| each * ground.bill_worth(deal, &deal.bills[bill]));
        if !deal.split {
            add(&mut source.supply.rate, &ground.horizon.by_step(|month, _| prices[month]));
        }
        list = Some(prices);
    }
    source.list = list.or(committed).or(metered);
}

/// Whether a metered clause is charged period by period and not by the step: its price depends on the quantity, or falls due in parts.
pub(crate) fn tiered(deal: &Deal<'_>, clause: usize) -> bool {
    let clause = &deal.terms.rates[clause];
    clause.charge == Charge::Metered && (clause.tiers.len() > 1 || deal.split)
}

/// What `counts` hours or tokens cost under a clause's first tier, by month, in the fleet's currency.
pub(crate) fn clause_price(ground: &Ground<'_>, deal: &Deal<'_>, clause: usize, counts: f64) -> Vec<f64> {
    let rates = clause_rates(deal, clause, 0..deal.bills.len());
    by_month(ground, deal, |bill| rates[bill] * counts * ground.bill_worth(deal, &deal.bills[bill]))
}

/// The rate of a clause's first tier in some bills, in the contract's currency for an hour or a token.
pub(crate) fn clause_rates(deal: &Deal<'_>, clause: usize, bills: impl Iterator<Item = usize>) -> Vec<f64> {
    let (constant, unit) = (deal.terms.rates[clause].escalation.is_none(), unit(deal.terms.rates[clause].meter));
    let rate = |bill: usize| {
        let tiers = market::tiers(deal.fleet, deal.contract, clause, *deal.bills[bill].periods.start());
        tiers.first().map_or(0.0, |tier| per(tier.rate, unit))
    };
    let mut bills = bills.peekable();
    match bills.peek().copied() {
        Some(first) if constant => vec![rate(first); bills.count()],
        _ => bills.map(rate).collect(),
    }
}

/// A rate in whole currency for so many base units.
pub(crate) fn per(rate: Rate, units: f64) -> f64 {
    money(rate.money) * (units / rate.per as f64)
}

/// Base units in one hour or token, as a meter counts.
pub(crate) fn unit(meter: Meter) -> f64 {
    match meter {
        Meter::AcceleratorTime(_) | Meter::UnitTime(_) => HOUR_MS,
        _ => 1.0,
    }
}

/// What an hour beyond the capacity costs, in the contract's currency.
pub(crate) fn overflow_rate(deal: &Deal<'_>) -> f64 {
    match deal.terms.overflow {
        Some(Overflow::AtRate(rate)) => per(rate, HOUR_MS),
        _ => 0.0,
    }
}

/// The mean over a month's use of what each bill says.
fn by_month(ground: &Ground<'_>, deal: &Deal<'_>, of_bill: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut months = vec![0.0; ground.horizon.months.len()];
    for lap in &deal.laps {
        months[lap.month] += lap.share * of_bill(lap.bill);
    }
    months
}

/// Adds amounts to others.
pub(crate) fn add(to: &mut [f64], amounts: &[f64]) {
    to.iter_mut().zip(amounts).for_each(|(to, amount)| *to += amount);
}
