//! A named limit for everything that a client or an upstream could make large or long.

use std::time::Duration;

/// The most header fields of a request.
pub const HEADERS_MAX: usize = 100;
/// The most bytes of a request's head.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;
/// The most bytes of one server-sent event.
pub const EVENT_MAX: usize = 1024 * 1024;
/// The most bytes of an upstream's error that are read to find out what it says.
pub const ERROR_BODY_MAX: usize = 64 * 1024;
/// The most attempts ended between two readings of the meter that take a share of held time by name.
pub const TALLIES_MAX: usize = 262_144;
/// The longest that an upstream's `retry-after` keeps it out of the choice.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// How long an upstream is left alone after its first failures.
pub const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// How long at most.
pub const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// Failures in a row after which an upstream counts as down; one that refuses connections is down at once.
pub const FAILURES_MAX: u32 = 3;
/// How long a connection to an upstream is kept without work: less than the 5 s after which uvicorn, and so vLLM, closes it,
/// as a request sent into a closing connection is lost.
pub const UPSTREAM_IDLE_MAX: Duration = Duration::from_secs(4);
/// How often held time is posted: whole multiples of it, so that no interval lies in two billing periods of minutes.
pub const METER_INTERVAL: Duration = Duration::from_secs(5);
/// Threads that serve unless told otherwise: at most so many, and no more than there are processors.
pub const SERVING_THREADS_MAX: usize = 16;
/// Decisions that are kept for people to look at.
pub const RECENT_MAX: usize = 64;

/// The limits that a test or an operator may want to be other than usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Threads that serve connections, each its own.
    pub serving_threads: usize,
    /// Connections open at once; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Requests under way at once; more are refused.
    pub in_flight_max: usize,
    /// Bytes of a request's body.
    pub body_bytes_max: usize,
    /// Bytes of an upstream's answer that is not streamed.
    pub upstream_body_bytes_max: usize,
    /// For a client to send the head of a request.
    pub header_timeout: Duration,
    /// For a client to send the body of a request.
    pub body_timeout: Duration,
    /// To reach an upstream.
    pub connect_timeout: Duration,
    /// From the call to the first event of a stream.
    pub first_token_timeout: Duration,
    /// From one event of a stream to the next.
    pub between_tokens_timeout: Duration,
    /// From the call to the end of an answer that is not streamed.
    pub answer_timeout: Duration,
    /// For requests under way when the gateway is told to stop.
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            serving_threads: std::thread::available_parallelism().map_or(1, usize::from).min(SERVING_THREADS_MAX),
            connections_max: 16_384,
            in_flight_max: 8_192,
            body_bytes_max: 8 * 1024 * 1024,
            upstream_body_bytes_max: 32 * 1024 * 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            first_token_timeout: Duration::from_secs(60),
            between_tokens_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(600),
            drain_timeout: Duration::from_secs(10),
        }
    }
}
