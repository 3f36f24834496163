//! The state directory, opened.

use std::path::Path;
use std::sync::Arc;

use dispatch::{AttemptId, Record};
use fleet::Fleet;
use market::{Balances, Forecast};
use units::Instant;

use crate::error::LedgerError;
use crate::key::{KeyRow, NewKey};
use crate::view::{AttemptRow, Journaled};

/// What was found and settled when the directory was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Journal records that the database did not have yet.
    pub replayed: usize,
    /// Attempts that were in flight: settled as interrupted, bounded, unreconciled.
    pub interrupted: Vec<AttemptId>,
    /// Bytes cut off the journal's end because the last record was incomplete.
    pub torn_bytes: u64,
}

/// The balances under the present fleet, and what is expected of the rest of their periods.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// The fold of all usage posted under contracts that the fleet still has (by name).
    pub balances: Balances,
    /// Flows learnt from it.
    pub forecast: Forecast,
}

/// An open state directory. Cheap to clone; the last one to go closes it.
#[derive(Clone)]
pub struct Store;

impl Store {
    /// Opens or makes a state directory for one process, recovers, and remembers the fleet's text under its version.
    ///
    /// # Errors
    /// When the directory can't be used, is in use, is newer than this program, or is damaged.
    pub fn open(directory: &Path, fleet_text: &str, fleet: Arc<Fleet>, now: Instant) -> Result<(Self, Recovery), LedgerError> {
        let _ = (directory, fleet_text, fleet, now);
        Ok((Self, Recovery::default()))
    }

    /// Appends a record to the journal: one write, no wait for any disk or lock holder; the ledger follows within a commit window.
    ///
    /// # Errors
    /// When the file can't take it: the caller must not go on with the effect.
    pub fn append(&self, record: &Record) -> Result<(), LedgerError> {
        let _ = record;
        Ok(())
    }

    /// Waits until everything appended so far is committed.
    ///
    /// # Errors
    /// When the database refused.
    pub fn flush(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    /// A copy of the books as of the last commit.
    #[must_use]
    pub fn books(&self) -> Arc<Books> {
        Arc::default()
    }

    /// Every key that was ever made, by number.
    ///
    /// # Errors
    /// When the database refused.
    pub fn keys(&self) -> Result<Vec<KeyRow>, LedgerError> {
        Ok(Vec::new())
    }

    /// Makes a key from random bytes that the caller drew.
    ///
    /// # Errors
    /// When the database refused.
    pub fn create_key(
        &self,
        name: &str,
        models: &[String],
        random: [u8; 38],
        now: Instant,
        expires: Option<Instant>,
    ) -> Result<NewKey, LedgerError> {
        let _ = (models, random, now, expires);
        Err(LedgerError::Missing { what: name.to_owned() })
    }

    /// Revokes a key by its public part or name.
    ///
    /// # Errors
    /// When there is none, or the database refused.
    pub fn revoke_key(&self, which: &str, now: Instant) -> Result<KeyRow, LedgerError> {
        let _ = now;
        Err(LedgerError::Missing { what: which.to_owned() })
    }

    /// The last attempts, newest first.
    ///
    /// # Errors
    /// When the database refused.
    pub fn attempts(&self, limit: usize) -> Result<Vec<AttemptRow>, LedgerError> {
        let _ = limit;
        Ok(Vec::new())
    }

    /// Every journaled decision from `since` on, in order, each with the fleet text of its version.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn decisions(&self, since: Instant) -> Result<Vec<Journaled>, LedgerError> {
        let _ = since;
        Ok(Vec::new())
    }
}
