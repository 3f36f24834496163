//! What of a journal record goes into the ledger.

use dispatch::{Advice, AttemptId, Cost, HeldTime, KeyId, Record, Rule, Settlement};
use fleet::{ContractId, EndpointId, FleetVersion, ModelId, ServiceTier};
use market::TokenPrices;
use serde::{Deserialize, Serialize};
use units::{Instant, Quantity};

use crate::error::LedgerError;
use crate::register::Registers;

/// An attempt about to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) attempt: AttemptId,
    pub(crate) key: KeyId,
    pub(crate) model: ModelId,
    pub(crate) endpoint: EndpointId,
    pub(crate) contract: ContractId,
    pub(crate) in_units: bool,
    pub(crate) fleet: FleetVersion,
    pub(crate) decided: Instant,
    pub(crate) bound_input: u32,
    pub(crate) bound_output: u32,
    pub(crate) why: Why,
    /// In shadow mode: where it would have gone.
    pub(crate) advice: Option<Box<Advice>>,
}

/// Why an attempt went where it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// Which class of service was asked for.
    pub tier: ServiceTier,
    /// Which rule chose.
    pub rule: Rule,
    /// What it was expected to cost, part by part, in the fleet's currency.
    pub cost: Cost,
    /// The payer's list prices.
    pub list: TokenPrices,
}

/// A journal record without what only a replay of the decision needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Entry {
    Intent(Intent),
    Settled(Settlement),
    Held(Box<HeldTime>),
}

impl Entry {
    pub(crate) fn of(record: &Record) -> Self {
        match record {
            Record::Decided { attempt, key, question, decision } => Self::Intent(Intent {
                attempt: *attempt,
                key: *key,
                model: question.ask.model,
                endpoint: decision.endpoint,
                contract: decision.contract,
                in_units: decision.in_units,
                fleet: question.fleet,
                decided: question.now,
                bound_input: question.ask.tokens.input,
                bound_output: question.ask.output_max,
                why: Why { tier: question.ask.tier, rule: decision.rule, cost: decision.cost, list: decision.list },
                advice: decision.advice.clone(),
            }),
            Record::Settled(settlement) => Self::Settled(*settlement),
            Record::Held(held) => Self::Held(Box::new(held.clone())),
        }
    }

    pub(crate) fn fleet(&self) -> FleetVersion {
        match self {
            Self::Intent(intent) => intent.fleet,
            Self::Settled(settlement) => settlement.fleet,
            Self::Held(held) => held.fleet,
        }
    }

    /// Refuses what could not be booked: an unknown fleet, ids that it doesn't have, held time that doesn't add up.
    pub(crate) fn check(&self, registers: &Registers) -> Result<(), LedgerError> {
        let register = registers.of(self.fleet())?;
        match self {
            Self::Intent(intent) => {
                register.model(intent.model)?;
                register.endpoint(intent.endpoint)?;
                register.contract(intent.contract)?;
                if let Some(advice) = &intent.advice {
                    register.endpoint(advice.endpoint)?;
                    register.contract(advice.contract)?;
                }
            }
            Self::Settled(settlement) => {
                register.endpoint(settlement.endpoint)?;
                register.contract(settlement.contract)?;
            }
            Self::Held(held) => {
                register.endpoint(held.endpoint)?;
                for usage in &held.usage {
                    register.contract(usage.contract)?;
                    register.subject(usage.meter)?;
                }
                if let Some(why) = imbalance(held) {
                    return Err(LedgerError::Unbalanced { why });
                }
            }
        }
        Ok(())
    }
}

/// What is wrong with the sums of held time, if anything.
pub(crate) fn imbalance(held: &HeldTime) -> Option<&'static str> {
    if held.usage.iter().any(|usage| usage.used < Quantity::ZERO || usage.used > usage.held) {
        return Some("what was used is not between nothing and what was held");
    }
    let shares: i128 = held.shares.iter().map(|(_, quantity)| i128::from(quantity.count())).sum();
    let used: i128 = held.usage.iter().map(|usage| i128::from(usage.used.count())).sum();
    (!held.usage.is_empty() && used != shares).then_some("the attempts' shares don't add up to what was used")
}
