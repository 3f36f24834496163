//! Balances: a fold over usage.

use core::ops::RangeInclusive;
use std::collections::BTreeMap;

use fleet::{AcceleratorId, ContractId, Fleet, Id, Meter};
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

    fn add(&mut self, usage: &Usage) {
        self.held += usage.held;
        self.used += usage.used;
        assert!(self.held == self.used + self.idle(), "held = used + idle; quantities past i64 would break it");
    }
}

/// The sums of all usage posted so far, by contract, billing period and meter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    totals: BTreeMap<(ContractId, i64, Meter), Total>,
    strays: BTreeMap<(ContractId, Meter), Total>,
}

impl Balances {
    /// Adds one usage; outside its contract's term it belongs to no period and is kept as a stray.
    pub fn post(&mut self, fleet: &Fleet, usage: &Usage) {
        let terms = &fleet.contracts[usage.contract];
        let total = if terms.term.contains(usage.at) {
            let period = terms.calendar.index(usage.at);
            self.totals.entry((usage.contract, period, usage.meter)).or_default()
        } else {
            self.strays.entry((usage.contract, usage.meter)).or_default()
        };
        total.add(usage);
    }

    /// What was posted to a contract's meter in billing period `period`.
    #[must_use]
    pub fn total(&self, contract: ContractId, period: i64, meter: Meter) -> Total {
        self.totals.get(&(contract, period, meter)).copied().unwrap_or_default()
    }

    /// What was posted to a contract's meter outside its term: in no statement, and never lost.
    #[must_use]
    pub fn stray(&self, contract: ContractId, meter: Meter) -> Total {
        self.strays.get(&(contract, meter)).copied().unwrap_or_default()
    }

    /// Every total in order of contract, period and meter.
    pub fn iter(&self) -> impl Iterator<Item = (ContractId, i64, Meter, Total)> {
        self.totals.iter().map(|((contract, period, meter), total)| (*contract, *period, *meter, *total))
    }

    /// The periods among `range` that have postings, rising, each once.
    pub(crate) fn posted(&self, contract: ContractId, range: RangeInclusive<i64>) -> impl Iterator<Item = i64> {
        let (first, last) = (*range.start(), *range.end());
        let least = Meter::AcceleratorTime(AcceleratorId::from_index(0));
        let from = self.totals.range((contract, first, least)..);
        let mut previous = None;
        from.map(|((of, period, _), _)| (*of, *period))
            .take_while(move |(of, period)| *of == contract && *period <= last)
            .filter_map(move |(_, period)| (previous.replace(period) != Some(period)).then_some(period))
    }
}
