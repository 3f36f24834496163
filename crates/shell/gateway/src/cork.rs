//! Small writes to sockets leave together, at the end of a turn of their thread's event loop, and the journal's records of that turn
//! right before them.
//!
//! To wake a process that sleeps costs the kernel more than a small write does. Who was woken by the first of several writes is still
//! awake for the others. And one write of many records costs little more than that of one.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::journal::Journal;
use crate::limits::{CORKED_BYTES_MAX, CORKED_MAX};

/// Where a connection leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leads {
    /// To a client. What it is told has happened.
    Back,
    /// To an upstream. What it is asked has effects, that the journal has to know of before.
    On,
}

/// A connection whose small writes leave at the end of a turn; at once on a thread that has no turns. Nothing leaves before the records that
/// its thread has staged are written.
pub(crate) struct Corked {
    read: OwnedReadHalf,
    out: Arc<Out>,
}

/// What is to leave over one connection.
struct Out(Mutex<Pending>);

struct Pending {
    leads: Leads,
    /// Until it is dropped.
    write: Option<OwnedWriteHalf>,
    bytes: Vec<u8>,
    /// How many of them have left.
    left: usize,
    /// The turn's end sends them.
    listed: bool,
    /// Why what was taken could not leave.
    failed: Option<io::Error>,
    /// The task that writes, to be told when it is to see to the rest itself.
    task: Option<Waker>,
}

/// What is to leave when this thread's turn ends.
struct Turn {
    journal: Arc<dyn Journal>,
    /// It has records of this turn to be written.
    staged: bool,
    listed: VecDeque<Arc<Out>>,
    /// Room that others used before.
    spare: Vec<Vec<u8>>,
    /// Ends it.
    end: Option<Waker>,
}

thread_local! {
    static TURN: RefCell<Option<Turn>> = const { RefCell::new(None) };
}

/// Gives this thread turns, each ended by the task that polls this, behind all that were to be polled before.
pub(crate) async fn turns(journal: Arc<dyn Journal>) {
    let begin = || Turn { journal, staged: false, listed: VecDeque::new(), spare: Vec::new(), end: None };
    TURN.with_borrow_mut(|turn| _ = turn.get_or_insert_with(begin));
    std::future::poll_fn::<(), _>(|cx| {
        TURN.with_borrow_mut(|turn| turn.iter_mut().for_each(|turn| turn.end = Some(cx.waker().clone())));
        uncork();
        Poll::Pending
    })
    .await;
}

/// Whether this thread's turns end with a write to the journal, so that a record can be staged now; the present one will.
pub(crate) fn writes() -> bool {
    TURN.with_borrow_mut(|turn| {
        let Some(turn) = turn else { return false };
        turn.staged = true;
        turn.wake();
        true
    })
}

/// Writes what this thread has staged.
fn write() -> io::Result<()> {
    let Some(journal) = TURN.with_borrow(|turn| turn.as_ref().filter(|turn| turn.staged).map(|turn| Arc::clone(&turn.journal))) else {
        return Ok(());
    };
    journal.write().map_err(io::Error::other)?;
    TURN.with_borrow_mut(|turn| turn.iter_mut().for_each(|turn| turn.staged = false));
    Ok(())
}

/// Ends this thread's last turn.
pub(crate) fn end() {
    uncork();
    drop(TURN.take());
}

/// Writes what has been staged, and sends what has been listed.
fn uncork() {
    let written = write();
    while let Some(out) = TURN.with_borrow_mut(|turn| turn.as_mut()?.listed.pop_front()) {
        let (spare, task) = out.pending().end(&written);
        TURN.with_borrow_mut(|turn| {
            if let Some(turn) = turn
                && turn.spare.len() < CORKED_MAX
            {
                turn.spare.extend(spare);
            }
        });
        // Outside of every lock.
        task.as_ref().inspect(|task| task.wake_by_ref());
    }
}

impl Leads {
    /// Whether something may leave that way, after what was staged was written or not.
    fn check(self, written: io::Result<()>) -> io::Result<()> {
        match self {
            // What has happened is kept until the journal takes it.
            Self::Back => Ok(()),
            Self::On => written,
        }
    }
}

impl Turn {
    /// Has the turn ended when all that are to be polled before have been.
    fn wake(&self) {
        self.end.as_ref().inspect(|end| end.wake_by_ref());
    }
}

