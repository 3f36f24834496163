//! A named limit for everything that a client or an upstream could make large or long.

use std::time::Duration;

use fleet::ServiceTier;

/// The most header fields of a request.
pub const HEADERS_MAX: usize = 100;
/// The most bytes of a request's head.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Connections open at once at the listener for operation, beside those for calls; more wait in the kernel's queue.
pub const OPERATION_CONNECTIONS_MAX: usize = 32;
/// A body leaves in parts of at most so many bytes.
pub(crate) const PART_BYTES: usize = 16 * 1024;
/// Bodies up to this many bytes are bounded by their number alone.
pub const BODY_SMALL: usize = 16 * 1024;
/// Bytes of a request's body beside its prompt that count as settings, and as no input.
pub(crate) const SETTINGS_BYTES: usize = 512;
/// How deep the JSON of a request's body may go.
pub const JSON_DEPTH_MAX: usize = 64;
/// At most so many values has a body that is told in other words as a whole, such as a response as a chat.
pub const JSON_VALUES_MAX: usize = 262_144;
/// The most bytes of one server-sent event.
pub const EVENT_MAX: usize = 1024 * 1024;
/// The most bytes of an upstream's error that are read to find out what it says.
pub const ERROR_BODY_MAX: usize = 64 * 1024;
/// The most answer tokens that are asked of an Anthropic upstream, which wants to be told, when neither its endpoint nor the
/// request says a most.
pub const OUTPUT_MAX_UNSAID: u32 = 8_192;
/// The most attempts begun between two readings of the meter that take a share of held time by name.
pub const TALLIES_MAX: usize = 262_144;
/// The most attempts of which several gateways tell each other at one endpoint, or in all before it is told, what they used of held time.
pub const USED_MAX: usize = 65_536;
/// How long that is kept for who posts it. What is told later stays idle in the books.
pub const USED_KEPT: Duration = Duration::from_secs(30);
/// The longest that an upstream's `retry-after` keeps it out of the choice.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// How long an upstream is left alone after its first failures.
pub const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// How long at most.
pub const BACKOFF_MAX: Duration = Duration::from_secs(15);
/// Failures in a row after which an upstream counts as down; one that refuses connections is down at once.
pub const FAILURES_MAX: u32 = 3;
/// A client that leaves before any content, or a stream that is given up behind a good head, shows that its upstream hangs, if it had waited for
/// longer than this
pub const HUNG_MIN: Duration = Duration::from_secs(10);
/// and for more than so many times as long as the endpoint usually takes.
pub const HUNG_TIMES: u32 = 4;
/// From so many in a row on that were outrun without any content, each one shows that an upstream hangs.
pub const OUTRUNS_MAX: u32 = 8;
/// How long a connection to an upstream is kept without work: less than the 5 s after which uvicorn, and so vLLM, closes it,
/// as a request sent into a closing connection is lost.
pub const UPSTREAM_IDLE_MAX: Duration = Duration::from_secs(4);
/// How often held time is posted: whole multiples of it, so that no interval lies in two billing periods of minutes.
pub const METER_INTERVAL: Duration = Duration::from_secs(5);
/// Records of what has happened that wait for a journal that does not take them: as many as may be under way, and held time beside them.
pub const OWED_MAX: usize = 16_384;
/// Threads that serve unless told otherwise: at most so many, and no more than there are processors.
pub const SERVING_THREADS_MAX: usize = 16;
/// A write is kept for the end of its turn as long as all that a connection keeps is no more than this.
pub(crate) const CORKED_BYTES_MAX: usize = 4 << 10;
/// A turn ends when so many connections have something to send.
pub(crate) const CORKED_MAX: usize = 16;
/// How often a request that waits for room on an endpoint looks again by itself, as when units drain or an endpoint comes back.
pub const QUEUE_GLANCE: Duration = Duration::from_millis(100);
/// How long a request waits for this gateway's lease of a shared rate: until other gateways have heard that it does, which ask every 4 s while
/// they are quiet.
pub const RATE_WAIT_MAX: Duration = Duration::from_secs(6);
/// How often a decision is taken again because others spent the budget in the meantime.
pub const BUDGET_RACES_MAX: usize = 64;
/// Output tokens that are reckoned with for a request that states no most, until the model's answers are known.
pub const OUTPUT_UNKNOWN: u32 = 1_024;
/// Decisions that are kept for people to look at.
pub const RECENT_MAX: usize = 64;

