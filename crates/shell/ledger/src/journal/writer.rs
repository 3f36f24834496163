//! Appending, and handing what was appended to the thread that syncs it, then to the one that books it.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::{Position, segment_path};
use crate::entry::Entry;
use crate::error::{LedgerError, at};

/// A segment that has grown past this is closed and the next one begun.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// A sync takes what was appended within this time of its first record.
const COMMIT_WINDOW: Duration = Duration::from_millis(10);
/// Synced records wait at most so long to be booked together, unless somebody waits for them.
const BOOK_INTERVAL: Duration = Duration::from_millis(100);
/// So many don't wait for more.
pub(crate) const BOOK_RECORDS: usize = 2_048;
/// At most so many entries wait in memory; past it the booking thread reads them back from the file.
const QUEUE_MAX: usize = 4 * BOOK_RECORDS;
/// Staged records are written when there are so many bytes of them, asked or not.
const STAGED_BYTES: usize = 64 << 10;

/// Space on disk past the end of the journal that is kept for the ends of work under way: more than all requests that may be
/// in flight need to be settled.
const RESERVE_BYTES: u64 = 4 << 20;
/// A disk that had no room is asked again after this long: to look for it costs a file system milliseconds, and every request would have it look.
const FULL_FOR: Duration = Duration::from_millis(100);

/// What was appended, in short.
pub(crate) struct Appended {
    /// The end of the record before it.
    pub(crate) after: Position,
    /// Where its own record begins.
    pub(crate) began: Position,
    /// The end of its own record.
    pub(crate) end: Position,
    pub(crate) entry: Entry,
}

/// When a record is to be in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// When the call returns.
    Now,
    /// When [`Journal::write`] returns, or later records do.
    Staged,
}

/// What became of a record.
pub(crate) enum Done {
    /// Where it begins.
    Appended(Position),
    /// Nothing: it belongs into a segment that is no longer the last.
    NotThere(Box<Entry>),
}

/// What is in the file and may not be on disk yet.
pub(crate) struct Unsynced {
    pub(crate) files: Vec<Arc<File>>,
    /// The end of what is on disk.
    pub(crate) from: Position,
    /// The end of what is in the files.
    pub(crate) end: Position,
    /// A sync of it failed: it is to be written again first.
    pub(crate) again: bool,
    /// Whether what was staged is.
    pub(crate) written: Result<(), LedgerError>,
    pub(crate) closing: bool,
}

/// What the booking thread woke for.
pub(crate) struct Wakeup {
    /// In the journal's order, without a gap between them.
    pub(crate) appended: Vec<Appended>,
    /// The end of what is on disk.
    pub(crate) end: Position,
    /// Somebody waits for it.
    pub(crate) urgent: bool,
    pub(crate) closing: bool,
}

struct Tail {
    file: Arc<File>,
    /// The end of what is in the file.
    end: Position,
    /// Frames that are to follow it.
    staged: Vec<u8>,
    /// What is not booked, as far as there is room.
    queue: Vec<Appended>,
    /// There was none: nothing joins the queue before it is empty, so that it has no gap.
    ran_over: bool,
    /// The end of what is on disk.
    synced: Position,
    /// How much of that the booking thread knows of.
    told: Position,
    rolled: Vec<Arc<File>>,
    /// Up to where somebody waits for it to be booked.
    urgent: Option<Position>,
    closing: bool,
    /// Nothing is synced any more.
    closed: bool,
    /// A write failed: what of it is there has to go, and what is staged to follow, before anything else may.
    broken: bool,
    /// A sync failed: what is not synced may never come to disk, unless it is written again.
    unsure: bool,
    /// Up to which byte of the segment the disk has space for it already.
    kept: u64,
    /// When the disk last said that it has no more.
    full_at: Option<Instant>,
}

impl Tail {
    /// Has the disk keep space for a frame and twice the reserve behind it, and says up to which byte. A file system that can't is taken at its
    /// word when it writes.
    fn keep(&mut self, file: &File, from: u64, frame: u64) -> Result<u64, LedgerError> {
        if self.full_at.is_some_and(|at| at.elapsed() < FULL_FOR) {
            return Err(LedgerError::Full);
        }
        let space = frame + 2 * RESERVE_BYTES;
        match fallocate(file, FallocateFlags::KEEP_SIZE, from, space) {
            Ok(()) => Ok(from + space),
            Err(Errno::NOSPC | Errno::DQUOT) => {
                self.full_at = Some(Instant::now());
                Err(LedgerError::Full)
            }
            Err(_) => Ok(u64::MAX),
        }
    }

