//! `/v1/responses`: passed through where the model's upstreams speak it, else told as a chat and its answer told back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dialect::responses::{Asked, Stream, error_event, to_chat};
use dispatch::RequestId;
use fleet::Capability;

use crate::body::{Answer, Streaming};
use crate::depth;
use crate::envelope::Refused;
use crate::memory::{self, Memory, Share};
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
    /// What it takes, and what the longest that is told of it may.
    share: Share,
    answer_bytes_max: usize,
}

/// Turns a response into a chat where the model's upstreams don't speak responses; leaves everything else as it is.
pub(crate) fn door<'a>(
    state: &State,
    snapshot: &Snapshot,
    room: &Arc<Memory>,
    id: RequestId,
    asking: Asking<'a>,
) -> Result<(Asking<'a>, Option<Told>), Refused> {
    if asking.call != Call::Responses {
        return Ok((asking, None));
    }
    let model = dialect::responses::model(&asking.body).map(|name| snapshot.model(&name));
    let passes = |model| snapshot.fleet.models[model].capabilities.contains(&Capability::Responses);
    // A model that isn't there has nobody to be told to either.
    if model.is_some_and(|model| model.is_none_or(passes)) {
        return Ok((asking, None));
    }
    // What passes is looked at as every other body is.
    depth::check(&asking.body)?;
    // Few of its values may take many times the room of its text.
    let share = Share::take(room, depth::tree(&asking.body)?).ok_or_else(Refused::overloaded)?;
    let (chat, asked) = to_chat(&asking.body)?;
    let body = memory::made(Bytes::from(chat), room).ok_or_else(Refused::overloaded)?;
    let created = state.clock.now().micros().div_euclid(1_000_000);
    let told = Told { asked, id, created, share, answer_bytes_max: state.limits.upstream_body_bytes_max };
    Ok((Asking { call: Call::Chat, body, ..asking }, Some(told)))
}

/// Tells a chat's answer as a response, or why it has none in the names of what its client wrote.
pub(crate) fn tell(told: Told, served: Result<Served, Refused>) -> Result<Served, Refused> {
    let Told { asked, id, created, mut share, answer_bytes_max } = told;
    let served = served.map_err(|refused| renamed(&asked, refused))?;
    let id = format!("{:032x}", id.0);
    let body = match served.body {
        Answer::Whole(whole) => {
            let bytes = depth::tree(whole.rest()).map_err(|_| Refused::untold())?;
            if !share.reach(bytes) {
                return Err(Refused { paid: true, ..Refused::overloaded() });
            }
            Answer::from(Bytes::from(asked.response(&id, created, whole.rest()).ok_or_else(Refused::untold)?))
        }
        Answer::Stream(inner) => Answer::Response(Box::new(ToldStream {
            inner: *inner,
            splitter: Splitter::default(),
            stream: asked.stream(&id, created),
            share,
            told: 0,
            bytes_max: answer_bytes_max,
            over: false,
        })),
        other @ (Answer::Messages(_) | Answer::Response(_) | Answer::Pieces { .. }) => other,
    };
    Ok(Served { body, ..served })
}

/// A refusal of the chat, as one of the response that it tells.
fn renamed(asked: &Asked, refused: Refused) -> Refused {
    let Some(param) = refused.param.as_deref() else { return refused };
    let place = asked.place(param);
    let message = refused.message.replace(&format!("'{param}'"), &format!("'{place}'"));
    Refused { param: Some(place.into()), message, ..refused }
}

/// How a stream of this call ends when its upstream was lost: with an error, never cleanly.
pub(crate) fn cut(call: Call, refused: &Refused) -> Bytes {
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
    /// All that was told is told again at the end.
    share: Share,
    told: usize,
    bytes_max: usize,
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
            self.told += came.len();
            let fits = self.told <= self.bytes_max;
            if !fits || !self.share.reach(self.told) {
                self.over = true;
                let refused = if fits { Refused::overloaded() } else { Refused::answer_too_large(self.bytes_max) };
                let code = refused.code.as_deref().unwrap_or_default();
                return Poll::Ready(Some(Bytes::from(error_event(code, &refused.message, None))));
            }
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
