//! The statement of a billing period, clause by clause, as `docs/contracts.md` defines it.

use fleet::{ContractId, Fleet, Meter, Status};
use units::{Money, Quantity, Rate, Span};

use crate::balance::Balances;
use crate::books::{Books, Seen, Step};
use crate::charge::{Charging, Reading};
use crate::delivery::penalties;
use crate::floor::shortfalls;
use crate::prepaid::{Credit, credits, due_in};

/// Which clause a line comes from; indices count the contract's clauses of that kind in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Clause {
    /// A rates clause and the tier within it.
    Rates {
        /// Which clause.
        index: usize,
        /// Which tier.
        tier: usize,
    },
    /// What exceeds the capacity, at the overflow's rate.
    Overflow,
    /// A prepayment that falls due.
    Prepayment {
        /// Which.
        index: usize,
    },
    /// A prepayment's credit; below zero.
    Credit {
        /// Which prepayment.
        index: usize,
    },
    /// What the supplier credits for a late tranche; below zero.
    Penalty {
        /// Which tranche.
        tranche: usize,
    },
    /// What a floor was short of.
    Shortfall {
        /// Which floor.
        index: usize,
    },
    /// The difference between the lines and the rounded amount due.
    Rounding,
}

/// One line of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Why.
    pub clause: Clause,
    /// On which meter, where there is one.
    pub meter: Option<Meter>,
    /// How much of it.
    pub quantity: Quantity,
    /// At which price, where there is one.
    pub rate: Option<Rate>,
    /// The money; credits are below zero.
    pub money: Money,
}

/// What one billing period of one contract comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Of which contract.
    pub contract: ContractId,
    /// Which billing period, as the contract's calendar numbers it.
    pub period: i64,
    /// The period, clipped to the term.
    pub span: Span,
    /// The lines, in the order of `docs/contracts.md` section 6; they add up to `due`.
    pub lines: Vec<Line>,
    /// The amount due, rounded to the contract's rounding.
    pub due: Money,
}

/// The numbers of a contract's billing periods, first and last; both inclusive.
#[must_use]
pub fn periods(fleet: &Fleet, contract: ContractId) -> core::ops::RangeInclusive<i64> {
    let terms = &fleet.contracts[contract];
    let last = units::Instant::from_micros(terms.term.to.micros() - 1);
    terms.calendar.index(terms.term.from)..=terms.calendar.index(last)
}

/// The statement of one billing period; without lines when the contract is not signed or has no such period.
#[must_use]
pub fn statement(fleet: &Fleet, balances: &Balances, contract: ContractId, period: i64) -> Statement {
    let terms = &fleet.contracts[contract];
    let span = terms.period(period);
    if terms.status != Status::Signed || !periods(fleet, contract).contains(&period) {
        return Statement { contract, period, span, lines: Vec::new(), due: Money::ZERO };
    }
    let mut lines = lines(&Books::new(fleet, balances, &Seen::default()), contract, period);
    let exact: Money = lines.iter().map(|line| line.money).sum();
    let due = rounded(exact, terms.rounding);
    if due != exact {
        let money = due - exact;
        lines.push(Line { clause: Clause::Rounding, meter: None, quantity: Quantity::ZERO, rate: None, money });
    }
    assert!(lines.iter().map(|line| line.money).sum::<Money>() == due, "the lines add up to the amount due");
    Statement { contract, period, span, lines, due }
}

/// The lines before rounding, in the order of section 6.
fn lines(books: &Books<'_>, contract: ContractId, period: i64) -> Vec<Line> {
    let mut lines = Charging::new(books, contract, Reading::Held, period).lines(Step { first: period, count: 1 });
    lines.extend(due_in(books.terms(contract), period));
    let credits = credits(books, contract, period).into_iter();
    lines.extend(credits.filter(|credit| credit.step.first == period).map(Credit::line));
    lines.extend(penalties(books, contract, period));
    lines.extend(shortfalls(books, contract, period));
    lines
}

/// `money` rounded half to even to a multiple of `unit`; a unit of nothing leaves it as it is.
fn rounded(money: Money, unit: Money) -> Money {
    if unit <= Money::ZERO {
        return money;
    }
    Money::from_nanos(units::round_half_even(money.nanos(), unit.nanos()) * unit.nanos())
}
