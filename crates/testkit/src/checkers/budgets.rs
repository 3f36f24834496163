//! I7: budgets.

use std::collections::BTreeMap;

use dispatch::{AttemptId, KeyId, Record};
use fleet::{Budget, Fleet};
use units::Money;

use super::{Booked, Breach, Invariant};

/// Whose budget: the keys that spend from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spender {
    /// Which keys.
    pub keys: Vec<KeyId>,
    /// How much they may spend together.
    pub budget: Budget,
}

/// I7: in each period what was spent, less what attempts took beyond what was reserved for them, is within the budget. What only a bound
/// is known of counts with its bound. It holds for any part of the attempts, so the order of the journal does not matter.
#[must_use]
pub fn check_budget(fleet: &Fleet, spender: &Spender, records: &[Record], booked: &[Booked]) -> Vec<Breach> {
    let calendar = spender.budget.calendar(&fleet.time_zone);
    let settled: BTreeMap<AttemptId, Money> =
        booked.iter().filter_map(|row| Some((row.attempt, row.settled?.list.at_least_zero()))).collect();
    let mut spent: BTreeMap<i64, Money> = BTreeMap::new();
    for record in records {
        let Record::Decided { attempt, key, question, decision } = record else { continue };
        if !spender.keys.contains(key) {
            continue;
        }
        // A gateway that knows of no budget sets nothing aside: then all that was spent counts.
        let reserved =
            question.funds.map_or(Money::from_units(Budget::UNITS_MAX), |funds| funds.cost(decision.list, question.ask.tokens.input));
        let within = settled.get(attempt).copied().unwrap_or(reserved).min(reserved);
        let period = spent.entry(calendar.index(question.now)).or_default();
        *period += within;
    }
    let over = spent.into_iter().filter(|(_, spent)| *spent > spender.budget.amount.money);
    over.map(|(period, spent)| {
        Breach::new(Invariant::I7, format!("keys {:?} spent {spent} of {} in period {period}", spender.keys, spender.budget))
    })
    .collect()
}
