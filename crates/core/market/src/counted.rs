//! What counts towards a floor in one of its windows: section 5, step 2 of `docs/contracts.md`.

use core::ops::RangeInclusive;
use std::collections::BTreeSet;

use fleet::{Basis, ContractId, Fleet, Floor, Least, Status};
use units::{Money, Span};

use crate::books::{Books, ending_in};
use crate::charge::{Charging, Reading};
use crate::floor::Windows;
use crate::prepaid::{credits, due_in};
use crate::runs::runs;
use crate::statement::Line;

/// What counts towards a floor of `own` in the window `span`.
pub(crate) fn counted(books: &Books<'_>, own: ContractId, index: usize, span: Span) -> i128 {
    let counts = contracts(books, own, &books.terms(own).floors[index]);
    counts.into_iter().map(|contract| of_contract(books, (own, index), contract, span)).sum()
}

/// The contracts that count towards a floor of `own`, each once. In another currency nothing can count towards a floor in money.
pub(crate) fn contracts(books: &Books<'_>, own: ContractId, floor: &Floor) -> BTreeSet<ContractId> {
    let mut counts = eligible(books.fleet, own, floor);
    counts.retain(|contract| books.terms(*contract).status == Status::Signed);
    counts
}

/// The contracts that count towards a floor of `own` while they are signed.
pub(crate) fn eligible(fleet: &Fleet, own: ContractId, floor: &Floor) -> BTreeSet<ContractId> {
    let listed = if floor.contracts.is_empty() { fleet.nest(own) } else { floor.contracts.clone() };
    let in_money = matches!(floor.least, Least::Spend(_));
    let counts = |contract: &ContractId| !(in_money && fleet.contracts[*contract].currency != fleet.contracts[own].currency);
    listed.into_iter().filter(counts).collect()
}

fn of_contract(books: &Books<'_>, of: (ContractId, usize), contract: ContractId, span: Span) -> i128 {
    let (own, index) = of;
    let (floor, terms) = (&books.terms(own).floors[index], books.terms(contract));
    let periods = ending_in(&terms.calendar, terms.term, span);
    if periods.is_empty() {
        return 0;
    }
    let (first, last) = (*periods.start(), *periods.end());
    // What is forecast begins with the present period; the past is worked out once for all points.
    let present = books.present(contract).map_or(first, |present| present.clamp(first, last + 1));
    let past = if present > first {
        books.charged_before(of, contract, first, || charged(books, contract, floor, first..=present - 1))
    } else {
        0
    };
    let charged = past + charged(books, contract, floor, present..=last);
    let money = matches!(floor.least, Least::Spend(_)) && floor.meters.is_empty();
    if floor.basis != Basis::Purchase || !money {
        return charged;
    }
    let nested = contract != own && books.fleet.chain(contract).any(|above| above == own);
    let shortfalls = if nested { billed_shortfalls(books, contract, &periods) } else { Money::ZERO };
    charged + (prepaid(books, contract, &periods) + shortfalls).nanos()
}

/// The charges of section 3, in money or quantity as the floor is.
fn charged(books: &Books<'_>, contract: ContractId, floor: &Floor, periods: RangeInclusive<i64>) -> i128 {
    let reading = if floor.basis == Basis::Use { Reading::Used } else { Reading::Held };
    let mut charging = Charging::new(books, contract, reading, *periods.start());
    let listed = |line: &Line| floor.meters.is_empty() || line.meter.is_some_and(|meter| floor.meters.contains(&meter.kind()));
    let amount = |line: Line| match floor.least {
        Least::Spend(_) => line.money.nanos(),
        Least::Quantity(..) => i128::from(line.quantity.count()),
    };
    let steps = runs(books, contract, periods).into_iter();
    let sum = |lines: Vec<Line>| -> i128 { lines.into_iter().filter(listed).map(amount).sum() };
    steps.map(|step| sum(charging.lines(step)) * i128::from(step.count)).sum()
}

/// Prepayments due less credits used.
fn prepaid(books: &Books<'_>, contract: ContractId, periods: &RangeInclusive<i64>) -> Money {
    let terms = books.terms(contract);
    if terms.prepayments.is_empty() {
        return Money::ZERO;
    }
    let due = |period| due_in(terms, period).iter().map(|line| line.money).sum::<Money>();
    let credits = credits(books, contract, *periods.end());
    let used: Money = credits.iter().filter(|credit| periods.contains(&credit.step.first)).map(|credit| credit.money).sum();
    periods.clone().map(due).sum::<Money>() - used
}

/// What the floors of a nested contract were short of in windows that are billed in `periods`.
fn billed_shortfalls(books: &Books<'_>, contract: ContractId, periods: &RangeInclusive<i64>) -> Money {
    let terms = books.terms(contract);
    let within = Span { from: terms.period(*periods.start()).from, to: terms.period(*periods.end()).to };
    let mut sum = Money::ZERO;
    for index in 0..terms.floors.len() {
        let mut windows = Windows::new(books, contract, index);
        let range = ending_in(&windows.calendar, terms.term, within);
        for step in books.steps(&windows.calendar, range) {
            sum += Money::from_nanos(windows.line(step.first).money.nanos() * i128::from(step.count));
        }
    }
    sum
}
