//! Writes what the gateway does into the journal: before its effect where it can still be left, and however long it takes where it has happened.
//! On a thread whose sends leave together, so do its records, right before them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dispatch::Record;
use ledger::LedgerError;

use crate::cork;
use crate::journal::Journal;
use crate::limits::OWED_MAX;

/// The journal, and what it has not taken yet of what has happened.
pub(crate) struct Recorder {
    pub journal: Arc<dyn Journal>,
    /// Oldest first.
    owed: Mutex<VecDeque<Record>>,
    /// How many those are.
    count: AtomicUsize,
    lost: AtomicU64,
    /// Why the first of them is.
    why: OnceLock<Arc<str>>,
}

impl Recorder {
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self { journal, owed: Mutex::default(), count: AtomicUsize::new(0), lost: AtomicU64::new(0), why: OnceLock::new() }
    }

    /// Writes what is about to happen. While the books lack what has happened nothing new may: so no more is ever owed than was under way.
    pub fn intend(&self, record: &Record) -> Result<(), LedgerError> {
        self.pay()?;
        self.append(record)
    }

    /// Writes what has happened; now, or when the journal takes it again.
    pub fn tell(&self, record: Record) {
        let told = self.pay().and_then(|()| self.append(&record));
        self.told(record, told);
    }

    /// Writes at once what has happened together, so that a kill hardly ever leaves a part of it.
    pub fn tell_together(&self, records: impl IntoIterator<Item = Record>) {
        for record in records {
            let told = self.pay().and_then(|()| self.journal.stage(&record));
            self.told(record, told);
        }
        // What the file does not take stays staged, and goes before anything else.
        _ = self.journal.write();
    }

    fn told(&self, record: Record, told: Result<(), LedgerError>) {
        match told {
            Ok(()) => {}
            Err(error) if error.is_of_the_disk() => self.owe(record),
            Err(error) => self.lose(&error),
        }
    }

    /// Writes what is owed, as far as the journal takes it.
    pub fn pay(&self) -> Result<(), LedgerError> {
        if self.owed() == 0 {
            return Ok(());
        }
        let mut owed = self.lock();
        while let Some(oldest) = owed.front() {
            match self.journal.append(oldest) {
                Err(error) if error.is_of_the_disk() => return Err(error),
                Err(error) => self.lose(&error),
                Ok(()) => {}
            }
            owed.pop_front();
            self.count.store(owed.len(), Ordering::Release);
        }
        Ok(())
    }

    fn append(&self, record: &Record) -> Result<(), LedgerError> {
        if cork::writes() { self.journal.stage(record) } else { self.journal.append(record) }
    }

    /// How many records of what has happened the journal has not taken yet.
    pub fn owed(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// How many it never will: each is a gap in the books.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Why the first of those is lost.
    pub fn why_lost(&self) -> Option<Arc<str>> {
        self.why.get().cloned()
    }

    fn owe(&self, record: Record) {
        let mut owed = self.lock();
        if owed.len() == OWED_MAX {
            return self.lose(&LedgerError::Full);
        }
        owed.push_back(record);
        self.count.store(owed.len(), Ordering::Release);
    }

    fn lose(&self, error: &LedgerError) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        self.why.get_or_init(|| error.to_string().into());
    }

    /// A record is whole before it is in here, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Record>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use dispatch::HeldTime;
    use fleet::{EndpointId, FleetVersion, Id};
    use units::{Instant, Span};

    use super::*;

    /// A journal that takes records or doesn't.
    #[derive(Default)]
    struct Moody {
        full: AtomicBool,
        taken: Mutex<Vec<Record>>,
        staged: Mutex<Vec<Record>>,
        /// How many were staged at each write.
        writes: Mutex<Vec<usize>>,
    }

    impl Journal for Moody {
        fn append(&self, record: &Record) -> Result<(), LedgerError> {
            match (self.full.load(Ordering::Relaxed), record) {
                (true, _) => return Err(LedgerError::Full),
                (false, Record::Held(held)) if held.endpoint.index() == UNKNOWN => {
                    return Err(LedgerError::Unbalanced { why: "it is a test" });
                }
                _ => {}
            }
            self.taken.lock().expect("no test panics with it").push(record.clone());
            Ok(())
        }

        fn stage(&self, record: &Record) -> Result<(), LedgerError> {
            self.append(record)?;
            self.staged.lock().expect("no test panics with it").push(record.clone());
            Ok(())
        }

        fn write(&self) -> Result<(), LedgerError> {
            let staged = std::mem::take(&mut *self.staged.lock().expect("no test panics with it"));
            self.writes.lock().expect("no test panics with it").push(staged.len());
            Ok(())
        }
    }

    /// An endpoint of which nothing can be booked.
    const UNKNOWN: usize = 99;

    fn happened(number: usize) -> Record {
        let at = Instant::from_micros(0);
        Record::Held(HeldTime {
            endpoint: EndpointId::from_index(number),
            fleet: FleetVersion([0; 32]),
            span: Span { from: at, to: at },
            usage: Vec::new(),
            shares: Vec::new(),
        })
    }

    /// What the journal has once it has taken those records, refusing all of some.
    fn check(told: &[usize], refused: &[usize], taken: &[usize], owed: usize, lost: u64) {
        let journal = Arc::new(Moody::default());
        let recorder = Recorder::new(Arc::clone(&journal) as Arc<dyn Journal>);
        for number in told {
            journal.full.store(refused.contains(number), Ordering::Relaxed);
            recorder.tell(happened(*number));
        }
        assert_eq!(*journal.taken.lock().expect("no test panics with it"), taken.iter().copied().map(happened).collect::<Vec<_>>());
        assert_eq!((recorder.owed(), recorder.lost()), (owed, lost));
        let begun = recorder.intend(&happened(7));
        assert_eq!(begun.is_err(), owed > 0, "nothing new begins while something is owed");
    }

    #[test]
    fn what_has_happened_is_told_later_and_in_its_order() {
        check(&[1, 2, 3], &[], &[1, 2, 3], 0, 0);
        check(&[1, 2, 3, 4], &[2, 3], &[1, 2, 3, 4], 0, 0);
        check(&[1, 2, 3], &[2, 3], &[1], 2, 0);
    }

    #[test]
    fn what_has_happened_together_is_written_at_once() {
        let journal = Arc::new(Moody::default());
        let recorder = Recorder::new(Arc::clone(&journal) as Arc<dyn Journal>);
        recorder.tell_together([1, UNKNOWN, 3].map(happened));
        journal.full.store(true, Ordering::Relaxed);
        recorder.tell_together([4, 5].map(happened));
        assert_eq!(*journal.writes.lock().expect("no test panics with it"), [2, 0]);
        assert_eq!((recorder.owed(), recorder.lost()), (2, 1));
        assert!(recorder.why_lost().is_some_and(|why| why.contains("it is a test")));
    }

    #[test]
    fn what_can_never_be_booked_holds_nothing_up() {
        check(&[1, UNKNOWN, 3], &[], &[1, 3], 0, 1);
        check(&[UNKNOWN, 1, 2], &[UNKNOWN, 1], &[1, 2], 0, 1);
    }

    #[test]
    fn no_more_is_owed_than_memory_is_kept_for() {
        let journal = Arc::new(Moody::default());
        journal.full.store(true, Ordering::Relaxed);
        let recorder = Recorder::new(journal);
        (0..OWED_MAX + 3).for_each(|number| recorder.tell(happened(number % 5)));
        assert_eq!((recorder.owed(), recorder.lost()), (OWED_MAX, 3));
    }
}
