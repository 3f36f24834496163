//! The price sheet: what one more token costs on every endpoint, as dispatch reads it.

use fleet::{ContractId, EndpointId, Fleet, FleetVersion, Id};
use serde::{Deserialize, Serialize};
use units::{Instant, Money, round_half_even};

/// The most contracts that are asked to pay for a request on one endpoint, one after the other: of more, those in front and the first that
/// takes whatever is left.
pub const PAYERS_MAX: usize = 4;

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
    /// Weighted tokens a minute that its provisioned units handle, beyond which the next is asked; zero for one that takes whatever comes.
    pub units_per_minute: i64,
}

/// The price of one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointPrice {
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// Who pays, in the order in which they are asked, those that there are first. Who comes into force while the sheet may be used is there
    /// as well, and is passed over before.
    pub payers: [Option<Payer>; PAYERS_MAX],
    /// Energy at the margin.
    pub energy: TokenPrices,
    /// The cheapest way to buy the same tokens elsewhere: what displaced work would cost.
    pub replacement: TokenPrices,
}

impl EndpointPrice {
    /// Who pays, in the order in which they are asked.
    pub fn payers(&self) -> impl Iterator<Item = &Payer> {
        self.payers.iter().flatten()
    }

    /// Who is asked first of those in force at `at`.
    #[must_use]
    pub fn first(&self, fleet: &Fleet, at: Instant) -> Option<&Payer> {
        self.payers().find(|payer| fleet.contracts[payer.contract].in_force(at))
    }
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
