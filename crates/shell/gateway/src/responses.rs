//! `/v1/responses`: passed through where the model's upstreams speak it, else told as a chat and its answer told back.

use std::collections::VecDeque;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dialect::responses::{Asked, Stream, error_event, to_chat};
use dispatch::RequestId;
use fleet::Capability;

use crate::body::{Answer, Streaming};
use crate::envelope::Refused;
use crate::peek::Call;
use crate::request::{Asking, Served};
use crate::snapshot::Snapshot;
use crate::sse::{self, Splitter, Verdict};
use crate::state::State;

/// What is needed to tell a chat's answer as a response.
pub(crate) struct Told {
    asked: Asked,
    id: RequestId,
    created: i64,
}

/// Turns a response into a chat where the model's upstreams don't speak responses; leaves everything else as it is.
pub(crate) fn door<'a>(
    state: &State,
    snapshot: &Snapshot,
    id: RequestId,
    asking: Asking<'a>,
) -> Result<(Asking<'a>, Option<Told>), Refused> {
    if asking.call != Call::Responses {
        return Ok((asking, None));
    }
    let model = dialect::responses::model(&asking.body).and_then(|name| snapshot.model(&name));
    if model.is_some_and(|model| snapshot.fleet.models[model].capabilities.contains(&Capability::Responses)) {
        return Ok((asking, None));
    }
    let asked = to_chat(&asking.body)?;
    let body = Bytes::from(asked.chat());
    let created = state.clock.now().micros().div_euclid(1_000_000);
    Ok((Asking { call: Call::Chat, body, ..asking }, Some(Told { asked, id, created })))
}

/// Tells a chat's answer as a response.
pub(crate) fn tell(told: Told, served: Served) -> Result<Served, Refused> {
    let Told { asked, id, created } = told;
    let id = format!("{:032x}", id.0);
    let body = match served.body {
        Answer::Whole(whole) => Answer::from(Bytes::from(asked.response(&id, created, whole.rest()).ok_or_else(Refused::untold)?)),
        Answer::Stream(inner) => Answer::Response(Box::new(ToldStream {
            inner: *inner,
            splitter: Splitter::default(),
            stream: asked.stream(&id, created),
            over: false,
        })),
        other @ (Answer::Messages(_) | Answer::Response(_) | Answer::Pieces { .. }) => other,
    };
    Ok(Served { body, ..served })
}

/// How a stream of this call ends when its upstream was lost: with an error, never cleanly.
pub(crate) fn cut(call: Call) -> Bytes {
    let refused = Refused::cut();
    match call {
        Call::Responses => Bytes::from(error_event(refused.code.as_deref().unwrap_or_default(), &refused.message, None)),
        Call::Chat | Call::Messages | Call::Completions | Call::Embeddings => refused.event(),
    }
}

/// A stream of a chat on its way out as the typed events of a response.
pub(crate) struct ToldStream {
    inner: Streaming,
    splitter: Splitter,
    stream: Stream,
    over: bool,
}

impl ToldStream {
    /// The next events; `None` once it is over.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        while !self.over {
            let Some(came) = ready!(self.inner.poll_next(cx)) else {
                self.over = true;
                return Poll::Ready(Some(Bytes::from(self.stream.end())).filter(|last| !last.is_empty()));
            };
            let (mut out, mut forwarded, stream) = (Vec::new(), VecDeque::new(), &mut self.stream);
            let mut each = |event: &[u8]| {
                if let Some(chunk) = sse::data(event) {
                    out.extend(stream.chunk(&chunk));
                }
                Verdict::Strip
            };
            // The relay let no event pass that is too long.
            _ = self.splitter.feed(came, &mut forwarded, &mut each);
            if !out.is_empty() {
                return Poll::Ready(Some(Bytes::from(out)));
            }
        }
        Poll::Ready(None)
    }

    pub fn is_over(&self) -> bool {
        self.over
    }
}
