//! A whole body that leaves in parts, so that what is on its way is not copied all at once.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::limits::PART_BYTES;

/// What is left of a body. What it holds of the memory for bodies is given back with its last part.
#[derive(Debug, Default)]
pub(crate) struct Parted(Bytes);

impl From<Bytes> for Parted {
    fn from(body: Bytes) -> Self {
        Self(body)
    }
}

impl Parted {
    /// The next part; `None` at the end.
    pub fn next(&mut self) -> Option<Bytes> {
        let part = self.0.split_to(self.0.len().min(PART_BYTES));
        (!part.is_empty()).then_some(part)
    }

    /// All that is left.
    pub fn rest(&self) -> &Bytes {
        &self.0
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.0.len()
    }
}

impl Body for Parted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_small_and_make_up_the_whole() {
        for length in [0, 1, PART_BYTES, PART_BYTES + 1, 5 * PART_BYTES / 2] {
            let whole: Bytes = (0..length).map(|at| u8::try_from(at % 251).expect("a byte")).collect();
            let mut parted = Parted::from(whole.clone());
            let (mut all, mut left) = (Vec::new(), length);
            while let Some(part) = parted.next() {
                left -= part.len();
                assert!(part.len() <= PART_BYTES && parted.left() == left && parted.is_end_stream() == (left == 0));
                all.extend_from_slice(&part);
            }
            assert!(all == whole, "{length}");
        }
    }
}
