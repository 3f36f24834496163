//! Looks at the bytes of a connection before the parser does, and refuses what parsers read in two ways.
//!
//! The parser alone says what a request is. This only notes heads that another parser, such as a proxy's in front, may
//! have read otherwise, and keeps bytes that came right behind a body from being taken for a request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arrayvec::ArrayVec;
use hyper::body::Body;
use memchr::memchr;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// What the guard of a connection and the requests on it tell each other.
#[derive(Default)]
pub(crate) struct Watch {
    /// The head that was read last can be read in two ways.
    flawed: AtomicBool,
    /// Something came right behind the body: what it is can't be known for sure.
    crowded: AtomicBool,
    /// Bytes that came after the head.
    came: AtomicU64,
    /// Bytes of the body, once the parser has said so.
    body: AtomicU64,
}

/// No length is known: yet, or as the body is chunked and its connection will be closed.
const UNSAID: u64 = u64::MAX;

impl Watch {
    /// Takes note of a request as soon as the parser has read its head; false when it must not be served.
    pub fn begin(&self, body: &impl Body) -> bool {
        let length = body.size_hint().exact().unwrap_or(UNSAID);
        self.body.store(length, Ordering::Relaxed);
        if self.came.load(Ordering::Relaxed) > length {
            self.crowded.store(true, Ordering::Relaxed);
        }
        !self.flawed.load(Ordering::Relaxed)
    }

    /// Whether nothing more may be read from the connection.
    pub fn is_spoilt(&self) -> bool {
        self.flawed.load(Ordering::Relaxed) || self.crowded.load(Ordering::Relaxed)
    }
}

/// A connection that is looked at.
pub(crate) struct Guarded<S> {
    stream: S,
    watch: Arc<Watch>,
    /// The head that is being read; `None` behind its end.
    head: Option<Head>,
    /// What comes is dropped unread.
    is_deaf: bool,
    /// For the client to take some of what is sent.
    patience: Duration,
    /// When that is over, while it takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Guarded<S> {
    /// A connection whose client takes some of what is sent to it within `patience`, or loses it.
    pub fn new(stream: S, patience: Duration) -> (Self, Arc<Watch>) {
        let watch = Arc::new(Watch { body: AtomicU64::new(UNSAID), ..Watch::default() });
        (Self { stream, watch: Arc::clone(&watch), head: Some(Head::default()), is_deaf: false, patience, stalled: None }, watch)
    }

    /// What became of something to be sent, unless it has taken too long.
    fn patient<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Looks at what came, and says how much of it the parser may see.
    fn look(&mut self, bytes: &[u8]) -> usize {
        let (came, body) = (self.watch.came.load(Ordering::Relaxed), self.watch.body.load(Ordering::Relaxed));
        if self.head.is_none() && came == body {
            self.head = Some(Head::default());
            self.watch.came.store(0, Ordering::Relaxed);
            self.watch.body.store(UNSAID, Ordering::Relaxed);
        }
        let Some(head) = &mut self.head else { return self.look_behind(bytes.len(), came, body) };
        let was_blank = head.is_blank();
        let end = head.take(bytes);
        if head.is_flawed {
            self.watch.flawed.store(true, Ordering::Relaxed);
        }
        // The parser skips empty lines before a head, and does not look for a hang-up while it keeps some.
        let Some(end) = end else { return if was_blank && head.is_blank() { 0 } else { bytes.len() } };
        let stated = head.body_stated();
        self.head = None;
        let behind = self.look_behind(bytes.len() - end, 0, stated);
        end + behind
    }

    fn look_behind(&mut self, length: usize, came: u64, body: u64) -> usize {
        let now = came.saturating_add(length as u64);
        self.watch.came.store(now, Ordering::Relaxed);
        if body == UNSAID || now <= body {
            return length;
        }
        self.watch.crowded.store(true, Ordering::Relaxed);
        self.is_deaf = true;
        usize::try_from(body.saturating_sub(came)).map_or(length, |left| left.min(length))
    }
}

/// A head as it comes, line by line.
#[derive(Default)]
struct Head {
    /// The beginning of the present line.
    begins: ArrayVec<u8, NAME_MAX>,
    /// The last byte of the present line.
    last: u8,
    /// How long the present line is.
    length: usize,
    /// How many lines came before it.
    lines: usize,
    /// How often the body's length was stated.
    lengths: usize,
    /// What it was stated as; none where it is not a plain number of bytes.
    length_stated: Option<u64>,
    is_flawed: bool,
}

