//! HTTP in, provider dialects out, metering on the way.
//!
//! - `request` is the life of a request, from top to bottom; `flight` is what must be put right however it ends.
//! - A request reads one immutable snapshot and counters. No store, no network but its upstream's, and no lock
//!   that anybody holds longer than a few instructions but the journal's `write`.
//! - A decision is in the journal before its call; an attempt is settled exactly once, also when its client hangs up.
//! - Until there is content nothing is sent, so another endpoint can still answer; after it a lost upstream ends the
//!   stream with an error event.
//! - Heads are built anew; bodies pass through but for named edits by byte range.
//! - No secret and no prompt is in any error, header, metric or status.

mod admission;
mod answer;
mod attached;
mod audit;
mod batch;
mod body;
mod buckets;
mod call;
mod clock;
mod cork;
mod counters;
mod cut;
mod depth;
mod door;
mod envelope;
mod export;
#[cfg(test)]
mod fixture;
mod flight;
#[doc(hidden)]
pub mod fuzz;
mod gateway;
mod generated;
mod guard;
mod ids;
mod journal;
mod keep;
mod keys;
mod learnt;
mod limits;
mod logged;
mod memory;
mod messages;
mod meter;
mod metrics;
mod models;
mod names;
mod observed;
mod parted;
mod paths;
mod peek;
mod picker;
mod prefix;
mod query;
mod race;
mod recorder;
mod relay;
mod request;
mod resolve;
mod responses;
mod retry;
mod seen;
mod server;
mod shadow;
#[cfg(test)]
mod simulation;
mod snapshot;
mod splice;
mod spoken;
mod sse;
mod state;
mod status;
mod tls;
mod trace;
mod translate;
mod upstream;
mod usage;
mod wire;
mod wires;
mod workers;

pub use admission::{Allotment, Balance, Owner, RatePart, RateStanding};
pub use buckets::UnitsPart;
pub use clock::Clock;
pub use door::{Behind, Door};
pub use export::ExportError;
pub use gateway::{Config, Gateway, GatewayError};
pub use journal::Journal;
pub use keep::Used;
pub use limits::{
    EVENT_MAX, HEADER_BYTES_MAX, HEADERS_MAX, JSON_DEPTH_MAX, JSON_VALUES_MAX, Limits, OPERATION_CONNECTIONS_MAX, OUTRUNS_MAX,
};
pub use logged::Log;
pub use meter::{Holder, Interval, Metered, Worked, held_time, holding};
pub use state::RecentDecision;
pub use status::{EndpointLive, Live};
pub use tls::{Certificate, CertificateError};
pub use upstream::{Upstream, UpstreamError};
