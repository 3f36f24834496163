//! Records as they stand in a segment: as they are, but for what a decision saw of prices, which change once a second at most and would be most
//! of its bytes. They stand in the first decision that saw them; those after it say where that is.

use dispatch::{Ask, AttemptId, Decision, Funds, Health, HeldTime, KeyId, Policy, Question, Record, Seen, Settlement};
use fleet::{EndpointId, FleetVersion};
use market::EndpointPrice;
use serde::{Deserialize, Serialize, Serializer};
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
    Decided { attempt: AttemptId, key: KeyId, question: Box<Asked>, decision: Box<Decision> },
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

/// The same, as it was read.
#[derive(Deserialize)]
pub(super) struct Asked {
    now: Instant,
    fleet: FleetVersion,
    policy: Policy,
    valid_until: Instant,
    usable_until: Instant,
    ask: Ask,
    wish: Option<EndpointId>,
    funds: Option<Funds>,
    seen: Vec<Candidate>,
    prices: Told<Prices>,
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
struct Candidate {
    endpoint: EndpointId,
    health: Health,
    outstanding: u32,
    service_us: u32,
    ttft_us: u32,
    tpot_us: u32,
    arrivals_per_ks: u32,
    cached_tokens: u32,
    units_left: i64,
    tried: bool,
    expressible: bool,
}

fn without_prices<S: Serializer>(seen: &&[Seen], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(seen.iter().map(|seen| {
        let Seen { endpoint, health, outstanding, service_us, ttft_us, tpot_us, arrivals_per_ks, .. } = *seen;
        let Seen { cached_tokens, units_left, tried, expressible, price: _, .. } = *seen;
        Candidate {
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
        }
    }))
}

impl Candidate {
    fn at(self, price: Option<EndpointPrice>) -> Seen {
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
