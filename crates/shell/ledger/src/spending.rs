//! What keys have spent: balances are a fold of it.

use dispatch::KeyId;
use rusqlite::params;
use units::{Instant, Money};

use crate::error::LedgerError;
use crate::view::View;
use crate::words::Nanos;

/// What one settled attempt counts against budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spending {
    /// Whose request it was.
    pub key: KeyId,
    /// When it was decided: the budget's period is the one that this lies in.
    pub decided: Instant,
    /// What it came to at list price, in the fleet's currency.
    pub list: Money,
}

impl View {
    /// Tells every settled attempt that was decided at `since` or later.
    ///
    /// # Errors
    /// When the database refused.
    pub fn spending(&self, since: Instant, mut tell: impl FnMut(Spending)) -> Result<(), LedgerError> {
        let open = self.lock()?;
        let mut select = open.connection.prepare_cached(
            "SELECT attempt.key, attempt.decided, coalesce((SELECT list FROM correction
                 WHERE (correction.request, correction.attempt) = (attempt.request, attempt.attempt) ORDER BY id DESC LIMIT 1), settlement.list)
             FROM attempt JOIN settlement
             ON (settlement.request, settlement.attempt) = (attempt.request, attempt.attempt) WHERE attempt.decided >= ?1",
        )?;
        let mut rows = select.query(params![since.micros()])?;
        while let Some(row) = rows.next()? {
            let Nanos(list) = row.get(2)?;
            tell(Spending { key: KeyId(row.get(0)?), decided: Instant::from_micros(row.get(1)?), list });
        }
        Ok(())
    }
}
