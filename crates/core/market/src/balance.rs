//! Balances: a fold over usage.

use std::collections::BTreeMap;

use fleet::{ContractId, Fleet, Meter};
use units::Quantity;

use crate::usage::Usage;

/// What was held and used of one meter in one billing period. Held = used + idle, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// What is paid for.
    pub held: Quantity,
    /// What work took of it.
    pub used: Quantity,
}

impl Total {
    /// What was paid for and not used.
    #[must_use]
    pub fn idle(self) -> Quantity {
        self.held - self.used
    }
}

/// The sums of all usage posted so far, by contract, billing period and meter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    totals: BTreeMap<(ContractId, i64, Meter), Total>,
}

impl Balances {
    /// Adds one usage.
    pub fn post(&mut self, fleet: &Fleet, usage: &Usage) {
        let period = fleet.contracts[usage.contract].calendar.index(usage.at);
        let total = self.totals.entry((usage.contract, period, usage.meter)).or_default();
        total.held += usage.held;
        total.used += usage.used;
    }

    /// What was posted to a contract's meter in billing period `period`.
    #[must_use]
    pub fn total(&self, contract: ContractId, period: i64, meter: Meter) -> Total {
        self.totals.get(&(contract, period, meter)).copied().unwrap_or_default()
    }

    /// Every total in order of contract, period and meter.
    pub fn iter(&self) -> impl Iterator<Item = (ContractId, i64, Meter, Total)> {
        self.totals.iter().map(|((contract, period, meter), total)| (*contract, *period, *meter, *total))
    }
}