/// As much of a line as a name that matters can be long.
const NAME_MAX: usize = 32;
/// The names that frame a body.
const FRAMING: [&[u8]; 2] = [b"content-length", b"transfer-encoding"];
/// The names that say who asks, or for whom, besides.
const TRUSTED: [&[u8]; 12] = [
    b"authorization",
    b"api-key",
    b"x-api-key",
    b"host",
    b"connection",
    b"upgrade",
    b"cookie",
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-real-ip",
];

impl Head {
    /// Takes more of it; once it is over, says where in `bytes`.
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(length) = memchr(b'\n', &bytes[at..]) {
            self.extend(&bytes[at..at + length]);
            at += length + 1;
            if self.end_line() {
                return Some(at);
            }
        }
        self.extend(&bytes[at..]);
        None
    }

    fn extend(&mut self, part: &[u8]) {
        let fits = part.len().min(self.begins.remaining_capacity());
        self.begins.try_extend_from_slice(&part[..fits]).expect("no more than there is room for");
        self.length += part.len();
        self.last = part.last().copied().unwrap_or(self.last);
    }

    /// Judges the line that has ended; true when the head ends with it.
    fn end_line(&mut self) -> bool {
        let ends_well = self.length > 0 && self.last == b'\r';
        let is_empty = self.length == usize::from(ends_well);
        self.is_flawed |= !ends_well;
        // Empty lines before the first are skipped by every parser.
        if !is_empty && self.lines > 0 {
            self.judge();
        }
        let is_over = is_empty && self.lines > 0;
        self.lines += usize::from(!is_empty);
        self.begins.clear();
        (self.length, self.last) = (0, 0);
        is_over
    }

    /// How long the body behind it is, as far as it says so plainly.
    fn body_stated(&self) -> u64 {
        if self.lengths == 0 { 0 } else { self.length_stated.unwrap_or(UNSAID) }
    }

    /// Whether nothing of it has come but whole empty lines.
    fn is_blank(&self) -> bool {
        self.lines == 0 && self.length == 0
    }

    fn judge(&mut self) {
        let name = &self.begins[..memchr(b':', &self.begins).unwrap_or(self.begins.len())];
        // A line that goes on the one before, or a space before the colon.
        self.is_flawed |= name.iter().any(|byte| b" \t".contains(byte));
        let reads_as = |known: &[u8]| {
            known.len() == name.len()
                && known.iter().zip(name).all(|(known, byte)| byte.eq_ignore_ascii_case(known) || (*byte == b'_' && *known == b'-'))
        };
        let is_framing = FRAMING.iter().any(|known| reads_as(known));
        self.lengths += usize::from(is_framing);
        if reads_as(b"content-length") {
            self.length_stated = plain_number(&self.begins, self.length);
        }
        let is_masked = name.contains(&b'_') && (is_framing || TRUSTED.iter().any(|known| reads_as(known)));
        self.is_flawed |= self.lengths > 1 || is_masked;
    }
}

