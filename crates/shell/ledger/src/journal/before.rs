//! Records as earlier programs wrote them.

use dispatch::{
    Advice, Ask, AttemptId, Cost, Decision, Funds, Health, HeldTime, KeyId, Known, Outcome, PassedOver, Policy, Question, Record, Rule,
    SeenAll, Settlement,
};
use fleet::{ContractId, EndpointId, FleetVersion};
use market::{EndpointPrice, PAYERS_MAX, TokenPrices, Tokens};
use serde::Deserialize;
use units::{Instant, Money};

use crate::journal::wire;

/// Format 5: until then a contract with units of a model and prices of its tokens was paid by the token alone.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) enum Fifth {
    Decided { attempt: AttemptId, key: KeyId, question: Box<wire::Asked<wire::Candidate, EndpointPrice>>, decision: Box<Chosen> },
    Settled(Settled<Outcome>),
    Held(HeldTime),
}

impl From<Fifth> for wire::Read {
    fn from(record: Fifth) -> Self {
        match record {
            Fifth::Decided { attempt, key, question, decision } => {
                Self::Decided { attempt, key, question, decision: Box::new((*decision).into()) }
            }
            Fifth::Settled(settled) => Self::Settled(settled.into()),
            Fifth::Held(held) => Self::Held(held),
        }
    }
}

/// What was chosen, before it said whether units take it.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Chosen {
    endpoint: EndpointId,
    contract: ContractId,
    cost: Cost,
    list: TokenPrices,
    rule: Rule,
    passed_over: Vec<PassedOver>,
    advice: Option<Box<Advice>>,
}

impl From<Chosen> for Decision {
    fn from(Chosen { endpoint, contract, cost, list, rule, passed_over, advice }: Chosen) -> Self {
        Self { endpoint, contract, in_units: false, cost, list, rule, passed_over, advice }
    }
}

/// Format 4: until then one contract with units was asked on an endpoint, and one after it.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) enum Fourth {
    Decided { attempt: AttemptId, key: KeyId, question: Box<wire::Asked<Candidate, Price>>, decision: Box<Chosen> },
    Settled(Settled<Outcome>),
    Held(HeldTime),
}

impl From<Fourth> for wire::Read {
    fn from(record: Fourth) -> Self {
        match record {
            Fourth::Decided { attempt, key, question, decision } => Self::Decided {
                attempt,
                key,
                question: Box::new(question.map(Into::into, Into::into)),
                decision: Box::new((*decision).into()),
            },
            Fourth::Settled(settled) => Self::Settled(settled.into()),
            Fourth::Held(held) => Self::Held(held),
        }
    }
}

/// What was seen of an endpoint, without its price.
#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Candidate {
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

impl From<Candidate> for wire::Candidate {
    fn from(candidate: Candidate) -> Self {
        let Candidate { endpoint, health, outstanding, service_us, ttft_us, tpot_us, arrivals_per_ks, .. } = candidate;
        let Candidate { cached_tokens, units_left, tried, expressible, .. } = candidate;
        let mut units = [0; PAYERS_MAX];
        units[0] = units_left;
        let units_left = units;
        Self { endpoint, health, outstanding, service_us, ttft_us, tpot_us, arrivals_per_ks, cached_tokens, units_left, tried, expressible }
    }
}

#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Price {
    endpoint: EndpointId,
    payer: Payer,
    overflow: Option<Payer>,
    units_per_minute: i64,
    energy: TokenPrices,
    replacement: TokenPrices,
}

#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct Payer {
    contract: ContractId,
    marginal: TokenPrices,
    list: TokenPrices,
    prepaid: bool,
}

impl Payer {
    fn with(self, units_per_minute: i64) -> market::Payer {
        let Self { contract, marginal, list, prepaid } = self;
        market::Payer { contract, marginal, list, prepaid, units_per_minute }
    }
}

impl From<Price> for EndpointPrice {
    fn from(Price { endpoint, payer, overflow, units_per_minute, energy, replacement }: Price) -> Self {
        let mut payers = [None; PAYERS_MAX];
        payers[0] = Some(payer.with(units_per_minute));
        payers[1] = overflow.map(|payer| payer.with(0));
        Self { endpoint, payers, energy, replacement }
    }
}

/// Format 3: before prices stood apart from the decisions that saw them, and before batches had a tier.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) enum Third {
    Decided { attempt: AttemptId, key: KeyId, question: Box<Questioned>, decision: Box<Chosen> },
    Settled(Settled<Outcome>),
    Held(HeldTime),
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Questioned {
    now: Instant,
    fleet: FleetVersion,
    policy: Policy,
    valid_until: Instant,
    usable_until: Instant,
    ask: Ask,
    wish: Option<EndpointId>,
    funds: Option<Funds>,
    seen: Vec<(Candidate, Option<Price>)>,
}

