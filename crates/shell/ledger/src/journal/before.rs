//! Records as earlier programs wrote them.

use dispatch::{
    Ask, AttemptId, Cost, Decision, Funds, HeldTime, KeyId, Known, Outcome, PassedOver, Policy, Question, Record, Rule, SeenAll, Settlement,
};
use fleet::{ContractId, EndpointId, FleetVersion};
use market::{TokenPrices, Tokens};
use serde::Deserialize;
use units::{Instant, Money};

/// Format 2: before callers could choose, and before a second endpoint could be asked beside the first.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub(super) enum Second {
    Decided { attempt: AttemptId, key: KeyId, question: Box<Asked>, decision: Box<Decided> },
    Settled(Settled),
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
    seen: SeenAll,
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
pub(super) struct Settled {
    attempt: AttemptId,
    endpoint: EndpointId,
    contract: ContractId,
    fleet: FleetVersion,
    outcome: Ended,
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
        Self { now, fleet, policy, valid_until, usable_until, ask, wish: None, funds, seen }
    }
}

impl From<Decided> for Decision {
    fn from(Decided { endpoint, contract, cost, list, rule, passed_over }: Decided) -> Self {
        Self { endpoint, contract, cost, list, rule, passed_over, advice: None }
    }
}

impl From<Settled> for Settlement {
    fn from(settled: Settled) -> Self {
        let Settled { attempt, endpoint, contract, fleet, outcome, tokens, known, list, started, first_content, ended } = settled;
        let outcome = match outcome {
            Ended::Answered => Outcome::Answered,
            Ended::Failed => Outcome::Failed,
            Ended::Cut => Outcome::Cut,
            Ended::ClientGone => Outcome::ClientGone,
            Ended::Interrupted => Outcome::Interrupted,
        };
        Self { attempt, endpoint, contract, fleet, outcome, tokens, known, list, started, first_content, ended }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use dispatch::RequestId;
    use fleet::Id;

    /// Until format 4 a decision had its prices in each candidate, as [`Record`] itself is encoded.
    #[test]
    fn a_decision_of_the_third_format_is_read() {
        let fleet = testkit::crowd::fleet(2);
        let question = testkit::crowd::question(&fleet);
        let (endpoint, contract) = (question.seen[0].endpoint, fleet.contracts.id("c0").expect("it is there"));
        let (cost, list) = (Cost::default(), TokenPrices::default());
        let decision = Decision { endpoint, contract, cost, list, rule: Rule::Policy, passed_over: Vec::new(), advice: None };
        let attempt = AttemptId { request: RequestId(7), attempt: 1 };
        let record = Record::Decided { attempt, key: KeyId(1), question: Box::new(question), decision: Box::new(decision) };
        let payload = postcard::to_stdvec(&record).expect("it is encoded");
        let folder = tempfile::tempdir().expect("a folder");
        let frame = crate::journal::frame::framed(*b"BLJ\x03", &payload);
        std::fs::write(crate::journal::segment_path(folder.path(), 0), frame).expect("written");
        let mut reader = crate::journal::SegmentReader::open(folder.path(), Default::default()).expect("it is there");
        assert!(matches!(reader.next(), Ok(crate::journal::Next::Record(read, _)) if *read == record));
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
