//! Checks a state directory that no process runs on, from first principles.
//!
//! Postings are computed again from what they come from, sums again from their parts, and every journal record that
//! should be booked is looked up: a mistake of the thread that books shows, whatever it was.

pub(crate) mod chain;
mod closings;
mod corrections;
mod journal;
mod postings;

use std::path::Path;

use dispatch::AttemptId;
use rusqlite::Connection;

use crate::chain::{Hash, Head};
use crate::error::LedgerError;
use crate::journal::Position;
use crate::register::Registers;
use crate::words::attempt_at;
use crate::{directory, schema};

/// At most so many findings are kept; the rest are only counted.
const FINDINGS_MAX: usize = 1_000;

/// What a check of the books found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Attempts.
    pub attempts: u64,
    /// Of these, settled.
    pub settled: u64,
    /// Of these, known only within bounds.
    pub unreconciled: u64,
    /// Spans of held time.
    pub held: u64,
    /// Postings.
    pub postings: u64,
    /// Records that said something else of an attempt than the first, and were not booked.
    pub conflicts: u64,
    /// Records in the journal.
    pub records: u64,
    /// Of these, not booked yet: the next opening books them.
    pub ahead: u64,
    /// Bytes after the last whole record, which the next opening cuts off.
    pub torn_bytes: u64,
    /// Entries in the chain.
    pub entries: u64,
    /// Corrections.
    pub corrections: u64,
    /// Periods that were closed.
    pub closings: u64,
    /// The end of the chain.
    pub head: Head,
    /// What is wrong, as far as it is kept.
    pub findings: Vec<Finding>,
    /// How much is wrong in all.
    pub wrong: u64,
}

