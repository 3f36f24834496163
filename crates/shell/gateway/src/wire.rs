//! One connection to an upstream. It has no task of its own: its bytes move while the request that has it is polled, so that an answer wakes
//! one task and not two.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper::{Request, Response};
use tokio::time::Instant;

use crate::parted::Parted;
use crate::wires::Lanes;

/// What goes to an upstream.
type Asked = Request<Parted>;

/// A connection to an upstream.
pub(crate) struct Wire {
    send: SendRequest<Parted>,
    /// Moves the bytes until the connection has ended, however it did. Then it is dropped, which tells whoever still waits for an answer.
    moves: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
    pager: Arc<Pager>,
    waker: Waker,
    /// When it was last asked, or had answered.
    pub used: Instant,
}

impl Wire {
    /// A connection ready to be asked.
    pub async fn new(stream: impl Read + Write + Unpin + Send + 'static) -> hyper::Result<Self> {
        let (send, connection) = http1::Builder::new().writev(false).max_buf_size(BUFFER_BYTES).handshake(stream).await?;
        let pager = Arc::<Pager>::default();
        let waker = Waker::from(Arc::clone(&pager));
        Ok(Self { send, moves: Some(Box::pin(connection)), pager, waker, used: Instant::now() })
    }

    /// Asks; what comes back is the head, with the body still on its way.
    pub async fn ask(&mut self, request: Asked) -> Result<Response<Incoming>, TrySendError<Asked>> {
        self.used = Instant::now();
        let mut answer = std::pin::pin!(self.send.try_send_request(request));
        std::future::poll_fn(|cx| self.drive(cx, |cx| answer.as_mut().poll(cx))).await
    }

    /// Moves bytes, and polls what waits for them.
    fn drive<T>(&mut self, cx: &Context<'_>, mut waits: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        self.pager.page(Some(cx.waker()));
        let mut own = Context::from_waker(&self.waker);
        // Either may have news for the other once. What goes on longer gives way to others first.
        for _ in 0..TURNS_MAX {
            self.pager.hold();
            if self.moves.as_mut().is_some_and(|moves| moves.as_mut().poll(&mut own).is_ready()) {
                self.moves = None;
            }
            let polled = waits(&mut own);
            if !self.pager.release() || polled.is_ready() {
                return polled;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sees whether it can be asked again: nothing of an answer is on its way, and its upstream has not closed it.
    pub fn is_free(&mut self) -> bool {
        self.pager.page(None);
        let mut own = Context::from_waker(&self.waker);
        let goes_on = self.moves.as_mut().is_some_and(|moves| moves.as_mut().poll(&mut own).is_pending());
        goes_on && self.send.is_ready()
    }
}

const TURNS_MAX: usize = 3;
/// As much of a request, and of the head of an answer, is kept at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// Wakes the task that has a connection. What happens while that task is polling it is no reason to wake it, only to poll again.
#[derive(Default)]
struct Pager {
    state: AtomicU8,
    task: Mutex<Option<Waker>>,
}

/// Nobody polls the connection.
const RESTING: u8 = 0;
/// It is being polled.
const HELD: u8 = 1;
/// There was news while it was being polled.
const NEWS: u8 = 2;

impl Pager {
    /// From now on that task is woken, or none.
    fn page(&self, task: Option<&Waker>) {
        let mut known = self.task();
        match (known.as_mut(), task) {
            (Some(known), Some(task)) => known.clone_from(task),
            _ => *known = task.cloned(),
        }
    }

    fn hold(&self) {
        self.state.store(HELD, Ordering::Release);
    }

    /// Whether there was news since it was held.
    fn release(&self) -> bool {
        self.state.swap(RESTING, Ordering::AcqRel) == NEWS
    }

    /// Nothing that can panic runs while it is held, so a poisoned one is still good.
    fn task(&self) -> MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Pager {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let told = self.state.compare_exchange(HELD, NEWS, Ordering::AcqRel, Ordering::Acquire);
        if told == Err(RESTING)
            && let Some(task) = self.task().as_ref()
        {
            task.wake_by_ref();
        }
    }
}

/// The body of an answer on its way, with its connection, which is kept for others once all of it has been read.
pub(crate) struct Coming {
    /// Until it is dropped.
    body: Option<Incoming>,
    /// Until all has been read.
    wire: Option<Wire>,
    lanes: Arc<Lanes>,
    place: Arc<str>,
}

impl Coming {
    /// What comes over a connection to that place.
    pub fn new(body: Incoming, wire: Wire, lanes: &Arc<Lanes>, place: &Arc<str>) -> Self {
        Self { body: Some(body), wire: Some(wire), lanes: Arc::clone(lanes), place: Arc::clone(place) }
    }

    /// Keeps the connection, where it can be.
    fn rest(&mut self) {
        if let Some(mut wire) = self.wire.take()
            && wire.is_free()
        {
            wire.used = Instant::now();
            self.lanes.keep(&self.place, wire);
        }
    }
}

impl Body for Coming {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let (Some(body), Some(wire)) = (&mut this.body, &mut this.wire) else { return Poll::Ready(None) };
        let polled = wire.drive(cx, |cx| Pin::new(&mut *body).poll_frame(cx));
        if matches!(polled, Poll::Ready(None)) || body.is_end_stream() {
            this.rest();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        // Nobody reads on: where that was the end all the same, the connection is kept, else it is closed at once.
        drop(self.body.take());
        self.rest();
    }
}
