//! Segments past their time go; the ledger has all that is to be kept for good.

use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

use super::{segment_path, segments};
use crate::error::{LedgerError, at};

/// Removes the oldest segments below `below` that nothing was written to since `before`, and says how many those were.
pub(crate) fn expire(folder: &Path, below: u32, before: SystemTime) -> Result<usize, LedgerError> {
    let mut gone = 0;
    for segment in segments(folder)?.into_iter().take_while(|segment| *segment < below) {
        let path = segment_path(folder, segment);
        let written = fs::metadata(&path).and_then(|file| file.modified()).map_err(at(&path))?;
        // In order, so that no gap is left between those that stay.
        if written >= before {
            break;
        }
        fs::remove_file(&path).map_err(at(&path))?;
        gone += 1;
    }
    if gone > 0 {
        File::open(folder).and_then(|file| file.sync_all()).map_err(at(folder))?;
    }
    Ok(gone)
}