    /// The end of the last record that was taken.
    fn staged_end(&self) -> Position {
        Position { offset: self.end.offset + self.staged.len() as u64, ..self.end }
    }

    /// How many of the queue are on disk.
    fn queued_synced(&self) -> usize {
        self.queue.partition_point(|appended| appended.end <= self.synced)
    }

    /// Whether what somebody waits for is on disk.
    fn is_urgent(&self) -> bool {
        self.urgent.is_some_and(|urgent| urgent <= self.synced)
    }

    /// Takes back the record that was staged last.
    fn unstage(&mut self, frame: usize, queued: bool) {
        self.staged.truncate(self.staged.len() - frame);
        if queued {
            self.queue.pop();
        }
    }
}

/// How many journals this process has opened.
static OPENED: AtomicU64 = AtomicU64::new(0);

/// The journal, open for appending.
pub(crate) struct Journal {
    /// Which of this process's journals it is.
    number: u64,
    folder: PathBuf,
    segment_bytes: u64,
    tail: Mutex<Tail>,
    /// Something was written, or is to be hurried or closed.
    written: Condvar,
    /// Something was synced, or there will be nothing more.
    synced: Condvar,
}

impl Journal {
    /// Opens the journal at its end, which must be the end of a whole record, or begins the first segment.
    pub(crate) fn open(folder: &Path, end: Position, segment_bytes: u64) -> Result<Self, LedgerError> {
        let file = open_segment(folder, end.segment)?;
        let tail = Tail {
            file,
            end,
            staged: Vec::new(),
            queue: Vec::new(),
            ran_over: false,
            synced: end,
            told: end,
            rolled: Vec::new(),
            urgent: None,
            closing: false,
            closed: false,
            broken: false,
            unsure: false,
            kept: 0,
            full_at: None,
        };
        let (number, folder) = (OPENED.fetch_add(1, Ordering::Relaxed), folder.to_owned());
        Ok(Self { number, folder, segment_bytes, tail: Mutex::new(tail), written: Condvar::new(), synced: Condvar::new() })
    }

    /// Which of this process's journals it is.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Takes a frame, under one short lock, which also keeps the queue in the file's order. Where it only means something within one segment,
    /// it is taken into no other. On an error nothing of it is kept.
    pub(crate) fn append(&self, frame: &[u8], within: Option<u32>, entry: Entry, when: When) -> Result<Done, LedgerError> {
        let mut tail = self.tail();
        // Nothing follows what could not be written.
        if tail.broken {
            self.write_staged(&mut tail)?;
        }
        // Without space for more, work under way still ends into what is kept; new work is refused.
        let begins = matches!(entry, Entry::Intent(_));
        // Nor does it begin while nobody knows what a power cut would leave.
        if begins && tail.unsure {
            return Err(LedgerError::Unsure);
        }
        if tail.staged_end().offset >= self.segment_bytes {
            self.write_staged(&mut tail)?;
            if let Err(error) = self.roll(&mut tail)
                && begins
            {
                return Err(error);
            }
        }
        if within.is_some_and(|segment| segment != tail.end.segment) {
            return Ok(Done::NotThere(Box::new(entry)));
        }
        let mut has_space = tail.staged_end().offset + frame.len() as u64 + RESERVE_BYTES <= tail.kept;
        if !has_space {
            let (file, from) = (Arc::clone(&tail.file), tail.staged_end().offset);
            match tail.keep(&file, from, frame.len() as u64) {
                Ok(kept) => (tail.kept, has_space) = (kept, true),
                Err(error) if begins => return Err(error),
                Err(_) => {}
            }
        }
        let after = tail.staged_end();
        tail.staged.extend_from_slice(frame);
        let end = tail.staged_end();
        tail.ran_over |= tail.queue.len() >= QUEUE_MAX;
        let queued = !tail.ran_over;
        if queued {
            tail.queue.push(Appended { after, began: after, end, entry });
        }
        // What the disk may refuse is not put off: whoever asks has to hear of it.
        let is_sure = has_space && tail.kept != u64::MAX;
        if (when == When::Now || !is_sure || tail.staged.len() >= STAGED_BYTES)
            && let Err(error) = self.write_staged(&mut tail)
        {
            tail.unstage(frame.len(), queued);
            return Err(error);
        }
        Ok(Done::Appended(after))
    }