/// The number behind the colon of a line that is `length` bytes long and begins like this.
fn plain_number(begins: &[u8], length: usize) -> Option<u64> {
    let value = begins.get(memchr(b':', begins)? + 1..).filter(|_| begins.len() == length)?.trim_ascii();
    let is_plain = value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value).ok().filter(|_| is_plain)?.parse().ok()
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            let came = buf.filled().len() - before;
            if came == 0 {
                return Poll::Ready(Ok(()));
            }
            let seen = if this.is_deaf { 0 } else { this.look(&buf.filled()[before..]) };
            buf.set_filled(before + seen);
            // Nothing to see is not the end of the connection.
            if seen > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.patient(cx, polled)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.patient(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.patient(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn a_client_that_takes_nothing_loses_its_connection() {
        let (client, server) = tokio::io::duplex(8);
        let (mut guard, _watch) = Guarded::new(server, Duration::from_millis(5));
        guard.write_all(b"taken").await.expect("there is room");
        guard.flush().await.expect("it is on its way");
        let stalled = guard.write_all(b"and more than there is room for").await;
        assert_eq!(stalled.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
        drop(client);
    }
    use http_body_util::Full;
    use proptest::prelude::*;

    /// Whether a head is flawed, and where it ends; cut into two anywhere it is the same.
    fn check(text: &str, flawed: bool, end: Option<usize>) {
        for cut in 0..=text.len() {
            let mut head = Head::default();
            let (first, second) = text.as_bytes().split_at(cut);
            let found = head.take(first).or_else(|| head.take(second).map(|at| at + cut));
            assert_eq!((head.is_flawed, found), (flawed, end), "{text:?} cut at {cut}");
        }
    }

    #[test]
    fn heads_that_can_be_read_in_two_ways_are_flawed() {
        let good = |fields: &str| {
            let text = format!("\r\nPOST / HTTP/1.1\r\nhost: x\r\n{fields}\r\n");
            check(&text, false, Some(text.len()));
        };
        good("");
        good("content-length: 5\r\nx_y: 1\r\nx-folded: a  b\r\n");
        good("Transfer-Encoding: chunked\r\n");
        let bad = |fields: &str| {
            let text = format!("POST / HTTP/1.1\r\nhost: x\r\n{fields}\r\n");
            check(&text, true, Some(text.len()));
        };
        bad("content-length: 5\r\ntransfer-encoding: chunked\r\n");
        bad("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n");
        bad("content-length: 5\r\ncontent-length: 5\r\n");
        bad("transfer-encoding: x\r\ntransfer-encoding: chunked\r\n");
        bad("x: a\r\n folded: b\r\n");
        bad("x: a\r\n\tfolded\r\n");
        bad("x: a\ny: b\r\n");
        bad("transfer-encoding : chunked\r\n");
        bad("transfer_encoding: chunked\r\n");
        bad("content_length: 5\r\n");
        bad("x_api_key: bl\r\n");
        bad("X_Forwarded-For: 127.0.0.1\r\n");
        check("GET / HTTP/1.1\n\n", true, Some(16));
        check("GET / HTTP/1.1\r\nx: ", false, None);
    }

    /// What the parser gets to see of bytes that come with a head and behind it, of which head and parser say that the body is `body` long.
    fn check_behind(body: usize, with_head: usize, later: &[usize], seen: &[usize], spoilt: bool) {
        let (mut guard, watch) = Guarded::new((), Duration::MAX);
        let head = format!("POST / HTTP/1.1\r\nContent-Length: {body}\r\n\r\n").into_bytes();
        let mut first = head.clone();
        first.resize(head.len() + with_head, b'x');
        assert_eq!(guard.look(&first), head.len() + with_head.min(body));
        assert!(watch.begin(&Full::new(bytes::Bytes::from(vec![0; body]))));
        let found: Vec<usize> = later.iter().map(|length| guard.look(&vec![b'x'; *length])).collect();
        assert_eq!((found.as_slice(), watch.is_spoilt()), (seen, spoilt));
    }

    #[test]
    fn nothing_behind_a_body_is_taken_for_a_request_unless_it_came_by_itself() {
        check_behind(10, 10, &[], &[], false);
        check_behind(10, 4, &[6], &[6], false);
        check_behind(10, 4, &[3, 3, 30], &[3, 3, 30], false);
        check_behind(10, 11, &[], &[], true);
        check_behind(10, 4, &[7], &[6], true);
        check_behind(0, 1, &[], &[], true);
        check_behind(0, 0, &[50], &[50], false);
    }

    /// How much the parser gets to see of a head with this field, and of ten bytes behind it.
    fn check_with(field: &str, seen: usize) {
        let head = format!("POST / HTTP/1.1\r\n{field}\r\n\r\n");
        let (mut guard, watch) = Guarded::new((), Duration::MAX);
        assert_eq!((guard.look(format!("{head}0123456789").as_bytes()) - head.len(), watch.is_spoilt()), (seen, seen < 10), "{field}");
    }

    #[test]
    fn only_a_length_that_is_stated_plainly_holds_anything_back() {
        check_with("x: y", 0);
        check_with("content-length: 4", 4);
        check_with("Content-Length:\t4 ", 4);
        check_with("content-length: 10", 10);
        for field in ["content-length: +4", "content-length: 4, 4", "content-length: 000000000000000000004", "transfer-encoding: chunked"] {
            check_with(field, 10);
        }
    }

    #[test]
    fn empty_lines_behind_a_body_are_kept_from_the_parser() {
        let (mut guard, watch) = Guarded::new((), Duration::MAX);
        let head = b"GET / HTTP/1.1\r\n\r\n";
        assert_eq!((guard.look(head), watch.begin(&Full::new(bytes::Bytes::new()))), (head.len(), true));
        for (bytes, seen) in [("\r\n", 0), ("\r\n\r\n", 0), ("\r", 1), ("\n", 1), ("\r\n", 0), ("G", 1), ("ET / HTTP/1.1\r\n\r\n", 17)] {
            assert_eq!(guard.look(bytes.as_bytes()), seen, "{bytes:?}");
        }
        assert!(!watch.is_spoilt());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn no_bytes_panic(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..20), length in 0..100_usize) {
            let (mut guard, watch) = Guarded::new((), Duration::MAX);
            for part in parts {
                prop_assert!(guard.look(&part) <= part.len());
                watch.begin(&Full::new(bytes::Bytes::from(vec![0; length])));
            }
        }
    }
}
