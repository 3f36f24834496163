//! What the gateway needs of the ledger.

use dispatch::Record;
use ledger::{LedgerError, Store};

/// Takes records before their effect; the ledger's [`Store`] is the one that keeps them.
pub trait Journal: Send + Sync {
    /// Appends a record: one write, no wait.
    ///
    /// # Errors
    /// When it can't be kept: the caller must not go on with the effect.
    fn append(&self, record: &Record) -> Result<(), LedgerError>;
}

impl Journal for Store {
    fn append(&self, record: &Record) -> Result<(), LedgerError> {
        Store::append(self, record)
    }
}
