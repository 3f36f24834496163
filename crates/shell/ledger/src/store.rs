//! The state directory, opened.

use std::cell::RefCell;
use std::fs::File;
use std::ops::Deref;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use dispatch::Record;
use fleet::Fleet;
use units::Instant;

use crate::audit::Audit;
use crate::books::Books;
use crate::entry::Entry;
use crate::error::LedgerError;
use crate::ingest::Shared;
use crate::journal::{Framing, When};
use crate::key::{KeyRow, KeyTerms, NewKey};
use crate::keys::Keys;
use crate::recovery::{Recovered, Recovery, recover};
use crate::register::Registers;
use crate::sync;
use crate::verify::Verification;
use crate::view::View;

thread_local! {
    static FRAMING: RefCell<Framing> = RefCell::default();
}

/// An open state directory. Cheap to clone; the last one to go closes it. What a [`View`] can read, it can.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    registers: Arc<Registers>,
    keys: Keys,
    view: View,
    audit: Mutex<Audit>,
    /// The one that syncs, then the one that books.
    threads: Vec<JoinHandle<()>>,
    /// Held until everything above is closed.
    _lock: File,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.journal.close();
        for thread in self.threads.drain(..) {
            // What a panicked thread left undone is in the journal, for the next opening.
            drop(thread.join());
        }
    }
}

impl Deref for Store {
    type Target = View;
    fn deref(&self) -> &View {
        &self.inner.view
    }
}

/// By how much the thread that books gives way to others: where one processor serves too, it gets a quarter of it at least.
const NICENESS: i32 = 5;

impl Store {
    /// Opens or makes a state directory for one process, recovers, and remembers the fleet's text under its version.
    ///
    /// # Errors
    /// When the directory can't be used, is in use, is newer than this program, or is damaged.
    pub fn open(directory: &Path, fleet_text: &str, fleet: Arc<Fleet>, now: Instant) -> Result<(Self, Recovery), LedgerError> {
        Self::open_with(directory, fleet_text, fleet, now, crate::journal::SEGMENT_BYTES)
    }