impl Corked {
    pub fn new(stream: TcpStream, leads: Leads) -> Self {
        let (read, write) = stream.into_split();
        let pending = Pending { leads, write: Some(write), bytes: Vec::new(), left: 0, listed: false, failed: None, task: None };
        Self { read, out: Arc::new(Out(Mutex::new(pending))) }
    }

    /// Whether the kernel sends small pieces at once.
    #[cfg(test)]
    pub fn nodelay(&self) -> bool {
        self.read.as_ref().nodelay().is_ok_and(|nodelay| nodelay)
    }

    /// Lists what is written for the turn's end; `false` on a thread without turns.
    fn list(&self, pending: &mut Pending, bytes: &[u8]) -> bool {
        TURN.with_borrow_mut(|turn| {
            let Some(turn) = turn else { return false };
            if !pending.listed {
                pending.listed = true;
                pending.bytes = turn.spare.pop().unwrap_or_default();
                turn.listed.push_back(Arc::clone(&self.out));
                if turn.listed.len() == 1 {
                    turn.wake();
                }
            }
            pending.bytes.extend_from_slice(bytes);
            true
        })
    }
}

impl Out {
    /// Nothing that can panic runs while it is held, so a poisoned one is still good.
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        // To close it says all that there is to say.
        if let Some(write) = self.pending().write.take() {
            write.forget();
        }
    }
}

impl Pending {
    /// As [`Self::leave`], if what it is about could be written.
    fn end(&mut self, written: &io::Result<()>) -> (Option<Vec<u8>>, Option<Waker>) {
        match self.leads.check(written.as_ref().copied().map_err(|error| io::Error::other(error.to_string()))) {
            Ok(()) => self.leave(),
            Err(error) => {
                (self.listed, self.failed) = (false, Some(error));
                (Some(self.emptied()), self.task.clone())
            }
        }
    }

    /// Sends what the kernel takes at once. What comes back is room that is not needed any more, and whom to tell that there is a rest.
    fn leave(&mut self) -> (Option<Vec<u8>>, Option<Waker>) {
        self.listed = false;
        while let Some(write) = &self.write
            && self.left < self.bytes.len()
        {
            match write.try_write(&self.bytes[self.left..]) {
                Ok(count) => self.left += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return (None, self.task.clone()),
                Err(error) => {
                    self.failed = Some(error);
                    self.left = self.bytes.len();
                    return (Some(self.emptied()), self.task.clone());
                }
            }
        }
        (Some(self.emptied()), None)
    }

