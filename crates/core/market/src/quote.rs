//! From books and forecast to a price sheet: who would pay for the next token on each endpoint, and what it really costs.

use core::time::Duration;
use std::collections::{BTreeSet, VecDeque};

use fleet::{Capacity, CapacityOf, Charge, Contract, ContractId, Endpoint, EndpointId, Fleet, Meter, ModelId, Overflow};
use units::{Instant, Money, Quantity, Rate, Span, round_half_even};

use crate::allocate::{Demand, Drawn, draw};
use crate::balance::Balances;
use crate::books::{Books, Seen};
use crate::capacity::delivered;
use crate::forecast::Forecast;
use crate::price::{Ahead, Pricing};
use crate::sheet::{EndpointPrice, PAYERS_MAX, Payer, PriceSheet, TokenPrices};

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
    // In the order of endpoints, as held time is drawn.
    let mut drawn = Drawn::default();
    let priced = fleet.endpoints.iter().filter_map(|(id, _, endpoint)| quote.endpoint(id, endpoint, &mut drawn));
    let mut endpoints: Vec<EndpointPrice> = priced.collect();
    let bought = endpoints.iter().flat_map(|price| {
        let by_use = price.payers().filter(|payer| !payer.prepaid && fleet.contracts[payer.contract].in_force(now));
        by_use.map(|payer| Offer { endpoint: price.endpoint, model: fleet.endpoints[price.endpoint].model, list: payer.list })
    });
    let offers: Vec<Offer> = bought.collect();
    for price in &mut endpoints {
        price.replacement = replacement(fleet, price, &offers);
    }
    PriceSheet { fleet: fleet.version, at: now, valid_until: now + FRESH, usable_until: now + USABLE, endpoints }
}

/// How a contract pays for requests.
#[derive(Default)]
struct Pays {
    /// With its units, as far as those go.
    units: Option<Payer>,
    /// By the token, or with what it holds: whatever else comes. Without that, it goes on.
    rest: Option<Payer>,
}

/// A price at which tokens can be bought without holding anything.
struct Offer {
    endpoint: EndpointId,
    model: ModelId,
    list: TokenPrices,
}

