//! What the gateway knows of itself: for the terminal, and as `/api/status`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dispatch::Health;
use fleet::{EndpointId, FleetVersion};
use market::EndpointPrice;
use serde::Serialize;
use serde_json::{Value, json};
use units::Instant;

use crate::state::{RecentDecision, State};

/// The gateway at one moment.
#[derive(Clone, Debug)]
pub struct Live {
    /// When.
    pub at: Instant,
    /// Under which fleet.
    pub fleet: FleetVersion,
    /// Requests that are here, under way or waiting.
    pub in_flight: usize,
    /// Of these, waiting in line.
    pub waiting: usize,
    /// Requests answered with an error of ours.
    pub refused: u64,
    /// Records of what has happened that the journal has not taken yet.
    pub owed_records: usize,
    /// Records of what has happened that can't be kept.
    pub lost_records: u64,
    /// Why the first of them can't.
    pub why_lost: Option<Arc<str>>,
    /// Every endpoint, in order.
    pub endpoints: Vec<EndpointLive>,
    /// The last decisions, newest first.
    pub recent: Vec<Arc<RecentDecision>>,
}

/// One endpoint at one moment; counts are since the gateway started.
#[derive(Clone, Debug)]
pub struct EndpointLive {
    /// Which.
    pub endpoint: EndpointId,
    /// Whether it has an address.
    pub listening: bool,
    /// Whether it answers.
    pub health: Health,
    /// Requests sent and not yet ended.
    pub outstanding: u32,
    /// Attempts answered to the end.
    pub served: u64,
    /// Attempts that the upstream failed.
    pub failed: u64,
    /// Attempts that the client gave up.
    pub abandoned: u64,
    /// Input tokens, cached ones included.
    pub input_tokens: u64,
    /// Of these, from a cache.
    pub cached_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// The mean time that a request stays.
    pub service: Duration,
    /// Requests that arrive in a thousand seconds.
    pub arrivals_per_ks: u32,
    /// The time in which it had a request.
    pub busy: Duration,
    /// Its price; `None` when nobody can pay for it now.
    pub price: Option<EndpointPrice>,
}

/// Reads everything.
pub(crate) fn live(state: &State) -> Live {
    let (snapshot, at) = (state.snapshot.load(), state.clock.now());
    let endpoints = snapshot.fleet.endpoints.iter().map(|(endpoint, ..)| {
        let counters = state.counters(endpoint);
        EndpointLive {
            endpoint,
            listening: snapshot.upstream(endpoint).is_some(),
            health: counters.health(at),
            outstanding: counters.busy.outstanding(),
            served: counters.answered.load(Ordering::Relaxed),
            failed: counters.failed.load(Ordering::Relaxed),
            abandoned: counters.abandoned.load(Ordering::Relaxed),
            input_tokens: counters.input_tokens.load(Ordering::Relaxed),
            cached_tokens: counters.cached_tokens.load(Ordering::Relaxed),
            output_tokens: counters.output_tokens.load(Ordering::Relaxed),
            service: Duration::from_micros(counters.service_us.load(Ordering::Relaxed).into()),
            arrivals_per_ks: counters.arrivals_per_ks.load(Ordering::Relaxed),
            busy: Duration::from_micros(counters.busy.micros(state.uptime_us(at))),
            price: snapshot.sheet.as_ref().and_then(|sheet| sheet.price(endpoint)).copied(),
        }
    });
    Live {
        at,
        fleet: snapshot.fleet.version,
        in_flight: state.in_flight(),
        waiting: state.gate.waiting() + state.rooms.waiting(),
        refused: state.refused.load(Ordering::Relaxed),
        owed_records: state.recorder.owed(),
        lost_records: state.recorder.lost(),
        why_lost: state.recorder.why_lost(),
        endpoints: endpoints.collect(),
        recent: state.recent.read(),
    }
}

/// Whether some endpoint has both an address and a price.
pub(crate) fn is_ready(state: &State) -> bool {
    let (live, snapshot) = (live(state), state.snapshot.load());
    let is_paid = |endpoint: &EndpointLive| endpoint.price.as_ref().is_some_and(|price| price.first(&snapshot.fleet, live.at).is_some());
    live.endpoints.iter().any(|endpoint| endpoint.listening && is_paid(endpoint))
}

/// The word for an endpoint's health.
pub(crate) fn health_word(endpoint: &EndpointLive) -> &'static str {
    match endpoint.health {
        _ if !endpoint.listening => "absent",
        Health::Up => "up",
        Health::Probing => "probing",
        Health::Down { .. } => "down",
    }
}

/// Everything as JSON, with names in place of ids.
pub(crate) fn render(state: &State) -> Vec<u8> {
    let (live, snapshot) = (live(state), state.snapshot.load());
    let fleet = &snapshot.fleet;
    let endpoint = |endpoint: &EndpointLive| {
        let payer = endpoint.price.as_ref().and_then(|price| price.first(fleet, live.at));
        json!({
            "endpoint": fleet.endpoints.name(endpoint.endpoint),
            "health": health_word(endpoint),
            "outstanding": endpoint.outstanding,
            "served": endpoint.served,
            "failed": endpoint.failed,
            "abandoned": endpoint.abandoned,
            "input_tokens": endpoint.input_tokens,
            "cached_tokens": endpoint.cached_tokens,
            "output_tokens": endpoint.output_tokens,
            "service_ms": endpoint.service.as_secs_f64() * 1_000.0,
            "busy_ms": u64::try_from(endpoint.busy.as_millis()).unwrap_or(u64::MAX),
            "contract": payer.map(|payer| fleet.contracts.name(payer.contract)),
            "marginal_input_nanos_per_million_tokens": payer.map(|payer| payer.marginal.input),
            "marginal_output_nanos_per_million_tokens": payer.map(|payer| payer.marginal.output),
        })
    };
    let decision = |recent: &Arc<RecentDecision>| {
        json!({
            "at": recent.at.to_string(),
            "request": recent.attempt.request.to_string(),
            "attempt": recent.attempt.attempt,
            "model": fleet.models.name(recent.model),
            "tier": recent.tier.word(),
            "endpoint": fleet.endpoints.name(recent.endpoint),
            "contract": fleet.contracts.name(recent.contract),
            "cost": format!("{} {}", recent.cost.total(), fleet.currency),
            "rule": written(&recent.rule),
            "passed_over": recent.passed_over.iter().map(|passed| json!({
                "endpoint": fleet.endpoints.name(passed.endpoint),
                "reason": written(&passed.reason),
            })).collect::<Vec<_>>(),
        })
    };
    let document = json!({
        "at": live.at.to_string(),
        "fleet": live.fleet.to_string(),
        "in_flight": live.in_flight,
        "waiting": live.waiting,
        "refused": live.refused,
        "owed_records": live.owed_records,
        "lost_records": live.lost_records,
        "why_lost": live.why_lost.as_deref(),
        "endpoints": live.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        "recent": live.recent.iter().map(decision).collect::<Vec<_>>(),
    });
    document.to_string().into_bytes()
}

fn written(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}
