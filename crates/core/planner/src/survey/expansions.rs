//! Rights to raise capacity.

use fleet::{CapacityOf, Charge, Meter};

use crate::instance::{Expansion, LimitKind};
use crate::survey::ground::{Deal, Ground, money};
use crate::survey::limits::{Bound, Unit, first_pool, idle_watts, in_force};
use crate::survey::periods::before;
use crate::survey::supplies::{Source, clause_price, watt_hour, watts};

const THOUSAND: f64 = 1000.0;

/// Every expansion, its contract's position among the deals with it; adds to the limits what an installed one changes.
pub(crate) fn expansions(ground: &Ground<'_>, sources: &[Source], bounds: &mut [Bound]) -> Vec<(usize, Expansion)> {
    let mut expansions = Vec::new();
    for (index, deal) in ground.deals.iter().enumerate() {
        for clause in 0..deal.terms.expansions.len() {
            let position = expansions.len();
            expansions.push((index, expansion(ground, deal, clause)));
            raise(ground, sources, bounds, (index, clause), position);
        }
    }
    expansions
}

fn expansion(ground: &Ground<'_>, deal: &Deal<'_>, clause: usize) -> Expansion {
    let (horizon, terms) = (ground.horizon, &deal.terms.expansions[clause]);
    let kind = terms.accelerator;
    let lead = usize::try_from(terms.lead_months).unwrap_or(usize::MAX);
    let months = horizon.months_in(deal.terms.term);
    let most = terms.most as f64 / THOUSAND;
    let each = terms.per_month.map_or(most, |each| each as f64 / THOUSAND);
    let orders = |month: usize| months.contains(&month) && months.contains(&month.saturating_add(lead));
    let month_ends = horizon.months.iter().map(|month| before(month.span.to));
    let capex = month_ends.map(|at| terms.capex.map_or(0.0, |capex| THOUSAND * money(capex) * ground.worth(deal.terms.currency, at)));
    let supply = ground.fleet.accelerators[kind].supply.as_ref();
    Expansion {
        name: format!("{} more of {}{}", ground.fleet.accelerators.name(kind), deal.written(), deal.suffix()),
        contract: deal.contract,
        clause,
        accelerator: kind,
        choice: deal.choice,
        most,
        per_month: (0..horizon.months.len()).map(|month| if orders(month) { each } else { 0.0 }).collect(),
        lead,
        held: None,
        capex: capex.collect(),
        running: running(ground, deal, clause),
        due: deal.due.clone(),
        supply: supply
            .map(|ramp| horizon.means(ramp, |count| count as f64).into_iter().map(|mean| libm::floor(mean + 1e-9) / THOUSAND).collect()),
    }
}

/// Hours of each month in which a thousand installed ones are paid for.
pub(crate) fn held_hours(ground: &Ground<'_>, deal: &Deal<'_>) -> Vec<f64> {
    let months = ground.horizon.months.iter();
    in_force(ground, deal).into_iter().zip(months).map(|(share, month)| share * month.hours * THOUSAND).collect()
}

/// The position and the price of the clause that commits accelerators of an expansion's kind, by month and hour.
pub(crate) fn committed_price(ground: &Ground<'_>, deal: &Deal<'_>, clause: usize) -> Vec<f64> {
    let meter = Meter::AcceleratorTime(deal.terms.expansions[clause].accelerator);
    let rates = deal.terms.rates.iter();
    let committed = rates.enumerate().filter(|(_, rates)| rates.meter == meter && rates.charge == Charge::Committed);
    let mut sum = vec![0.0; ground.horizon.months.len()];
    committed.for_each(|(index, _)| super::supplies::add(&mut sum, &clause_price(ground, deal, index, 1.0)));
    sum
}

fn running(ground: &Ground<'_>, deal: &Deal<'_>, clause: usize) -> Vec<f64> {
    let idle = first_pool(deal, CapacityOf::Accelerators(deal.terms.expansions[clause].accelerator));
    let idle = idle.map_or(0.0, |pool| idle_watts(ground.fleet, pool) * watt_hour(ground.fleet, pool));
    let prices = committed_price(ground, deal, clause);
    held_hours(ground, deal).into_iter().zip(prices).map(|(hours, price)| hours * (price + idle)).collect()
}

/// What a thousand installed add to the capacity that they raise, and take of their site's power while idle.
fn raise(ground: &Ground<'_>, sources: &[Source], bounds: &mut [Bound], (deal, clause): (usize, usize), position: usize) {
    let terms = &ground.deals[deal];
    let kind = terms.terms.expansions[clause].accelerator;
    let pool = first_pool(terms, CapacityOf::Accelerators(kind));
    let own = sources.iter().find(|source| source.deal == deal && source.supply.accelerator == Some(kind));
    let of = own.and_then(|source| source.within).unwrap_or(CapacityOf::Accelerators(kind));
    let share = in_force(ground, terms);
    let hours = |each: f64| ground.horizon.by_step(|month, step| share[month] * step.hours * THOUSAND * each);
    for bound in bounds {
        if bound.clause == Some((deal, of)) {
            let each = match (bound.unit, pool) {
                (Unit::MegawattHours, Some(pool)) => watts(ground.fleet, pool) / 1e6,
                _ => 1.0,
            };
            bound.limit.expansions.push((position, hours(each)));
        }
        let Some(pool) = pool else { continue };
        let idle = idle_watts(ground.fleet, pool) / 1e6;
        if idle > 0.0 && bound.limit.kind == LimitKind::Site(ground.fleet.pools[pool].site) {
            bound.limit.expansions.push((position, hours(-idle)));
        }
    }
}
