//! The thread that brings the journal into the database, each record exactly once.
//!
//! The journal is synced once a commit window, by a thread of its own. A commit takes what was synced in several windows, as a transaction costs
//! much the same however many rows it has, and writes them with the position that they bring the database to. What fails is tried again
//! from the journal: memory holds no more than the queue's bound.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use dispatch::AttemptId;
use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};

use crate::book::Booking;
use crate::books::{Books, Fold};
use crate::chain::{Chain, ENDING, Kind, Of};
use crate::closing::{self, All, Folds};
use crate::entry::Entry;
use crate::error::LedgerError;
use crate::field::fields;
use crate::insert::Rows;
use crate::journal::{Appended, BOOK_RECORDS, Journal, Next, Position, SegmentReader};
use crate::register::Registers;
use crate::removed::Removed;
use crate::rows::offset;
use crate::sync::{RETRY, sync_files, sync_folder};

/// Books are shown anew at most this often, unless somebody waits for them.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);
/// When it reads the journal back, a commit takes at most so many records.
const CATCH_UP_RECORDS: usize = 2_048;

/// What the committing thread tells the others.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Up to where the journal is committed and in the books that are shown.
    shown: Position,
    failures: u64,
    last_failure: Option<Arc<LedgerError>>,
    stopped: bool,
    /// What periods are to be closed as of, and how often that was asked and done.
    close_as_of: Option<units::Instant>,
    asked: u64,
    closed: u64,
}

impl Progress {
    fn closed_up_to(&mut self, asked: u64) {
        self.closed = asked;
        if self.asked == asked {
            self.close_as_of = None;
        }
    }
}

/// What the committing thread shares with the others.
pub(crate) struct Shared {
    pub(crate) journal: Journal,
    pub(crate) books: RwLock<Arc<Books>>,
    progress: Mutex<Progress>,
    moved: Condvar,
}

impl Shared {
    pub(crate) fn new(journal: Journal, books: Books, at: Position) -> Self {
        let progress = Progress { shown: at, ..Progress::default() };
        Self { journal, books: RwLock::new(Arc::new(books)), progress: Mutex::new(progress), moved: Condvar::new() }
    }

    /// How many bytes are appended and not shown.
    pub(crate) fn behind(&self) -> u64 {
        let shown = self.progress().shown;
        self.journal.end().bytes_after(shown, self.journal.segment_bytes())
    }

    /// Waits until everything appended before the call is committed and shown, or a commit fails.
    pub(crate) fn flush(&self) -> Result<(), LedgerError> {
        let target = self.journal.end();
        let failures = self.progress().failures;
        self.hurry(failures, |progress| progress.shown >= target)
    }

    /// Closes what `now` allows, and waits until that is done or fails.
    pub(crate) fn close(&self, now: units::Instant) -> Result<(), LedgerError> {
        let (asked, failures) = {
            let mut progress = self.progress();
            progress.asked += 1;
            progress.close_as_of = Some(now);
            (progress.asked, progress.failures)
        };
        self.hurry(failures, |progress| progress.closed >= asked)
    }

    /// Has the thread work now, and waits until that is done, or fails once more than the `failures` that there were before.
    fn hurry(&self, failures: u64, done: impl Fn(&Progress) -> bool) -> Result<(), LedgerError> {
        self.journal.hurry();
        let waiting = |progress: &mut Progress| !done(progress) && progress.failures == failures && !progress.stopped;
        let progress = self.moved.wait_while(self.progress(), waiting).unwrap_or_else(PoisonError::into_inner);
        match &progress.last_failure {
            _ if done(&progress) => Ok(()),
            Some(failure) if progress.failures != failures => Err(LedgerError::Commit(Arc::clone(failure))),
            _ => Err(LedgerError::Stopped),
        }
    }

    /// Nothing that can panic runs while it is held, so a poisoned lock is still good.
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked_to_close(&self) -> (Option<units::Instant>, u64) {
        let progress = self.progress();
        (progress.close_as_of, progress.asked)
    }

    /// Tells that something failed, and will be tried again.
    pub(crate) fn fail(&self, failure: LedgerError) {
        self.tell(|progress| {
            progress.failures += 1;
            progress.last_failure = Some(Arc::new(failure));
        });
    }

    fn tell(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress());
        self.moved.notify_all();
    }

    fn publish(&self, books: Books) {
        *self.books.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(books);
    }
}

/// The one writer of the database's books.
pub(crate) struct Ingester {
    pub(crate) connection: Connection,
    pub(crate) registers: Arc<Registers>,
    pub(crate) folder: PathBuf,
    pub(crate) fold: Fold,
    /// Whether periods are closed by these books: those of one of several replicas are not all there is.
    closes: bool,
    /// Contracts that the fleet no longer has.
    removed: Vec<Removed>,
    folds: Folds,
    at: Position,
    /// Attempts without a settlement, with their rows.
    open: BTreeMap<AttemptId, i64>,
    /// The row of the newest attempt.
    newest: i64,
}

