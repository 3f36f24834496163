//! What the gateway needs of the ledger.

use dispatch::Record;
use ledger::{LedgerError, Store, Verification};
use units::Instant;

/// Takes records before their effect; the ledger's [`Store`] is the one that keeps them.
pub trait Journal: Send + Sync {
    /// Appends a record: one write, no wait.
    ///
    /// # Errors
    /// When it can't be kept: the caller must not go on with the effect.
    fn append(&self, record: &Record) -> Result<(), LedgerError>;

    /// Takes a record that need not be appended before [`Self::write`] returns, in its order among all.
    ///
    /// # Errors
    /// As for [`Self::append`].
    fn stage(&self, record: &Record) -> Result<(), LedgerError> {
        self.append(record)
    }

    /// Appends what was staged.
    ///
    /// # Errors
    /// When it can't be kept: the caller must not go on with the effect, and nothing else is taken before it.
    fn write(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    /// How many bytes of it the ledger has not taken in yet.
    fn behind(&self) -> u64 {
        0
    }

    /// Checks the books from first principles, as far as they were added to since the last time; `None` where none are kept.
    ///
    /// # Errors
    /// When they can't be read.
    fn audit(&self, _now: Instant) -> Result<Option<Verification>, LedgerError> {
        Ok(None)
    }
}

impl Journal for Store {
    fn append(&self, record: &Record) -> Result<(), LedgerError> {
        Store::append(self, record)
    }

    fn stage(&self, record: &Record) -> Result<(), LedgerError> {
        Store::stage(self, record)
    }

    fn write(&self) -> Result<(), LedgerError> {
        Store::write(self)
    }

    fn behind(&self) -> u64 {
        Store::behind(self)
    }

    fn audit(&self, now: Instant) -> Result<Option<Verification>, LedgerError> {
        Store::audit(self, now).map(Some)
    }
}
