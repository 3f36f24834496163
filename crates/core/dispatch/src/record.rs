//! What the journal keeps.

use fleet::{ContractId, EndpointId, FleetVersion};
use market::{Tokens, Usage};
use serde::{Deserialize, Serialize};
use units::{Instant, Money, Quantity, Span};

use crate::ask::RequestId;
use crate::decide::{Decision, Question};

/// A key's number in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId(pub u32);

/// One call of one upstream for one request: what is metered exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// For which request.
    pub request: RequestId,
    /// Which attempt, from 1.
    pub attempt: u8,
}

impl core::fmt::Display for AttemptId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}#{}", self.request, self.attempt)
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Outcome {
    /// The upstream answered to the end.
    Answered,
    /// The upstream refused or failed before any content.
    Failed,
    /// The upstream was lost after content had gone to the client.
    Cut,
    /// The client went away.
    ClientGone,
    /// Another attempt of the same request, made beside it, had content first.
    Outrun,
    /// The process ended with the attempt in flight; found when it started again.
    Interrupted,
}

/// How the tokens are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Known {
    /// The upstream said so.
    Reported,
    /// Counted from what passed through; the supplier may say otherwise.
    Counted,
    /// Only bounded, by the request's own limits: unreconciled until the bill says.
    Bounded,
}

/// The end of an attempt, metered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    /// Which attempt.
    pub attempt: AttemptId,
    /// Where it went.
    pub endpoint: EndpointId,
    /// Who pays.
    pub contract: ContractId,
    /// Whether units of that took it, which prices the tokens as well.
    pub in_units: bool,
    /// Under which fleet.
    pub fleet: FleetVersion,
    /// How it ended.
    pub outcome: Outcome,
    /// What it took.
    pub tokens: Tokens,
    /// How that is known.
    pub known: Known,
    /// What it comes to at the payer's list prices of the decision, in the fleet's currency.
    pub list: Money,
    /// When the upstream was called.
    pub started: Instant,
    /// When the first content came, if any did.
    pub first_content: Option<Instant>,
    /// When it ended.
    pub ended: Instant,
}

/// Replica or unit time held over a span: paid for whether used or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldTime {
    /// Of which endpoint.
    pub endpoint: EndpointId,
    /// Under which fleet.
    pub fleet: FleetVersion,
    /// Over which span.
    pub span: Span,
    /// What each contract pays of it, in the supplier's drawdown order: held and used.
    pub usage: Vec<Usage>,
    /// The used part, split among the attempts that took it; adds up to what all usage says was used.
    pub shares: Vec<(AttemptId, Quantity)>,
}

/// One record of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// A decision with all it saw: written before the call, it is also the attempt's intent.
    Decided {
        /// For which attempt.
        attempt: AttemptId,
        /// For which key.
        key: KeyId,
        /// What it saw.
        question: Box<Question>,
        /// What it chose.
        decision: Box<Decision>,
    },
    /// An attempt's end.
    Settled(Settlement),
    /// Time held.
    Held(HeldTime),
}