impl Ingester {
    /// Takes up where the database stands.
    pub(crate) fn new(
        connection: Connection,
        registers: Arc<Registers>,
        folder: PathBuf,
        fold: Fold,
        (closes, removed): (bool, Vec<Removed>),
    ) -> Result<Self, LedgerError> {
        let (at, settled_below) = connection.query_row("SELECT segment, offset, settled_below FROM journal_position", [], |row| {
            Ok((Position { segment: row.get(0)?, offset: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0) }, row.get::<_, i64>(2)?))
        })?;
        let newest = connection.query_row("SELECT coalesce(max(id), 0) FROM attempt", [], |row| row.get(0))?;
        let open = open_attempts(&connection, settled_below)?;
        // It names only rows that it read or has just inserted: to look each of them up again is a twentieth of its work.
        connection.pragma_update(None, "foreign_keys", false)?;
        let folds = Folds::new(fold.earlier.fleets());
        Ok(Self { connection, registers, folder, fold, closes, removed, folds, at, open, newest })
    }

    pub(crate) fn at(&self) -> Position {
        self.at
    }

    /// Attempts that are not settled, in the order in which they were made.
    pub(crate) fn open_attempts(&self) -> Vec<AttemptId> {
        let mut open: Vec<_> = self.open.iter().map(|(attempt, row)| (*row, *attempt)).collect();
        open.sort_unstable();
        open.into_iter().map(|(_, attempt)| attempt).collect()
    }

    /// Makes sure that what was appended up to `end` is on disk, and commits it from the file.
    pub(crate) fn advance(&mut self, end: Position, unsynced: &[Arc<File>]) -> Result<(), LedgerError> {
        if self.at >= end {
            return Ok(());
        }
        if end.segment > self.at.segment {
            sync_folder(&self.folder)?;
        }
        sync_files(&self.folder, unsynced)?;
        self.catch_up(&[], end)
    }

    /// Commits what is on disk up to `end`: as told where it goes on from here, else from the file.
    fn catch_up(&mut self, appended: &[Appended], end: Position) -> Result<(), LedgerError> {
        if let (Some(first), Some(last)) = (appended.first(), appended.last())
            && first.after == self.at
        {
            self.commit(appended.iter().map(|appended| (&appended.entry, appended.began)), last.end)?;
        }
        while self.at < end {
            let (entries, to) = self.read_back(end)?;
            self.commit(entries.iter().map(|(entry, began)| (entry, *began)), to)?;
        }
        Ok(())
    }

    /// Commits entries in groups; where that fails, as for what is booked already, entry by entry.
    fn commit<'a>(&mut self, entries: impl Iterator<Item = (&'a Entry, Position)> + Clone, to: Position) -> Result<(), LedgerError> {
        match self.commit_at(Rows::Grouped, entries.clone(), to) {
            Err(error) if is_of_a_row(&error) => self.commit_at(Rows::Single, entries, to),
            done => done,
        }
    }

    fn commit_at<'a>(&mut self, rows: Rows, entries: impl Iterator<Item = (&'a Entry, Position)>, to: Position) -> Result<(), LedgerError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut booking = Booking::with(&transaction, &self.registers, rows)?;
        // Another process may have booked corrections meanwhile.
        self.fold.catch_up(&transaction, booking.chain.posting_to())?;
        for (entry, began) in entries {
            booking.book(entry, began)?;
        }
        let (booked, posting_to) = booking.end()?;
        let newest = booked.newest.unwrap_or(self.newest);
        let open = self.open.iter().chain(&booked.open).filter(|(attempt, _)| !booked.settled.contains(attempt));
        let settled_below = open.map(|(_, row)| *row).min().unwrap_or(newest + 1);
        transaction.prepare_cached("UPDATE journal_position SET segment = ?1, offset = ?2, settled_below = ?3")?.execute(params![
            to.segment,
            offset(to),
            settled_below
        ])?;
        let registers: Vec<_> = booked.usage.iter().map(|(version, _)| self.registers.of(*version)).collect::<Result<_, _>>()?;
        // Before it is committed: what is committed is folded whole.
        let own = self.fold.own(registers.iter().map(|register| &***register).zip(booked.usage.iter().map(|(_, usage)| usage)))?;
        transaction.commit()?;
        self.at = to;
        self.newest = newest;
        self.open.extend(booked.open);
        for attempt in &booked.settled {
            self.open.remove(attempt);
        }
        self.fold.post(&own);
        self.fold.posting_to = posting_to;
        Ok(())
    }

    /// Takes in what other processes booked, and closes what `now` allows where that is for these books to do.
    fn close(&mut self, now: units::Instant) -> Result<(), LedgerError> {
        loop {
            if self.closes {
                self.folds.prepare(&self.connection, &self.fold.fleet, &self.removed, now)?;
            }
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut booking = Booking::new(&transaction, &self.registers)?;
            self.fold.catch_up(&transaction, booking.chain.posting_to())?;
            self.folds.catch_up(&transaction, booking.chain.posting_to())?;
            let mut all = All { fold: &self.fold, removed: &self.removed, folds: &mut self.folds };
            let closed = if self.closes { closing::close(&mut booking, &mut all, now)? } else { 0 };
            drop(booking);
            transaction.commit()?;
            if closed < closing::CLOSINGS_MAX {
                return Ok(());
            }
        }
    }

    /// Says in the ledger that the process ended in good order, so that the next one need not look for what it held.
    fn end(&mut self) -> Result<(), LedgerError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let opening: Option<i64> = transaction.query_row("SELECT max(id) FROM opening", [], |row| row.get(0))?;
        let Some(opening) = opening else { return Ok(()) };
        let mut chain = Chain::read(&transaction, Rows::Single)?;
        if chain.insert(&ENDING, &fields![opening, self.at.segment, offset(self.at)])?.is_some() {
            chain.link(Kind::Ending, Of::Row(opening))?;
        }
        drop(chain);
        Ok(transaction.commit()?)
    }

    /// The next records from the file, and where they end.
    fn read_back(&self, end: Position) -> Result<(Vec<(Entry, Position)>, Position), LedgerError> {
        let mut entries = Vec::new();
        let mut reader = SegmentReader::open(&self.folder, self.at)?;
        while entries.len() < CATCH_UP_RECORDS && reader.position() < end {
            match reader.next()? {
                Next::Record(record, began) => entries.push((Entry::of(&record), began)),
                Next::End if reader.position().segment < end.segment => {
                    reader = SegmentReader::open(&self.folder, Position { segment: reader.position().segment + 1, offset: 0 })?;
                }
                Next::End | Next::Broken => return Err(reader.damaged()),
            }
        }
        Ok((entries, reader.position()))
    }

    /// Commits what is synced until the journal closes.
    pub(crate) fn run(mut self, shared: &Shared) {
        let _stopped = TellStopped(shared);
        let (mut published, mut stale, mut behind, mut room) = (Instant::now(), false, false, Vec::new());
        loop {
            let deadline = if behind { Some(Instant::now()) } else { stale.then(|| published + PUBLISH_INTERVAL) };
            let wakeup = shared.journal.wait_synced(deadline, room);
            let (close_as_of, asked) = shared.asked_to_close();
            let before = self.at;
            let mut result = self.catch_up(&wakeup.appended, wakeup.end);
            stale |= self.at > before;
            if let (Ok(()), Some(now)) = (&result, close_as_of) {
                result = self.close(now);
            }
            let hurried = wakeup.urgent || wakeup.closing || close_as_of.is_some();
            if hurried || stale && published.elapsed() >= PUBLISH_INTERVAL {
                shared.publish(self.fold.books());
                shared.tell(|progress| progress.shown = self.at);
                (published, stale) = (Instant::now(), false);
            }
            if close_as_of.is_some() && result.is_ok() {
                shared.tell(|progress| progress.closed_up_to(asked));
            }
            behind = result.is_err();
            room = emptied(wakeup.appended);
            if let Err(failure) = result {
                shared.fail(failure);
                shared.journal.wait_to_retry(RETRY);
            }
            if wakeup.closing {
                if !behind
                    && shared.journal.is_whole()
                    && let Err(failure) = self.end()
                {
                    shared.tell(|progress| progress.last_failure = Some(Arc::new(failure)));
                }
                break;
            }
        }
    }
}

