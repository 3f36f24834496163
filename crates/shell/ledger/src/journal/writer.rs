//! Appending, and handing what was appended to the thread that commits it.

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
/// A sync does not wait for more than this many records.
const SYNC_RECORDS: usize = 512;
/// At most so many entries wait in memory; past it the committing thread reads them back from the file.
const QUEUE_MAX: usize = 2_048;

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

/// What became of a record.
pub(crate) enum Done {
    /// Where it begins.
    Appended(Position),
    /// Nothing: it belongs into a segment that is no longer the last.
    NotThere(Box<Entry>),
}

/// Why the committing thread woke, and with what.
pub(crate) struct Wakeup {
    /// In the journal's order, without a gap between them.
    pub(crate) appended: Vec<Appended>,
    /// The end of the journal.
    pub(crate) end: Position,
    /// The files that hold what may not be on disk yet.
    pub(crate) unsynced: Vec<Arc<File>>,
    /// Somebody waits for the commit.
    pub(crate) urgent: bool,
    pub(crate) closing: bool,
}

struct Tail {
    file: Arc<File>,
    end: Position,
    queue: Vec<Appended>,
    rolled: Vec<Arc<File>>,
    urgent: bool,
    closing: bool,
    /// A failed write could not be taken back yet: nothing may follow it before it is.
    broken: bool,
    /// Up to which byte of the segment the disk has space for it already.
    kept: u64,
    /// When the disk last said that it has no more.
    full_at: Option<Instant>,
}

impl Tail {
    /// Has the disk keep space for the next records and the reserve behind them. A file system that can't is taken at its word
    /// when it writes.
    fn keep(&mut self, frame: u64) -> Result<(), LedgerError> {
        if self.full_at.is_some_and(|at| at.elapsed() < FULL_FOR) {
            return Err(LedgerError::Full);
        }
        let to = self.end.offset + frame + 2 * RESERVE_BYTES;
        match fallocate(&*self.file, FallocateFlags::KEEP_SIZE, self.end.offset, to - self.end.offset) {
            Ok(()) => self.kept = to,
            Err(Errno::NOSPC | Errno::DQUOT) => {
                self.full_at = Some(Instant::now());
                return Err(LedgerError::Full);
            }
            Err(_) => self.kept = u64::MAX,
        }
        Ok(())
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
    woken: Condvar,
}

impl Journal {
    /// Opens the journal at its end, which must be the end of a whole record, or begins the first segment.
    pub(crate) fn open(folder: &Path, end: Position, segment_bytes: u64) -> Result<Self, LedgerError> {
        let file = open_segment(folder, end.segment)?;
        let (queue, rolled) = (Vec::new(), Vec::new());
        let tail = Tail { file, end, queue, rolled, urgent: false, closing: false, broken: false, kept: 0, full_at: None };
        let number = OPENED.fetch_add(1, Ordering::Relaxed);
        Ok(Self { number, folder: folder.to_owned(), segment_bytes, tail: Mutex::new(tail), woken: Condvar::new() })
    }

    /// Which of this process's journals it is.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Appends a frame: one write to the page cache under one short lock, which also keeps the queue in the file's order. Where it only means
    /// something within one segment, it is appended to no other.
    pub(crate) fn append(&self, frame: &[u8], within: Option<u32>, entry: Entry) -> Result<Done, LedgerError> {
        let mut tail = self.tail();
        tail.broken = tail.broken && tail.file.set_len(tail.end.offset).is_err();
        if tail.broken {
            return Err(LedgerError::Damaged { path: segment_path(&self.folder, tail.end.segment), offset: tail.end.offset });
        }
        let after = tail.end;
        // Without space for more, work under way still ends into what is kept; new work is refused.
        let begins = matches!(entry, Entry::Intent(_));
        if tail.end.offset >= self.segment_bytes
            && let Err(error) = self.roll(&mut tail)
            && begins
        {
            return Err(error);
        }
        if within.is_some_and(|segment| segment != tail.end.segment) {
            return Ok(Done::NotThere(Box::new(entry)));
        }
        if tail.end.offset + frame.len() as u64 + RESERVE_BYTES > tail.kept
            && let Err(error) = tail.keep(frame.len() as u64)
            && begins
        {
            return Err(error);
        }
        if let Err(error) = (&*tail.file).write_all(frame) {
            // Part of the frame may be there: it must go, or whatever came next would follow a damaged record.
            tail.broken = tail.file.set_len(tail.end.offset).is_err();
            return Err(at(&segment_path(&self.folder, tail.end.segment))(error));
        }
        let began = tail.end;
        tail.end.offset += frame.len() as u64;
        let end = tail.end;
        if tail.queue.len() < QUEUE_MAX {
            tail.queue.push(Appended { after, began, end, entry });
            if matches!(tail.queue.len(), 1 | SYNC_RECORDS) {
                self.woken.notify_one();
            }
        }
        Ok(Done::Appended(began))
    }

    fn roll(&self, tail: &mut Tail) -> Result<(), LedgerError> {
        let next = Position { segment: tail.end.segment + 1, offset: 0 };
        let file = open_segment(&self.folder, next.segment)?;
        let full = std::mem::replace(&mut tail.file, file);
        // What was kept past its end is given back; where that fails it only takes up space.
        drop(full.set_len(tail.end.offset));
        tail.rolled.push(full);
        (tail.end, tail.kept) = (next, 0);
        Ok(())
    }

    /// How long a segment grows.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// The end of the journal.
    pub(crate) fn end(&self) -> Position {
        self.tail().end
    }

    /// Asks for a commit now.
    pub(crate) fn hurry(&self) {
        self.tail().urgent = true;
        self.woken.notify_one();
    }

    /// Asks the committing thread to finish.
    pub(crate) fn close(&self) {
        self.tail().closing = true;
        self.woken.notify_one();
    }

    /// Waits for something to commit, then for the rest of its window; or until `deadline`, if one is given. What comes next goes into
    /// `room`, which is empty: the same memory serves again and again.
    pub(crate) fn wait(&self, deadline: Option<Instant>, room: Vec<Appended>) -> Wakeup {
        let mut tail = self.tail();
        let idle = |tail: &mut Tail| tail.queue.is_empty() && !tail.urgent && !tail.closing;
        tail = match deadline {
            None => self.woken.wait_while(tail, idle).unwrap_or_else(PoisonError::into_inner),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                self.woken.wait_timeout_while(tail, left, idle).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        if !tail.queue.is_empty() {
            let filling = |tail: &mut Tail| tail.queue.len() < SYNC_RECORDS && !tail.urgent && !tail.closing;
            tail = self.woken.wait_timeout_while(tail, COMMIT_WINDOW, filling).unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut unsynced = std::mem::take(&mut tail.rolled);
        unsynced.push(Arc::clone(&tail.file));
        Wakeup {
            appended: std::mem::replace(&mut tail.queue, room),
            end: tail.end,
            unsynced,
            urgent: std::mem::take(&mut tail.urgent),
            closing: tail.closing,
        }
    }

    /// Waits before a failed commit is tried again, unless the journal is closing.
    pub(crate) fn wait_to_retry(&self, time: Duration) {
        let open = |tail: &mut Tail| !tail.closing && !tail.urgent;
        drop(self.woken.wait_timeout_while(self.tail(), time, open));
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
