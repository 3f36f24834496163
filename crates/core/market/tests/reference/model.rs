//! The reference: every contract's account, period by period, from `docs/contracts.md` alone.

use std::collections::BTreeMap;

use fleet::{CapacityOf, Contract, ContractId, Fleet, Meter, Period, Status};
use market::{Clause, Usage};
use units::Instant;

use crate::charges::{Charged, Measure};
use crate::division::{cost, rounded};
use crate::floors::Settlement;
use crate::periods::{Stretch, stretches};

/// A fleet and all that was posted to it.
#[derive(Clone, Copy)]
pub struct Reference<'a> {
    /// The fleet.
    pub fleet: &'a Fleet,
    /// What was posted.
    pub usages: &'a [Usage],
}

/// What a billing period comes to before rounding.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Charges as billed.
    pub charges: Vec<Charged>,
    /// Charges as a floor on the basis `use` counts them.
    pub uses: Vec<Charged>,
    /// Prepayments that fall due.
    pub prepaid: Vec<(Clause, i128)>,
    /// Their credits, below zero.
    pub credits: Vec<(Clause, i128)>,
    /// Penalties, below zero.
    pub penalties: Vec<(Clause, i128)>,
    /// What floors were short of.
    pub shortfalls: Vec<(Clause, i128)>,
}

/// A contract's periods with what each comes to.
#[derive(Clone, Debug)]
pub struct Account {
    /// The billing periods.
    pub periods: Vec<Stretch>,
    /// One row for each of them.
    pub rows: Vec<Row>,
    /// How each window of each floor was settled.
    pub settlements: Vec<Settlement>,
    /// Whether a cap cut a penalty.
    pub capped: bool,
}

/// The statement of a period: lines in order, and their rounded sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// Which period.
    pub period: Stretch,
    /// Clause and nano-units.
    pub lines: Vec<(Clause, i128)>,
    /// What rates and overflow charge: clause, meter and quantity, sorted.
    pub quantities: Vec<(Clause, Option<Meter>, i128)>,
    /// Nano-units.
    pub due: i128,
}

impl Account {
    /// The statements, each rounded to a multiple of `unit` nano-units, or not at all when that is zero.
    pub fn bills(&self, unit: i128) -> Vec<Bill> {
        let bill = |(period, row): (&Stretch, &Row)| {
            let charges = row.charges.iter().map(|charge| (charge.clause, charge.money));
            let rest = [&row.prepaid, &row.credits, &row.penalties, &row.shortfalls].into_iter().flatten().copied();
            let mut lines: Vec<_> = charges.chain(rest).collect();
            let sum: i128 = lines.iter().map(|(_, money)| money).sum();
            let due = if unit == 0 { sum } else { rounded(sum, 1, unit) * unit };
            if due != sum {
                lines.push((Clause::Rounding, due - sum));
            }
            let mut quantities: Vec<_> = row.charges.iter().map(|charge| (charge.clause, Some(charge.meter), charge.quantity)).collect();
            quantities.sort_unstable();
            Bill { period: *period, lines, quantities, due }
        };
        self.periods.iter().zip(&self.rows).map(bill).collect()
    }
}

