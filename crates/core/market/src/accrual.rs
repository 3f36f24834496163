//! What contracts cost day by day: the amount due of a billing period, told by when it came about.
//!
//! What would be due had nothing been used in the period (commitments, floors, prepayments) is spread evenly over its time;
//! what usage changed of it falls on the time of that usage. Within a floor usage changes nothing and costs nothing more,
//! as everywhere. The parts of a period add up to its amount due, to the nano.

use std::collections::{BTreeMap, BTreeSet};

use fleet::{ContractId, Fleet, Status};
use units::{Instant, Money, Span};

use crate::balance::Balances;
use crate::statement::{periods, statement};

/// A billing period under way.
#[derive(Clone, Copy, Debug)]
struct Open {
    period: i64,
    whole: Span,
    /// What would be due had nothing more been used since it began.
    opening: Money,
    /// What was due at the last cut.
    due: Money,
}

/// Costs as they come about, cut by cut.
#[derive(Clone, Debug, Default)]
pub struct Accrual {
    at: Option<Instant>,
    open: BTreeMap<ContractId, Open>,
}

impl Accrual {
    /// The instants at which it must be cut so that `within` is told from `days` to `days`: these, and the ends of every
    /// period that reaches into it. The first may lie before `within`.
    #[must_use]
    pub fn cuts(fleet: &Fleet, within: Span, days: impl IntoIterator<Item = Instant>) -> BTreeSet<Instant> {
        let mut cuts: BTreeSet<Instant> = days.into_iter().filter(|day| within.contains(*day)).collect();
        cuts.extend([within.from, within.to]);
        for (id, _, terms) in fleet.contracts.iter().filter(|(.., terms)| terms.status == Status::Signed) {
            let shared = within.overlap(terms.term);
            if shared.is_empty() {
                continue;
            }
            let last = Instant::from_micros(shared.to.micros() - 1);
            let (first, last) = (terms.calendar.index(shared.from), terms.calendar.index(last));
            let known = periods(fleet, id);
            let reaching = first.max(*known.start())..=last.min(*known.end());
            cuts.extend(reaching.flat_map(|period| [terms.period(period).from, terms.period(period).to]).filter(|cut| *cut <= within.to));
        }
        cuts
    }

    /// What each contract cost since the last cut, when `balances` hold all usage before `at` and none after.
    pub fn cut(&mut self, fleet: &Fleet, balances: &Balances, at: Instant) -> Vec<(ContractId, Money)> {
        let since = self.at.replace(at);
        let mut costs = Vec::new();
        for (id, _, terms) in fleet.contracts.iter().filter(|(.., terms)| terms.status == Status::Signed) {
            if let (Some(open), Some(since)) = (self.open.get_mut(&id), since) {
                let due = statement(fleet, balances, id, open.period).due;
                let piece = Span { from: since, to: at }.overlap(open.whole);
                costs.push((id, spread(open.opening, open.whole, piece) + (due - open.due)));
                open.due = due;
            }
            if self.open.get(&id).is_some_and(|open| open.whole.to <= at) {
                self.open.remove(&id);
            }
            if terms.term.contains(at) && !self.open.contains_key(&id) {
                let period = terms.calendar.index(at);
                let due = statement(fleet, balances, id, period).due;
                self.open.insert(id, Open { period, whole: terms.period(period), opening: due, due });
            }
        }
        costs
    }
}

/// The share of `money` that falls on a piece of the time that it is for; pieces that make up the whole add up to it.
fn spread(money: Money, whole: Span, piece: Span) -> Money {
    let length = i128::from(whole.to.micros()) - i128::from(whole.from.micros());
    let up_to = |at: Instant| money.times_ratio(i128::from(at.micros()) - i128::from(whole.from.micros()), length.max(1));
    up_to(piece.to) - up_to(piece.from)
}
