//! Records as they stand in a segment: as they are, but for what a decision saw of prices, which change once a second at most and would be most
//! of its bytes. They stand in the first decision that saw them; those after it say where that is.

use dispatch::{Ask, AttemptId, Decision, Funds, Health, HeldTime, KeyId, Policy, Question, Record, Seen, Settlement};
use fleet::{EndpointId, FleetVersion};
use market::{EndpointPrice, PAYERS_MAX};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use units::Instant;

/// The prices of all candidates of a decision, in their order.
pub(super) type Prices = Vec<Option<EndpointPrice>>;

/// A record to be written.
#[derive(Serialize)]
pub(super) enum Written<'a> {
    Decided { attempt: AttemptId, key: KeyId, question: Asking<'a>, decision: &'a Decision },
    Settled(&'a Settlement),
    Held(&'a HeldTime),
}

/// A record as it was read.
#[derive(Deserialize)]
pub(super) enum Read {
    Decided { attempt: AttemptId, key: KeyId, question: Box<Asked<Candidate, EndpointPrice>>, decision: Box<Decision> },
    Settled(Settlement),
    Held(HeldTime),
}

/// What a decision saw, to be written.
#[derive(Serialize)]
pub(super) struct Asking<'a> {
    now: Instant,
    fleet: FleetVersion,
    policy: Policy,
    valid_until: Instant,
    usable_until: Instant,
    ask: &'a Ask,
    wish: Option<EndpointId>,
    funds: Option<Funds>,
    #[serde(serialize_with = "without_prices")]
    seen: &'a [Seen],
    prices: Told<Vec<Option<&'a EndpointPrice>>>,
}

/// The same, as it was read: candidates `C` and prices `P` of some format.
#[derive(Deserialize)]
#[cfg_attr(test, derive(Serialize))]
pub(super) struct Asked<C, P> {
    pub now: Instant,
    pub fleet: FleetVersion,
    pub policy: Policy,
    pub valid_until: Instant,
    pub usable_until: Instant,
    pub ask: Ask,
    pub wish: Option<EndpointId>,
    pub funds: Option<Funds>,
    pub seen: Vec<C>,
    pub prices: Told<Vec<Option<P>>>,
}

impl<C, P> Asked<C, P> {
    /// The same with candidates and prices of ours.
    pub fn map(self, candidate: impl Fn(C) -> Candidate, price: impl Fn(P) -> EndpointPrice) -> Asked<Candidate, EndpointPrice> {
        let Self { now, fleet, policy, valid_until, usable_until, ask, wish, funds, seen, prices } = self;
        let seen = seen.into_iter().map(candidate).collect();
        let prices = match prices {
            Told::Here(prices) => Told::Here(prices.into_iter().map(|told| told.map(&price)).collect()),
            Told::At(at) => Told::At(at),
        };
        Asked { now, fleet, policy, valid_until, usable_until, ask, wish, funds, seen, prices }
    }
}

/// Prices, or where they stand.
#[derive(Serialize, Deserialize)]
pub(super) enum Told<P> {
    Here(P),
    /// In the decision that begins at this byte of the same segment.
    At(u64),
}

/// [`Seen`] without its price.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Candidate {
    pub endpoint: EndpointId,
    pub health: Health,
    pub outstanding: u32,
    pub service_us: u32,
    pub ttft_us: u32,
    pub tpot_us: u32,
    pub arrivals_per_ks: u32,
    pub cached_tokens: u32,
    #[serde(serialize_with = "without_end", deserialize_with = "with_end")]
    pub units_left: [i64; PAYERS_MAX],
    pub tried: bool,
    pub expressible: bool,
}

/// Numbers without the zeros at their end: hardly an endpoint has units, and none has many.
fn without_end<S: Serializer>(units: &[i64; PAYERS_MAX], serializer: S) -> Result<S::Ok, S::Error> {
    let count = units.iter().rposition(|left| *left != 0).map_or(0, |last| last + 1);
    units[..count].serialize(serializer)
}

