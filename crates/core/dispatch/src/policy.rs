//! The policies that can choose: ours, and the baselines it is measured against.

use arrayvec::ArrayVec;
use fleet::{ContractId, EndpointId};
use market::{Payer, TokenPrices};
use serde::{Deserialize, Serialize};
use units::Money;

use crate::decide::{Cost, Rule};
use crate::eligible::Shared;
use crate::score;
use crate::seen::{ENDPOINTS_MAX, Seen};

/// How an endpoint is chosen among the eligible ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Policy {
    /// The lowest expected cost.
    #[default]
    MarginalCost,
    /// Each in turn.
    RoundRobin,
    /// The fewest requests outstanding for its slots.
    LeastOutstanding,
    /// The lowest list price.
    LowestListPrice,
    /// What is paid for first, while it has free slots; then the lowest list price.
    ReservedFirst,
}

impl Policy {
    /// Every policy, ours first.
    pub const ALL: [Self; 5] = [Self::MarginalCost, Self::RoundRobin, Self::LeastOutstanding, Self::LowestListPrice, Self::ReservedFirst];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MarginalCost => "marginal-cost",
            Self::RoundRobin => "round-robin",
            Self::LeastOutstanding => "least-outstanding",
            Self::LowestListPrice => "lowest-list-price",
            Self::ReservedFirst => "reserved-first",
        }
    }
}

/// An eligible endpoint with what every policy compares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) endpoint: EndpointId,
    pub(crate) contract: ContractId,
    pub(crate) cost: Cost,
    pub(crate) prices: TokenPrices,
    pub(crate) marginal: TokenPrices,
    pub(crate) prepaid: bool,
    pub(crate) in_units: bool,
    list: Money,
    has_free_slot: bool,
    saved_by_waiting: Money,
    outstanding: u64,
    slots: u64,
}

/// Every eligible endpoint, by id.
pub(crate) type Candidates = ArrayVec<Candidate, ENDPOINTS_MAX>;

impl Candidate {
    pub(crate) fn new(shared: &Shared<'_>, seen: &Seen, payer: Payer, rule: Rule) -> Self {
        let (fleet, slots) = (shared.fleet, shared.fleet.endpoints[seen.endpoint].slots.max(1));
        Self {
            endpoint: seen.endpoint,
            contract: payer.contract,
            cost: score::cost(shared, seen, payer, rule),
            prices: payer.list,
            marginal: payer.marginal,
            list: payer.list.cost(score::tokens_at(shared.question, seen)),
            prepaid: payer.prepaid,
            in_units: payer.units_per_minute > 0 && seen.payers().filter(|(other, _)| other.contract == payer.contract).count() > 1,
            has_free_slot: score::has_free_slot(fleet, seen),
            saved_by_waiting: score::saved_by_waiting(shared, seen, payer, rule),
            outstanding: u64::from(seen.outstanding),
            slots: u64::from(slots),
        }
    }
}

impl Policy {
    /// The index of the candidate that this policy chooses. Ties go to a free slot and then to what is paid for already where cost decides, then to
    /// the lowest id.
    pub(crate) fn choose(self, candidates: &Candidates, sequence: u64) -> Option<usize> {
        let by = |key: &dyn Fn(&Candidate) -> (bool, Money)| (0..candidates.len()).min_by_key(|index| key(&candidates[*index]));
        match self {
            Self::MarginalCost => {
                let some_is_free = candidates.iter().any(|candidate| candidate.has_free_slot);
                (0..candidates.len()).min_by_key(|index| {
                    let candidate = &candidates[*index];
                    let cost = candidate.cost.total() + if some_is_free { candidate.saved_by_waiting } else { Money::ZERO };
                    (cost, some_is_free && !candidate.has_free_slot, !candidate.prepaid)
                })
            }
            Self::LowestListPrice => by(&|candidate| (false, candidate.list)),
            Self::ReservedFirst => by(&|candidate| match candidate.prepaid && candidate.has_free_slot {
                true => (false, Money::ZERO),
                false => (true, candidate.list),
            }),
            Self::RoundRobin => usize::try_from(sequence.checked_rem(candidates.len() as u64)?).ok(),
            Self::LeastOutstanding => (0..candidates.len()).min_by(|a, b| {
                let (a, b) = (&candidates[*a], &candidates[*b]);
                (a.outstanding * b.slots).cmp(&(b.outstanding * a.slots))
            }),
        }
    }
}
