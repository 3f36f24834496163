//! One checker per invariant of `INVARIANTS.md`, as functions of what a run left behind.
//!
//! They know records, rows and what others remember of the run, and none of the code that made these: so one checker serves property
//! tests, simulation, crash tests and live runs. The rules that the live audit of a running service needs too are in `dispatch::audit`, and
//! called from here. Where `ledger::verify` or `planner::audit` is the checker (I1, I5, I10, and the books' half of I2, I3, I9 and I14),
//! there is none here.

mod budgets;
mod caps;
mod durable;
mod liveness;
mod metered;
mod placed;
mod replay;
mod secrets;
mod spent;
mod time;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use dispatch::{AttemptId, KeyId, Record, RequestId, Settlement};
use fleet::EndpointId;
use market::Tokens;

pub use budgets::{Spender, check_budget};
pub use caps::{Reading, check_caps};
pub use durable::check_durable;
pub use liveness::check_live;
pub use metered::{check_once, check_tokens};
pub use placed::{Gang, check_gangs, check_held};
pub use replay::check_replay;
pub use secrets::check_secrets;
pub use spent::{Spent, check_spent};
pub use time::{check_time, check_unbroken};

/// The invariants that have a checker here, by their numbers in `INVARIANTS.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Every upstream attempt is metered exactly once.
    I2,
    /// What is metered is what was generated, or bounds it.
    I3,
    /// Nothing is held beyond a pool's count or a site's power.
    I4,
    /// A gang is placed whole, once.
    I6,
    /// Nothing begins but within what its budget has left.
    I7,
    /// Every journaled decision is taken again alike.
    I8,
    /// No negative duration, no span held twice.
    I9,
    /// No secret comes out.
    I11,
    /// Everything stays under its named cap.
    I12,
    /// What was accepted ends.
    I13,
    /// The intent comes before the call, and what a client was told survives.
    I14,
}

/// Something that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Which invariant.
    pub invariant: Invariant,
    /// What was found.
    pub what: String,
}

impl Breach {
    fn new(invariant: Invariant, what: impl Into<String>) -> Self {
        Self { invariant, what: what.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.what)
    }
}

/// An attempt as the books have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    /// Which attempt.
    pub attempt: AttemptId,
    /// For which key.
    pub key: KeyId,
    /// Where it went.
    pub endpoint: EndpointId,
    /// Its end; `None` while it is open.
    pub settled: Option<Settlement>,
}

impl Booked {
    /// The attempts as a journal that nothing was lost of comes to: each decision is one, with the last settlement that names it.
    #[must_use]
    pub fn of(records: &[Record]) -> Vec<Self> {
        let settled: BTreeMap<AttemptId, Settlement> = records
            .iter()
            .filter_map(|record| if let Record::Settled(settled) = record { Some((settled.attempt, *settled)) } else { None })
            .collect();
        let row = |record: &Record| match record {
            Record::Decided { attempt, key, decision, .. } => {
                Some(Self { attempt: *attempt, key: *key, endpoint: decision.endpoint, settled: settled.get(attempt).copied() })
            }
            Record::Settled(_) | Record::Held(_) => None,
        };
        records.iter().filter_map(row).collect()
    }
}

/// A call as the upstream that got it remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// For which request.
    pub request: RequestId,
    /// At which endpoint.
    pub endpoint: EndpointId,
    /// When it came, by the clock of whoever keeps the time of the run.
    pub at: Duration,
    /// Whether its answer was streamed.
    pub streamed: bool,
    /// Input tokens that it read; nought where that isn't known.
    pub read: u32,
    /// Output tokens that it generated, whether or not anyone got them.
    pub generated: u32,
    /// What it said that it took, once it had.
    pub reported: Option<Tokens>,
}

/// An answer as its client got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The request's id, once the head had come.
    pub request: Option<RequestId>,
    /// The endpoint that the head named.
    pub endpoint: Option<EndpointId>,
    /// When the request was made.
    pub asked: Duration,
    /// When the client had its end: an answer, an error, or a connection that broke.
    pub over: Option<Duration>,
    /// The status.
    pub status: Option<u16>,
    /// Output tokens that were delivered.
    pub delivered: u32,
    /// What it was told that these and the prompt came to, if it was.
    pub usage: Option<Tokens>,
    /// The answer came to its proper end.
    pub whole: bool,
}

/// What a power cut may have taken: attempts whose first record was not yet synced.
pub type Lost = std::collections::BTreeSet<AttemptId>;
