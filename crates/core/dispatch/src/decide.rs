//! The decision, and everything it says about itself.

use fleet::{Capability, ContractId, EndpointId, Fleet, FleetVersion};
use market::{Payer, TokenPrices};
use serde::{Deserialize, Serialize};
use units::{Instant, Money};

use crate::advice::Advice;
use crate::ask::Ask;
use crate::eligible::Shared;
use crate::funds::Funds;
use crate::policy::{Candidate, Candidates, Policy};
use crate::seen::{ENDPOINTS_MAX, Seen, SeenAll};

/// Everything that a decision is a function of, beside the fleet that it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// When.
    pub now: Instant,
    /// Under which fleet.
    pub fleet: FleetVersion,
    /// By which policy.
    pub policy: Policy,
    /// Until when the prices are fresh.
    pub valid_until: Instant,
    /// Until when they may be used at all.
    pub usable_until: Instant,
    /// The request.
    pub ask: Ask,
    /// Where its caller would have sent it, in shadow mode: there it goes, and the policy only advises.
    pub wish: Option<EndpointId>,
    /// What its accounts can pay; `None` when none of them has a budget.
    pub funds: Option<Funds>,
    /// Every endpoint of its model, by id.
    pub seen: SeenAll,
}

/// What choosing an endpoint is expected to cost, part by part, in the fleet's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// The request's quantities at their marginal price.
    pub marginal: Money,
    /// Energy.
    pub energy: Money,
    /// What the capacity would be worth to the work that it displaces.
    pub scarcity: Money,
    /// What is lost of a prefix that another endpoint has in its cache.
    pub cache_loss: Money,
    /// The chance of missing the SLO times what a miss costs.
    pub slo_miss: Money,
}

impl Cost {
    /// The score by which endpoints are compared.
    #[must_use]
    pub fn total(self) -> Money {
        self.marginal + self.energy + self.scarcity + self.cache_loss + self.slo_miss
    }
}

/// Which rule chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rule {
    /// The question's policy, on fresh prices.
    Policy,
    /// The question's policy, on prices past their validity, with a margin.
    StalePrices,
    /// Prices were too old: reserved first, then cheapest.
    FallBack,
}

/// Why an endpoint was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The request and its answer are longer than the model's context.
    ContextTooLong {
        /// The most tokens it takes.
        limit: u32,
    },
    /// It can't do what the request needs.
    Lacks(Capability),
    /// The key may not use this model or region.
    OutOfScope,
    /// It does not answer.
    Down {
        /// When it is tried again.
        until: Instant,
    },
    /// Another request is finding out whether it answers again: said in old journals only, as that does not rule it out.
    Probing,
    /// No contract that covers it is in force.
    NoContract,
    /// Another contract alone may serve this.
    Exclusive {
        /// Which.
        to: ContractId,
    },
    /// Its slots and its queue are full.
    Full,
    /// The accounts of the request can't pay what it would cost there.
    OverBudget {
        /// How much they lack.
        short: Money,
    },
    /// This request tried it already.
    Tried,
    /// It would cost more.
    Dearer {
        /// By how much.
        by: Money,
    },
    /// The policy's order put another first, or in shadow mode the caller did.
    NotItsTurn,
    /// The request says what its dialect has no word for.
    Inexpressible,
}

/// An endpoint passed over, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Which endpoint.
    pub endpoint: EndpointId,
    /// Why.
    pub reason: Reason,
    /// What it would have cost, when it was eligible.
    pub cost: Option<Cost>,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// The leaf contract that pays.
    pub contract: ContractId,
    /// What it is expected to cost.
    pub cost: Cost,
    /// Whether units of its contract take it, which prices the tokens as well: it would pay without them, too.
    pub in_units: bool,
    /// The payer's list prices: what the attempt's list cost is reckoned at.
    pub list: TokenPrices,
    /// Which rule chose it.
    pub rule: Rule,
    /// Every other endpoint of the model, with its reason.
    pub passed_over: Vec<PassedOver>,
    /// What the policy would have chosen, where the caller chose.
    pub advice: Option<Box<Advice>>,
}

impl Decision {
    /// Who pays, of those that were seen at its endpoint: its contract's units stand before its prices of tokens.
    #[must_use]
    pub fn payer<'a>(&self, seen: &'a Seen) -> Option<&'a Payer> {
        let mut own = seen.payers().map(|(payer, _)| payer).filter(|payer| payer.contract == self.contract);
        if self.in_units { own.next() } else { own.last() }
    }
}