    /// Writes what is staged, by whichever thread: one write to the page cache.
    pub(crate) fn write(&self) -> Result<(), LedgerError> {
        self.write_staged(&mut self.tail())
    }

    fn write_staged(&self, tail: &mut Tail) -> Result<(), LedgerError> {
        tail.broken = tail.broken && tail.file.set_len(tail.end.offset).is_err();
        if tail.broken {
            return Err(LedgerError::Damaged { path: segment_path(&self.folder, tail.end.segment), offset: tail.end.offset });
        }
        if tail.staged.is_empty() {
            return Ok(());
        }
        if let Err(error) = (&*tail.file).write_all(&tail.staged) {
            // Part of it may be there: it must go, or whatever came next would follow a damaged record.
            tail.broken = true;
            // Where no record comes by, this is who tries again.
            self.written.notify_one();
            return Err(at(&segment_path(&self.folder, tail.end.segment))(error));
        }
        // The syncing thread waits for the first only.
        if tail.synced == tail.end {
            self.written.notify_one();
        }
        tail.end = tail.staged_end();
        tail.staged.clear();
        // One record in a million is long: its room is not kept.
        tail.staged.shrink_to(2 * STAGED_BYTES);
        Ok(())
    }

    fn roll(&self, tail: &mut Tail) -> Result<(), LedgerError> {
        let next = Position { segment: tail.end.segment + 1, offset: 0 };
        let file = open_segment(&self.folder, next.segment)?;
        // Before anything is given back: work under way ends into what is kept.
        let kept = tail.keep(&file, 0, 0)?;
        let full = std::mem::replace(&mut tail.file, file);
        // What was kept past its end is given back; where that fails it only takes up space.
        drop(full.set_len(tail.end.offset));
        tail.rolled.push(full);
        (tail.end, tail.kept) = (next, kept);
        // What is synced ends in the segment before: the syncing thread has the new one to look after, and is not told so by its first record.
        self.written.notify_one();
        Ok(())
    }

    /// How long a segment grows.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// The end of what is in the journal's file.
    pub(crate) fn end(&self) -> Position {
        self.tail().end
    }

    /// Asks for all that is there to be synced and booked now.
    pub(crate) fn hurry(&self) {
        let mut tail = self.tail();
        tail.urgent = Some(tail.staged_end());
        self.written.notify_one();
        self.synced.notify_one();
    }

    /// Asks both threads to finish.
    pub(crate) fn close(&self) {
        self.tail().closing = true;
        self.written.notify_one();
        self.synced.notify_one();
    }

    /// Waits for something to sync, then for the rest of its window. `None` when there is nothing more to come.
    pub(crate) fn wait_written(&self) -> Option<Unsynced> {
        let hurried = |tail: &Tail| tail.closing || tail.urgent.is_some_and(|urgent| urgent > tail.synced);
        let idle = |tail: &mut Tail| tail.end == tail.synced && !tail.broken && !tail.unsure && !hurried(tail);
        let mut tail = self.written.wait_while(self.tail(), idle).unwrap_or_else(PoisonError::into_inner);
        if !hurried(&tail) {
            tail = self.written.wait_timeout_while(tail, COMMIT_WINDOW, |tail| !hurried(tail)).unwrap_or_else(PoisonError::into_inner).0;
        }
        self.unsynced_of(&mut tail)
    }

    /// What is not synced now; `None` when there is nothing more to come.
    pub(crate) fn unsynced(&self) -> Option<Unsynced> {
        self.unsynced_of(&mut self.tail())
    }

    fn unsynced_of(&self, tail: &mut Tail) -> Option<Unsynced> {
        let written = self.write_staged(tail);
        if tail.closing && tail.end == tail.synced {
            return None;
        }
        let mut files = tail.rolled.clone();
        files.push(Arc::clone(&tail.file));
        Some(Unsynced { files, from: tail.synced, end: tail.end, again: tail.unsure, written, closing: tail.closing })
    }