    /// Opens with journal segments of another size.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn open_with(
        directory: &Path,
        fleet_text: &str,
        fleet: Arc<Fleet>,
        now: Instant,
        segment_bytes: u64,
    ) -> Result<(Self, Recovery), LedgerError> {
        crate::directory::make(directory)?;
        let lock = crate::directory::lock(directory)?;
        let audited = Arc::clone(&fleet);
        let Recovered { recovery, ingester, journal } = recover(directory, fleet_text, fleet, now, segment_bytes)?;
        let registers = Arc::clone(&ingester.registers);
        let shared = Arc::new(Shared::new(journal, ingester.fold.books(), ingester.at()));
        let (keys, view) = (Keys::open(directory)?, View::open(directory)?);
        let audit = Mutex::new(Audit::new(View::open(directory)?, audited, now));
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(crate::error::at(directory))
        };
        let (syncs, books, folder) = (Arc::clone(&shared), Arc::clone(&shared), ingester.folder.clone());
        let booking = spawn(
            "ledger",
            Box::new(move || {
                // Booking can wait a moment, and requests on the same processor should not wait for it. Where this is refused it is as it was.
                _ = rustix::process::nice(NICENESS);
                ingester.run(&books);
            }),
        )?;
        // Without it the other would wait for ever.
        let syncing = spawn("journal", Box::new(move || sync::run(&syncs, &folder))).inspect_err(|_| shared.journal.end_syncing())?;
        let threads = vec![syncing, booking];
        Ok((Self { inner: Arc::new(Inner { shared, registers, keys, view, audit, threads, _lock: lock }) }, recovery))
    }

    /// How many bytes of the journal are not in the ledger yet, or not shown.
    #[must_use]
    pub fn behind(&self) -> u64 {
        self.inner.shared.behind()
    }

    /// Opens only the keys of a state directory, also while another process runs on it.
    ///
    /// # Errors
    /// As for [`Keys::open`].
    pub fn open_keys(directory: &Path) -> Result<Keys, LedgerError> {
        Keys::open(directory)
    }

    /// Appends a record to the journal: one write to the page cache, no wait for any disk; the ledger follows within a
    /// commit window. Once it returns, killing the process loses nothing; a power cut loses at most the window.
    ///
    /// # Errors
    /// When the record can't be booked or the file can't take it: the caller must not go on with the effect.
    pub fn append(&self, record: &Record) -> Result<(), LedgerError> {
        self.take(record, When::Now)
    }

    /// Takes a record for [`Self::write`] to append: one write for many records costs little more than for one. In their order, also with
    /// those of other threads. What the disk might have no room for is appended at once.
    ///
    /// # Errors
    /// As for [`Self::append`]; nothing of the record is kept.
    pub fn stage(&self, record: &Record) -> Result<(), LedgerError> {
        self.take(record, When::Staged)
    }

    /// Appends what was staged, by whichever thread.
    ///
    /// # Errors
    /// When the file can't take it: it stays staged, nothing else is taken before it, and the caller must not go on with the effect.
    pub fn write(&self) -> Result<(), LedgerError> {
        self.inner.shared.journal.write()
    }

    fn take(&self, record: &Record, when: When) -> Result<(), LedgerError> {
        let entry = Entry::of(record);
        entry.check(&self.inner.registers)?;
        FRAMING.with_borrow_mut(|framing| framing.append(&self.inner.shared.journal, record, entry, when))
    }

    /// Waits until everything appended so far is committed and in the books.
    ///
    /// # Errors
    /// When the database refused; what was appended stays in the journal and is tried again.
    pub fn flush(&self) -> Result<(), LedgerError> {
        self.inner.shared.flush()
    }

    /// Closes every billing period whose end lies far enough before `now`, and takes in what other processes corrected. A directory that
    /// was one of several replicas when it was opened closes none: the others may have.
    ///
    /// # Errors
    /// When the database refused; it is tried again.
    pub fn close_periods(&self, now: Instant) -> Result<(), LedgerError> {
        self.inner.shared.close(now)
    }

    /// Checks from first principles what was added since it was last asked; the first time, everything.
    ///
    /// # Errors
    /// When the database refused.
    pub fn audit(&self, now: Instant) -> Result<Verification, LedgerError> {
        self.flush()?;
        let mut audit = self.inner.audit.lock().unwrap_or_else(PoisonError::into_inner);
        audit.check(&self.books(), now)
    }

    /// Removes journal segments that are booked and older than `keep`, and says how many those were. The ledger keeps everything
    /// but what the decisions saw.
    ///
    /// # Errors
    /// When the database or the file system refused.
    pub fn expire_journal(&self, now: Instant, keep: Duration) -> Result<usize, LedgerError> {
        let before = SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from((now - keep).micros()).unwrap_or(0));
        self.inner.view.expire_journal(before)
    }

    /// A copy of the books as of a commit, at most a tenth of a second after the last.
    #[must_use]
    pub fn books(&self) -> Arc<Books> {
        Arc::clone(&self.inner.shared.books.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every key that was ever made, by number, whichever process made it: the same rows as before while there was no change.
    ///
    /// # Errors
    /// When the database refused.
    pub fn keys(&self) -> Result<Arc<[KeyRow]>, LedgerError> {
        self.inner.keys.list()
    }

    /// Makes a key from random bytes that the caller drew.
    ///
    /// # Errors
    /// When the database refused.
    pub fn create_key(&self, terms: &KeyTerms, random: [u8; 38], now: Instant) -> Result<NewKey, LedgerError> {
        self.inner.keys.create(terms, random, now)
    }

    /// Revokes a key by its public part or name.
    ///
    /// # Errors
    /// When there is none, or the database refused.
    pub fn revoke_key(&self, which: &str, now: Instant) -> Result<KeyRow, LedgerError> {
        self.inner.keys.revoke(which, now)
    }
}
