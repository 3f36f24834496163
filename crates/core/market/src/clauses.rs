//! Single clauses of a contract, asked one by one while nothing is posted: what plans are made from. The arithmetic is that of statements.

use core::ops::RangeInclusive;
use std::collections::BTreeSet;

use fleet::{Calendar, Contract, ContractId, Fleet, Least, Meter, Prepayment, Tier};
use units::{Money, Quantity, Span};

use crate::balance::Balances;
use crate::books::{Books, Seen, ending_in};
use crate::charge::{Charging, Reading, tiers_in};
use crate::counted::eligible;
use crate::delivery::penalties_of;
use crate::floor::Windows;
use crate::prepaid::{falls_in, granted_by};
use crate::runs::runs;

/// What is charged on a meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged {
    /// On which meter.
    pub meter: Meter,
    /// How much of it.
    pub quantity: Quantity,
    /// What it comes to.
    pub money: Money,
}

/// What is committed in several billing periods together, by meter: charged whether used or not.
#[must_use]
pub fn committed(fleet: &Fleet, contract: ContractId, periods: RangeInclusive<i64>) -> Vec<Charged> {
    let (balances, seen) = (Balances::default(), Seen::default());
    let books = Books::new(fleet, &balances, &seen);
    let mut sums: Vec<Charged> = Vec::new();
    let mut charging = Charging::new(&books, contract, Reading::Held, *periods.start());
    for step in runs(&books, contract, periods) {
        for line in charging.lines(step) {
            let Some(meter) = line.meter else { continue };
            let quantity = Quantity::new(line.quantity.count().saturating_mul(step.count));
            let money = Money::from_nanos(line.money.nanos() * i128::from(step.count));
            match sums.iter_mut().find(|sum| sum.meter == meter) {
                Some(sum) => (sum.quantity, sum.money) = (sum.quantity + quantity, sum.money + money),
                None => sums.push(Charged { meter, quantity, money }),
            }
        }
    }
    sums
}

/// The tiers of rates clause `clause` as they are raised in a billing period.
#[must_use]
pub fn tiers(fleet: &Fleet, contract: ContractId, clause: usize, period: i64) -> Vec<Tier> {
    let (balances, seen) = (Balances::default(), Seen::default());
    tiers_in(&Books::new(fleet, &balances, &seen), contract, clause, period)
}

/// The billing period in which a prepayment falls due.
#[must_use]
pub fn prepaid_in(terms: &Contract, prepayment: &Prepayment) -> i64 {
    falls_in(terms, prepayment)
}

/// What of a prepayment can be credited in the billing periods up to `last`, used or not.
#[must_use]
pub fn granted(terms: &Contract, prepayment: &Prepayment, last: i64) -> Money {
    granted_by(terms, prepayment, last)
}

/// The penalties of each of several billing periods, below zero; empty when no tranche is ever late.
#[must_use]
pub fn penalties(fleet: &Fleet, contract: ContractId, periods: RangeInclusive<i64>) -> Vec<Money> {
    let (balances, seen) = (Balances::default(), Seen::default());
    penalties_of(&Books::new(fleet, &balances, &seen), contract, periods)
}

/// The numbers of a calendar's spans, each clipped to `term`, whose last instant lies within `within`.
#[must_use]
pub fn periods_ending(calendar: &Calendar, term: Span, within: Span) -> RangeInclusive<i64> {
    ending_in(calendar, term, within)
}

/// The contracts that count towards a floor while they are signed.
#[must_use]
pub fn counted_towards(fleet: &Fleet, contract: ContractId, floor: usize) -> BTreeSet<ContractId> {
    eligible(fleet, contract, &fleet.contracts[contract].floors[floor])
}

/// The least of a floor's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowLeast {
    /// So much money.
    Spend(Money),
    /// So much of the meters.
    Quantity(Quantity),
}

/// A window of a floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Clipped to the term.
    pub span: Span,
    /// What it asks for: prorated, substituted and abated as it is.
    pub least: WindowLeast,
}

/// Window `number` of a floor.
#[must_use]
pub fn window(fleet: &Fleet, contract: ContractId, floor: usize, number: i64) -> Window {
    let (balances, seen) = (Balances::default(), Seen::default());
    let books = Books::new(fleet, &balances, &seen);
    let windows = Windows::new(&books, contract, floor);
    let span = windows.span(number);
    let least = windows.least(number, span);
    let least = match fleet.contracts[contract].floors[floor].least {
        Least::Spend(_) => WindowLeast::Spend(Money::from_nanos(least)),
        Least::Quantity(..) => WindowLeast::Quantity(Quantity::new(i64::try_from(least).unwrap_or(i64::MAX))),
    };
    Window { span, least }
}
