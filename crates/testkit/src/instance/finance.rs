//! Random money: events, debt, raises, and limits on dependence.

use fleet::{Id, PartyId};
use planner::{Bar, BarKind, Cap, Debt, Event, EventKind, Instance, Lifts, Series, Window};

use super::supply::VENDORS;
use crate::dice::Dice;

/// Cash that is sometimes short and sometimes not, with everything that moves it.
pub(super) fn draw(instance: &mut Instance, dice: &mut Dice) {
    let count = instance.months.len();
    let treasury = &mut instance.treasury;
    treasury.cash = dice.between(0.0, 600.0);
    treasury.bound = dice.chance(0.85);
    treasury.interest = if dice.chance(0.8) { dice.between(0.0, 6.0) / 1000.0 } else { 0.0 };
    treasury.floor = vec![dice.between(0.0, 150.0); count];
    if dice.chance(0.7) {
        treasury.debt = Some(Debt {
            lender: None,
            owed: if dice.chance(0.5) { dice.between(0.0, 200.0) } else { 0.0 },
            limit: dice.series(count, 200.0, 600.0),
            rate: dice.between(2.0, 12.0) / 1000.0,
            covenant: dice.chance(0.5).then(|| dice.between(0.1, 1.0)),
        });
    }
    for number in 0..dice.count(0, 2) {
        let from = dice.count(0, count - 1);
        let open = (from, dice.count(from + 1, count));
        let (most, cost) = (dice.between(50.0, 500.0), dice.between(0.01, 0.5));
        treasury.windows.push(Window {
            name: format!("raise {number}"),
            party: None,
            open,
            most,
            cost,
            likelihood: dice.between(0.3, 1.0),
        });
    }
    draw_events(instance, dice);
}

fn draw_events(instance: &mut Instance, dice: &mut Dice) {
    let (count, choices) = (instance.months.len(), instance.choices.len());
    let kinds = [
        (EventKind::Revenue, 0.0, 120.0),
        (EventKind::Raise, 0.0, 80.0),
        (EventKind::Cost, -60.0, -5.0),
        (EventKind::Committed, -30.0, 0.0),
        (EventKind::Prepayment, -20.0, 0.0),
        (EventKind::Penalty, 0.0, 10.0),
        (EventKind::Energy, -10.0, 0.0),
        (EventKind::Stake, -20.0, 0.0),
    ];
    for (number, (kind, low, high)) in kinds.into_iter().enumerate() {
        if dice.chance(0.7) {
            let under = matches!(kind, EventKind::Committed | EventKind::Prepayment | EventKind::Penalty);
            let supply = under.then(|| &instance.supplies[dice.count(0, instance.supplies.len() - 1)]);
            let by_choice = if choices > 0 && dice.chance(0.4) {
                vec![(dice.count(0, choices - 1), dice.series(count, low / 2.0, high / 2.0))]
            } else {
                vec![]
            };
            instance.treasury.events.push(Event {
                name: format!("event {number}"),
                kind,
                party: supply.map(|supply| supply.party),
                contract: supply.map(|supply| supply.contract),
                likelihood: if dice.chance(0.7) { 1.0 } else { 0.5 },
                amounts: Series { fixed: dice.series(count, low, high), by_choice },
            });
        }
    }
}

/// At most so much on one party: of spend, on one to which nothing is committed, or there might be no plan.
pub(super) fn draw_caps(instance: &mut Instance, dice: &mut Dice) {
    let count = instance.months.len();
    for _ in 0..dice.count(0, 2) {
        let (drawn, spend) = (dice.count(0, VENDORS + 1), dice.chance(0.5));
        let first = PartyId::from_index(drawn);
        let party = if spend && is_committed(instance, first) { PartyId::from_index(drawn + 1) } else { first };
        let months = (dice.count(0, count / 2), count);
        let share = dice.between(0.3, 0.9);
        let name = format!("at most {share} of {} on party {}", if spend { "spend" } else { "work" }, party.index());
        instance.caps.push(Cap { name, party, share, spend, months });
    }
}

/// Whether anything is committed to a party whatever is signed.
fn is_committed(instance: &Instance, party: PartyId) -> bool {
    instance.treasury.events.iter().any(|event| event.kind == EventKind::Committed && event.party == Some(party))
}

/// Choices, orders and fits that a clause bars.
pub(super) fn draw_bars(instance: &mut Instance, dice: &mut Dice) {
    let mut bar = |dice: &mut Dice, chance: f64, lifts: Lifts| {
        let kind = if matches!(lifts, Lifts::Fit(..)) { BarKind::Exclusivity } else { BarKind::FirstRefusal };
        if dice.chance(chance) {
            instance.bars.push(Bar { name: format!("{kind:?} of {lifts:?}"), kind, contract: None, lifts });
        }
    };
    let months = instance.months.len();
    for choice in 0..instance.choices.len() {
        bar(dice, 0.15, Lifts::Choice(choice));
    }
    for expansion in 0..instance.expansions.len() {
        let to = dice.count(0, months);
        bar(dice, 0.3, Lifts::Expansion(expansion, 0, to));
    }
    for (fit, one) in instance.fits.iter().enumerate().filter(|(_, one)| one.open[0].0 > 0) {
        bar(dice, 0.5, Lifts::Fit(fit, 0, one.open[0].0));
    }
}