impl From<Third> for Record {
    fn from(record: Third) -> Self {
        match record {
            Third::Decided { attempt, key, question, decision } => {
                let Questioned { now, fleet, policy, valid_until, usable_until, ask, wish, funds, seen } = *question;
                let question = Question { now, fleet, policy, valid_until, usable_until, ask, wish, funds, seen: all(seen) };
                Self::Decided { attempt, key, question: Box::new(question), decision: Box::new((*decision).into()) }
            }
            Third::Settled(settled) => Self::Settled(settled.into()),
            Third::Held(held) => Self::Held(held),
        }
    }
}

fn all(seen: Vec<(Candidate, Option<Price>)>) -> SeenAll {
    seen.into_iter().map(|(candidate, price)| wire::Candidate::from(candidate).at(price.map(Into::into))).collect()
}

/// Format 2: before callers could choose, and before a second endpoint could be asked beside the first.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) enum Second {
    Decided { attempt: AttemptId, key: KeyId, question: Box<Asked>, decision: Box<Decided> },
    Settled(Settled<Ended>),
    Held(HeldTime),
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Asked {
    now: Instant,
    fleet: FleetVersion,
    policy: Policy,
    valid_until: Instant,
    usable_until: Instant,
    ask: Ask,
    funds: Option<Funds>,
    seen: Vec<(Candidate, Option<Price>)>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Decided {
    endpoint: EndpointId,
    contract: ContractId,
    cost: Cost,
    list: TokenPrices,
    rule: Rule,
    passed_over: Vec<PassedOver>,
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) struct Settled<O> {
    attempt: AttemptId,
    endpoint: EndpointId,
    contract: ContractId,
    fleet: FleetVersion,
    outcome: O,
    tokens: Tokens,
    known: Known,
    list: Money,
    started: Instant,
    first_content: Option<Instant>,
    ended: Instant,
}

#[derive(Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(Debug, serde::Serialize))]
pub(super) enum Ended {
    Answered,
    Failed,
    Cut,
    ClientGone,
    Interrupted,
}

impl From<Second> for Record {
    fn from(record: Second) -> Self {
        match record {
            Second::Decided { attempt, key, question, decision } => {
                Self::Decided { attempt, key, question: Box::new((*question).into()), decision: Box::new((*decision).into()) }
            }
            Second::Settled(settled) => Self::Settled(settled.into()),
            Second::Held(held) => Self::Held(held),
        }
    }
}

impl From<Asked> for Question {
    fn from(Asked { now, fleet, policy, valid_until, usable_until, ask, funds, seen }: Asked) -> Self {
        Self { now, fleet, policy, valid_until, usable_until, ask, wish: None, funds, seen: all(seen) }
    }
}

impl From<Decided> for Decision {
    fn from(Decided { endpoint, contract, cost, list, rule, passed_over }: Decided) -> Self {
        Self { endpoint, contract, in_units: false, cost, list, rule, passed_over, advice: None }
    }
}

impl<O: Into<Outcome>> From<Settled<O>> for Settlement {
    fn from(settled: Settled<O>) -> Self {
        let Settled { attempt, endpoint, contract, fleet, outcome, tokens, known, list, started, first_content, ended } = settled;
        let outcome = outcome.into();
        Self { attempt, endpoint, contract, in_units: false, fleet, outcome, tokens, known, list, started, first_content, ended }
    }
}

impl From<Ended> for Outcome {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Answered => Self::Answered,
            Ended::Failed => Self::Failed,
            Ended::Cut => Self::Cut,
            Ended::ClientGone => Self::ClientGone,
            Ended::Interrupted => Self::Interrupted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use dispatch::RequestId;
    use fleet::Id;

    /// What the formats before ours kept of a candidate.
    fn kept(seen: &dispatch::Seen) -> (Candidate, Option<Price>) {
        let dispatch::Seen { endpoint, health, outstanding, service_us, ttft_us, tpot_us, arrivals_per_ks, .. } = *seen;
        let dispatch::Seen { cached_tokens, units_left: [units_left, ..], tried, expressible, .. } = *seen;
        let payer = |payer: &market::Payer| {
            let market::Payer { contract, marginal, list, prepaid, .. } = *payer;
            Payer { contract, marginal, list, prepaid }
        };
        let price = seen.price.and_then(|price| {
            let first = price.payers[0]?;
            Some(Price {
                endpoint,
                payer: payer(&first),
                overflow: price.payers[1].as_ref().map(payer),
                units_per_minute: first.units_per_minute,
                energy: price.energy,
                replacement: price.replacement,
            })
        });
        let candidate = Candidate {
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
        };
        (candidate, price)
    }

    /// What the formats before ours kept of a decision.
    fn chosen(decision: &Decision) -> Chosen {
        let Decision { endpoint, contract, in_units: _, cost, list, rule, passed_over, advice } = decision.clone();
        Chosen { endpoint, contract, cost, list, rule, passed_over, advice }
    }

    /// Whether a decision of a crowd is read as it was, of a format from before there were several payers.
    fn check_decision(format: u8, payload: impl Fn(&Question, &Decision, AttemptId) -> Vec<u8>) {
        let fleet = testkit::crowd::fleet(2);
        let question = testkit::crowd::question(&fleet);
        let (endpoint, contract) = (question.seen[0].endpoint, fleet.contracts.id("c0").expect("it is there"));
        let (cost, list) = (Cost::default(), TokenPrices::default());
        let decision =
            Decision { endpoint, contract, in_units: false, cost, list, rule: Rule::Policy, passed_over: Vec::new(), advice: None };
        let attempt = AttemptId { request: RequestId(7), attempt: 1 };
        let folder = tempfile::tempdir().expect("a folder");
        let frame = crate::journal::frame::framed([b'B', b'L', b'J', format], &payload(&question, &decision, attempt));
        std::fs::write(crate::journal::segment_path(folder.path(), 0), frame).expect("written");
        let mut reader = crate::journal::SegmentReader::open(folder.path(), Default::default()).expect("it is there");
        let record = Record::Decided { attempt, key: KeyId(1), question: Box::new(question), decision: Box::new(decision) };
        assert!(matches!(reader.next(), Ok(crate::journal::Next::Record(read, _)) if *read == record), "format {format}");
    }

    #[test]
    fn a_decision_of_the_third_format_is_read() {
        check_decision(3, |question, decision, attempt| {
            let Question { now, fleet, policy, valid_until, usable_until, ask, wish, funds, seen } = question.clone();
            let seen = seen.iter().map(kept).collect();
            let question = Box::new(Questioned { now, fleet, policy, valid_until, usable_until, ask, wish, funds, seen });
            let record = Third::Decided { attempt, key: KeyId(1), question, decision: Box::new(chosen(decision)) };
            postcard::to_stdvec(&record).expect("it is encoded")
        });
    }

    #[test]
    fn a_decision_of_the_fifth_format_is_read() {
        check_decision(5, |question, decision, attempt| {
            let Question { now, fleet, policy, valid_until, usable_until, ask, wish, funds, seen } = question.clone();
            let prices = wire::Told::Here(seen.iter().map(|seen| seen.price).collect());
            let seen = seen.iter().map(wire::Candidate::of).collect();
            let question = Box::new(wire::Asked { now, fleet, policy, valid_until, usable_until, ask, wish, funds, seen, prices });
            let record = Fifth::Decided { attempt, key: KeyId(1), question, decision: Box::new(chosen(decision)) };
            postcard::to_stdvec(&record).expect("it is encoded")
        });
    }

    #[test]
    fn a_decision_of_the_fourth_format_is_read() {
        check_decision(4, |question, decision, attempt| {
            let Question { now, fleet, policy, valid_until, usable_until, ask, wish, funds, seen } = question.clone();
            let (seen, prices) = seen.iter().map(kept).unzip();
            let prices = wire::Told::Here(prices);
            let question = Box::new(wire::Asked { now, fleet, policy, valid_until, usable_until, ask, wish, funds, seen, prices });
            let record = Fourth::Decided { attempt, key: KeyId(1), question, decision: Box::new(chosen(decision)) };
            postcard::to_stdvec(&record).expect("it is encoded")
        });
    }

    #[test]
    fn each_ending_of_the_second_format_is_read_as_it_was_meant() {
        let endings = [Ended::Answered, Ended::Failed, Ended::Cut, Ended::ClientGone, Ended::Interrupted];
        for ended in endings {
            let at = Instant::from_micros;
            let settled = Settled {
                attempt: AttemptId { request: RequestId(7), attempt: 1 },
                endpoint: Id::from_index(2),
                contract: Id::from_index(3),
                fleet: FleetVersion([4; 32]),
                outcome: ended,
                tokens: Tokens::default(),
                known: Known::Reported,
                list: Money::from_nanos(5),
                started: at(10),
                first_content: Some(at(11)),
                ended: at(12),
            };
            let bytes = postcard::to_stdvec(&Second::Settled(settled)).expect("it is encoded");
            let read: Second = postcard::from_bytes(&bytes).expect("it is read");
            let Record::Settled(settlement) = read.into() else { unreachable!("a settlement stays one") };
            assert_eq!(format!("{:?}", settlement.outcome), format!("{ended:?}"));
            assert_eq!((settlement.list, settlement.first_content, settlement.ended), (Money::from_nanos(5), Some(at(11)), at(12)));
        }
    }
}
