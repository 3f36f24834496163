//! The thread that brings the journal to disk, once a commit window. It does nothing else: what the books take for a commit or a checkpoint
//! makes the window no longer.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{LedgerError, at};
use crate::ingest::Shared;
use crate::journal::{Journal, Unsynced, write_again};

/// How long to wait before what failed is tried again.
pub(crate) const RETRY: Duration = Duration::from_millis(200);

/// Syncs until the journal closes.
pub(crate) fn run(shared: &Shared, folder: &Path) {
    let journal = &shared.journal;
    let _ends = Ends(journal);
    let mut named = None;
    while let Some(unsynced) = journal.wait_written() {
        let synced = bring(journal, folder, &unsynced, &mut named);
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

/// Brings to disk what is not; with the folder, where the last segment is new in it.
fn bring(journal: &Journal, folder: &Path, unsynced: &Unsynced, named: &mut Option<u32>) -> Result<(), LedgerError> {
    if *named != Some(unsynced.end.segment) {
        sync_folder(folder)?;
        *named = Some(unsynced.end.segment);
    }
    if unsynced.again {
        write_again(folder, unsynced.from, unsynced.end)?;
    }
    sync_files(folder, &unsynced.files).inspect_err(|_| journal.doubt())?;
    journal.mark_synced(unsynced);
    Ok(())
}

/// Brings to disk which files there are. A file system that fails to takes nothing any more, so this may just be tried again.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), LedgerError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}

/// Brings files to disk. Where that fails, what was not on disk has to be written again.
pub(crate) fn sync_files(folder: &Path, files: &[Arc<File>]) -> Result<(), LedgerError> {
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
    use std::fs;
    use std::path::PathBuf;
    use std::thread::JoinHandle;
    use std::time::SystemTime;

    use dispatch::{AttemptId, Cost, Decision, HeldTime, KeyId, Record, RequestId, Rule};
    use fleet::{ContractId, EndpointId, FleetVersion, Id};
    use market::TokenPrices;
    use tempfile::TempDir;
    use testkit::crowd;
    use units::{Instant, Span};

    use super::*;
    use crate::books::Fold;
    use crate::entry::Entry;
    use crate::journal::{Position, When, encode, segment_path};

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

    fn intent() -> Entry {
        let fleet = crowd::fleet(1);
        let (endpoint, contract) = (EndpointId::from_index(0), ContractId::from_index(0));
        let (cost, list) = (Cost::default(), TokenPrices::default());
        let decision =
            Decision { endpoint, in_units: false, contract, cost, list, rule: Rule::Policy, passed_over: Vec::new(), advice: None };
        let attempt = AttemptId { request: RequestId(1), attempt: 1 };
        let (question, decision) = (Box::new(crowd::question(&fleet)), Box::new(decision));
        Entry::of(&Record::Decided { attempt, key: KeyId(1), question, decision })
    }

    #[test]
    fn what_a_sync_failed_for_is_written_again_before_it_is_believed() {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(folder.path(), Position::default(), 1 << 20).expect("a new journal");
        let frame = encode(&record()).expect("short enough");
        let append = |entry| journal.append(&frame, None, entry, When::Now).map(drop);
        let (path, mut named) = (segment_path(folder.path(), 0), None);
        let mut sync = |unsynced: &Unsynced| bring(&journal, folder.path(), unsynced, &mut named);

        append(intent()).expect("there is room");
        let mut unsynced = journal.unsynced().expect("it goes on");
        // A device, which can't be synced.
        unsynced.files.push(Arc::new(File::open("/dev/null").expect("it is there")));
        assert!(sync(&unsynced).is_err());
        assert!(matches!(append(intent()), Err(LedgerError::Unsure)), "nothing begins");
        append(Entry::of(&record())).expect("what is under way ends");

        let whole = fs::read(&path).expect("read");
        fs::write(&path, vec![0; whole.len()]).expect("written");
        let lost = sync(&journal.unsynced().expect("it goes on"));
        assert!(matches!(lost, Err(LedgerError::Damaged { offset: 0, .. })), "the kernel has it no more");
        assert!(matches!(append(intent()), Err(LedgerError::Unsure)), "nothing begins");

        fs::write(&path, &whole).expect("written");
        let file = File::options().write(true).open(&path).expect("it is there");
        file.set_modified(SystemTime::UNIX_EPOCH).expect("it is set");
        sync(&journal.unsynced().expect("it goes on")).expect("it can");
        assert!(file.metadata().expect("read").modified().expect("read") > SystemTime::UNIX_EPOCH, "it was written");
        assert_eq!(fs::read(&path).expect("read"), whole, "as it was");
        assert_eq!(told(&journal), (2, Position { segment: 0, offset: whole.len() as u64 }));
        append(intent()).expect("it begins");
    }

    #[test]
    fn what_lies_in_several_segments_is_written_again_in_each() {
        let folder = tempfile::tempdir().expect("a folder");
        let frame = encode(&record()).expect("short enough");
        let journal = Journal::open(folder.path(), Position::default(), frame.len() as u64 + 1).expect("a new journal");
        // Two fill a segment.
        for _ in 0..5 {
            journal.append(&frame, None, Entry::of(&record()), When::Now).expect("there is room");
        }
        let paths = [0, 1, 2].map(|segment| segment_path(folder.path(), segment));
        let touch = |path: &PathBuf| {
            let file = File::options().write(true).open(path).expect("it is there");
            file.set_modified(SystemTime::UNIX_EPOCH).expect("it is set");
            fs::read(path).expect("read")
        };
        let before = paths.each_ref().map(touch);
        let from = Position { segment: 0, offset: frame.len() as u64 };
        write_again(folder.path(), from, journal.end()).expect("it can");
        assert_eq!(paths.each_ref().map(|path| fs::read(path).expect("read")), before);
        let modified = |path: &PathBuf| fs::metadata(path).and_then(|file| file.modified()).expect("read");
        assert!(paths.iter().all(|path| modified(path) > SystemTime::UNIX_EPOCH), "each was written");
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
