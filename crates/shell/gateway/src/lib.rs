//! HTTP in, provider dialects out, metering on the way.
//!
//! - `request` is the life of a request, from top to bottom; `flight` is what must be put right however it ends.
//! - A request reads one immutable snapshot and counters: no lock, no store, no network but its upstream's.
//! - A decision is in the journal before its call; an attempt is settled exactly once, also when its client hangs up.
//! - Until there is content nothing is sent, so another endpoint can still answer; after it a lost upstream ends the
//!   stream with an error event.
//! - Heads are built anew; bodies pass through but for named edits by byte range.
//! - No secret and no prompt is in any error, header, metric or status.

mod answer;
mod audit;
mod body;
mod call;
mod clock;
mod counters;
mod envelope;
#[cfg(test)]
mod fixture;
mod flight;
mod gateway;
mod journal;
mod keys;
mod learnt;
mod limits;
mod meter;
mod metrics;
mod models;
mod peek;
mod prefix;
mod relay;
mod request;
mod server;
mod snapshot;
mod splice;
mod sse;
mod state;
mod status;
mod upstream;
mod wires;

pub use clock::Clock;
pub use gateway::{Config, Gateway, GatewayError};
pub use journal::Journal;
pub use limits::{
    BACKOFF_MAX, BACKOFF_MIN, ERROR_BODY_MAX, EVENT_MAX, FAILURES_MAX, HEADER_BYTES_MAX, HEADERS_MAX, Limits, METER_INTERVAL, RECENT_MAX,
    RETRY_AFTER_MAX, TALLIES_MAX, UPSTREAM_IDLE_MAX,
};
pub use meter::{Holding, Interval, held_time, holding};
pub use state::RecentDecision;
pub use status::{EndpointLive, Live};
pub use upstream::{Upstream, UpstreamError};
