//! Section 5 of the page: what each window of a floor asks for, what counts, and what is short.

use std::collections::BTreeMap;

use fleet::{Basis, ContractId, Floor, Least};
use units::Instant;

use crate::capacity::amount_at;
use crate::charges::Charged;
use crate::division::{cost, rounded};
use crate::model::{Account, Reference, Row, windows};
use crate::periods::Stretch;

/// How one window of a floor was settled, in nano-units or base units as the floor counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Which floor.
    pub floor: usize,
    /// Which window.
    pub window: Stretch,
    /// What lateness took off the least.
    pub abated: i128,
    /// What was asked for in the end.
    pub least: i128,
    /// What counted.
    pub counted: i128,
    /// What of earlier excess was used.
    pub carried_in: i128,
    /// What is billed, in nano-units.
    pub shortfall: i128,
}

/// Excess of an earlier window.
struct Carried {
    amount: i128,
    /// How many more windows may use it.
    windows_left: u32,
}

impl Reference<'_> {
    /// Every window of a contract's floor, in order.
    pub fn settle(&self, id: ContractId, index: usize, accounts: &BTreeMap<ContractId, Account>) -> Vec<Settlement> {
        let contract = &self.fleet.contracts[id];
        let floor = &contract.floors[index];
        let mut carried: Vec<Carried> = Vec::new();
        let mut settled = Vec::new();
        for window in windows(contract, floor.per) {
            let (least, abated) = self.least(id, floor, window);
            let counted = self.counted(id, floor, window, accounts);
            let mut need = (least - counted).max(0);
            let mut carried_in = 0;
            for earlier in &mut carried {
                let taken = earlier.amount.min(need);
                earlier.amount -= taken;
                need -= taken;
                carried_in += taken;
                earlier.windows_left -= 1;
            }
            carried.retain(|earlier| earlier.windows_left > 0);
            if let Some(carry) = floor.carry_over.filter(|carry| carry.windows > 0 && counted > least) {
                let amount = rounded(counted - least, i128::from(carry.share.ppm()), 1_000_000);
                carried.push(Carried { amount, windows_left: carry.windows });
            }
            let shortfall = match floor.least {
                Least::Spend(_) => need,
                Least::Quantity(_, rate) => cost(rate, need),
            };
            settled.push(Settlement { floor: index, window, abated, least, counted, carried_in, shortfall });
        }
        settled
    }

    /// What the window asks for, and what lateness took off it.
    fn least(&self, id: ContractId, floor: &Floor, window: Stretch) -> (i128, i128) {
        let first = Instant::from_micros(window.from);
        let mut least = match &floor.least {
            Least::Spend(ramp) => amount_at(ramp, first).map_or(0, units::Money::nanos),
            Least::Quantity(ramp, _) => amount_at(ramp, first).map_or(0, |quantity| i128::from(quantity.count())),
        };
        least = rounded(least, i128::from(window.to - window.from), i128::from(window.whole));
        least -= rounded(least, self.substituted_ppm(id, first), 1_000_000);
        let delivery = self.fleet.contracts[id].delivery.as_ref().filter(|_| floor.abated_while_late);
        let time = delivery.map(|delivery| self.capacity_time(id, delivery.of, window.from, window.to));
        let abated = time.filter(|time| time.in_force > 0).map_or(0, |time| rounded(least, time.late, time.in_force));
        (least - abated, abated)
    }

    /// What counts in the window, of all counted contracts.
    fn counted(&self, id: ContractId, floor: &Floor, window: Stretch, accounts: &BTreeMap<ContractId, Account>) -> i128 {
        let nested = |other: ContractId| other == id || self.above(other).contains(&id);
        let counts = |other: ContractId| if floor.contracts.is_empty() { nested(other) } else { floor.contracts.contains(&other) };
        let in_money = matches!(floor.least, Least::Spend(_));
        let currency = |other: ContractId| self.fleet.contracts[other].currency;
        let mut sum = 0;
        for (other, account) in accounts.iter().filter(|(other, _)| counts(**other) && (!in_money || currency(**other) == currency(id))) {
            for (_, row) in account.periods.iter().zip(&account.rows).filter(|(period, _)| window.holds(period.last())) {
                sum += counted_of(floor, row, *other != id && nested(*other));
            }
        }
        sum
    }
}

/// What one billing period of a counted contract adds.
fn counted_of(floor: &Floor, row: &Row, is_nested: bool) -> i128 {
    let metered = |charge: &&Charged| floor.meters.is_empty() || floor.meters.contains(&charge.meter.kind());
    let charges = if floor.basis == Basis::Use { &row.uses } else { &row.charges };
    if matches!(floor.least, Least::Quantity(..)) {
        return charges.iter().filter(metered).map(|charge| charge.quantity).sum();
    }
    let mut sum: i128 = charges.iter().filter(metered).map(|charge| charge.money).sum();
    if floor.basis == Basis::Purchase && floor.meters.is_empty() {
        sum += row.prepaid.iter().chain(&row.credits).map(|(_, money)| money).sum::<i128>();
        if is_nested {
            sum += row.shortfalls.iter().map(|(_, money)| money).sum::<i128>();
        }
    }
    sum
}
