//! What readers of the ledger see.

use dispatch::{AttemptId, Decision, KeyId, Question, Settlement};
use fleet::FleetVersion;
use units::Instant;

/// An attempt as the ledger has it, with names that outlive the fleet version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// Which attempt.
    pub attempt: AttemptId,
    /// For which key.
    pub key: KeyId,
    /// Which model.
    pub model: String,
    /// Where it went.
    pub endpoint: String,
    /// Who pays.
    pub contract: String,
    /// Under which fleet.
    pub fleet: FleetVersion,
    /// When the decision was taken.
    pub decided: Instant,
    /// Its end; `None` while it is open.
    pub settled: Option<Settlement>,
}

/// A decision from the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journaled {
    /// For which attempt.
    pub attempt: AttemptId,
    /// For which key.
    pub key: KeyId,
    /// What it saw.
    pub question: Question,
    /// What it chose.
    pub decision: Decision,
}
