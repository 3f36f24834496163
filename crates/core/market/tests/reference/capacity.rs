//! Capacity in force, delivered and late, instant by instant, and its integral by adding up the time between all changes.

use fleet::{CapacityOf, ContractId, Meter, Ramp};
use units::Instant;

use crate::division::rounded;
use crate::model::Reference;

/// What a contract has of one thing at an instant, or, integrated, over a span (times microseconds).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// By the ramp, less what others took the place of.
    pub in_force: i128,
    /// What of it is there.
    pub delivered: i128,
    /// What of it should be there and is not.
    pub late: i128,
}

/// The amount of the last step at or before `at`, if there is one.
pub fn amount_at<T: Copy>(ramp: &Ramp<T>, at: Instant) -> Option<T> {
    ramp.steps().iter().filter(|(from, _)| *from <= at).map(|(_, amount)| *amount).last()
}

/// The capacity that a meter's committed quantity is the time of.
pub fn capacity_of(meter: Meter) -> Option<CapacityOf> {
    match meter {
        Meter::AcceleratorTime(id) => Some(CapacityOf::Accelerators(id)),
        Meter::UnitTime(id) => Some(CapacityOf::Units(id)),
        _ => None,
    }
}

impl Reference<'_> {
    /// The share of `id`, in parts per million, that other contracts in force at `at` take the place of.
    pub fn substituted_ppm(&self, id: ContractId, at: Instant) -> i128 {
        let others = self.fleet.contracts.iter().filter(|(.., other)| other.in_force(at));
        let shares = others.flat_map(|(.., other)| &other.substitutions).filter(|clause| clause.of == id);
        shares.map(|clause| i128::from(clause.share.ppm())).sum::<i128>().min(1_000_000)
    }

    fn capacity_at(&self, id: ContractId, of: CapacityOf, at: Instant) -> Capacity {
        let contract = &self.fleet.contracts[id];
        let clause = contract.capacity.iter().find(|clause| clause.of == of);
        let ramped = clause.and_then(|clause| amount_at(&clause.ramp, at)).map_or(0, i128::from);
        let in_force = ramped - rounded(ramped, self.substituted_ppm(id, at), 1_000_000);
        let Some(delivery) = contract.delivery.as_ref().filter(|delivery| delivery.of == of) else {
            return Capacity { in_force, delivered: in_force, late: 0 };
        };
        let (mut there, mut missing) = (0, 0);
        for tranche in &delivery.tranches {
            if tranche.delivered.is_some_and(|delivered| delivered <= at) {
                there += i128::from(tranche.amount);
            } else if tranche.due <= at {
                missing += i128::from(tranche.amount);
            }
        }
        let delivered = in_force.min(there);
        Capacity { in_force, delivered, late: missing.min(in_force - delivered) }
    }

    /// Every microsecond in `[from, to)` at which a capacity of the fleet may change, and both ends.
    fn changes(&self, id: ContractId, from: i64, to: i64) -> Vec<i64> {
        let contract = &self.fleet.contracts[id];
        let steps = contract.capacity.iter().flat_map(|clause| clause.ramp.steps()).map(|(step, _)| *step);
        let tranches = contract.delivery.iter().flat_map(|delivery| &delivery.tranches);
        let dates = tranches.flat_map(|tranche| [Some(tranche.due), tranche.delivered]).flatten();
        let terms = self.fleet.contracts.iter().flat_map(|(.., other)| [other.term.from, other.term.to]);
        let mut found: Vec<i64> = steps.chain(dates).chain(terms).map(Instant::micros).filter(|at| from < *at && *at < to).collect();
        found.extend([from, to]);
        found.sort_unstable();
        found
    }

    /// The integral of capacity over `[from, to)`, times microseconds.
    pub fn capacity_time(&self, id: ContractId, of: CapacityOf, from: i64, to: i64) -> Capacity {
        let mut total = Capacity::default();
        for pair in self.changes(id, from, to).windows(2) {
            let (here, micros) = (self.capacity_at(id, of, Instant::from_micros(pair[0])), i128::from(pair[1] - pair[0]));
            total.in_force += here.in_force * micros;
            total.delivered += here.delivered * micros;
            total.late += here.late * micros;
        }
        total
    }
}
