//! Random work, and which supplies can do it.

use fleet::{Id, ModelId, ServiceTier, WorkloadId};
use planner::{Fit, Instance, On, Tranche, Work, WorkKind};

use super::number_of;
use crate::dice::Dice;

const TIERS: [ServiceTier; 3] = [ServiceTier::Priority, ServiceTier::Default, ServiceTier::Flex];
/// What a promise that is broken costs, against the dearest price.
const LAST_RESORT: f64 = 10.0;

/// Up to five kinds of work, the first of which is serving, and fits for two thirds of the pairs.
pub(super) fn draw(instance: &mut Instance, dice: &mut Dice) {
    for number in 0..dice.count(1, 5) {
        let serves = number == 0 || dice.chance(0.6);
        let (kind, miss_cost) = if serves { serving(instance, dice, number) } else { (training(instance, dice), 0.0) };
        instance.works.push(Work { name: format!("work {number}"), workload: WorkloadId::from_index(number), kind });
        instance.miss_cost.push(miss_cost);
    }
    for supply in 0..instance.supplies.len() {
        for work in 0..instance.works.len() {
            let hosted = !matches!(instance.supplies[supply].on, On::Pool(_));
            let serves = matches!(instance.works[work].kind, WorkKind::Serving { .. });
            if (serves || !hosted) && dice.chance(0.7) {
                let by_token = matches!(instance.supplies[supply].on, On::Tokens(_));
                let speed = if by_token { 1.0 } else { dice.between(0.5, 2.5) };
                let open = open(instance.steps.len(), dice);
                instance.fits.push(Fit { supply, work, speed, open });
            }
        }
    }
}

/// All the time, from some step on, or with a pause.
fn open(steps: usize, dice: &mut Dice) -> Vec<(usize, usize)> {
    let from = dice.count(0, steps / 2);
    match dice.count(0, 3) {
        0 => vec![(from, steps)],
        1 => vec![(0, from), (from + 1, steps)].into_iter().filter(|(from, to)| from < to).collect(),
        _ => vec![(0, steps)],
    }
}

fn serving(instance: &Instance, dice: &mut Dice, number: usize) -> (WorkKind, f64) {
    let (count, growth, base) = (instance.steps.len(), dice.between(-0.02, 0.06), dice.between(20.0, 120.0));
    let of_tier = |dice: &mut Dice, tier: ServiceTier| {
        let (price, value) = (dice.between(0.0, 5.0), if dice.chance(0.5) { dice.between(0.0, 3.0) } else { 0.0 });
        let share = dice.between(0.1, 0.6);
        let size = |step: &planner::Step| share * base * (1.0 + growth * number_of(step.month)) * step.hours / 730.0;
        let demand = instance.steps.iter().map(|step| size(step) * dice.between(0.8, 1.2)).collect();
        let least = if dice.chance(0.5) { dice.between(0.05, 0.5) } else { 0.0 };
        let mut around = |middle: f64| (0..count).map(|_| middle * dice.between(0.95, 1.05)).collect();
        Tranche { tier, demand, price: around(price), listed: Vec::new(), value: around(value), least }
    };
    let tiers = dice.count(1, 3);
    let tranches: Vec<Tranche> = TIERS.into_iter().take(tiers).map(|tier| of_tier(dice, tier)).collect();
    let worth = |tranche: &Tranche| tranche.price.iter().zip(&tranche.value).map(|(price, value)| price.max(*value)).fold(1.0, f64::max);
    let miss_cost = LAST_RESORT * tranches.iter().map(worth).fold(1.0, f64::max);
    (WorkKind::Serving { model: ModelId::from_index(number), tranches }, miss_cost)
}

/// Work that arrives in about half of the months and, in most cases, is due some months later.
fn training(instance: &Instance, dice: &mut Dice) -> WorkKind {
    let count = instance.months.len();
    let arrivals: Vec<f64> = (0..count).map(|_| if dice.chance(0.5) { dice.between(5.0, 60.0) } else { 0.0 }).collect();
    let (late, has_deadline) = (dice.count(0, 4), dice.chance(0.8));
    let due_in = |month: usize| month.checked_sub(late).filter(|_| has_deadline).map_or(0.0, |arrived| arrivals[arrived]);
    let due = (0..count).map(due_in).collect();
    WorkKind::Training { due, arrivals, value: dice.between(0.5, 6.0), promised: dice.chance(0.5), gang: 8 }
}
