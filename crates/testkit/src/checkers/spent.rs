//! I7, of what is booked in the end.

use std::collections::BTreeMap;

use dispatch::KeyId;
use fleet::Calendar;
use units::{Instant, Money};

use super::{Breach, Invariant, Spender};

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    /// For which key.
    pub key: KeyId,
    /// When it was decided: it counts in the period that this lies in.
    pub decided: Instant,
    /// At list price.
    pub list: Money,
}

/// I7: when all is booked, the keys spent no more in any period than their budget and `beyond`. So much may be what attempts took beyond what
/// was set aside for them, and what replicas spent of leases that were taken back before they had said so. It takes neither a journal nor an
/// order, so it serves where several threads or processes spend.
#[must_use]
pub fn check_spent(calendar: &Calendar, spender: &Spender, beyond: Money, spent: &[Spent]) -> Vec<Breach> {
    let mut periods: BTreeMap<i64, Money> = BTreeMap::new();
    for spent in spent.iter().filter(|spent| spender.keys.contains(&spent.key)) {
        *periods.entry(calendar.index(spent.decided)).or_default() += spent.list.at_least_zero();
    }
    let most = spender.budget.amount.money + beyond;
    let over = periods.into_iter().filter(|(_, spent)| *spent > most);
    over.map(|(period, spent)| {
        let (keys, budget) = (&spender.keys, &spender.budget);
        Breach::new(Invariant::I7, format!("keys {keys:?} spent {spent} of {budget} in period {period}, and {beyond} beyond it may be"))
    })
    .collect()
}