impl Reference<'_> {
    /// Every contract's account: first what each comes to by itself, then the floors, those of the deepest nested first.
    pub fn accounts(&self) -> BTreeMap<ContractId, Account> {
        let mut accounts: BTreeMap<_, _> = self.fleet.contracts.iter().map(|(id, _, contract)| (id, self.alone(id, contract))).collect();
        let mut deepest_first: Vec<ContractId> = accounts.keys().copied().collect();
        deepest_first.sort_by_key(|id| core::cmp::Reverse(self.above(*id).len()));
        for id in deepest_first.into_iter().filter(|id| self.fleet.contracts[*id].status == Status::Signed) {
            for index in 0..self.fleet.contracts[id].floors.len() {
                let settlements = self.settle(id, index, &accounts);
                let account = accounts.get_mut(&id).expect("every contract has an account");
                for settlement in settlements.iter().filter(|settlement| settlement.shortfall > 0) {
                    let row = account.periods.iter().position(|period| period.holds(settlement.window.last()));
                    let row = row.expect("a window clipped to the term ends in a period of the term");
                    account.rows[row].shortfalls.push((Clause::Shortfall { index }, settlement.shortfall));
                }
                account.settlements.extend(settlements);
            }
        }
        accounts
    }

    /// The umbrellas over a contract, nearest first.
    pub fn above(&self, id: ContractId) -> Vec<ContractId> {
        let mut found = Vec::new();
        let mut at = id;
        while let Some(above) = self.fleet.contracts[at].under {
            found.push(above);
            at = above;
        }
        found
    }

    /// A contract's account without floors.
    fn alone(&self, id: ContractId, contract: &Contract) -> Account {
        let periods = stretches(&contract.calendar, contract.calendar.period(), contract.term);
        let mut account = Account { rows: vec![Row::default(); periods.len()], periods, settlements: Vec::new(), capped: false };
        if contract.status != Status::Signed {
            return account;
        }
        let held = self.charges(id, &account.periods, Measure::Held);
        let used = self.charges(id, &account.periods, Measure::Used);
        for (row, (charges, uses)) in account.rows.iter_mut().zip(held.into_iter().zip(used)) {
            (row.charges, row.uses) = (charges, uses);
        }
        prepay(contract, &mut account);
        penalise(contract, &mut account);
        account
    }
}

/// The place in the list of the period that holds `at`; the first before the term, the last after it.
fn place(periods: &[Stretch], at: Instant) -> usize {
    let ended = periods.iter().filter(|period| period.to <= at.micros()).count();
    ended.min(periods.len() - 1)
}

/// Prepayments and their credits; several share one period's charges in the order of the file.
fn prepay(contract: &Contract, account: &mut Account) {
    let mut open: Vec<i128> = account.rows.iter().map(|row| row.charges.iter().map(|charge| charge.money).sum()).collect();
    for (index, prepayment) in contract.prepayments.iter().enumerate() {
        let (amount, parts) = (prepayment.amount.nanos(), i128::from(prepayment.credit_periods));
        account.rows[place(&account.periods, prepayment.due)].prepaid.push((Clause::Prepayment { index }, amount));
        if prepayment.credited_from >= contract.term.to {
            continue;
        }
        let first = place(&account.periods, prepayment.credited_from);
        let mut credit = 0;
        for (part, (open, row)) in (1..).zip(open.iter_mut().zip(&mut account.rows).skip(first)) {
            if part <= parts {
                credit += rounded(amount, part, parts) - rounded(amount, part - 1, parts);
            }
            let taken = credit.min(*open);
            credit -= taken;
            *open -= taken;
            if taken > 0 {
                row.credits.push((Clause::Credit { index }, -taken));
            }
        }
    }
}

/// Penalties for late tranches, until the cap is spent.
fn penalise(contract: &Contract, account: &mut Account) {
    let Some((delivery, rate)) = contract.delivery.as_ref().and_then(|delivery| Some((delivery, delivery.penalty?))) else {
        return;
    };
    let micros_per_unit = if matches!(delivery.of, CapacityOf::Power(_)) { 1_000_000 } else { 1000 };
    let mut left = delivery.cap.map_or(i128::MAX, units::Money::nanos);
    for (period, row) in account.periods.iter().zip(&mut account.rows) {
        for (tranche, terms) in delivery.tranches.iter().enumerate() {
            let until = terms.delivered.map_or(i64::MAX, Instant::micros).min(period.to);
            let late = i128::from((until - terms.due.micros().max(period.from)).max(0));
            let full = cost(rate, rounded(i128::from(terms.amount) * late, 1, micros_per_unit));
            let penalty = full.min(left);
            account.capped |= penalty < full;
            left -= penalty;
            if penalty > 0 {
                row.penalties.push((Clause::Penalty { tranche }, -penalty));
            }
        }
    }
}

/// The windows of a floor: made as billing periods are, with the floor's own length.
pub fn windows(contract: &Contract, per: Period) -> Vec<Stretch> {
    stretches(&contract.calendar, per, contract.term)
}
