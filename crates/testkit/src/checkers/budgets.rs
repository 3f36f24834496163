//! I7: budgets.

use std::collections::BTreeMap;

use dispatch::{AttemptId, KeyId, Record};
use fleet::{Budget, Fleet};
use units::Money;

use super::{Breach, Invariant};

/// Whose budget: the keys that spend from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spender {
    /// Which keys.
    pub keys: Vec<KeyId>,
    /// How much they may spend together.
    pub budget: Budget,
}

/// I7: no attempt begins but within what its budget has left by then: what those came to that have ended, what is set aside for those under
/// way, and what is set aside for this one, are within it together. So a budget is passed only by what attempts took beyond what was set aside
/// for them, and only by those that were under way when the last one began.
///
/// The records are in the order in which a gateway's only thread appended them, with the ends that were booked for what a killed process
/// left open. Where several threads append, an end may stand on the other side of a beginning than it was counted.
#[must_use]
pub fn check_budget(fleet: &Fleet, spender: &Spender, records: &[Record]) -> Vec<Breach> {
    let (calendar, budget) = (spender.budget.calendar(&fleet.time_zone), spender.budget.amount.money);
    let ended = records.iter().filter_map(|record| if let Record::Settled(settled) = record { Some(settled) } else { None });
    let came_to: BTreeMap<AttemptId, Money> = ended.map(|settled| (settled.attempt, settled.list.at_least_zero())).collect();
    let mut taken: BTreeMap<i64, Money> = BTreeMap::new();
    let mut under_way: BTreeMap<AttemptId, (i64, Money)> = BTreeMap::new();
    let mut breaches = Vec::new();
    for record in records {
        match record {
            Record::Decided { attempt, key, question, decision } if spender.keys.contains(key) => {
                // A gateway that knows of no budget sets nothing aside: then what the attempt comes to counts from its beginning.
                let aside = match question.funds {
                    Some(funds) => funds.cost(decision.list, question.ask.tokens.input),
                    None => came_to.get(attempt).copied().unwrap_or_default(),
                };
                let period = calendar.index(question.now);
                let taken = taken.entry(period).or_default();
                *taken += aside;
                under_way.insert(*attempt, (period, aside));
                // What costs nothing may always begin.
                if aside > Money::ZERO && *taken > budget {
                    let keys = &spender.keys;
                    let what = format!("with attempt {attempt} keys {keys:?} have taken {taken} of {budget} in period {period}");
                    breaches.push(Breach::new(Invariant::I7, what));
                }
            }
            Record::Settled(settled) => {
                if let Some((period, aside)) = under_way.remove(&settled.attempt) {
                    *taken.entry(period).or_default() += settled.list.at_least_zero() - aside;
                }
            }
            Record::Decided { .. } | Record::Held(_) => {}
        }
    }
    breaches
}
