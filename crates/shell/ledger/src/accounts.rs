//! What an accountant asks: heads, closings, corrections and what is open.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use dispatch::AttemptId;
use fleet::{Fleet, FleetVersion};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use units::{Instant, Money};

use crate::book::Booking;
use crate::chain::{self, Head};
use crate::closing::{self, Closed};
use crate::correction::{self, Correct, Corrected};
use crate::error::LedgerError;
use crate::plain::check_by;
use crate::register::Registers;
use crate::view::View;
use crate::words::Nanos;
use crate::{directory, journal, schema, whole};

/// What is known only within bounds, in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unreconciled {
    /// How many attempts.
    pub attempts: u64,
    /// At most so many input tokens.
    pub input: u64,
    /// At most so many output tokens.
    pub output: u64,
    /// At most so much at list prices, in the fleet's currency.
    pub list: Money,
}

impl View {
    /// The fleet that the directory was last opened with, read from the text that was kept; of several replicas' the one that any was.
    ///
    /// # Errors
    /// When it was never opened, or the text can't be read any more or is another one.
    pub fn fleet(&self) -> Result<Arc<Fleet>, LedgerError> {
        let missing = || LedgerError::Missing { what: "the fleet that the ledger was last opened with".to_owned() };
        let version: Option<FleetVersion> = {
            let open = self.lock()?;
            let last = if whole::is_whole(&open.connection)? {
                // Each replica numbers its own.
                "SELECT fleet.version FROM opening JOIN fleet ON fleet.id = opening.fleet ORDER BY opening.at_us DESC LIMIT 1"
            } else {
                "SELECT fleet.version FROM opening JOIN fleet ON fleet.id = opening.fleet ORDER BY opening.id DESC LIMIT 1"
            };
            open.connection.prepare_cached(last)?.query_row([], |row| row.get(0).map(FleetVersion)).optional()?
        };
        let version = version.ok_or_else(missing)?;
        if directory::is_changed(&self.directory, version)? {
            return Err(LedgerError::Changed { version });
        }
        fleet::parse(&self.fleet_text(version)?).fleet.map(Arc::new).ok_or_else(missing)
    }

    /// The end of the chain, once all before it is on disk: fit to be noted elsewhere.
    ///
    /// # Errors
    /// When the database refused.
    pub fn head(&self) -> Result<Head, LedgerError> {
        let open = self.lock()?;
        let head = chain::head(&open.connection)?;
        open.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
        Ok(head)
    }

    /// Removes journal segments that are booked, and were last written to before `before`.
    pub(crate) fn expire_journal(&self, before: SystemTime) -> Result<usize, LedgerError> {
        let booked: u32 = {
            let open = self.lock()?;
            // A power cut must not bring back a database that still needs them.
            open.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
            open.connection.query_row("SELECT segment FROM journal_position", [], |row| row.get(0))?
        };
        journal::expire(&journal::folder(&self.directory), booked, before)
    }

    /// Every closed period, or those of one contract, in the order in which they were closed.
    ///
    /// # Errors
    /// When the database refused.
    pub fn closings(&self, contract: Option<&str>) -> Result<Vec<Closed>, LedgerError> {
        closing::all(&self.lock()?.connection, contract)
    }

    /// Postings that came for a period after it was closed, and that no closing has taken up yet, by contract.
    ///
    /// # Errors
    /// When the database refused.
    pub fn late(&self) -> Result<BTreeMap<String, u64>, LedgerError> {
        let open = self.lock()?;
        let mut select = open.connection.prepare_cached(
            "SELECT contract, count(*) FROM posting WHERE id > (SELECT max(posting_to) FROM closing WHERE closing.contract = posting.contract)
             AND at_us < (SELECT max(to_us) FROM closing WHERE closing.contract = posting.contract) GROUP BY contract",
        )?;
        Ok(select.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?.collect::<Result<_, _>>()?)
    }

    /// The corrections of an attempt, each of the one before it.
    ///
    /// # Errors
    /// When the database refused.
    pub fn corrections_of(&self, attempt: AttemptId) -> Result<Vec<Corrected>, LedgerError> {
        correction::of(&self.lock()?.connection, attempt)
    }

    /// What is known only within bounds, in all.
    ///
    /// # Errors
    /// When the database refused.
    pub fn unreconciled_total(&self) -> Result<Unreconciled, LedgerError> {
        let open = self.lock()?;
        let mut select = open.connection.prepare_cached(
            "SELECT input, output, list FROM settlement WHERE known = 'bounded' AND NOT EXISTS (SELECT 1 FROM correction
             WHERE (correction.request, correction.attempt) = (settlement.request, settlement.attempt))",
        )?;
        let mut rows = select.query([])?;
        let mut total = Unreconciled::default();
        while let Some(row) = rows.next()? {
            let Nanos(list) = row.get(2)?;
            total.attempts += 1;
            total.input += u64::from(row.get::<_, u32>(0)?);
            total.output += u64::from(row.get::<_, u32>(1)?);
            total.list += list;
        }
        Ok(total)
    }
}

/// Books a correction in a state directory, also while a service runs on it: that takes it in with its next closing or commit.
///
/// # Errors
/// When the attempt is not settled, the tokens can't be, who or why is no plain line, or the database refused.
pub fn correct(directory: &Path, said: &Correct, now: Instant) -> Result<Corrected, LedgerError> {
    check_by(&said.who, &said.why)?;
    let mut connection = for_writing(directory)?;
    let registers = Registers::read(&connection)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut booking = Booking::new(&transaction, &registers)?;
    let number = correction::correct(&mut booking, said, None, now)?;
    let corrected = correction::of(&transaction, said.attempt)?.pop().filter(|corrected| corrected.number == number);
    drop(booking);
    transaction.commit()?;
    corrected.ok_or(LedgerError::Unreadable { attempt: said.attempt })
}

/// A connection whose transactions are on disk when they are committed: no journal is behind them.
pub(crate) fn for_writing(directory: &Path) -> Result<Connection, LedgerError> {
    if !schema::database(directory).exists() {
        return Err(LedgerError::Missing { what: format!("a ledger in {}", directory.display()) });
    }
    let mut connection = schema::connect(directory)?;
    schema::migrate_beside(directory, &mut connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}
