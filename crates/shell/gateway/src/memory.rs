//! Bodies in memory: each has a limit, and all that are not small have one together.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Body;

use crate::limits::BODY_SMALL;

/// How many bytes of bodies there is room for now.
#[derive(Debug)]
pub(crate) struct Memory {
    left: AtomicUsize,
    /// What all of it is taken of as well.
    within: Option<Arc<Self>>,
}

impl Memory {
    pub fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { left: bytes.into(), within: None })
    }

    /// At most half of a room: what one key may have of it, so that none takes the room of all others.
    pub fn half(of: &Arc<Self>, bytes: usize) -> Arc<Self> {
        Arc::new(Self { left: (bytes / 2).into(), within: Some(Arc::clone(of)) })
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        let taken = self.left.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok();
        if taken && self.within.as_ref().is_some_and(|whole| !whole.take(bytes)) {
            self.left.fetch_add(bytes, Ordering::Relaxed);
            return false;
        }
        taken
    }

    fn give_back(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
        self.within.iter().for_each(|whole| whole.give_back(bytes));
    }
}

/// Some of that room, until it is dropped.
pub(crate) struct Share {
    memory: Arc<Memory>,
    bytes: usize,
}

impl Share {
    /// That much of the room; `None` when there is not so much.
    pub fn take(memory: &Arc<Memory>, bytes: usize) -> Option<Self> {
        let mut share = Self { memory: Arc::clone(memory), bytes: 0 };
        share.reach(bytes).then_some(share)
    }

    /// Takes as much as a body of that length needs; `false` when there is not so much.
    pub fn reach(&mut self, length: usize) -> bool {
        let more = if length > BODY_SMALL { length.saturating_sub(self.bytes) } else { 0 };
        let taken = self.memory.take(more);
        self.bytes += if taken { more } else { 0 };
        taken
    }

    /// The bytes that it was taken for, which give it back with their last.
    fn keep(self, bytes: Bytes) -> Bytes {
        if self.bytes == 0 { bytes } else { Bytes::from_owner(Held { bytes, _share: self }) }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.memory.give_back(self.bytes);
    }
}

/// A body, with the room that it takes.
struct Held {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub(crate) enum Unread<E> {
    /// It is longer than it may be.
    TooLong,
    /// Others take the memory.
    NoRoom,
    /// It was not sent to its end.
    Ended(E),
}

/// Reads a body to its end. What it takes of the memory is given back with the last of its bytes.
pub(crate) async fn whole<B: Body<Data = Bytes>>(body: B, limit: usize, memory: &Arc<Memory>) -> Result<Bytes, Unread<B::Error>> {
    let mut body = pin!(body);
    let mut share = Share { memory: Arc::clone(memory), bytes: 0 };
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(Unread::Ended)?.into_data() else { continue };
        let before = first.len().max(all.len());
        let length = before.saturating_add(piece.len());
        if length > limit {
            return Err(Unread::TooLong);
        }
        if !share.reach(length) {
            return Err(Unread::NoRoom);
        }
        if before == 0 {
            first = piece;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&piece);
    }
    let bytes = if all.is_empty() { first } else { all.freeze() };
    Ok(share.keep(bytes))
}

/// Bytes that were made here, such as a copy with another name in it, with the room that they take until the last of them is dropped; `None`
/// when there is not so much.
pub(crate) fn made(bytes: Bytes, memory: &Arc<Memory>) -> Option<Bytes> {
    let share = Share::take(memory, bytes.len())?;
    Some(share.keep(bytes))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use hyper::body::Frame;

    use super::*;

    /// A body in pieces.
    struct Pieces(VecDeque<Bytes>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
        }
    }

    fn pieces(lengths: &[usize]) -> Pieces {
        Pieces((0_u8..).zip(lengths).map(|(letter, length)| Bytes::from(vec![b'a' + letter; *length])).collect())
    }

    const ROOM: usize = 10 * BODY_SMALL;

    /// What comes of bodies of these pieces, read one after another and all kept: their lengths, or why not; and what is left meanwhile.
    async fn check(bodies: &[&[usize]], want: &[Result<usize, &str>], left: usize) {
        let memory = Memory::new(ROOM);
        let mut kept = Vec::new();
        for (lengths, want) in bodies.iter().zip(want) {
            let got = whole(pieces(lengths), 8 * BODY_SMALL, &memory).await;
            if let Ok(bytes) = &got {
                let expected: Vec<u8> = pieces(lengths).0.iter().flatten().copied().collect();
                assert_eq!(*bytes, expected, "its pieces in their order");
            }
            let told = got.as_ref().map(Bytes::len).map_err(|unread| match unread {
                Unread::TooLong => "too long",
                Unread::NoRoom => "no room",
                Unread::Ended(never) => match *never {},
            });
            assert_eq!(told, *want, "{lengths:?}");
            kept.push(got);
        }
        assert_eq!(memory.left(), left);
        drop(kept);
        assert_eq!(memory.left(), ROOM, "all of it is given back");
    }

    #[tokio::test]
    async fn all_bodies_that_are_not_small_share_one_room() {
        const KIB: usize = BODY_SMALL;
        check(&[&[], &[5], &[3, 0, 4], &[KIB]], &[Ok(0), Ok(5), Ok(7), Ok(KIB)], ROOM).await;
        check(&[&[KIB, 1], &[2 * KIB]], &[Ok(KIB + 1), Ok(2 * KIB)], 7 * KIB - 1).await;
        check(&[&[8 * KIB], &[2 * KIB, 1], &[2 * KIB]], &[Ok(8 * KIB), Err("no room"), Ok(2 * KIB)], 0).await;
        check(&[&[7 * KIB, KIB, 1], &[9 * KIB]], &[Err("too long"), Err("too long")], ROOM).await;
    }

    #[test]
    fn one_key_has_no_more_than_half_of_the_room() {
        let all = Memory::new(ROOM);
        let [one, other] = [(); 2].map(|()| Memory::half(&all, ROOM));
        let held = Share::take(&one, ROOM / 2).expect("it has that");
        assert!(Share::take(&one, 2 * BODY_SMALL).is_none());
        let rest = Share::take(&other, ROOM / 2 - 2 * BODY_SMALL).expect("the other half");
        assert!(Share::take(&all, 2 * BODY_SMALL + 1).is_none() && Share::take(&all, 2 * BODY_SMALL).is_some());
        drop((held, rest));
        assert_eq!([one.left(), other.left(), all.left()], [ROOM / 2, ROOM / 2, ROOM]);
        let held = Share::take(&all, ROOM).expect("all of it");
        assert!(Share::take(&one, 2 * BODY_SMALL).is_none());
        drop(held);
        assert_eq!([one.left(), all.left()], [ROOM / 2, ROOM], "what was not there of the whole is given back");
    }

    #[tokio::test]
    async fn a_part_of_a_body_holds_the_room_of_all_of_it() {
        let memory = Memory::new(ROOM);
        let body = whole(pieces(&[2 * BODY_SMALL]), ROOM, &memory).await.expect("there is room");
        let part = body.slice(..1);
        drop(body);
        assert_eq!(memory.left(), 8 * BODY_SMALL);
        drop(part);
        assert_eq!(memory.left(), ROOM);
    }
}