impl Verification {
    /// Whether the books are as they must be.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.wrong == 0
    }

    pub(crate) fn find(&mut self, finding: Finding) {
        self.wrong += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

/// Something wrong with the books.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// SQLite's own check failed.
    #[error("the database is damaged: {what}")]
    Database {
        /// What it says.
        what: String,
    },
    /// An attempt has an end and no beginning.
    #[error("attempt {attempt} is settled and was never decided")]
    NoIntent {
        /// Which.
        attempt: AttemptId,
    },
    /// An attempt is open although the ledger says that it can't be.
    #[error("attempt {attempt} was never settled")]
    NeverSettled {
        /// Which.
        attempt: AttemptId,
    },
    /// What an attempt posted is not what its settlement comes to.
    #[error("attempt {attempt} posted {found} and should have posted {expected}")]
    Posted {
        /// Which.
        attempt: AttemptId,
        /// What it comes to.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Held time doesn't add up.
    #[error("held time {held}: {why}")]
    Held {
        /// Its row.
        held: i64,
        /// What is wrong.
        why: &'static str,
    },
    /// A record that should be booked is not, or says something else than its rows.
    #[error("the journal's record at {}:{} is not what is booked", .at.segment, .at.offset)]
    NotBooked {
        /// Where.
        at: Position,
    },
    /// An entry is not what its hash says.
    #[error("entry {number} of the chain is not what its hash says")]
    Chain {
        /// Which.
        number: i64,
    },
    /// The balances that a service reckons with are not the fold of what is posted.
    #[error("the balances are not the fold of the postings up to number {posting}")]
    Balances {
        /// The newest posting that they should have.
        posting: i64,
    },
    /// Rows are not in the chain.
    #[error("{table} has {rows} rows, and the chain {entries} of them")]
    Unchained {
        /// In which table.
        table: &'static str,
        /// How many there are.
        rows: i64,
        /// How many the chain has.
        entries: i64,
    },
    /// The chain doesn't have a head that was noted.
    #[error("no entry has the hash {hash}: what it was noted of was changed or is gone")]
    Head {
        /// Which.
        hash: Hash,
    },
    /// A correction is not what it must be.
    #[error("correction {number}: {why}")]
    Correction {
        /// Which.
        number: i64,
        /// What is wrong.
        why: &'static str,
    },
    /// A closed period is not what its contract comes to.
    #[error("closing {number} of {contract}: {why}")]
    Closing {
        /// Which.
        number: i64,
        /// Of which contract.
        contract: String,
        /// What is wrong.
        why: String,
    },
    /// A record is damaged.
    #[error("the journal's record at {}:{} is damaged", .at.segment, .at.offset)]
    Damaged {
        /// Where.
        at: Position,
    },
    /// The ledger says that it has booked what the journal doesn't have.
    #[error("booked up to {}:{}, where the journal has no record's end", .at.segment, .at.offset)]
    Position {
        /// Where.
        at: Position,
    },
}

/// Checks a state directory that no process runs on; changes nothing in its books. `noted` is a head of the chain that was written
/// down elsewhere: that it is still there proves that nothing before it was changed.
///
/// # Errors
/// When there is none, a process runs on it, or it can't be read.
pub fn verify(directory: &Path, noted: Option<Hash>) -> Result<Verification, LedgerError> {
    if !schema::database(directory).exists() {
        return Err(LedgerError::Missing { what: format!("a ledger in {}", directory.display()) });
    }
    let _lock = directory::lock(directory)?;
    let mut connection = schema::connect(directory)?;
    schema::migrate(&mut connection)?;
    let registers = Registers::read(&connection)?;
    let mut verification = Verification::default();
    integrity(&connection, &mut verification)?;
    count(&connection, &mut verification)?;
    attempts(&connection, &mut verification)?;
    postings::check_settled(&connection, &registers, &mut verification)?;
    postings::check_held(&connection, &mut verification)?;
    verification.head = chain::check(&connection, Head::default(), noted, &mut verification)?;
    chain::check_complete(&connection, verification.head, &mut verification)?;
    corrections::check(&connection, &registers, &mut verification)?;
    closings::check(directory, &connection, &mut verification)?;
    journal::check(directory, &connection, &registers, &mut verification)?;
    Ok(verification)
}

/// Checks the entries past `from`, and gives the end of the chain.
pub(crate) fn check_added(
    connection: &Connection,
    registers: &Registers,
    from: Head,
    verification: &mut Verification,
) -> Result<Head, LedgerError> {
    let head = chain::check(connection, from, None, verification)?;
    postings::check_added(connection, registers, from, verification)?;
    Ok(head)
}

fn integrity(connection: &Connection, verification: &mut Verification) -> Result<(), LedgerError> {
    let mut check = connection.prepare("PRAGMA integrity_check")?;
    let mut rows = check.query([])?;
    while let Some(row) = rows.next()? {
        let what: String = row.get(0)?;
        if what != "ok" {
            verification.find(Finding::Database { what });
        }
    }
    let mut dangling = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = dangling.query([])?;
    while let Some(row) = rows.next()? {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        verification.find(Finding::Database { what: format!("a row of {table} names a row of {parent} that is not there") });
    }
    Ok(())
}

fn count(connection: &Connection, verification: &mut Verification) -> Result<(), LedgerError> {
    let count = |select: &str| connection.query_row(select, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs);
    verification.attempts = count("SELECT count(*) FROM attempt")?;
    verification.settled = count("SELECT count(*) FROM settlement")?;
    verification.unreconciled = count(crate::view::UNRECONCILED)?;
    verification.held = count("SELECT count(*) FROM held")?;
    verification.postings = count("SELECT count(*) FROM posting")?;
    verification.corrections = count("SELECT count(*) FROM correction")?;
    verification.closings = count("SELECT count(*) FROM closing")?;
    verification.conflicts = count("SELECT count(*) FROM conflict")?;
    Ok(())
}

/// Every settlement has its intent; every intent but the newest has its settlement.
fn attempts(connection: &Connection, verification: &mut Verification) -> Result<(), LedgerError> {
    let unmatched = |select: &str| -> Result<Vec<AttemptId>, LedgerError> {
        let mut select = connection.prepare(select)?;
        Ok(select.query_map([], |row| attempt_at(row, 0))?.collect::<Result<_, _>>()?)
    };
    let no_intent = unmatched(
        "SELECT request, attempt FROM settlement
         WHERE NOT EXISTS (SELECT 1 FROM attempt WHERE (attempt.request, attempt.attempt) = (settlement.request, settlement.attempt))",
    )?;
    let never_settled = unmatched(
        "SELECT request, attempt FROM attempt
         WHERE id < (SELECT settled_below FROM journal_position) AND NOT EXISTS
             (SELECT 1 FROM settlement WHERE (settlement.request, settlement.attempt) = (attempt.request, attempt.attempt))",
    )?;
    no_intent.into_iter().for_each(|attempt| verification.find(Finding::NoIntent { attempt }));
    never_settled.into_iter().for_each(|attempt| verification.find(Finding::NeverSettled { attempt }));
    Ok(())
}
