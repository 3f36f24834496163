//! What is said of each attempt and each refusal, as one JSON object a line: no prompt, no answer, no header, no key's secret, no address.

use std::sync::atomic::Ordering;

use dispatch::{KeyId, Known, Outcome, RequestId, Settlement};
use fleet::{ModelId, ServiceTier};
use serde_json::json;
use units::Instant;

use crate::envelope::Refused;
use crate::observed::OUTCOMES;
use crate::state::State;

/// Takes lines of the log.
pub trait Log: Send + Sync {
    /// Takes a line without waiting; `false` when there was no room for it, and it is lost.
    fn line(&self, line: String) -> bool;
}

/// Says how an attempt ended.
pub(crate) fn ended(state: &State, key: KeyId, (model, tier): (ModelId, ServiceTier), settlement: &Settlement) {
    let Some(log) = state.log.get() else { return };
    let snapshot = state.snapshot.load();
    let fleet = &snapshot.fleet;
    let outcome = match settlement.outcome {
        Outcome::Interrupted => "interrupted",
        outcome => OUTCOMES.iter().find(|(known, _)| *known == outcome).map_or("", |(_, word)| *word),
    };
    let micros = |until: Instant| u64::try_from(until.since(settlement.started).as_micros()).unwrap_or(u64::MAX);
    let line = json!({
        "at": settlement.ended.to_string(),
        "event": "attempt",
        "request": settlement.attempt.request.to_string(),
        "attempt": settlement.attempt.attempt,
        "key": key.0,
        "model": fleet.models.name(model),
        "tier": tier.word(),
        "endpoint": fleet.endpoints.name(settlement.endpoint),
        "contract": fleet.contracts.name(settlement.contract),
        "outcome": outcome,
        "input_tokens": settlement.tokens.input,
        "cached_tokens": settlement.tokens.cached,
        "output_tokens": settlement.tokens.output,
        "tokens_are": tokens_are(settlement.known),
        "list_cost": format!("{} {}", settlement.list, fleet.currency),
        "first_content_us": settlement.first_content.map(micros),
        "duration_us": micros(settlement.ended),
    });
    say(state, log.as_ref(), line.to_string());
}

/// How an attempt's tokens are known, in a word.
pub(crate) const fn tokens_are(known: Known) -> &'static str {
    match known {
        Known::Reported => "reported",
        Known::Counted => "counted",
        Known::Bounded => "bounded",
    }
}

/// Says that a request was refused. What the client sent is in none of it, nor what an upstream said: codes are ours.
pub(crate) fn refused(state: &State, id: RequestId, refused: &Refused) {
    let Some(log) = state.log.get() else { return };
    let line = json!({
        "at": state.clock.now().to_string(),
        "event": "refused",
        "request": id.to_string(),
        "status": refused.status.as_u16(),
        "code": refused.own_code(),
    });
    say(state, log.as_ref(), line.to_string());
}

fn say(state: &State, log: &dyn Log, line: String) {
    if !log.line(line) {
        state.lost_lines.fetch_add(1, Ordering::Relaxed);
    }
}
