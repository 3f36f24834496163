//! The body of an answer: whole, or a stream that settles its request when it ends.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::envelope::Refused;
use crate::flight::Flight;
use crate::messages::Told;
use crate::relay::{Ending, Next, Relay};

/// The body of an answer.
pub(crate) enum Answer {
    Whole(Option<Bytes>),
    Stream(Box<Streaming>),
    /// A stream to a client of Anthropic's dialect.
    Told(Box<Told>),
}

impl From<Bytes> for Answer {
    fn from(body: Bytes) -> Self {
        Self::Whole(Some(body))
    }
}

/// A stream with the request it belongs to: dropped early, as when its client hangs up, it settles and cancels.
pub(crate) struct Streaming {
    relay: Relay,
    flight: Flight,
    over: bool,
}

impl Streaming {
    pub fn new(relay: Relay, flight: Flight) -> Self {
        Self { relay, flight, over: false }
    }

    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.over {
            return Poll::Ready(None);
        }
        let next = ready!(self.relay.poll_next(cx));
        let progress = self.relay.progress();
        self.flight.progress(progress.counted, progress.reported);
        match next {
            Next::Events(events) => {
                // Many clients leave at `[DONE]`: settled before it is sent, the answer counts as whole.
                if progress.is_done() {
                    self.flight.ended();
                }
                Poll::Ready(Some(events))
            }
            Next::End(ending) => {
                self.over = true;
                Poll::Ready(self.close(ending))
            }
        }
    }

    fn close(&mut self, ending: Ending) -> Option<Bytes> {
        match ending {
            Ending::Whole { done_sent } => {
                self.flight.ended();
                (!done_sent).then(|| Bytes::from_static(b"data: [DONE]\n\n"))
            }
            Ending::Failed(fault) => {
                self.flight.failed(fault);
                Some(Refused::cut().event())
            }
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match self.get_mut() {
            Self::Whole(body) => body.take(),
            Self::Stream(stream) => ready!(stream.poll_next(cx)),
            Self::Told(told) => ready!(told.poll_next(cx)),
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.as_ref().is_none_or(Bytes::is_empty),
            Self::Stream(stream) => stream.over,
            Self::Told(told) => told.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Self::Stream(_) | Self::Told(_) => SizeHint::default(),
        }
    }
}
