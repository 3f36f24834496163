//! What is posted.

use fleet::{ContractId, Meter};
use serde::{Deserialize, Serialize};
use units::{Instant, Quantity};

/// A quantity on a meter that one contract pays: booked first, money is derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Who pays.
    pub contract: ContractId,
    /// For what.
    pub meter: Meter,
    /// When; it belongs to the billing period that holds this instant.
    pub at: Instant,
    /// What is paid for.
    pub held: Quantity,
    /// What work took of it.
    pub used: Quantity,
}
