//! What would have been chosen where the caller chose: shadow mode.

use fleet::{ContractId, EndpointId};
use market::{TokenPrices, Tokens};
use serde::{Deserialize, Serialize};
use units::Money;

use crate::decide::Cost;
use crate::policy::Candidate;

/// Where a request would have gone, had its caller not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// The endpoint; the caller's own where no other would do, or none would do better.
    pub endpoint: EndpointId,
    /// The leaf contract that would have paid.
    pub contract: ContractId,
    /// Whether that is paid for already, used or not.
    pub prepaid: bool,
    /// What it was expected to cost there.
    pub cost: Cost,
    /// The list prices there.
    pub list: TokenPrices,
    /// What one more token really cost there.
    pub marginal: TokenPrices,
    /// What one more token really cost where the caller went.
    pub given: TokenPrices,
}

/// Why tokens would have been cheaper elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Ground {
    /// Capacity is there that is paid for, used or not.
    Prepaid,
    /// A floor is owed that is not reached without them, so that they cost less than their rate.
    FloorPaid,
    /// The rate is lower.
    ListPrice,
}

impl Ground {
    /// Every ground.
    pub const ALL: [Self; 3] = [Self::Prepaid, Self::FloorPaid, Self::ListPrice];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prepaid => "prepaid",
            Self::FloorPaid => "floor already paid",
            Self::ListPrice => "list price",
        }
    }
}

/// What following the advice would have saved, part by part, in the fleet's currency; below zero is dearer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// The tokens that were really taken, at what one more really costs.
    pub tokens: Money,
    /// Energy, as it was expected.
    pub energy: Money,
    /// What the capacity would have been worth to other work, as it was expected.
    pub scarcity: Money,
    /// What would have been lost of cached prefixes, as it was expected.
    pub cache_loss: Money,
    /// Missed SLOs, as they were expected.
    pub slo_miss: Money,
}

impl Saved {
    /// All parts together.
    #[must_use]
    pub fn total(self) -> Money {
        self.tokens + self.energy + self.scarcity + self.cache_loss + self.slo_miss
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            tokens: self.tokens + other.tokens,
            energy: self.energy + other.energy,
            scarcity: self.scarcity + other.scarcity,
            cache_loss: self.cache_loss + other.cache_loss,
            slo_miss: self.slo_miss + other.slo_miss,
        }
    }
}

impl Advice {
    /// The advice of what was chosen beside what the caller chose.
    pub(crate) fn of(advised: &Candidate, given: &Candidate) -> Self {
        let Candidate { endpoint, contract, prepaid, cost, prices: list, marginal, .. } = *advised;
        Self { endpoint, contract, prepaid, cost, list, marginal, given: given.marginal }
    }

    /// Why the tokens would have been cheaper.
    #[must_use]
    pub fn ground(&self) -> Ground {
        match self {
            Self { prepaid: true, .. } => Ground::Prepaid,
            Self { marginal, list, .. } if marginal == list => Ground::ListPrice,
            _ => Ground::FloorPaid,
        }
    }

    /// What would have been saved by an attempt that was expected to cost `given` and took `tokens`.
    #[must_use]
    pub fn saved(&self, given: Cost, tokens: Tokens) -> Saved {
        Saved {
            tokens: self.given.cost(tokens) - self.marginal.cost(tokens),
            energy: given.energy - self.cost.energy,
            scarcity: given.scarcity - self.cost.scarcity,
            cache_loss: given.cache_loss - self.cost.cache_loss,
            slo_miss: given.slo_miss - self.cost.slo_miss,
        }
    }
}