/// Why a request goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Every endpoint of the model, with its reason; in shadow mode the one that the caller chose.
    pub passed_over: Vec<PassedOver>,
}

/// Chooses an endpoint, or says why there is none. Pure: same fleet, same question, same answer.
///
/// # Errors
/// When no endpoint of the model is eligible.
pub fn decide(fleet: &Fleet, question: &Question) -> Result<Decision, Refusal> {
    decide_in(fleet, question, Vec::with_capacity(question.seen.len()))
}

/// As [`decide`], with room for the endpoints passed over: with room for [`ENDPOINTS_MAX`] it allocates nothing.
///
/// # Errors
/// As for [`decide`].
pub fn decide_in(fleet: &Fleet, question: &Question, room: Vec<PassedOver>) -> Result<Decision, Refusal> {
    let mut passed_over = room;
    passed_over.clear();
    let mut candidates = Candidates::new();
    let rule = rule(question);
    let shared = Shared::of(fleet, question);
    for seen in question.seen.iter().take(ENDPOINTS_MAX) {
        match shared.eligible(seen) {
            Ok(payer) => candidates.push(Candidate::new(&shared, seen, payer, rule)),
            Err(reason) => passed_over.push(PassedOver { endpoint: seen.endpoint, reason, cost: None }),
        }
    }
    let policy = if rule == Rule::FallBack { Policy::ReservedFirst } else { question.policy };
    let chosen = policy.choose(&candidates, question.ask.sequence);
    if let Some(wish) = question.wish {
        return obey(&shared, wish, rule, (&candidates, chosen), passed_over);
    }
    let Some(chosen) = chosen else {
        return Err(Refusal { passed_over });
    };
    let best = candidates[chosen].cost.total();
    for (_, other) in candidates.iter().enumerate().filter(|(index, _)| *index != chosen) {
        let by = other.cost.total() - best;
        // What costs less was put behind others for having no free slot.
        let reason = if policy == Policy::MarginalCost && by >= Money::ZERO { Reason::Dearer { by } } else { Reason::NotItsTurn };
        passed_over.push(PassedOver { endpoint: other.endpoint, reason, cost: Some(other.cost) });
    }
    Ok(told(&candidates[chosen], rule, passed_over, None))
}

/// Shadow mode: the request goes where its caller chose, and the policy's choice stands beside it.
fn obey(
    shared: &Shared<'_>,
    wish: EndpointId,
    rule: Rule,
    (candidates, chosen): (&Candidates, Option<usize>),
    mut passed_over: Vec<PassedOver>,
) -> Result<Decision, Refusal> {
    let refused = |reason| Refusal { passed_over: vec![PassedOver { endpoint: wish, reason, cost: None }] };
    let seen = shared.question.seen.iter().find(|seen| seen.endpoint == wish).ok_or_else(|| refused(Reason::OutOfScope))?;
    let given = Candidate::new(shared, seen, shared.wished(seen).map_err(refused)?, rule);
    passed_over.retain(|other| other.endpoint != wish);
    for other in candidates.iter().filter(|other| other.endpoint != wish) {
        passed_over.push(PassedOver { endpoint: other.endpoint, reason: Reason::NotItsTurn, cost: Some(other.cost) });
    }
    let advised = chosen.map_or(&given, |chosen| &candidates[chosen]);
    let advice = Some(Box::new(Advice::of(advised, &given)));
    Ok(told(&given, rule, passed_over, advice))
}

fn told(chosen: &Candidate, rule: Rule, mut passed_over: Vec<PassedOver>, advice: Option<Box<Advice>>) -> Decision {
    // As observed they come by endpoint, and then there is nothing to sort.
    if !passed_over.is_sorted_by_key(|other| other.endpoint) {
        passed_over.sort_unstable_by_key(|other| other.endpoint);
    }
    let Candidate { endpoint, contract, in_units, cost, prices, .. } = *chosen;
    assert!(passed_over.iter().all(|other| other.endpoint != endpoint), "an endpoint is chosen or passed over, never both");
    Decision { endpoint, contract, cost, in_units, list: prices, rule, passed_over, advice }
}

/// How far the prices can be trusted.
fn rule(question: &Question) -> Rule {
    if question.now < question.valid_until {
        Rule::Policy
    } else if question.now < question.usable_until {
        Rule::StalePrices
    } else {
        Rule::FallBack
    }
}
