//! Random clauses: tiers, floors and credits.

use fleet::Id;
use planner::{Credit, Floor, Instance, Series, Tiered};
use units::Span;

use super::number_of;
use crate::dice::Dice;

/// Windows of floors and billing periods, in months.
const LENGTHS: [usize; 3] = [3, 6, 12];

/// How the rates of one supply depend on what it uses.
struct Tiers {
    supply: usize,
    /// Whether a billing period ends within a step.
    splits: bool,
    volume: bool,
    over_term: bool,
    tiers: Vec<(f64, f64)>,
}

/// In about one contract in four a rate depends on the quantity of a billing period or of the term.
pub(super) fn draw_tiers(instance: &mut Instance, dice: &mut Dice) {
    for supply in 0..instance.supplies.len() {
        if dice.chance(0.25) {
            let steps = instance.steps.len();
            let length = dice.count(2, 6).min(steps);
            let (first, begins, factor) = (dice.between(1.0, 3.0), dice.between(20.0, 120.0), if dice.chance(0.6) { 0.8 } else { 1.25 });
            let mut tiers = vec![(0.0, first), (begins, first * factor)];
            if dice.chance(0.4) {
                tiers.push((begins * 2.0, first * factor * factor));
            }
            let tiers = Tiers { supply, splits: dice.chance(0.5), volume: dice.chance(0.4), over_term: dice.chance(0.3), tiers };
            instance.supplies[supply].rate = vec![0.0; steps];
            for from in (0..steps).step_by(length) {
                let period = tiered(instance, &tiers, from, (from + length).min(steps));
                instance.tiered.push(period);
            }
        }
    }
}

fn tiered(instance: &Instance, tiers: &Tiers, from: usize, to: usize) -> Tiered {
    let mut terms: Vec<_> = (from..to).map(|step| (tiers.supply, step, 1.0)).collect();
    if tiers.splits && from > 0 {
        terms[0].2 = 0.7;
    }
    if tiers.splits && to < instance.steps.len() {
        terms.push((tiers.supply, to, 0.3));
    }
    Tiered {
        name: format!("tiers of supply {}, steps {from} to {to}", tiers.supply),
        contract: instance.supplies[tiers.supply].contract,
        clause: 0,
        terms,
        volume: tiers.volume,
        tiers: tiers.tiers.clone(),
        due: instance.steps[to - 1].month,
        after: instance.tiered.len().checked_sub(1).filter(|_| tiers.over_term && from > 0),
    }
}

/// Half of the contracts have a floor, in money or in quantity, over windows that follow each other.
pub(super) fn draw_floors(instance: &mut Instance, dice: &mut Dice) {
    let contracts = instance.supplies.last().map_or(0, |supply| supply.contract.index() + 1);
    for contract in 0..contracts {
        if dice.chance(0.5) {
            let (length, money, share) = (LENGTHS[dice.count(0, 2)], dice.chance(0.7), dice.between(0.2, 1.0));
            let carry = dice.chance(0.5).then(|| (dice.between(0.3, 1.0), dice.count(1, 2)));
            let first = instance.floors.len();
            for from in (0..instance.months.len()).step_by(length) {
                let window = (from, (from + length).min(instance.months.len()));
                let floor = floor(instance, dice, contract, window, money, share);
                instance.floors.push(floor);
            }
            let all = instance.floors.len();
            for at in first..all {
                instance.floors[at].carry = carry.map(|(share, next)| (share, (at + 1..(at + 1 + next).min(all)).collect()));
            }
        }
    }
    if dice.chance(0.5) {
        nest(instance);
    }
}

/// The contracts of even number are umbrellas over those that follow them.
fn nest(instance: &mut Instance) {
    for at in 0..instance.floors.len() {
        let umbrella = &instance.floors[at];
        let first = at.checked_sub(1).map(|before| &instance.floors[before]).filter(|before| before.contract == umbrella.contract);
        let since = first.map_or(0, |before| before.last + 1);
        let counts = |nested: &Floor| {
            let under = umbrella.contract.index().is_multiple_of(2) && nested.contract.index() == umbrella.contract.index() + 1;
            under && umbrella.price == 1.0 && (since..=umbrella.last).contains(&nested.last)
        };
        let nested = (0..instance.floors.len()).filter(|nested| counts(&instance.floors[*nested])).collect();
        instance.floors[at].nested = nested;
    }
}

