//! The price sheet: what one more token costs on every endpoint, as dispatch reads it.

use fleet::{ContractId, EndpointId, FleetVersion, Id};
use serde::{Deserialize, Serialize};
use units::{Instant, Money, round_half_even};

/// Prices of a request's tokens, in nano-units of the fleet's currency per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenPrices {
    /// Input tokens that no cache holds.
    pub input: i64,
    /// Input tokens that the endpoint's cache holds.
    pub cached: i64,
    /// Output tokens.
    pub output: i64,
}

/// Tokens of one request or attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Input tokens in all.
    pub input: u32,
    /// Of these, read from a cache.
    pub cached: u32,
    /// Output tokens.
    pub output: u32,
}

impl TokenPrices {
    /// What `tokens` come to, rounded half to even.
    #[must_use]
    pub fn cost(self, tokens: Tokens) -> Money {
        let uncached = tokens.input.saturating_sub(tokens.cached);
        let nanos = i128::from(self.input) * i128::from(uncached)
            + i128::from(self.cached) * i128::from(tokens.cached)
            + i128::from(self.output) * i128::from(tokens.output);
        Money::from_nanos(round_half_even(nanos, 1_000_000))
    }
}

/// Who would pay for the next request, and at what price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payer {
    /// The leaf contract.
    pub contract: ContractId,
    /// What one more token really costs: through all nested contracts, without energy and scarcity.
    pub marginal: TokenPrices,
    /// What the contract's rates say a token costs, whatever its floors.
    pub list: TokenPrices,
    /// Whether it is paid for already, used or not.
    pub prepaid: bool,
}

/// The price of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointPrice {
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// Who pays first.
    pub payer: Payer,
    /// Who pays once the first payer's units are used up.
    pub overflow: Option<Payer>,
    /// Weighted tokens a minute that the first payer's provisioned units handle; zero when it has none.
    pub units_per_minute: i64,
    /// Energy at the margin.
    pub energy: TokenPrices,
    /// The cheapest way to buy the same tokens elsewhere: what displaced work would cost.
    pub replacement: TokenPrices,
}

/// All prices of one moment, swapped whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceSheet {
    /// Of which fleet.
    pub fleet: FleetVersion,
    /// When it was made.
    pub at: Instant,
    /// Until when it is fresh.
    pub valid_until: Instant,
    /// Until when it may be used with a margin; after that the rule 'reserved first, then cheapest' takes over.
    pub usable_until: Instant,
    /// By endpoint, in order; an endpoint that nobody can pay for now is missing.
    pub endpoints: Vec<EndpointPrice>,
}

impl PriceSheet {
    /// The price of one endpoint.
    #[must_use]
    pub fn price(&self, endpoint: EndpointId) -> Option<&EndpointPrice> {
        let guess = self.endpoints.get(endpoint.index()).filter(|price| price.endpoint == endpoint);
        guess.or_else(|| self.endpoints.binary_search_by_key(&endpoint, |price| price.endpoint).ok().map(|index| &self.endpoints[index]))
    }
}
