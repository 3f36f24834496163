//! The policies that can choose: ours, and the baselines it is measured against.

use serde::{Deserialize, Serialize};

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