fn with_end<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[i64; PAYERS_MAX], D::Error> {
    let read = Vec::<i64>::deserialize(deserializer)?;
    let mut units = [0; PAYERS_MAX];
    units.get_mut(..read.len()).ok_or_else(|| D::Error::invalid_length(read.len(), &"as many as there are payers"))?.copy_from_slice(&read);
    Ok(units)
}

fn without_prices<S: Serializer>(seen: &&[Seen], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(seen.iter().map(Candidate::of))
}

impl Candidate {
    pub fn of(seen: &Seen) -> Self {
        let Seen { endpoint, health, outstanding, service_us, ttft_us, tpot_us, arrivals_per_ks, .. } = *seen;
        let Seen { cached_tokens, units_left, tried, expressible, price: _, .. } = *seen;
        Self { endpoint, health, outstanding, service_us, ttft_us, tpot_us, arrivals_per_ks, cached_tokens, units_left, tried, expressible }
    }

    pub fn at(self, price: Option<EndpointPrice>) -> Seen {
        let Self { endpoint, health, outstanding, service_us, ttft_us, tpot_us, arrivals_per_ks, .. } = self;
        let Self { cached_tokens, units_left, tried, expressible, .. } = self;
        Seen {
            endpoint,
            health,
            outstanding,
            service_us,
            ttft_us,
            tpot_us,
            arrivals_per_ks,
            cached_tokens,
            units_left,
            tried,
            expressible,
            price,
        }
    }
}

impl<'a> Written<'a> {
    /// A record, with its prices or with where they stand.
    pub(super) fn of(record: &'a Record, prices_at: Option<u64>) -> Self {
        match record {
            Record::Settled(settlement) => Self::Settled(settlement),
            Record::Held(held) => Self::Held(held),
            Record::Decided { attempt, key, question, decision } => {
                let Question { now, fleet, policy, valid_until, usable_until, ref ask, wish, funds, ref seen } = **question;
                let here = || Told::Here(seen.iter().map(|seen| seen.price.as_ref()).collect());
                let prices = prices_at.map_or_else(here, Told::At);
                let question = Asking { now, fleet, policy, valid_until, usable_until, ask, wish, funds, seen, prices };
                Self::Decided { attempt: *attempt, key: *key, question, decision }
            }
        }
    }
}

impl Read {
    /// The prices, or where they stand; `None` for a record that has none.
    pub(super) fn prices(&self) -> Option<&Told<Prices>> {
        match self {
            Self::Decided { question, .. } => Some(&question.prices),
            Self::Settled(_) | Self::Held(_) => None,
        }
    }

    /// The prices that stand in it.
    pub(super) fn into_prices(self) -> Option<Prices> {
        match self {
            Self::Decided { question, .. } => match question.prices {
                Told::Here(prices) => Some(prices),
                Told::At(_) => None,
            },
            Self::Settled(_) | Self::Held(_) => None,
        }
    }

    /// The record, with the prices that stand elsewhere; `None` where they are missing or are not those of its candidates.
    pub(super) fn with(self, elsewhere: Option<&Prices>) -> Option<Record> {
        Some(match self {
            Self::Settled(settlement) => Record::Settled(settlement),
            Self::Held(held) => Record::Held(held),
            Self::Decided { attempt, key, question, decision } => {
                let Asked { now, fleet, policy, valid_until, usable_until, ask, wish, funds, seen, prices } = *question;
                let prices = match &prices {
                    Told::Here(prices) => prices,
                    Told::At(_) => elsewhere?,
                };
                if prices.len() != seen.len() {
                    return None;
                }
                let seen = seen.into_iter().zip(prices).map(|(candidate, price)| candidate.at(*price)).collect();
                let question = Question { now, fleet, policy, valid_until, usable_until, ask, wish, funds, seen };
                Record::Decided { attempt, key, question: Box::new(question), decision }
            }
        })
    }
}
