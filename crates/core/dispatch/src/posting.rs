//! What a settled attempt posts to its contract.

use arrayvec::ArrayVec;
use fleet::{ContractId, EndpointId, Fleet, Meter, ModelId};
use market::Usage;
use serde::{Deserialize, Serialize};
use units::{Instant, Quantity};

use crate::record::{Known, Settlement};

/// How a contract counts the tokens of an endpoint's model; only a contract that prices them has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenMeters {
    /// The endpoint's model.
    pub model: ModelId,
    /// Whether cached input has its own price; else the supplier counts it as any input.
    pub cached_apart: bool,
    /// The last instant of the contract, to which what began in its term and ended after it belongs.
    pub last: Instant,
}

impl TokenMeters {
    /// How `contract` counts the tokens of `endpoint`; `None` when it is paid in time, whose use is posted as it is held.
    #[must_use]
    pub fn of(fleet: &Fleet, contract: ContractId, endpoint: EndpointId) -> Option<Self> {
        let model = fleet.endpoints[endpoint].model;
        let prices = |meter| fleet.contracts[contract].rates.iter().any(|clause| clause.meter == meter);
        let cached_apart = prices(Meter::CachedTokens(model));
        let any = cached_apart || prices(Meter::InputTokens(model)) || prices(Meter::OutputTokens(model));
        let last = Instant::from_micros(fleet.contracts[contract].term.to.micros() - 1);
        any.then_some(Self { model, cached_apart, last })
    }

    /// One usage per meter that took anything. What is only bounded posts nothing: it is unreconciled until the bill says. Nor does what units
    /// took: they are posted as they are held.
    #[must_use]
    pub fn postings(self, settlement: &Settlement) -> ArrayVec<Usage, 4> {
        if settlement.known == Known::Bounded || settlement.in_units {
            return ArrayVec::new();
        }
        let tokens = settlement.tokens;
        let cached = if self.cached_apart { tokens.cached.min(tokens.input) } else { 0 };
        let counts = [
            (Meter::InputTokens(self.model), tokens.input - cached),
            (Meter::CachedTokens(self.model), cached),
            (Meter::OutputTokens(self.model), tokens.output),
        ];
        let taken = counts.into_iter().filter(|(_, count)| *count > 0);
        taken
            .map(|(meter, count)| {
                let quantity = Quantity::new(i64::from(count));
                Usage { contract: settlement.contract, meter, at: settlement.ended.min(self.last), held: quantity, used: quantity }
            })
            .collect()
    }
}

/// What a settled attempt posts: its tokens, under a contract that prices them; nothing under one that is paid in time.
#[must_use]
pub fn postings(fleet: &Fleet, settlement: &Settlement) -> ArrayVec<Usage, 4> {
    TokenMeters::of(fleet, settlement.contract, settlement.endpoint).map(|meters| meters.postings(settlement)).unwrap_or_default()
}
