//! From books and forecast to a price sheet: who would pay for the next token on each endpoint, and what it really costs.

use core::time::Duration;

use fleet::{CapacityOf, Charge, Contract, ContractId, Endpoint, EndpointId, Fleet, Meter, ModelId, Overflow};
use units::{Instant, Money, Quantity, Rate, round_half_even};

use crate::balance::Balances;
use crate::books::{Books, Seen};
use crate::capacity::delivered;
use crate::forecast::Forecast;
use crate::price::{Ahead, Pricing};
use crate::sheet::{EndpointPrice, Payer, PriceSheet, TokenPrices};

/// How long a sheet is fresh.
pub const FRESH: Duration = Duration::from_secs(5);
/// How long a sheet may be used with a margin; after that dispatch falls back to a rule that needs no forecast.
pub const USABLE: Duration = Duration::from_secs(60);

const MILLION: i128 = 1_000_000;

/// The books as a quote reads them.
#[derive(Clone, Copy, Debug)]
struct Quote<'a> {
    fleet: &'a Fleet,
    books: Books<'a>,
    forecast: &'a Forecast,
    ahead: &'a Ahead,
    now: Instant,
}

/// The price of one more token on every endpoint that somebody can pay for at `now`.
#[must_use]
pub fn price_sheet(fleet: &Fleet, balances: &Balances, forecast: &Forecast, now: Instant) -> PriceSheet {
    price_sheet_by(fleet, fleet, balances, forecast, now)
}

/// The same where what was used is charged by `terms`: the fleet and, behind each contract's rates, others that count for what was used under
/// them. Who pays for the next token is for the fleet alone to say.
#[must_use]
pub fn price_sheet_by(fleet: &Fleet, terms: &Fleet, balances: &Balances, forecast: &Forecast, now: Instant) -> PriceSheet {
    let (seen, ahead) = (Seen::default(), Ahead::of(forecast));
    let quote = Quote { fleet, books: Books::new(terms, balances, &seen), forecast, ahead: &ahead, now };
    let mut endpoints: Vec<EndpointPrice> = fleet.endpoints.iter().filter_map(|(id, _, endpoint)| quote.endpoint(id, endpoint)).collect();
    let offers: Vec<(ModelId, EndpointPrice)> = endpoints.iter().map(|price| (fleet.endpoints[price.endpoint].model, *price)).collect();
    for price in &mut endpoints {
        price.replacement = replacement(fleet.endpoints[price.endpoint].model, price, &offers);
    }
    PriceSheet { fleet: fleet.version, at: now, valid_until: now + FRESH, usable_until: now + USABLE, endpoints }
}

