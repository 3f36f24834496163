//! Writing again what the disk may lack.
//!
//! When a sync fails, the kernel may take the pages for clean all the same, and say of the next sync that all is well. So what was to be synced
//! is written again before that is believed: from what the kernel still has of it, for which the records' checksums vouch.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::reader::are_whole_frames;
use super::{Position, segment_path};
use crate::error::{LedgerError, at};

/// Writes again in place what the journal has between two ends of records. It is not synced with that.
pub(crate) fn write_again(folder: &Path, from: Position, to: Position) -> Result<(), LedgerError> {
    if from >= to {
        return Ok(());
    }
    for segment in from.segment..=to.segment {
        let path = segment_path(folder, segment);
        // Not to append.
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(at(&path))?;
        let offset = if segment == from.segment { from.offset } else { 0 };
        let end = if segment == to.segment { to.offset } else { file.metadata().map_err(at(&path))?.len() };
        let mut bytes = vec![0; usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, offset).map_err(at(&path))?;
        if !are_whole_frames(&bytes) {
            return Err(LedgerError::Damaged { path, offset });
        }
        file.write_all_at(&bytes, offset).map_err(at(&path))?;
    }
    Ok(())
}
