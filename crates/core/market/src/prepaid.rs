//! Prepayments and their credits: section 4 of `docs/contracts.md`.

use fleet::{Contract, ContractId, Prepayment};
use units::{Instant, Money, Quantity};

use crate::books::{Books, Step, before};
use crate::charge::{Charging, Reading};
use crate::statement::{Clause, Line};

/// The prepayments that fall due in a period.
pub(crate) fn due_in(terms: &Contract, period: i64) -> Vec<Line> {
    let due = |(index, prepayment): (usize, &Prepayment)| {
        (falls_in(terms, prepayment) == period).then_some(money_line(Clause::Prepayment { index }, prepayment.amount))
    };
    terms.prepayments.iter().enumerate().filter_map(due).collect()
}

/// The period in which a prepayment falls due.
pub(crate) fn falls_in(terms: &Contract, prepayment: &Prepayment) -> i64 {
    let last = before(terms.term.to);
    terms.calendar.index(prepayment.due.clamp(terms.term.from, last.max(terms.term.from)))
}

/// The parts of a prepayment that can be credited in periods up to `last`, used or not.
pub(crate) fn granted_by(terms: &Contract, prepayment: &Prepayment, last: i64) -> Money {
    granted(prepayment, first_credited(terms, prepayment.credited_from), last)
}

/// A credit that was used: in which step, of which prepayment, how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credit {
    pub step: Step,
    pub index: usize,
    pub money: Money,
}

impl Credit {
    pub fn line(self) -> Line {
        money_line(Clause::Credit { index: self.index }, -self.money)
    }
}

/// Every credit used up to period `last`. What a period could not use stays, so the walk begins with the first credited period;
/// it ends early once all that was prepaid is used.
pub(crate) fn credits(books: &Books<'_>, contract: ContractId, last: i64) -> Vec<Credit> {
    let terms = books.terms(contract);
    let starts: Vec<Option<i64>> = terms.prepayments.iter().map(|prepayment| first_credited(terms, prepayment.credited_from)).collect();
    let Some(first) = starts.iter().copied().flatten().min() else { return Vec::new() };
    let mut charging = Charging::new(books, contract, Reading::Held, first);
    let mut used = vec![Money::ZERO; starts.len()];
    let mut credits = Vec::new();
    for step in books.charged(contract, first..=last) {
        let charged: Money = charging.lines(step).iter().map(|line| line.money).sum();
        let mut open = Money::from_nanos(charged.nanos() * i128::from(step.count));
        for (index, (prepayment, start)) in terms.prepayments.iter().zip(&starts).enumerate() {
            let money = (granted(prepayment, *start, step.last()) - used[index]).min(open);
            if money > Money::ZERO {
                used[index] += money;
                open -= money;
                credits.push(Credit { step, index, money });
            }
        }
        if terms.prepayments.iter().zip(&used).all(|(prepayment, used)| prepayment.amount == *used) {
            break;
        }
    }
    credits
}

/// The period that a prepayment is first credited in; none when that comes after the term.
fn first_credited(terms: &Contract, from: Instant) -> Option<i64> {
    (from < terms.term.to).then(|| terms.calendar.index(from.max(terms.term.from)))
}

/// The parts of a prepayment that fall in periods up to `last`.
fn granted(prepayment: &Prepayment, start: Option<i64>, last: i64) -> Money {
    let Some(start) = start else { return Money::ZERO };
    let parts = i64::from(prepayment.credit_periods);
    match (last - start + 1).clamp(0, parts) {
        0 => Money::ZERO,
        part => prepayment.amount.times_ratio(i128::from(part), i128::from(parts)),
    }
}

fn money_line(clause: Clause, money: Money) -> Line {
    Line { clause, meter: None, quantity: Quantity::ZERO, rate: None, money }
}