    /// Tells that a sync failed.
    pub(crate) fn doubt(&self) {
        self.tail().unsure = true;
    }

    /// Tells that those files are on disk as far as that.
    pub(crate) fn mark_synced(&self, unsynced: &Unsynced) {
        let mut tail = self.tail();
        tail.rolled.retain(|rolled| !unsynced.files.iter().any(|file| Arc::ptr_eq(file, rolled)));
        (tail.synced, tail.unsure) = (unsynced.end, false);
        self.synced.notify_one();
    }

    /// Nobody waits any more: those who did are about to be told of a failure.
    pub(crate) fn wait_no_more(&self) {
        self.tail().urgent = None;
    }

    /// Waits before what failed is tried again, unless somebody waits for it or the journal is closing.
    pub(crate) fn wait_to_sync(&self, time: Duration) {
        drop(self.written.wait_timeout_while(self.tail(), time, |tail| !tail.closing && tail.urgent.is_none()));
    }

    /// Tells that nothing is synced any more.
    pub(crate) fn end_syncing(&self) {
        self.tail().closed = true;
        self.synced.notify_one();
    }

    /// Whether all that was taken is on disk.
    pub(crate) fn is_whole(&self) -> bool {
        let tail = self.tail();
        tail.staged.is_empty() && tail.end == tail.synced
    }

    /// Waits for enough that is synced to be booked, and for no longer than until `deadline`, if one is given. What comes next goes into `room`,
    /// which is empty: the same memory serves again and again.
    pub(crate) fn wait_synced(&self, deadline: Option<Instant>, room: Vec<Appended>) -> Wakeup {
        let hurried = |tail: &Tail| tail.is_urgent() || tail.closed;
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        // Not all that is synced is in the queue: it may have run over.
        let idle = |tail: &mut Tail| tail.synced == tail.told && !hurried(tail);
        let tail = self.tail();
        let mut tail = match deadline {
            None => self.synced.wait_while(tail, idle).unwrap_or_else(PoisonError::into_inner),
            Some(deadline) => self.synced.wait_timeout_while(tail, left(deadline), idle).unwrap_or_else(PoisonError::into_inner).0,
        };
        let interval = deadline.map_or(BOOK_INTERVAL, |deadline| left(deadline).min(BOOK_INTERVAL));
        let few = |tail: &mut Tail| tail.queued_synced() < BOOK_RECORDS && !hurried(tail);
        tail = self.synced.wait_timeout_while(tail, interval, few).unwrap_or_else(PoisonError::into_inner).0;
        let synced = tail.queued_synced();
        let mut rest = room;
        rest.extend(tail.queue.drain(synced..));
        tail.ran_over &= !rest.is_empty();
        tail.told = tail.synced;
        let urgent = tail.is_urgent();
        if urgent {
            tail.urgent = None;
        }
        Wakeup { appended: std::mem::replace(&mut tail.queue, rest), end: tail.synced, urgent, closing: tail.closed }
    }

    /// Waits before a failed commit is tried again, unless the journal is closing.
    pub(crate) fn wait_to_retry(&self, time: Duration) {
        let open = |tail: &mut Tail| !tail.closed && !tail.is_urgent();
        drop(self.synced.wait_timeout_while(self.tail(), time, open));
    }

    /// The state behind the lock is whole between any two statements that can panic, so a poisoned lock is still good.
    fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_segment(folder: &Path, segment: u32) -> Result<Arc<File>, LedgerError> {
    let path = segment_path(folder, segment);
    OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map(Arc::new).map_err(at(&path))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use dispatch::{HeldTime, Record};
    use fleet::{EndpointId, FleetVersion, Id};
    use tempfile::TempDir;
    use units::{Instant, Span};

    use super::*;

    const SEGMENT: u64 = 1 << 20;

    /// Who is not woken in this time is never woken.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn journal(segment_bytes: u64) -> (TempDir, Arc<Journal>) {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::open(folder.path(), Position::default(), segment_bytes).expect("a new journal");
        (folder, Arc::new(journal))
    }