impl Quote<'_> {
    fn endpoint(self, id: EndpointId, endpoint: &Endpoint) -> Option<EndpointPrice> {
        let covering = self.fleet.covering(id);
        let in_force = |id: &ContractId| self.fleet.contracts[*id].in_force(self.now);
        let overflow_of = |contract: ContractId| match self.fleet.contracts[contract].overflow {
            Some(Overflow::To(to)) if in_force(&to) => self.payer(to, endpoint),
            _ => None,
        };
        // A contract that has nothing to pay with pays by what it overflows to, as it would once its units are taken.
        let pays = |contract| self.payer(contract, endpoint).or_else(|| overflow_of(contract));
        let mut payers = covering.iter().copied().filter(in_force).filter_map(pays);
        let (payer, units_per_minute) = payers.next()?;
        let overflow_to = overflow_of(payer.contract).map(|(payer, _)| payer);
        let overflow = match units_per_minute {
            0 => None,
            _ => overflow_to.or_else(|| payers.map(|(payer, _)| payer).find(|payer| !payer.prepaid)),
        };
        let energy = self.energy(endpoint);
        Some(EndpointPrice { endpoint: id, payer, overflow, units_per_minute, energy, replacement: TokenPrices::default() })
    }

    /// How this contract would pay for a token there: by the token, in provisioned units, or with time it holds anyway.
    fn payer(self, id: ContractId, endpoint: &Endpoint) -> Option<(Payer, i64)> {
        let contract = &self.fleet.contracts[id];
        let prices = |meter| contract.rates.iter().any(|clause| clause.meter == meter);
        if prices(Meter::InputTokens(endpoint.model)) || prices(Meter::OutputTokens(endpoint.model)) {
            return Some((self.by_token(id, endpoint.model), 0));
        }
        if let Some(capacity) = contract.capacity.iter().find(|clause| clause.of == CapacityOf::Units(endpoint.model)) {
            capacity.ramp.at(self.now)?;
            let units = delivered(self.fleet, id, capacity.of, self.now);
            // None are delivered yet: whoever comes next pays.
            if units <= 0 {
                return None;
            }
            let unit_hour = self.list_rate(contract, Meter::UnitTime(endpoint.model));
            let tokens_an_hour = i128::from(capacity.tokens_per_unit_minute.max(1)) * 60;
            let per_million = unit_hour.cost(Quantity::new(3_600_000)).nanos() * MILLION;
            let list = weighted(self.fleet, endpoint.model, round_half_even(per_million, tokens_an_hour));
            return Some((self.held(id, list), units.saturating_mul(capacity.tokens_per_unit_minute)));
        }
        let pool = &self.fleet.pools[endpoint.pool?];
        let holds = contract.capacity.iter().any(|clause| clause.of == CapacityOf::Accelerators(pool.accelerator));
        let meter = Meter::AcceleratorTime(pool.accelerator);
        if !holds && !prices(meter) {
            return None;
        }
        let hour = self.list_rate(contract, meter).cost(Quantity::new(3_600_000));
        Some((self.held(id, self.per_token(endpoint, hour)), 0))
    }

    fn by_token(self, id: ContractId, model: ModelId) -> Payer {
        let pricing = Pricing::of(&self.books, self.ahead, id, self.now);
        let both = |meter| {
            let price = pricing.price(meter);
            (self.per_million(id, price.rate), self.per_million(id, price.list))
        };
        let (input, output) = (both(Meter::InputTokens(model)), both(Meter::OutputTokens(model)));
        let has_cached = self.fleet.contracts[id].rates.iter().any(|clause| clause.meter == Meter::CachedTokens(model));
        let cached = if has_cached { both(Meter::CachedTokens(model)) } else { input };
        Payer {
            contract: id,
            marginal: TokenPrices { input: input.0, cached: cached.0, output: output.0 },
            list: TokenPrices { input: input.1, cached: cached.1, output: output.1 },
            prepaid: false,
        }
    }

    /// Capacity that is held whether used or not: one more token on it costs nothing more to its contract.
    fn held(self, contract: ContractId, list: TokenPrices) -> Payer {
        let convert = |nanos| self.convert(contract, Money::from_nanos(i128::from(nanos)));
        let list = TokenPrices { input: convert(list.input), cached: convert(list.cached), output: convert(list.output) };
        Payer { contract, marginal: TokenPrices::default(), list, prepaid: true }
    }

    fn list_rate(self, contract: &Contract, meter: Meter) -> Rate {
        let clauses = contract.rates.iter().filter(|clause| clause.meter == meter);
        let clause = clauses.min_by_key(|clause| clause.charge != Charge::Committed);
        clause.and_then(|clause| clause.tiers.first()).map_or(Rate::FREE, |tier| tier.rate)
    }

    /// What a token comes to when an hour of one accelerator costs `hour`: each phase by its own speed.
    fn per_token(self, endpoint: &Endpoint, hour: Money) -> TokenPrices {
        let Some(profile) = endpoint.profile.map(|id| &self.fleet.profiles[id]) else { return TokenPrices::default() };
        let nanos = hour.nanos() * i128::from(profile.accelerators) * MILLION;
        let at = |tokens_a_second: u32| narrow(round_half_even(nanos, i128::from(tokens_a_second.max(1)) * 3600));
        TokenPrices { input: at(profile.prefill_per_second), cached: 0, output: at(profile.decode_batch_per_second) }
    }

    /// Energy per token: the accelerators' power times the site's PUE, at each phase's speed, at the site's price and what scarce power is worth beside.
    fn energy(self, endpoint: &Endpoint) -> TokenPrices {
        let Some(pool) = endpoint.pool.map(|id| &self.fleet.pools[id]) else { return TokenPrices::default() };
        let site = &self.fleet.sites[pool.site];
        let watts = i128::from(self.fleet.accelerators[pool.accelerator].power.count());
        let joules = round_half_even(watts * 3600 * i128::from(site.pue_ppm), MILLION);
        let joules = Quantity::new(i64::try_from(joules).unwrap_or(i64::MAX));
        let scarce = self.forecast.power.get(&pool.site).map_or(Money::ZERO, |rate| rate.cost(joules));
        self.per_token(endpoint, site.energy.cost(joules) + scarce)
    }

    fn per_million(self, contract: ContractId, rate: Rate) -> i64 {
        let nanos = round_half_even(rate.money.nanos() * MILLION, i128::from(rate.per));
        self.convert(contract, Money::from_nanos(nanos))
    }

    /// Into the fleet's currency, in which decisions compare; a fleet without the rate does not pass `check`.
    fn convert(self, contract: ContractId, money: Money) -> i64 {
        let currency = self.fleet.contracts[contract].currency;
        narrow(self.fleet.in_fleet_currency(money, currency, self.now).unwrap_or(money).nanos())
    }
}

/// A price per unit token as prices per kind of token, by the model's weights.
fn weighted(fleet: &Fleet, model: ModelId, nanos: i128) -> TokenPrices {
    let weights = fleet.models[model].weights;
    let at = |ppm: i64| narrow(round_half_even(nanos * i128::from(ppm), MILLION));
    TokenPrices { input: at(weights.input_ppm), cached: at(weights.cached_ppm), output: at(weights.output_ppm) }
}

/// The cheapest list price at which the same tokens can be bought without holding anything: on another endpoint, else in
/// this one's overflow, else this one's own list. Offers are compared for three input tokens to one of output.
fn replacement(model: ModelId, price: &EndpointPrice, offers: &[(ModelId, EndpointPrice)]) -> TokenPrices {
    let elsewhere = offers.iter().filter(|(of, offer)| *of == model && offer.endpoint != price.endpoint).map(|(_, offer)| offer);
    let payers = elsewhere.flat_map(|offer| [Some(offer.payer), offer.overflow]).chain([price.overflow]).flatten();
    let cheapest = payers
        .filter(|payer| !payer.prepaid)
        .map(|payer| payer.list)
        .min_by_key(|list| 3 * i128::from(list.input) + i128::from(list.output));
    cheapest.unwrap_or(price.payer.list)
}

fn narrow(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}
