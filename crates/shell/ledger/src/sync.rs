//! The thread that brings the journal to disk, once a commit window. It does nothing else: what the books take for a commit or a checkpoint
//! makes the window no longer.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{LedgerError, at};
use crate::ingest::Shared;
use crate::journal::Journal;

/// How long to wait before what failed is tried again.
pub(crate) const RETRY: Duration = Duration::from_millis(200);

/// Syncs until the journal closes.
pub(crate) fn run(shared: &Shared, folder: &Path) {
    let journal = &shared.journal;
    let _ends = Ends(journal);
    let mut named = None;
    while let Some(unsynced) = journal.wait_written() {
        let is_new = named != Some(unsynced.end.segment);
        let synced = sync(folder, &unsynced.files, is_new).inspect(|()| {
            named = Some(unsynced.end.segment);
            journal.mark_synced(&unsynced);
        });
        if let Err(failure) = synced.and(unsynced.written) {
            // First, so that who asks once it is told is not forgotten with them.
            journal.wait_no_more();
            shared.fail(failure);
            if unsynced.closing {
                break;
            }
            journal.wait_to_sync(RETRY);
        }
    }
}

/// Brings files to disk; with their folder, where the last of them is new in it.
pub(crate) fn sync(folder: &Path, files: &[Arc<File>], with_folder: bool) -> Result<(), LedgerError> {
    if with_folder {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))?;
    }
    files.iter().try_for_each(|file| file.sync_data()).map_err(at(folder))
}

/// Tells who waits, however the thread ends.
struct Ends<'a>(&'a Journal);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end_syncing();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread::JoinHandle;

    use dispatch::{HeldTime, Record};
    use fleet::{EndpointId, FleetVersion, Id};
    use tempfile::TempDir;
    use testkit::crowd;
    use units::{Instant, Span};

    use super::*;
    use crate::books::Fold;
    use crate::entry::Entry;
    use crate::journal::{Position, When};

    /// Who is not woken in this time is never woken.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn record() -> Record {
        let at = Instant::from_micros(0);
        let (endpoint, fleet, span) = (EndpointId::from_index(0), FleetVersion([0; 32]), Span { from: at, to: at });
        Record::Held(HeldTime { endpoint, fleet, span, usage: Vec::new(), shares: Vec::new() })
    }

    /// A journal with the thread that syncs it, and none that books.
    fn synced(segment_bytes: u64) -> (TempDir, Arc<Shared>, JoinHandle<()>) {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(folder.path(), Position::default(), segment_bytes).expect("a new journal");
        let now = Instant::from_micros(0);
        let books = Fold::new(Arc::new(crowd::fleet(1)), &crate::fleets::Fleets::of(folder.path()), now).books();
        let shared = Arc::new(Shared::new(journal, books, Position::default()));
        let syncing = std::thread::spawn({
            let (shared, folder) = (Arc::clone(&shared), folder.path().to_owned());
            move || run(&shared, &folder)
        });
        (folder, shared, syncing)
    }

    /// How many records are told to be on disk next, and their end.
    fn told(journal: &Journal) -> (usize, Position) {
        let wakeup = journal.wait_synced(Some(std::time::Instant::now() + PATIENCE), Vec::new());
        (wakeup.appended.len(), wakeup.end)
    }

    #[test]
    fn a_record_that_begins_a_segment_is_brought_to_disk_though_nobody_hurries_it() {
        let (_folder, shared, syncing) = synced(1);
        // Each fills its segment, and the thread is idle when the next one comes.
        for segment in 0..4 {
            shared.journal.append(b"x", None, Entry::of(&record()), When::Now).expect("there is room");
            assert_eq!(told(&shared.journal), (1, Position { segment, offset: 1 }));
        }
        shared.journal.close();
        syncing.join().expect("it ends");
    }

    #[test]
    fn what_is_appended_is_brought_to_disk_though_nothing_is_booked() {
        let (_folder, shared, syncing) = synced(1 << 20);
        for offset in 1..4 {
            shared.journal.append(b"x", None, Entry::of(&record()), When::Now).expect("there is room");
            assert_eq!(told(&shared.journal), (1, Position { segment: 0, offset }));
        }
        shared.journal.append(b"x", None, Entry::of(&record()), When::Staged).expect("there is room");
        shared.journal.close();
        syncing.join().expect("it ends");
        let last = shared.journal.wait_synced(None, Vec::new());
        assert!((last.closing, last.end.offset) == (true, 4) && shared.journal.is_whole(), "what was staged too");
    }
}
