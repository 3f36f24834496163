//! What has changed on disk since it was read.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What tells one content of a file from another without reading it: which file, how long, changed when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(Option<(u64, u64, u64, i64, i64)>);

impl Mark {
    /// The mark of the file at `path` now; of one that is not there, none.
    pub fn of(path: &Path) -> Self {
        let found = fs::metadata(path).ok();
        Self(found.map(|found| (found.dev(), found.ino(), found.len(), found.ctime(), found.ctime_nsec())))
    }
}