    /// What a thread says once its wait is over.
    fn woken<T: Send + 'static>(journal: &Arc<Journal>, wait: impl FnOnce(&Journal) -> T + Send + 'static) -> T {
        let (journal, (says, heard)) = (Arc::clone(journal), mpsc::channel());
        drop(std::thread::spawn(move || says.send(wait(&journal))));
        heard.recv_timeout(PATIENCE).expect("it is woken")
    }

    fn entry() -> Entry {
        let span = Span { from: Instant::from_micros(0), to: Instant::from_micros(1) };
        let (endpoint, fleet) = (EndpointId::from_index(0), FleetVersion([0; 32]));
        Entry::of(&Record::Held(HeldTime { endpoint, fleet, span, usage: Vec::new(), shares: Vec::new() }))
    }

    fn take(journal: &Journal, frame: &[u8], when: When) -> Result<(), LedgerError> {
        journal.append(frame, None, entry(), when).map(drop)
    }

    /// What is in the file of a segment.
    fn file(folder: &TempDir, segment: u32) -> String {
        std::fs::read_to_string(segment_path(folder.path(), segment)).expect("it is there")
    }

    /// What the booking thread gets now.
    fn booked(journal: &Journal) -> Wakeup {
        let unsynced = journal.unsynced().expect("it goes on");
        journal.mark_synced(&unsynced);
        journal.wait_synced(Some(std::time::Instant::now()), Vec::new())
    }

    #[test]
    fn what_is_staged_is_written_at_once_with_the_others_in_its_order() {
        let (folder, journal) = journal(SEGMENT);
        // The first asks the disk for space.
        take(&journal, b"a", When::Now).expect("there is room");
        take(&journal, b"b", When::Staged).expect("there is room");
        take(&journal, b"c", When::Staged).expect("there is room");
        assert_eq!((file(&folder, 0).as_str(), journal.end().offset), ("a", 1));
        journal.write().expect("it can");
        assert_eq!(file(&folder, 0), "abc");
        take(&journal, b"d", When::Staged).expect("there is room");
        take(&journal, b"e", When::Now).expect("there is room");
        assert_eq!(file(&folder, 0), "abcde");
        take(&journal, &[b'f'; STAGED_BYTES], When::Staged).expect("there is room");
        assert_eq!(file(&folder, 0).len(), 5 + STAGED_BYTES, "so much does not wait");
        let wakeup = booked(&journal);
        let ends: Vec<u64> = wakeup.appended.iter().map(|appended| appended.end.offset).collect();
        assert_eq!((ends, wakeup.end.offset), (vec![1, 2, 3, 4, 5, 5 + STAGED_BYTES as u64], 5 + STAGED_BYTES as u64));
    }

    #[test]
    fn nothing_is_booked_before_it_is_on_disk() {
        let (_folder, journal) = journal(SEGMENT);
        take(&journal, b"a", When::Now).expect("there is room");
        let unsynced = journal.unsynced().expect("it goes on");
        take(&journal, b"b", When::Now).expect("there is room");
        let wakeup = |journal: &Journal| journal.wait_synced(Some(std::time::Instant::now()), Vec::new());
        assert_eq!((wakeup(&journal).appended.len(), wakeup(&journal).end.offset), (0, 0));
        journal.mark_synced(&unsynced);
        let first = wakeup(&journal);
        assert_eq!((first.appended.len(), first.end.offset), (1, 1), "what came while it was synced waits for the next");
        let second = booked(&journal);
        assert_eq!((second.appended.len(), second.appended[0].after.offset, second.end.offset), (1, 1, 2));
    }

    #[test]
    fn what_could_not_be_written_goes_before_anything_else() {
        let (folder, journal) = journal(SEGMENT);
        take(&journal, b"a", When::Now).expect("there is room");
        take(&journal, b"b", When::Staged).expect("there is room");
        let path = segment_path(folder.path(), 0);
        let good = std::mem::replace(&mut journal.tail().file, Arc::new(File::open(&path).expect("it is there")));
        assert!(journal.write().is_err(), "it may only be read");
        for when in [When::Staged, When::Now] {
            assert!(take(&journal, b"x", when).is_err());
        }
        let waits = journal.unsynced().expect("it goes on");
        assert_eq!((waits.written.is_err(), waits.end.offset), (true, 1));
        journal.tail().file = good;
        take(&journal, b"c", When::Now).expect("there is room");
        assert_eq!(file(&folder, 0), "abc", "nothing of what was refused");
        let ends: Vec<u64> = booked(&journal).appended.iter().map(|appended| appended.end.offset).collect();
        assert_eq!(ends, [1, 2, 3]);
    }

    #[test]
    fn what_could_not_be_written_is_tried_again_though_no_record_comes() {
        let (folder, journal) = journal(SEGMENT);
        take(&journal, b"a", When::Now).expect("there is room");
        assert_eq!(booked(&journal).end.offset, 1, "and nothing is left to sync");
        take(&journal, b"b", When::Staged).expect("there is room");
        let path = segment_path(folder.path(), 0);
        let good = std::mem::replace(&mut journal.tail().file, Arc::new(File::open(&path).expect("it is there")));
        assert!(journal.write().is_err(), "it may only be read");
        journal.tail().file = good;
        assert!(woken(&journal, |journal| journal.wait_written().expect("it goes on").written.is_ok()));
        assert_eq!(file(&folder, 0), "ab");
    }

    #[test]
    fn who_asks_once_a_failure_is_told_is_not_forgotten() {
        let (_folder, journal) = journal(SEGMENT);
        take(&journal, b"a", When::Now).expect("there is room");
        journal.wait_no_more();
        journal.hurry();
        woken(&journal, |journal| journal.wait_to_sync(2 * PATIENCE));
        assert!(journal.tail().urgent.is_some());
    }

    #[test]
    fn what_ran_over_is_told_of_though_no_record_comes() {
        let (_folder, journal) = journal(SEGMENT);
        for _ in 0..QUEUE_MAX {
            take(&journal, b"x", When::Now).expect("there is room");
        }
        let unsynced = journal.unsynced().expect("it goes on");
        take(&journal, b"x", When::Now).expect("there is room");
        journal.mark_synced(&unsynced);
        assert_eq!(journal.wait_synced(Some(std::time::Instant::now()), Vec::new()).appended.len(), QUEUE_MAX);
        let unsynced = journal.unsynced().expect("it goes on");
        journal.mark_synced(&unsynced);
        let end = woken(&journal, |journal| journal.wait_synced(None, Vec::new()).end.offset);
        assert_eq!(end, QUEUE_MAX as u64 + 1);
    }

    #[test]
    fn a_queue_that_ran_over_has_no_gap() {
        let (_folder, journal) = journal(SEGMENT);
        for _ in 0..QUEUE_MAX + 10 {
            take(&journal, b"x", When::Now).expect("there is room");
        }
        let first = booked(&journal);
        assert_eq!((first.appended.len(), first.end.offset), (QUEUE_MAX, QUEUE_MAX as u64 + 10), "the rest is read back");
        take(&journal, b"x", When::Now).expect("there is room");
        let second = booked(&journal);
        assert_eq!((second.appended.len(), second.appended[0].after), (1, first.end));
    }

    #[test]
    fn what_runs_over_while_some_waits_for_the_disk_leaves_no_gap_behind_it() {
        let (_folder, journal) = journal(SEGMENT);
        take(&journal, b"x", When::Now).expect("there is room");
        let unsynced = journal.unsynced().expect("it goes on");
        for _ in 0..QUEUE_MAX {
            take(&journal, b"x", When::Now).expect("there is room");
        }
        journal.mark_synced(&unsynced);
        assert_eq!(journal.wait_synced(Some(std::time::Instant::now()), Vec::new()).appended.len(), 1);
        // There is room again, but not for what comes behind one that was left out.
        take(&journal, b"x", When::Now).expect("there is room");
        let next = booked(&journal).appended;
        assert!(next.windows(2).all(|pair| pair[0].end == pair[1].after), "{}", next.len());
    }

    #[test]
    fn a_segment_ends_with_all_that_was_staged_for_it() {
        let (folder, journal) = journal(4);
        for frame in [b"aa", b"bb", b"cc"] {
            take(&journal, frame, When::Staged).expect("there is room");
        }
        journal.write().expect("it can");
        assert_eq!((file(&folder, 0).as_str(), file(&folder, 1).as_str()), ("aabb", "cc"));
    }
}
