//! What is expected of the rest of a period.

use std::collections::BTreeMap;

use fleet::{ContractId, Meter};
use serde::{Deserialize, Serialize};
use units::{Quantity, Share};

/// How fast a contract's meter is expected to be used, and how wrong that may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Base units an hour.
    pub per_hour: Quantity,
    /// The standard deviation of what comes, as a share of what is expected.
    pub error: Share,
}

/// The flows of all contracts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// By contract and meter; what is missing is expected to stay at nothing.
    pub flows: BTreeMap<(ContractId, Meter), Flow>,
}