/// The room of what was committed, for what comes next; no more of it than that mostly needs.
fn emptied(mut appended: Vec<Appended>) -> Vec<Appended> {
    appended.clear();
    appended.shrink_to(2 * BOOK_RECORDS);
    appended
}

/// Tells those who wait, however the thread ends.
struct TellStopped<'a>(&'a Shared);

impl Drop for TellStopped<'_> {
    fn drop(&mut self) {
        self.0.tell(|progress| progress.stopped = true);
    }
}

/// Whether a row was refused for what it says, and not all of them for the state of the disk or for another process.
fn is_of_a_row(error: &LedgerError) -> bool {
    match error {
        LedgerError::Database(rusqlite::Error::StatementChangedRows(_)) | LedgerError::Misnumbered { .. } => true,
        LedgerError::Database(error) => error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation),
        _ => false,
    }
}

fn open_attempts(connection: &Connection, settled_below: i64) -> Result<BTreeMap<AttemptId, i64>, LedgerError> {
    let mut select = connection.prepare(
        "SELECT request, attempt, id FROM attempt WHERE id >= ?1
         AND NOT EXISTS (SELECT 1 FROM settlement WHERE (settlement.request, settlement.attempt) = (attempt.request, attempt.attempt))",
    )?;
    let rows = select.query_map([settled_below], |row| Ok((crate::words::attempt_at(row, 0)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
