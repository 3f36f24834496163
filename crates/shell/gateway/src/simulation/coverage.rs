//! What a set of runs came across: a simulation that never reaches a case says nothing about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use dispatch::{Action, Actions, Decision, Event, Failure, Fault, Health, Known, Outcome, Reason, Record, Refusal, Rule};

use crate::envelope::UPSTREAM_REFUSED;

/// How often each case came up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Coverage(BTreeMap<&'static str, u64>);

/// Every case of the gateway's own types; one that is not here does not compile below.
const CASES: [&str; 57] = [
    "event decided",
    "event refused",
    "event sent",
    "event content",
    "event progress",
    "event ended",
    "event client gone",
    "event outrun",
    "fault unreachable",
    "fault lost",
    "fault timed out",
    "fault busy",
    "fault overloaded",
    "fault evicted",
    "fault broken",
    "fault fruitless",
    "fault client",
    "action decide",
    "action call",
    "action settle",
    "action cancel",
    "action done",
    "action fail: no capacity",
    "action fail: client",
    "action fail: cut",
    "reason context too long",
    "reason lacks",
    "reason down",
    "reason no contract",
    "reason exclusive",
    "reason full",
    "reason over budget",
    "reason tried",
    "reason dearer",
    "reason not its turn",
    "reason inexpressible",
    "rule policy",
    "rule stale prices",
    "rule fall back",
    "outcome answered",
    "outcome failed",
    "outcome cut",
    "outcome client gone",
    "outcome outrun",
    "outcome interrupted",
    "known reported",
    "known counted",
    "known bounded",
    "health up",
    "health probing",
    "health down",
    "record decided",
    "record settled",
    "record held",
    "recovered torn bytes",
    "recovered records behind a hole",
    "recovered held time",
];

/// The codes of what clients are refused.
const CODES: [&str; 19] = [
    "code ambiguous_head",
    "code context_length_exceeded",
    "code insufficient_permissions",
    "code insufficient_quota",
    "code invalid_api_key",
    "code invalid_json",
    "code invalid_value",
    "code journal_unavailable",
    "code method_not_supported",
    "code model_not_found",
    "code no_capacity",
    "code not_supported",
    "code overloaded",
    "code rate_limit_exceeded",
    "code request_timeout",
    "code request_too_large",
    "code upstream_refused",
    "code unknown_url",
    "code unsupported_value",
];

/// The codes that can't come up here, and what they need.
const LEFT_OUT: [(&str, &[&str]); 8] = [
    ("clients that are no HTTP library", &["invalid_host", "unsupported_encoding"]),
    ("calls other than chats", &["answer_too_large", "bad_upstream_answer"]),
    ("files and batches", &["conflict", "limit_reached", "not_found"]),
    ("files, or reports to who may read them", &["storage_unavailable"]),
    ("several replicas", &["no_lease"]),
    ("shadow mode", &["no_shadow"]),
    ("an audit beside the requests, on a thread of its own", &["audit_running"]),
    ("nothing, but it comes within a stream that is refused no more: `action fail: cut`", &["upstream_lost"]),
];

/// The codes that clients may be told, as their envelopes have them.
fn codes() -> BTreeSet<&'static str> {
    let made = include_str!("../envelope.rs").lines().filter(|line| line.contains("Self::new(StatusCode::"));
    // The kind stands before it.
    made.filter_map(|line| line.split('"').nth(3)).chain([UPSTREAM_REFUSED]).collect()
}

/// The codes that are told and neither looked for nor left out, and those that are and are told no more.
pub(super) fn strayed() -> Vec<&'static str> {
    let looked_for = CODES.iter().filter_map(|case| case.strip_prefix("code "));
    let named: BTreeSet<&str> = looked_for.chain(LEFT_OUT.iter().flat_map(|(_, codes)| codes.iter().copied())).collect();
    codes().symmetric_difference(&named).copied().collect()
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(case, count)| writeln!(f, "{count:>9} {case}"))
    }
}

impl Coverage {
    pub fn count(&mut self, case: &'static str) {
        *self.0.entry(case).or_default() += 1;
    }

    pub fn add(&mut self, other: Self) {
        for (case, count) in other.0 {
            *self.0.entry(case).or_default() += count;
        }
    }