fn floor(instance: &Instance, dice: &mut Dice, contract: usize, (from, to): (usize, usize), money: bool, share: f64) -> Floor {
    let within = |step: usize| (from..to).contains(&instance.steps[step].month);
    let (mut terms, mut full, mut by_choice) = (Vec::new(), 0.0, Vec::new());
    for (index, supply) in instance.supplies.iter().enumerate().filter(|(_, supply)| supply.contract.index() == contract) {
        let price = |step: usize| if money { supply.rate[step] } else { 1.0 };
        let most = &instance.limits[index].most;
        let amounts = |of: &[f64]| (0..of.len()).filter(|step| within(*step)).map(|step| of[step] * price(step)).sum::<f64>();
        terms.extend((0..instance.steps.len()).filter(|step| within(*step)).map(|step| (index, step, price(step))));
        full += amounts(&most.fixed);
        by_choice.extend(most.by_choice.iter().filter(|(choice, _)| supply.choice == Some(*choice)).map(|(c, of)| (*c, amounts(of))));
    }
    let of_choice = |supply: &planner::Supply| supply.contract.index() == contract && supply.choice.is_some();
    let is_chosen = instance.supplies.iter().any(of_choice);
    let mut least = Series { fixed: vec![share * full.max(if is_chosen { 0.0 } else { 50.0 })], by_choice: vec![] };
    for (choice, amount) in by_choice {
        least.by_choice.push((choice, vec![share * amount]));
    }
    let ours = |at: &usize| instance.expansions[*at].contract.index() == contract;
    let running = |at: usize, month: usize| if money { instance.expansions[at].running[month] } else { 0.73 };
    let expansions = (0..instance.expansions.len()).filter(ours).flat_map(|at| (from..to).map(move |month| (at, month)));
    let due_within = |tiered: &Tiered| tiered.contract.index() == contract && (from..to).contains(&tiered.due);
    Floor {
        name: format!("floor of contract {contract}, months {from} to {to}"),
        contract: fleet::ContractId::from_index(contract),
        clause: 1,
        window: Span { from: instance.months[from].span.from, to: instance.months[to - 1].span.to },
        last: to - 1,
        due: (to - 1 + dice.count(0, 1)).min(instance.months.len() - 1),
        counted: Series { fixed: vec![least.fixed[0] * dice.between(0.0, 0.3)], by_choice: vec![] },
        counted_of: Vec::new(),
        least,
        terms,
        tiered: (0..instance.tiered.len()).filter(|at| money && due_within(&instance.tiered[*at])).collect(),
        nested: vec![],
        expansions: expansions.map(|(at, month)| (at, month, running(at, month))).collect(),
        price: if money { 1.0 } else { dice.between(0.8, 3.0) },
        carry: None,
        abated: false,
        abated_by: None,
    }
}

/// A prepayment in one contract in three; some have two.
pub(super) fn draw_credits(instance: &mut Instance, dice: &mut Dice) {
    let mut seen = None;
    for supply in 0..instance.supplies.len() {
        let (contract, choice) = (instance.supplies[supply].contract, instance.supplies[supply].choice);
        if seen != Some((contract, choice)) && dice.chance(0.3) {
            let count = instance.months.len();
            let committed: Vec<f64> = if dice.chance(0.5) { dice.series(count, 5.0, 30.0) } else { vec![0.0; count] };
            for clause in 0..dice.count(1, 2) {
                let granted = (0..count).map(|month| if month % 4 == clause { dice.between(10.0, 120.0) } else { 0.0 }).collect();
                let name = format!("prepayment {} of contract {}", number_of(clause), contract.index());
                instance.credits.push(Credit {
                    name,
                    contract,
                    clause,
                    choice,
                    granted,
                    committed: committed.clone(),
                    replaced: vec![],
                    refundable: false,
                });
            }
        }
        seen = Some((contract, choice));
    }
}