    /// Sends all, as the kernel takes it.
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        while self.left < self.bytes.len() {
            let Some(write) = &mut self.write else { break };
            match ready!(Pin::new(write).poll_write(cx, &self.bytes[self.left..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.left += count,
            }
        }
        self.emptied();
        Poll::Ready(Ok(()))
    }

    /// Its room, with nothing in it.
    fn emptied(&mut self) -> Vec<u8> {
        self.left = 0;
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        bytes
    }
}

impl AsyncRead for Corked {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Corked {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut pending = self.out.pending();
        let waits = pending.bytes.len() - pending.left;
        let goes_at_once = pending.failed.is_some() || waits > 0 && !pending.listed || waits + bytes.len() > CORKED_BYTES_MAX;
        if goes_at_once || !self.list(&mut pending, bytes) {
            pending.leads.check(write())?;
            ready!(pending.poll_leave(cx))?;
            let Some(write) = &mut pending.write else { return Poll::Ready(Ok(0)) };
            return Pin::new(write).poll_write(cx, bytes);
        }
        match &mut pending.task {
            Some(task) => task.clone_from(cx.waker()),
            task => *task = Some(cx.waker().clone()),
        }
        drop(pending);
        if TURN.with_borrow(|turn| turn.as_ref().is_some_and(|turn| turn.listed.len() >= CORKED_MAX)) {
            uncork();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pending = self.out.pending();
        if pending.listed && pending.failed.is_none() { Poll::Ready(Ok(())) } else { pending.poll_leave(cx) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pending = self.out.pending();
        pending.leads.check(write())?;
        ready!(pending.poll_leave(cx))?;
        match &mut pending.write {
            Some(write) => Pin::new(write).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::task::{JoinHandle, yield_now};

    use dispatch::Record;
    use ledger::LedgerError;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    /// A journal that counts, and fails when it is told to.
    #[derive(Default)]
    struct Counting {
        fails: AtomicBool,
        written: AtomicUsize,
    }

    impl Journal for Counting {
        fn append(&self, _record: &Record) -> Result<(), LedgerError> {
            unreachable!("nothing is appended here")
        }

        fn write(&self) -> Result<(), LedgerError> {
            if self.fails.load(Ordering::Relaxed) {
                return Err(LedgerError::Full);
            }
            self.written.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
    }

    /// Both ends of a connection.
    async fn connected() -> (Corked, TcpStream) {
        leading(Leads::Back).await
    }

    async fn leading(leads: Leads) -> (Corked, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("this machine has a free port");
        let address = listener.local_addr().expect("it is bound");
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (Corked::new(near.expect("it listens"), leads), far.expect("a caller").0)
    }

    /// Turns for the thread of this test.
    async fn turning() -> JoinHandle<()> {
        turning_with(Arc::default()).await
    }

    async fn turning_with(journal: Arc<Counting>) -> JoinHandle<()> {
        let turns = tokio::spawn(turns(journal));
        yield_now().await;
        turns
    }

    /// Everything until the end.
    fn all(mut far: TcpStream) -> JoinHandle<Vec<u8>> {
        tokio::spawn(async move {
            let mut bytes = Vec::new();
            // A reset ends it too.
            _ = far.read_to_end(&mut bytes).await;
            bytes
        })
    }

    /// How many connections have something to send at the turn's end.
    fn listed() -> usize {
        TURN.with_borrow(|turn| turn.as_ref().map_or(0, |turn| turn.listed.len()))
    }

    #[tokio::test]
    async fn what_is_written_in_a_turn_leaves_in_one_piece_at_its_end() {
        let (_turns, (mut near, mut far)) = (turning().await, connected().await);
        near.write_all(b"one ").await.expect("taken");
        near.write_all(b"two").await.expect("taken");
        near.flush().await.expect("taken");
        assert_eq!(listed(), 1);
        let mut bytes = [0; 64];
        assert_eq!(far.try_read(&mut bytes).map_err(|error| error.kind()), Err(io::ErrorKind::WouldBlock), "nothing has left");
        let count = far.read(&mut bytes).await.expect("it leaves");
        assert_eq!((&bytes[..count], listed()), (&b"one two"[..], 0));
    }

    #[tokio::test]
    async fn a_turn_that_many_write_in_ends_early() {
        let _turns = turning().await;
        let mut open = Vec::new();
        for _ in 0..CORKED_MAX {
            open.push(connected().await);
        }
        for (number, (near, _)) in open.iter_mut().enumerate() {
            assert_eq!(listed(), number);
            near.write_all(b"x").await.expect("taken");
        }
        assert_eq!(listed(), 0);
    }

    /// Pieces of these sizes all arrive, in their order, however slowly they are read.
    async fn check(sizes: &[usize], with_turns: bool) {
        let turns = if with_turns { Some(turning().await) } else { None };
        let (mut near, far) = connected().await;
        let mut sent = Vec::new();
        let mut pieces = Vec::new();
        for (number, size) in sizes.iter().enumerate() {
            pieces.push((0..*size).map(|at| u8::try_from((number * 7 + at) % 251).expect("a byte")).collect::<Vec<u8>>());
        }
        let writes = async {
            for piece in &pieces {
                near.write_all(piece).await.expect("taken");
                near.flush().await.expect("on its way");
                sent.extend_from_slice(piece);
            }
            near.shutdown().await.expect("closed");
        };
        let read = all(far);
        writes.await;
        assert!(read.await.expect("it is read") == sent, "{sizes:?} with turns: {with_turns}");
        if let Some(turns) = turns {
            turns.abort();
            end();
        }
    }

    #[tokio::test]
    async fn all_arrives_in_its_order() {
        for with_turns in [true, false] {
            check(&[1, 2, 3], with_turns).await;
            check(&[CORKED_BYTES_MAX, 1, CORKED_BYTES_MAX + 1, 5, 0, 9], with_turns).await;
            // More than the kernel takes at once: the rest waits, and small pieces wait behind it.
            check(&[8 << 20, 100, 4 << 20, 1, 1, 1], with_turns).await;
            check(&[CORKED_BYTES_MAX / 2; 4_000], with_turns).await;
        }
    }

    #[tokio::test]
    async fn what_the_kernel_did_not_take_goes_on_when_it_does() {
        let (_turns, (mut near, mut far)) = (turning().await, connected().await);
        // Until it takes no more: nobody reads.
        let piece = vec![1; CORKED_BYTES_MAX];
        let mut sent = 0;
        let mut idle = 0;
        while idle < 3 {
            let wrote = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut near).poll_write(cx, &piece))).await;
            match wrote {
                Poll::Ready(count) => (sent, idle) = (sent + count.expect("it is open"), 0),
                Poll::Pending => idle += 1,
            }
            yield_now().await;
        }
        let reads = tokio::spawn(async move {
            let mut count = 0;
            let mut room = vec![0; 1 << 16];
            while let Ok(more @ 1..) = far.read(&mut room).await {
                count += more;
            }
            count
        });
        near.flush().await.expect("it is read");
        drop(near);
        assert_eq!(reads.await.expect("it ends"), sent);
    }

    #[tokio::test]
    async fn what_was_written_leaves_though_its_connection_is_let_go_of() {
        let (_turns, (mut near, far)) = (turning().await, connected().await);
        near.write_all(b"last words").await.expect("taken");
        drop(near);
        assert_eq!(all(far).await.expect("it is read"), b"last words");
    }

    #[tokio::test]
    async fn whoever_writes_hears_that_nobody_listens() {
        let (_turns, (mut near, far)) = (turning().await, connected().await);
        far.set_zero_linger().expect("an open socket");
        drop(far);
        let heard = async {
            loop {
                if let Err(error) = near.write_all(b"is anybody there").await {
                    return error.kind();
                }
                yield_now().await;
            }
        };
        assert!(matches!(heard.await, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset));
    }

    #[tokio::test]
    async fn a_thread_without_turns_sends_at_once() {
        let (mut near, mut far) = connected().await;
        near.write_all(b"now").await.expect("sent");
        assert_eq!(listed(), 0);
        let mut bytes = [0; 8];
        assert_eq!(far.read(&mut bytes).await.expect("it is there"), 3);
    }

    /// A piece of that size, small or not, leaves after what was staged before it was written, once a turn.
    async fn check_written_first(leads: Leads, size: usize) {
        let journal = Arc::<Counting>::default();
        let _turns = turning_with(Arc::clone(&journal)).await;
        let (mut near, mut far) = leading(leads).await;
        let mut room = vec![0; size];
        for turn in 1..4 {
            assert!(writes() && writes(), "this thread's turns end with a write");
            assert_eq!(journal.written.load(Ordering::Relaxed), turn - 1, "{leads:?} {size}");
            near.write_all(&room).await.expect("taken");
            far.read_exact(&mut room).await.expect("it leaves");
            assert_eq!(journal.written.load(Ordering::Relaxed), turn, "{leads:?} {size}");
        }
        end();
    }

    #[tokio::test]
    async fn what_was_staged_is_written_before_anything_leaves() {
        for leads in [Leads::Back, Leads::On] {
            check_written_first(leads, 10).await;
            check_written_first(leads, CORKED_BYTES_MAX + 1).await;
        }
    }

    /// While the journal can't be written, a piece of that size reaches nobody if it asks something of an upstream.
    async fn check_unwritten(leads: Leads, size: usize) {
        let journal = Arc::<Counting>::default();
        let _turns = turning_with(Arc::clone(&journal)).await;
        let (mut near, far) = leading(leads).await;
        journal.fails.store(true, Ordering::Relaxed);
        assert!(writes());
        let piece = vec![7; size];
        let taken = near.write_all(&piece).await;
        yield_now().await;
        // The turn after it has staged nothing, and its thread's journal is as it was.
        let next = near.write_all(b"more").await;
        yield_now().await;
        journal.fails.store(false, Ordering::Relaxed);
        drop(near);
        let told = all(far).await.expect("it is read");
        match leads {
            Leads::On => assert!(told.is_empty() && (taken.is_err() || next.is_err()), "{size}"),
            Leads::Back => assert!(told.len() == size + 4 && taken.is_ok() && next.is_ok(), "{size}"),
        }
        end();
        assert_eq!(journal.written.load(Ordering::Relaxed), 1, "it is written when it can be");
    }

    #[tokio::test]
    async fn what_could_not_be_written_asks_nothing_of_anybody() {
        for leads in [Leads::Back, Leads::On] {
            check_unwritten(leads, 10).await;
            check_unwritten(leads, CORKED_BYTES_MAX + 1).await;
        }
    }

    #[tokio::test]
    async fn a_thread_without_turns_stages_nothing() {
        assert!(!writes());
    }
}