/// Spans that wait for a collector; more are lost and counted.
pub const SPANS_MAX: usize = 4_096;
/// The most spans that go to a collector in one request.
pub const SPANS_AT_ONCE: usize = 256;
/// How long a collector may take for them.
pub const SPANS_TIMEOUT: Duration = Duration::from_secs(10);

/// Reports of usage and costs that are made or wait for their turn; more are refused.
pub const REPORTS_MAX: usize = 32;
/// Live audits of the books that run at once; more are refused.
pub const AUDITS_MAX: usize = 1;

/// The most bytes of one uploaded file.
pub const FILE_BYTES_MAX: u64 = 200 * 1_000_000;
/// The most bytes of all kept files together; past it no more are taken.
pub const FILES_BYTES_MAX: u64 = 10_000 * 1_000_000;
/// The most bytes of all kept files of one key: others have room beside it.
pub const FILES_KEY_BYTES_MAX: u64 = FILES_BYTES_MAX / 4;
/// How long files and batches stay after their key was revoked or has expired.
pub const KEPT_WITHOUT_KEY: Duration = Duration::from_secs(24 * 3_600);
/// How often it is looked for those.
pub const SWEPT_EVERY: Duration = Duration::from_secs(3_600);
/// How often the prices that are noted for batches are written down: what is noted since is forgotten by a restart.
pub const PRICES_WRITTEN_EVERY: Duration = Duration::from_secs(600);
/// The most files that one key may have, those that batches made included.
pub const FILES_MAX: usize = 10_000;
/// The most requests of one batch.
pub const BATCH_LINES_MAX: u32 = 50_000;
/// The most bytes of one of them, where a request by itself may have as many.
pub const BATCH_LINE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most characters of a line's `custom_id`.
pub const CUSTOM_ID_MAX: usize = 512;
/// The most batches of one key that are not over.
pub const BATCHES_MAX: usize = 100;
/// The most batches of one key that are kept: past it, the oldest that are over are forgotten.
pub const BATCHES_KEPT_MAX: usize = 1_000;
/// The most bytes, about, of the batches of one key that are kept: of the longest names and values, twice those of the most under way.
pub const BATCHES_KEY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// The most bytes, about, of the batches of all keys: past it, the oldest that are over are forgotten, of the key that has most.
pub const BATCHES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most batches of one page.
pub const BATCHES_LISTED_MAX: usize = 100;
/// The most bytes of the body that asks for a batch: several times what its metadata may come to.
pub const ORDER_BYTES_MAX: usize = 64 * 1024;
/// The most pairs of a batch's metadata.
pub const METADATA_MAX: usize = 16;
/// The most characters of the name in such a pair.
pub const METADATA_NAME_MAX: usize = 64;
/// The most characters of the value.
pub const METADATA_VALUE_MAX: usize = 512;
/// The most batches that are open at once, each with two files and where its lines stand: about a megabyte for the longest. A key that has none
/// may open one all the same, so that what others wait for keeps none of it closed.
pub const BATCHES_OPEN_MAX: usize = 512;
/// The most batches whose input is read, or whose output is written, at once.
pub const BATCH_STEPS_AT_ONCE: usize = 4;
/// The most bytes of an uploaded form that are no file's.
pub const FORM_BYTES_MAX: usize = 64 * 1024;
/// The least bytes that an upload has to bring in a second, beyond what any body may take.
pub const UPLOAD_BYTES_PER_SECOND_MIN: u64 = 16 * 1024;
/// The most lines of all batches that run at once: the largest batch then ends within its day where a line takes up to a minute and a half,
/// and an endpoint has as many slots.
pub const BATCH_LINES_AT_ONCE: usize = 64;
/// The most lines of one model that run at once whatever else its endpoints have to do, when a deadline presses.
pub const BATCH_LINES_PRESSED: u32 = 8;

