//! The body of an answer: whole, or a stream that settles its request when it ends.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dispatch::Fault;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use units::Instant;

use crate::cut;
use crate::flight::Flight;
use crate::messages::Told;
use crate::parted::Parted;
use crate::peek::Call;
use crate::relay::{Ending, Next, Relay};
use crate::responses::{self, ToldStream};

/// The body of an answer.
pub(crate) enum Answer {
    Whole(Parted),
    Stream(Box<Streaming>),
    /// A stream to a client of Anthropic's dialect.
    Messages(Box<Told>),
    /// A stream of a chat to a client that asked for a response.
    Response(Box<ToldStream>),
    /// A kept file, piece by piece: `left` bytes in all.
    Pieces {
        pieces: mpsc::Receiver<Bytes>,
        left: u64,
    },
}

impl From<Bytes> for Answer {
    fn from(body: Bytes) -> Self {
        Self::Whole(body.into())
    }
}

/// A stream with the request it belongs to: dropped early, as when its client hangs up, it settles and cancels.
pub(crate) struct Streaming {
    relay: Relay,
    flight: Box<Flight>,
    call: Call,
    /// Whether its flight knows that there is content.
    begun: bool,
    over: bool,
}

impl Streaming {
    pub fn new(relay: Relay, flight: Box<Flight>, call: Call) -> Self {
        let begun = relay.progress().has_begun();
        Self { relay, flight, call, begun, over: false }
    }

    /// The next events; `None` once it is over.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.over {
            return Poll::Ready(None);
        }
        let next = ready!(self.relay.poll_next(cx));
        let (progress, now) = (self.relay.progress(), self.flight.state.clock.now());
        if progress.has_begun() && !std::mem::replace(&mut self.begun, progress.has_begun()) {
            self.flight.content(now);
        }
        self.flight.progress(now, progress.counted, progress.reported);
        match next {
            Next::Events(events) => {
                // Many clients leave at `[DONE]`: settled before it is sent, the answer counts as whole.
                if progress.is_done() {
                    self.flight.ended(now);
                }
                Poll::Ready(Some(events))
            }
            Next::End(ending) => {
                self.over = true;
                Poll::Ready(self.close(now, ending))
            }
        }
    }

    fn close(&mut self, now: Instant, ending: Ending) -> Option<Bytes> {
        match ending {
            Ending::Whole { done_sent } => {
                self.flight.ended(now);
                (!done_sent).then(|| Bytes::from_static(b"data: [DONE]\n\n"))
            }
            Ending::Told => {
                self.flight.failed(Fault::Fruitless { used: None, is_late: false });
                None
            }
            Ending::Failed(fault) => {
                let upstream = self.flight.chosen.and_then(|chosen| self.flight.snapshot.upstream(chosen.endpoint));
                let refused = cut::refused(&self.relay, upstream.map(|upstream| &**upstream));
                self.flight.failed(fault);
                Some(responses::cut(self.call, &refused))
            }
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match self.get_mut() {
            Self::Whole(body) => body.next(),
            Self::Stream(stream) => ready!(stream.poll_next(cx)),
            Self::Messages(told) => ready!(told.poll_next(cx)),
            Self::Response(told) => ready!(told.poll_next(cx)),
            Self::Pieces { pieces, left } => {
                let piece = ready!(pieces.poll_recv(cx));
                *left = left.saturating_sub(piece.as_ref().map_or(0, |piece| piece.len() as u64));
                piece
            }
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.left() == 0,
            Self::Stream(stream) => stream.over,
            Self::Messages(told) => told.is_over(),
            Self::Response(told) => told.is_over(),
            Self::Pieces { left, .. } => *left == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => SizeHint::with_exact(body.left() as u64),
            Self::Pieces { left, .. } => SizeHint::with_exact(*left),
            Self::Stream(_) | Self::Messages(_) | Self::Response(_) => SizeHint::default(),
        }
    }
}
