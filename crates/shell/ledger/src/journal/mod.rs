//! The journal: numbered segments of framed records, appended and never changed.

mod again;
mod before;
mod expire;
mod frame;
mod framing;
mod fuzz;
mod reader;
mod tail;
mod wire;
mod writer;

use std::path::{Path, PathBuf};

pub(crate) use again::write_again;
pub(crate) use expire::expire;
pub use frame::RECORD_BYTES_MAX;
pub(crate) use frame::encode;
pub(crate) use framing::Framing;
pub use fuzz::journal;
pub(crate) use reader::{Next, SegmentReader, count_whole_frames, for_each, segments};
pub(crate) use tail::inspect;
pub use writer::SEGMENT_BYTES;
pub(crate) use writer::{Appended, BOOK_RECORDS, Journal, Unsynced, When};

/// A place between two records of the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Which segment.
    pub segment: u32,
    /// How many bytes into it.
    pub offset: u64,
}

impl Position {
    /// How many bytes lie between `before` and this, by segments of a length.
    pub(crate) fn bytes_after(self, before: Self, segment_bytes: u64) -> u64 {
        let segments = u64::from(self.segment.saturating_sub(before.segment));
        segments.saturating_mul(segment_bytes).saturating_add(self.offset).saturating_sub(before.offset)
    }
}

/// The folder of segments in a state directory.
pub(crate) fn folder(directory: &Path) -> PathBuf {
    directory.join("journal")
}

/// The file of a segment in the journal's folder.
pub(crate) fn segment_path(folder: &Path, segment: u32) -> PathBuf {
    folder.join(format!("{segment:08}.bl"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_between_positions_are_counted_over_segments() {
        let at = |segment, offset| Position { segment, offset };
        assert_eq!(at(3, 40).bytes_after(at(3, 15), 100), 25);
        assert_eq!(at(5, 40).bytes_after(at(3, 90), 100), 150);
        assert_eq!(at(3, 15).bytes_after(at(3, 40), 100), 0);
    }
}