/// The limits that a test or an operator may want to be other than usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Threads that serve connections, each its own.
    pub serving_threads: usize,
    /// Connections open at once, but for those at a listener for operation alone; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Connections open at once from one address.
    pub peer_connections_max: usize,
    /// Requests under way at once; more wait in line.
    pub in_flight_max: usize,
    /// Of these, with one key.
    pub key_in_flight_max: usize,
    /// Of these, from one address.
    pub peer_in_flight_max: usize,
    /// Requests that wait for a place, and again for room on the endpoints of one model; more are shed, `flex` first.
    pub queue_max: usize,
    /// How long a request of `priority` or `default` waits in line.
    pub queue_timeout: Duration,
    /// How long one of `flex` does.
    pub queue_timeout_flex: Duration,
    /// Bytes of a request's body.
    pub body_bytes_max: usize,
    /// Bytes of an upstream's answer that is not streamed.
    pub upstream_body_bytes_max: usize,
    /// Bytes of all bodies of both kinds in memory at once, but for small ones of at most 16 KiB.
    pub bodies_bytes_max: usize,
    /// For a client to send the head of a request.
    pub header_timeout: Duration,
    /// For a client to send the body of a request.
    pub body_timeout: Duration,
    /// For a client to take some of what is sent to it.
    pub write_timeout: Duration,
    /// To look up, connect to and shake hands with an upstream.
    pub connect_timeout: Duration,
    /// From the call to the head of a stream, and on to its first event from whatever comes before that, if only to stay connected.
    pub first_token_timeout: Duration,
    /// How long what an upstream says before content is kept, so that another can still answer: then its client hears it, as whoever stands
    /// between would take a connection without a word for dead.
    pub prelude_timeout: Duration,
    /// From one event of a stream to the next.
    pub between_tokens_timeout: Duration,
    /// From the call to the end of an answer that is not streamed, and to the first event of one that is.
    pub answer_timeout: Duration,
    /// For requests under way when the gateway is told to stop.
    pub drain_timeout: Duration,
    /// Whether other gateways take of the same budgets and units: each then takes only what it has been leased.
    pub shared: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            serving_threads: std::thread::available_parallelism().map_or(1, usize::from).min(SERVING_THREADS_MAX),
            connections_max: 16_384,
            peer_connections_max: 8_192,
            in_flight_max: 8_192,
            key_in_flight_max: 4_096,
            peer_in_flight_max: 4_096,
            queue_max: 2_048,
            queue_timeout: Duration::from_secs(10),
            queue_timeout_flex: Duration::from_secs(60),
            // As much as Anthropic takes: images and files come in base64.
            body_bytes_max: 32 * 1024 * 1024,
            // The longest list of inputs that OpenAI takes, as its largest vectors in base64, comes to 34 MB.
            upstream_body_bytes_max: 64 * 1024 * 1024,
            bodies_bytes_max: 1024 * 1024 * 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            first_token_timeout: Duration::from_secs(60),
            prelude_timeout: Duration::from_secs(10),
            between_tokens_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(600),
            drain_timeout: Duration::from_secs(10),
            shared: false,
        }
    }
}

impl Limits {
    /// Bytes of a line of a batch.
    #[must_use]
    pub fn line_bytes_max(&self) -> usize {
        self.body_bytes_max.min(BATCH_LINE_BYTES_MAX)
    }

    /// How long a request of this tier waits in line.
    #[must_use]
    pub const fn queue_timeout(&self, tier: ServiceTier) -> Duration {
        match tier {
            ServiceTier::Flex | ServiceTier::Batch => self.queue_timeout_flex,
            ServiceTier::Default | ServiceTier::Priority => self.queue_timeout,
        }
    }

    /// Requests that may be here at all: those under way, those in line, and as many again whose bodies are read, so that the line can be
    /// full and one of a higher tier still come.
    #[must_use]
    pub const fn present_max(&self) -> usize {
        self.in_flight_max.saturating_add(self.queue_max.saturating_mul(2))
    }
}