impl Quote<'_> {
    fn endpoint(self, id: EndpointId, endpoint: &Endpoint, drawn: &mut Drawn) -> Option<EndpointPrice> {
        let holder = self.holder(id, endpoint, drawn);
        let found = self.payers(id, endpoint, holder);
        let mut payers = [None; PAYERS_MAX];
        let takes_the_rest = found.iter().skip(PAYERS_MAX - 1).find(|payer| payer.units_per_minute == 0);
        let kept = found.iter().take(PAYERS_MAX - 1).chain(takes_the_rest.or(found.get(PAYERS_MAX - 1)));
        payers.iter_mut().zip(kept).for_each(|(place, payer)| *place = Some(*payer));
        let energy = self.energy(endpoint);
        payers[0].map(|_| EndpointPrice { endpoint: id, payers, energy, replacement: TokenPrices::default() })
    }

    /// Who is asked to pay for a request there, one after the other: section 8 of `docs/contracts.md`, for a request as a whole. Who takes
    /// whatever comes is the last, but for those who come after it while the sheet may be used, and where others may have to serve instead.
    fn payers(self, id: EndpointId, endpoint: &Endpoint, holder: Option<ContractId>) -> Vec<Payer> {
        let usable = Span { from: self.now, to: self.now + USABLE };
        let is_free = self.fleet.contracts.iter().all(|(.., terms)| terms.exclusivities.is_empty());
        let (mut queue, mut asked, mut found) = (VecDeque::from(self.fleet.covering(id)), BTreeSet::new(), Vec::new());
        while let Some(contract) = queue.pop_front() {
            let terms = &self.fleet.contracts[contract];
            let from = self.now.max(terms.term.from);
            if !terms.in_force(from) || from >= usable.to || !asked.insert(contract) {
                continue;
            }
            let Pays { units, rest } = self.pays(contract, endpoint, from, holder);
            found.extend(units.into_iter().chain(rest));
            match terms.overflow {
                _ if rest.is_some() && is_free && from == self.now && terms.term.to >= usable.to => break,
                Some(Overflow::To(to)) if rest.is_none() => queue.push_front(to),
                _ => {}
            }
        }
        found
    }

    /// How this contract would pay for a token there from `from` on: in provisioned units and by the token, or with time it holds anyway.
    fn pays(self, id: ContractId, endpoint: &Endpoint, from: Instant, holder: Option<ContractId>) -> Pays {
        let contract = &self.fleet.contracts[id];
        let prices = |meter| contract.rates.iter().any(|clause| clause.meter == meter);
        let by_token = prices(Meter::InputTokens(endpoint.model)) || prices(Meter::OutputTokens(endpoint.model));
        let rest = || by_token.then(|| self.by_token(id, endpoint.model, from));
        if let Some(capacity) = contract.capacity.iter().find(|clause| clause.of == CapacityOf::Units(endpoint.model)) {
            let rest = if contract.overflow.is_none() { rest() } else { None };
            return Pays { units: self.units(id, endpoint.model, capacity, from), rest };
        }
        if by_token {
            return Pays { units: None, rest: rest() };
        }
        let Some(pool) = endpoint.pool.map(|pool| &self.fleet.pools[pool]) else { return Pays::default() };
        let meter = Meter::AcceleratorTime(pool.accelerator);
        let holds = |of: CapacityOf| of == CapacityOf::Accelerators(pool.accelerator) || of == CapacityOf::Power(pool.site);
        let capacity = contract.capacity.iter().map(|clause| clause.of).find(|of| holds(*of));
        let has_some = capacity.map_or_else(|| prices(meter), |of| delivered(self.fleet, id, of, from) > 0);
        // Who comes into force only later pays then.
        if !has_some || (from == self.now && holder.is_some_and(|holder| holder != id)) {
            return Pays::default();
        }
        let hour = self.list_rate(contract, meter).cost(Quantity::new(3_600_000));
        Pays { units: None, rest: Some(self.held(id, self.per_token(endpoint, hour))) }
    }

    /// The units of a capacity clause as they pay; nothing before any is delivered.
    fn units(self, id: ContractId, model: ModelId, clause: &Capacity, from: Instant) -> Option<Payer> {
        let units = delivered(self.fleet, id, clause.of, from).max(0);
        let units_per_minute = units.saturating_mul(clause.tokens_per_unit_minute);
        let unit_hour = self.list_rate(&self.fleet.contracts[id], Meter::UnitTime(model));
        let tokens_an_hour = i128::from(clause.tokens_per_unit_minute.max(1)) * 60;
        let per_million = unit_hour.cost(Quantity::new(3_600_000)).nanos() * MILLION;
        let list = weighted(self.fleet, model, round_half_even(per_million, tokens_an_hour));
        (units_per_minute > 0).then(|| Payer { units_per_minute, ..self.held(id, list) })
    }

    /// Who pays first for the accelerators that the endpoint holds now, if anybody does.
    fn holder(self, id: EndpointId, endpoint: &Endpoint, drawn: &mut Drawn) -> Option<ContractId> {
        let each = endpoint.profile.map_or(1, |profile| self.fleet.profiles[profile].accelerators);
        let count = i64::from(endpoint.replicas) * i64::from(each);
        let held = draw(self.fleet, id, self.now, Demand::Accelerators { count, time: Duration::from_millis(1) }, drawn);
        held.parts.first().map(|part| part.contract)
    }

    fn by_token(self, id: ContractId, model: ModelId, from: Instant) -> Payer {
        let pricing = Pricing::of(&self.books, self.ahead, id, from);
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
            units_per_minute: 0,
        }
    }

    /// Capacity that is held whether used or not: one more token on it costs nothing more to its contract.
    fn held(self, contract: ContractId, list: TokenPrices) -> Payer {
        let convert = |nanos| self.convert(contract, Money::from_nanos(i128::from(nanos)));
        let list = TokenPrices { input: convert(list.input), cached: convert(list.cached), output: convert(list.output) };
        Payer { contract, marginal: TokenPrices::default(), list, prepaid: true, units_per_minute: 0 }
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

/// The cheapest list price at which the same tokens can be bought without holding anything, there or on another endpoint; else the first
/// payer's own list. Offers are compared for three input tokens to one of output.
fn replacement(fleet: &Fleet, price: &EndpointPrice, offers: &[Offer]) -> TokenPrices {
    let model = fleet.endpoints[price.endpoint].model;
    // What takes whatever comes there anyway replaces nothing there.
    let is_spill = price.payers[0].is_some_and(|payer| payer.units_per_minute > 0);
    let others = offers.iter().filter(|offer| offer.model == model && (offer.endpoint != price.endpoint || is_spill));
    let cheapest = others.map(|offer| offer.list).min_by_key(|list| 3 * i128::from(list.input) + i128::from(list.output));
    cheapest.or(price.payers[0].map(|payer| payer.list)).unwrap_or_default()
}

fn narrow(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}
