//! What a scripted upstream is told to do, and what it heard.

use std::sync::Arc;
use std::time::Instant;

use fleet::EndpointId;
use market::Tokens;
use tokio::sync::Semaphore;

use crate::checkers::Call;

/// Holds an upstream up until a test lets it go on: pacing without sleeping.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Gate {
    /// Lets `steps` more steps pass.
    pub fn open(&self, steps: usize) {
        self.0.add_permits(steps);
    }

    pub(crate) async fn pass(&self) {
        // A gate is never closed, so waiting can't fail; a pass is used up.
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// `finish_reason`, usage when it was asked for, `[DONE]`.
    Whole,
    /// The same without `[DONE]`.
    NoDone,
    /// The connection breaks.
    Reset,
    /// The body ends as if all were well, but nothing finished.
    Silent,
    /// An error event.
    Error,
    /// Nothing more comes.
    Hang,
}

/// What the upstream does with one request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// An answer that comes whole, with this usage or none.
    Answer(Option<Tokens>),
    /// So many events of content, each once `gate` lets it pass.
    Stream {
        /// How many events.
        events: u32,
        /// Usage, sent only when the request asks for it.
        usage: Option<Tokens>,
        /// How it ends.
        ending: Ending,
        /// What it waits for before each event and before the end; `None` waits for nothing.
        gate: Option<Gate>,
    },
    /// A status with headers and a body, as given.
    Status {
        /// The status.
        status: u16,
        /// Header fields.
        head: Vec<(&'static str, String)>,
        /// The body.
        body: String,
    },
    /// Exactly these bytes as a successful event stream, cut into frames as given.
    Raw(Vec<Vec<u8>>),
    /// The head of a successful event stream, then exactly these bytes, each cut once the gate lets it pass.
    Slow(Vec<Vec<u8>>, Gate),
    /// No head until `gate` lets it pass; then an answer without usage.
    Hang(Gate),
    /// The same as this one, once the gate lets it pass.
    Late(Gate, Box<Reply>),
    /// The connection breaks without an answer.
    Drop,
    /// The connection breaks in the middle of an answer that should come whole.
    Half,
}

impl Reply {
    /// Whether it is a stream that ends as scripted.
    pub(crate) fn is_streamed(&self) -> bool {
        if let Self::Late(_, then) = self { then.is_streamed() } else { matches!(self, Self::Stream { .. } | Self::Raw(_)) }
    }

    /// A whole answer with usage.
    #[must_use]
    pub fn answer(input: u32, output: u32) -> Self {
        Self::Answer(Some(Tokens { input, cached: 0, output }))
    }

    /// A stream that ends well.
    #[must_use]
    pub fn stream(events: u32) -> Self {
        Self::Stream { events, usage: Some(Tokens { input: 7, cached: 0, output: events }), ending: Ending::Whole, gate: None }
    }

    /// A stream that ends like this.
    #[must_use]
    pub fn ending(events: u32, ending: Ending) -> Self {
        Self::Stream { events, usage: Some(Tokens { input: 7, cached: 0, output: events }), ending, gate: None }
    }

    /// This one, once `gate` lets it pass.
    #[must_use]
    pub fn late(gate: &Gate, reply: Self) -> Self {
        Self::Late(gate.clone(), Box::new(reply))
    }

    /// A status with an error in OpenAI's envelope.
    #[must_use]
    pub fn status(status: u16) -> Self {
        let body = r#"{"error":{"message":"scripted","type":"scripted_error","param":null,"code":"scripted"}}"#.to_owned();
        Self::Status { status, head: vec![("content-type", "application/json".to_owned())], body }
    }

    /// A status with a web page.
    #[must_use]
    pub fn page(status: u16) -> Self {
        let body = "<html><body>scripted page</body></html>".to_owned();
        Self::Status { status, head: vec![("content-type", "text/html".to_owned())], body }
    }

    /// Busy, with or without saying until when.
    #[must_use]
    pub fn busy(retry_after: Option<&str>) -> Self {
        let head = retry_after.map(|seconds| ("retry-after", seconds.to_owned())).into_iter().collect();
        Self::Status { status: 429, head, body: String::new() }
    }
}

/// A request that an upstream got.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Its path.
    pub path: String,
    /// Its header fields, in order.
    pub head: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
    /// When it came.
    pub at: Instant,
    /// Whether its answer is streamed, whatever it asked for.
    pub streamed: bool,
    /// Output tokens that were generated for it so far.
    pub generated: u32,
    /// What was said that it took, once it was.
    pub reported: Option<Tokens>,
}

impl Heard {
    /// The value of a header field.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The same as checkers want it, by a clock that began at `began`; `None` where it doesn't name its request.
    #[must_use]
    pub fn call(&self, endpoint: EndpointId, began: Instant) -> Option<Call> {
        let request = self.header("x-request-id")?.parse().ok()?;
        let (at, streamed) = (self.at.duration_since(began), self.streamed);
        Some(Call { request, endpoint, at, streamed, read: 0, generated: self.generated, reported: self.reported })
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }
}
