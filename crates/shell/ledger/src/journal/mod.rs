//! The journal: numbered segments of framed records, appended and never changed.

mod expire;
mod frame;
mod fuzz;
mod reader;
mod tail;
mod writer;

use std::path::{Path, PathBuf};

pub(crate) use expire::expire;
pub use frame::RECORD_BYTES_MAX;
pub(crate) use frame::{encode, encode_into};
pub use fuzz::journal;
pub(crate) use reader::{Next, SegmentReader, count_whole_frames, for_each, segments};
pub(crate) use tail::inspect;
pub use writer::SEGMENT_BYTES;
pub(crate) use writer::{Appended, Journal, Wakeup};

/// A place between two records of the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Which segment.
    pub segment: u32,
    /// How many bytes into it.
    pub offset: u64,
}

/// The folder of segments in a state directory.
pub(crate) fn folder(directory: &Path) -> PathBuf {
    directory.join("journal")
}

/// The file of a segment in the journal's folder.
pub(crate) fn segment_path(folder: &Path, segment: u32) -> PathBuf {
    folder.join(format!("{segment:08}.bl"))
}
