//! Units near one: the survey is made in hours, tokens and the fleet's currency, and scaled here once.

use crate::instance::{Event, Expansion, Fit, Instance, On, Scale, Series, Supply, Treasury, WorkKind};
use crate::survey::floors::Counts;
use crate::survey::limits::Unit;

/// What the largest number of a kind is at most.
const LARGEST: f64 = 1000.0;

/// What an instance's numbers are in that does not show in them.
pub(crate) struct Units {
    pub limits: Vec<Unit>,
    pub floors: Vec<Counts>,
}

/// Scales an instance in hours, tokens and whole currency.
pub(crate) fn scale(instance: &mut Instance, units: &Units) {
    let scale = chosen(instance, units);
    let unit = |supply: &Supply| if matches!(supply.on, On::Tokens(_)) { scale.tokens } else { scale.hours };
    let supplies: Vec<f64> = instance.supplies.iter().map(unit).collect();
    instance.scale = scale;
    for (supply, unit) in instance.supplies.iter_mut().zip(&supplies) {
        times(&mut supply.rate, unit / scale.money);
        times(&mut supply.energy, unit / scale.money);
        supply.base_units *= unit;
    }
    scale_works(instance, &supplies, scale);
    for (limit, unit) in instance.limits.iter_mut().zip(&units.limits) {
        let by = match unit {
            Unit::Hours => 1.0 / scale.hours,
            Unit::Tokens => 1.0 / scale.tokens,
            Unit::MegawattHours => {
                limit.terms.iter_mut().for_each(|(supply, factor)| *factor *= supplies[*supply]);
                continue;
            }
        };
        times_series(&mut limit.most, by);
        limit.expansions.iter_mut().for_each(|(_, amounts)| times(amounts, by));
    }
    for expansion in &mut instance.expansions {
        scale_expansion(expansion, scale);
    }
    for tiered in &mut instance.tiered {
        let unit = tiered.terms.first().map_or(1.0, |(supply, ..)| supplies[*supply]);
        tiered.tiers.iter_mut().for_each(|(from, rate)| (*from, *rate) = (*from / unit, *rate * unit / scale.money));
    }
    for (floor, counts) in instance.floors.iter_mut().zip(&units.floors) {
        let unit = match counts {
            Counts::Money => scale.money,
            Counts::Hours => scale.hours,
            Counts::Tokens => scale.tokens,
        };
        times_series(&mut floor.least, 1.0 / unit);
        times_series(&mut floor.counted, 1.0 / unit);
        floor.counted_of.iter_mut().for_each(|(_, counted)| times_series(counted, 1.0 / unit));
        floor.terms.iter_mut().for_each(|(supply, _, amount)| *amount *= supplies[*supply] / unit);
        floor.expansions.iter_mut().for_each(|(.., amount)| *amount /= unit);
        floor.price *= unit / scale.money;
    }
    for credit in &mut instance.credits {
        times(&mut credit.granted, 1.0 / scale.money);
        times(&mut credit.committed, 1.0 / scale.money);
        credit.replaced.iter_mut().for_each(|(_, less)| times(less, 1.0 / scale.money));
    }
    for venture in &mut instance.ventures {
        venture.cost /= scale.money;
        venture.paid.iter_mut().for_each(|(_, paid)| times(paid, 1.0 / scale.money));
    }
    scale_treasury(&mut instance.treasury, scale);
    instance.miss_cost.iter_mut().for_each(|cost| *cost *= scale.tokens / scale.money);
}

fn scale_works(instance: &mut Instance, supplies: &[f64], scale: Scale) {
    let works: Vec<f64> =
        instance.works.iter().map(|work| if matches!(work.kind, WorkKind::Serving { .. }) { scale.tokens } else { scale.hours }).collect();
    for Fit { supply, work, speed, .. } in &mut instance.fits {
        *speed *= supplies[*supply] / works[*work];
    }
    for work in &mut instance.works {
        match &mut work.kind {
            WorkKind::Serving { tranches, .. } => {
                for tranche in tranches {
                    times(&mut tranche.demand, 1.0 / scale.tokens);
                    times(&mut tranche.price, scale.tokens / scale.money);
                    times(&mut tranche.listed, scale.tokens / scale.money);
                    times(&mut tranche.value, scale.tokens / scale.money);
                }
            }
            WorkKind::Training { arrivals, due, value, .. } => {
                times(arrivals, 1.0 / scale.hours);
                times(due, 1.0 / scale.hours);
                *value *= scale.hours / scale.money;
            }
        }
    }
}

fn scale_expansion(expansion: &mut Expansion, scale: Scale) {
    times(&mut expansion.capex, 1.0 / scale.money);
    times(&mut expansion.running, 1.0 / scale.money);
}

fn scale_treasury(treasury: &mut Treasury, scale: Scale) {
    let by = 1.0 / scale.money;
    treasury.cash *= by;
    times(&mut treasury.floor, by);
    if let Some(debt) = &mut treasury.debt {
        debt.owed *= by;
        times(&mut debt.limit, by);
    }
    treasury.windows.iter_mut().for_each(|window| window.most *= by);
    treasury.events.iter_mut().for_each(|event| times_series(&mut event.amounts, by));
}

fn times(amounts: &mut [f64], by: f64) {
    amounts.iter_mut().for_each(|amount| *amount *= by);
}

fn times_series(series: &mut Series, by: f64) {
    times(&mut series.fixed, by);
    series.by_choice.iter_mut().for_each(|(_, amounts)| times(amounts, by));
}

/// Powers of ten that bring the largest time, tokens and money of a month to a thousand at most.
fn chosen(instance: &Instance, units: &Units) -> Scale {
    let limits = instance.limits.iter().zip(&units.limits).filter(|(_, unit)| **unit == Unit::Hours);
    let mut hours = limits.map(|(limit, _)| largest_of(&limit.most)).fold(0.0, f64::max);
    let (mut tokens, mut money) = (0.0_f64, instance.treasury.cash);
    for work in &instance.works {
        match &work.kind {
            WorkKind::Serving { tranches, .. } => {
                for tranche in tranches {
                    let demand = largest(&tranche.demand);
                    tokens = tokens.max(demand);
                    money = money.max(demand * largest(&tranche.price)).max(demand * largest(&tranche.value));
                }
            }
            WorkKind::Training { arrivals, .. } => hours = hours.max(largest(arrivals)),
        }
    }
    let treasury = &instance.treasury;
    money = treasury.events.iter().map(|Event { amounts, .. }| largest_of(amounts)).fold(money, f64::max);
    money = treasury.windows.iter().map(|window| window.most).fold(money, f64::max);
    money = treasury.debt.iter().map(|debt| largest(&debt.limit)).fold(money, f64::max);
    let floors = instance.floors.iter().zip(&units.floors).filter(|(_, counts)| **counts == Counts::Money);
    money = floors.map(|(floor, _)| largest_of(&floor.least)).fold(money, f64::max);
    Scale { money: power_of_ten(money), hours: power_of_ten(hours), tokens: power_of_ten(tokens) }
}

fn largest(amounts: &[f64]) -> f64 {
    amounts.iter().fold(0.0, |most, amount| most.max(amount.abs()))
}

fn largest_of(series: &Series) -> f64 {
    series.by_choice.iter().fold(largest(&series.fixed), |most, (_, amounts)| most.max(largest(amounts)))
}

fn power_of_ten(most: f64) -> f64 {
    let mut power = 1.0;
    while most / power > LARGEST {
        power *= 10.0;
    }
    power
}
