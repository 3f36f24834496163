//! Penalties for late tranches: section 4 of `docs/contracts.md`.

use core::ops::RangeInclusive;

use fleet::{CapacityOf, ContractId, Delivery, Tranche};
use units::{Instant, Money, Quantity, Rate, Span};

use crate::books::Books;
use crate::capacity::{in_base_units, micros};
use crate::statement::{Clause, Line};

/// The penalties of a period, within what the cap leaves of them.
pub(crate) fn penalties(books: &Books<'_>, contract: ContractId, period: i64) -> Vec<Line> {
    let terms = books.terms(contract);
    let Some(delivery) = &terms.delivery else { return Vec::new() };
    let Some(rate) = delivery.penalty else { return Vec::new() };
    let mut lines = uncapped(delivery, rate, terms.period(period));
    let Some(cap) = delivery.cap else { return lines };
    let mut room = if lines.is_empty() { Money::ZERO } else { cap - spent(books, contract, delivery, rate, cap, period) };
    fit(&mut lines, &mut room);
    lines
}

/// The sum of the penalties of each of several periods; what earlier ones took of the cap is worked out once.
pub(crate) fn penalties_of(books: &Books<'_>, contract: ContractId, periods: RangeInclusive<i64>) -> Vec<Money> {
    let terms = books.terms(contract);
    let late = terms.delivery.as_ref().filter(|delivery| delivery.tranches.iter().any(|tranche| !lateness(tranche).is_empty()));
    let Some((delivery, rate)) = late.and_then(|delivery| Some((delivery, delivery.penalty?))) else { return Vec::new() };
    let mut room = delivery.cap.map(|cap| cap - spent(books, contract, delivery, rate, cap, *periods.start()));
    let sum = |period: i64| {
        let mut lines = uncapped(delivery, rate, terms.period(period));
        if let Some(room) = &mut room {
            fit(&mut lines, room);
        }
        lines.iter().map(|line| line.money).sum()
    };
    periods.map(sum).collect()
}

/// Cuts penalties to what is left of a cap.
fn fit(lines: &mut Vec<Line>, room: &mut Money) {
    for line in lines.iter_mut() {
        line.money = -(-line.money).min(*room);
        *room += line.money;
    }
    lines.retain(|line| line.money < Money::ZERO);
}

/// What penalties of earlier periods took of the cap; only a cap looks back, to the first tranche that is late.
fn spent(books: &Books<'_>, contract: ContractId, delivery: &Delivery, rate: Rate, cap: Money, period: i64) -> Money {
    let terms = books.terms(contract);
    let late = delivery.tranches.iter().filter(|tranche| !lateness(tranche).is_empty());
    let Some(first) = late.map(|tranche| tranche.due.max(terms.term.from)).min() else { return Money::ZERO };
    let mut spent = Money::ZERO;
    for earlier in terms.calendar.index(first)..period {
        spent -= uncapped(delivery, rate, terms.period(earlier)).iter().map(|line| line.money).sum::<Money>();
        if spent >= cap {
            return cap;
        }
    }
    spent
}

fn lateness(tranche: &Tranche) -> Span {
    Span { from: tranche.due, to: tranche.delivered.unwrap_or(Instant::MAX) }
}

fn uncapped(delivery: &Delivery, rate: Rate, period: Span) -> Vec<Line> {
    let lines = delivery.tranches.iter().enumerate().map(|(index, tranche)| {
        let quantity = late_quantity(delivery.of, tranche, period);
        let (clause, money) = (Clause::Penalty { tranche: index }, -rate.cost(quantity));
        Line { clause, meter: None, quantity, rate: Some(rate), money }
    });
    lines.filter(|line| line.money < Money::ZERO).collect()
}

fn late_quantity(of: CapacityOf, tranche: &Tranche, period: Span) -> Quantity {
    in_base_units(of, i128::from(tranche.amount) * micros(lateness(tranche).overlap(period)))
}