    /// The cases, these others included, that came up less than `least` times.
    pub fn short_of(&self, least: u64, others: &[&'static str]) -> Vec<(&'static str, u64)> {
        let all = CASES.iter().chain(&CODES).chain(others).map(|case| (*case, self.0.get(case).copied().unwrap_or(0)));
        all.filter(|(_, count)| *count < least).collect()
    }

    pub fn step(&mut self, event: &Event, actions: &Actions) {
        self.count(match event {
            Event::Decided { .. } => "event decided",
            Event::Refused => "event refused",
            Event::Sent { .. } => "event sent",
            // Said apart only by upstreams of another dialect, and none is here.
            Event::Read { .. } => "event read",
            // Upstreams here say nothing before content.
            Event::Opened => "event opened",
            Event::Content => "event content",
            Event::Progress { .. } => "event progress",
            Event::Ended => "event ended",
            Event::ClientGone => "event client gone",
            Event::Outrun => "event outrun",
            Event::Failed(Fault::Unreachable) => "fault unreachable",
            Event::Failed(Fault::Lost) => "fault lost",
            Event::Failed(Fault::TimedOut) => "fault timed out",
            Event::Failed(Fault::Busy { .. }) => "fault busy",
            Event::Failed(Fault::Overloaded { .. }) => "fault overloaded",
            Event::Failed(Fault::Evicted) => "fault evicted",
            Event::Failed(Fault::Broken) => "fault broken",
            Event::Failed(Fault::Fruitless { .. }) => "fault fruitless",
            Event::Failed(Fault::Client) => "fault client",
        });
        for action in actions {
            self.count(match action {
                Action::Decide => "action decide",
                Action::Call { .. } => "action call",
                Action::Settle(_) => "action settle",
                Action::Cancel => "action cancel",
                Action::Done => "action done",
                Action::Fail(Failure::NoCapacity) => "action fail: no capacity",
                Action::Fail(Failure::Client) => "action fail: client",
                Action::Fail(Failure::Cut) => "action fail: cut",
            });
        }
    }

    pub fn decided(&mut self, decided: &Result<Decision, Refusal>) {
        let passed_over = match decided {
            Ok(decision) => &decision.passed_over,
            Err(refusal) => &refusal.passed_over,
        };
        for passed in passed_over {
            self.count(match passed.reason {
                Reason::ContextTooLong { .. } => "reason context too long",
                Reason::Lacks(_) => "reason lacks",
                // The gateway asks only about the key's own models, so this can't come up: the tests of `decide` have it.
                Reason::OutOfScope => "reason out of scope",
                Reason::Down { .. } => "reason down",
                // Said in old journals only.
                Reason::Probing => "reason probing",
                Reason::NoContract => "reason no contract",
                Reason::Exclusive { .. } => "reason exclusive",
                Reason::Full => "reason full",
                Reason::OverBudget { .. } => "reason over budget",
                Reason::Tried => "reason tried",
                Reason::Dearer { .. } => "reason dearer",
                Reason::NotItsTurn => "reason not its turn",
                Reason::Inexpressible => "reason inexpressible",
            });
        }
    }

    /// A client was refused with this code.
    pub fn refused(&mut self, code: &str) {
        let case = CODES.iter().find(|case| case.strip_prefix("code ") == Some(code));
        self.count(case.copied().unwrap_or("code of another kind"));
    }

    pub fn outcome(&mut self, outcome: Outcome) {
        self.count(match outcome {
            Outcome::Answered => "outcome answered",
            Outcome::Failed => "outcome failed",
            Outcome::Cut => "outcome cut",
            Outcome::ClientGone => "outcome client gone",
            Outcome::Outrun => "outcome outrun",
            Outcome::Interrupted => "outcome interrupted",
        });
    }

    pub fn record(&mut self, record: &Record) {
        match record {
            Record::Decided { question, decision, .. } => {
                self.count("record decided");
                self.count(match decision.rule {
                    Rule::Policy => "rule policy",
                    Rule::StalePrices => "rule stale prices",
                    Rule::FallBack => "rule fall back",
                });
                for seen in &question.seen {
                    self.count(match seen.health {
                        Health::Up => "health up",
                        Health::Probing => "health probing",
                        Health::Down { .. } => "health down",
                    });
                }
            }
            Record::Settled(settled) => {
                self.count("record settled");
                self.outcome(settled.outcome);
                self.count(match settled.known {
                    Known::Reported => "known reported",
                    Known::Counted => "known counted",
                    Known::Bounded => "known bounded",
                });
            }
            Record::Held(_) => self.count("record held"),
        }
    }
}
