//! The live audit: what was added since the last time, checked from first principles beside a running service.

use std::sync::Arc;

use fleet::Fleet;
use units::Instant;

use crate::books::{Books, Fold};
use crate::chain::Head;
use crate::error::LedgerError;
use crate::verify::{Finding, Verification, check_added};
use crate::view::View;

/// What has been checked so far.
#[derive(Debug)]
pub(crate) struct Audit {
    head: Head,
    fold: Fold,
}

impl Audit {
    pub(crate) fn new(fleet: Arc<Fleet>, now: Instant) -> Self {
        Self { head: Head::default(), fold: Fold::new(fleet, now) }
    }

    /// Checks what was added since the last time: the chain, the postings of each settlement, and that `books` are the fold of all
    /// postings up to where they stand. What was found wrong is looked at again the next time.
    pub(crate) fn check(&mut self, view: &View, books: &Books) -> Result<Verification, LedgerError> {
        let open = view.lock()?;
        let snapshot = open.connection.unchecked_transaction()?;
        let mut verification = Verification::default();
        let head = check_added(&snapshot, &open.registers, self.head, &mut verification)?;
        self.fold.catch_up(&snapshot, books.posting_to)?;
        if self.fold.posting_to == books.posting_to && self.fold.balances != books.balances {
            verification.find(Finding::Balances { posting: books.posting_to });
        }
        verification.head = head;
        if verification.holds() {
            self.head = head;
        }
        Ok(verification)
    }
}
