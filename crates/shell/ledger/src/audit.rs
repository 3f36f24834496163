//! The live audit: what was added since the last time, checked from first principles beside a running service.

use std::sync::Arc;

use fleet::Fleet;
use units::Instant;

use crate::books::{Books, Fold};
use crate::error::LedgerError;
use crate::fleets::Fleets;
use crate::verify::{Checked, Finding, Verification};
use crate::view::View;

/// What has been checked so far.
#[derive(Debug)]
pub(crate) struct Audit {
    /// Its own: the first time it takes long, and nobody waits for it.
    view: View,
    checked: Checked,
    fold: Fold,
}

impl Audit {
    pub(crate) fn new(view: View, fleet: Arc<Fleet>, now: Instant) -> Self {
        let (checked, fold) = (Checked::live(&view.directory), Fold::new(fleet, &Fleets::of(&view.directory), now));
        Self { view, checked, fold }
    }

    /// Checks what was added since the last time, and that `books` are the fold of all postings up to where they stand. Once something is
    /// wrong, everything is looked at again the next time.
    pub(crate) fn check(&mut self, books: &Books, now: Instant) -> Result<Verification, LedgerError> {
        let found = self.look(books, now);
        if !found.as_ref().is_ok_and(Verification::holds) {
            self.checked = Checked::live(&self.view.directory);
        }
        found
    }

    fn look(&mut self, books: &Books, now: Instant) -> Result<Verification, LedgerError> {
        let open = self.view.lock()?;
        let snapshot = open.connection.unchecked_transaction()?;
        let mut verification = self.checked.look(&snapshot, &open.registers, now)?;
        self.fold.catch_up(&snapshot, books.posting_to)?;
        if self.fold.posting_to == books.posting_to && self.fold.balances != books.balances {
            verification.find(Finding::Balances { posting: books.posting_to });
        }
        Ok(verification)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::store::Store;

    #[test]
    fn what_takes_long_waits_for_no_reader_and_no_reader_for_it() {
        let directory = tempfile::tempdir().expect("a folder");
        let text = include_str!("../../../../fleets/laptop.toml");
        let fleet = Arc::new(fleet::parse(text).fleet.expect("it is sound"));
        let now = Instant::from_micros(1_795_000_000_000_000);
        let (store, _) = Store::open(directory.path(), text, Arc::clone(&fleet), now).expect("opened");
        let reading = store.lock().expect("nobody reads");
        assert!(store.audit(now).expect("audited").holds());
        let spent = store.spent(&fleet, &[now, now + std::time::Duration::from_secs(60)]).expect("read");
        assert!(!spent.is_empty(), "the reservations cost something");
        drop(reading);
    }
}
