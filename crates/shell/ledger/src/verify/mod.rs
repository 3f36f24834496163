//! Checks a state directory from first principles: whole where no process runs on it, else what was added since the last time.
//!
//! Postings are computed again from what they come from, sums again from their parts, and every journal record that
//! should be booked is looked up: a mistake of the thread that books shows, whatever it was.

pub(crate) mod chain;
pub(crate) mod closings;
mod corrections;
mod journal;
mod postings;
mod records;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dispatch::AttemptId;
use fleet::FleetVersion;
use rusqlite::{Connection, Params, params};
use units::Instant;

use crate::chain::{Hash, Head};
use crate::error::LedgerError;
use crate::fleets::Fleets;
use crate::journal::Position;
use crate::register::Registers;
use crate::words::attempt_at;
use crate::{directory, schema};
use chain::LastRows;
use closings::Closings;
use records::{Again, Records};

/// Nothing of a request takes so long: what is open for longer, its process has lost.
const OPEN_MAX: Duration = Duration::from_secs(24 * 3_600);
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
    /// Decisions that were taken again.
    pub replayed: u64,
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
    /// An attempt is open for longer than any request takes.
    #[error("attempt {attempt} was decided at {decided} and is still open")]
    Open {
        /// Which.
        attempt: AttemptId,
        /// When it was decided.
        decided: Instant,
    },
    /// A decision is not taken again from what it saw.
    #[error("the decision of attempt {attempt} is another when it is taken again")]
    Replayed {
        /// Of which attempt.
        attempt: AttemptId,
    },
    /// An attempt ends before it begins.
    #[error("attempt {attempt} ends before it begins, or has content outside its time")]
    Backwards {
        /// Which.
        attempt: AttemptId,
    },
    /// A span of an endpoint's time is not one that can be held.
    #[error("the time of {endpoint} from {at} on {why}")]
    HeldTime {
        /// Of which endpoint.
        endpoint: String,
        /// From when on.
        at: Instant,
        /// What is wrong.
        why: &'static str,
    },
    /// More is held than there is.
    #[error("{what}")]
    Beyond {
        /// Where, and how much.
        what: String,
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
    /// An entry is another row than the one that comes next.
    #[error("entry {number} of the chain is row {row} of {table}, where {expected} comes next")]
    Row {
        /// Which entry.
        number: i64,
        /// Of which table.
        table: &'static str,
        /// The row that it is.
        row: i64,
        /// The row that comes next.
        expected: i64,
    },
    /// The text of a fleet that rows name is not the one that was kept.
    #[error("the text that was kept of fleet version {version} has been changed")]
    FleetText {
        /// Which.
        version: FleetVersion,
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
    postings::check_settled(&connection, &registers, &mut verification)?;
    let mut checked = Checked::none(directory, Again::None);
    checked.go_on(&connection, &registers, noted, &mut verification)?;
    chain::check_complete(&connection, verification.head, &mut verification)?;
    check_texts(directory, &connection, &mut verification)?;
    Ok(verification)
}

/// Checks what the rows of a ledger that is put together of several say of one another. Chains are checked where the copies are, journals and
/// what a replica closed alone in its own directory.
pub(crate) fn check_whole(folder: &Path, connection: &Connection, verification: &mut Verification) -> Result<(), LedgerError> {
    let registers = Registers::read(connection)?;
    count(connection, verification)?;
    let no_intent = "SELECT request, attempt FROM settlement WHERE NOT EXISTS
         (SELECT 1 FROM attempt WHERE (attempt.request, attempt.attempt) = (settlement.request, settlement.attempt))";
    for attempt in selected(connection, no_intent, [])? {
        verification.find(Finding::NoIntent { attempt });
    }
    postings::check_settled(connection, &registers, verification)?;
    postings::check_held(connection, 0, verification)?;
    corrections::check(connection, &registers, 0, verification)?;
    check_texts(folder, connection, verification)
}

/// Every text that is there of a fleet that rows name is the one that its version says. One that is gone is a finding where it is needed.
fn check_texts(directory: &Path, connection: &Connection, verification: &mut Verification) -> Result<(), LedgerError> {
    let mut select = connection.prepare("SELECT version FROM fleet ORDER BY id")?;
    for version in select.query_map([], |row| row.get(0).map(FleetVersion))? {
        let version = version?;
        if directory::is_changed(directory, version)? {
            verification.find(Finding::FleetText { version });
        }
    }
    Ok(())
}

/// How far the books were checked, and what is remembered of that to go on from there.
#[derive(Debug)]
pub(crate) struct Checked {
    directory: PathBuf,
    head: Head,
    rows: LastRows,
    held: i64,
    correction: i64,
    /// Attempts below this row are settled.
    settled_below: i64,
    journal: Position,
    closings: Closings,
    records: Records,
    fleets: Arc<Fleets>,
}

impl Checked {
    fn none(directory: &Path, again: Again) -> Self {
        let fleets = Fleets::of(directory);
        Self {
            directory: directory.to_owned(),
            head: Head::default(),
            rows: LastRows::new(),
            held: 0,
            correction: 0,
            settled_below: 0,
            journal: Position::default(),
            closings: Closings::none(&fleets),
            records: Records::new(again),
            fleets,
        }
    }

    /// Nothing yet of the books of a service that runs.
    pub(crate) fn live(directory: &Path) -> Self {
        Self::none(directory, Again::All)
    }

    /// Checks what was added to the books of a service that runs.
    pub(crate) fn look(&mut self, connection: &Connection, registers: &Registers, now: Instant) -> Result<Verification, LedgerError> {
        let (mut verification, from) = (Verification::default(), self.head);
        self.go_on(connection, registers, None, &mut verification)?;
        postings::check_added(connection, registers, from, &mut verification)?;
        let long_open = "SELECT request, attempt, decided FROM attempt WHERE id >= ?1 AND decided < ?2 AND NOT EXISTS
             (SELECT 1 FROM settlement WHERE (settlement.request, settlement.attempt) = (attempt.request, attempt.attempt))";
        let mut select = connection.prepare_cached(long_open)?;
        let mut rows = select.query(params![self.settled_below, (now - OPEN_MAX).micros()])?;
        while let Some(row) = rows.next()? {
            verification.find(Finding::Open { attempt: attempt_at(row, 0)?, decided: Instant::from_micros(row.get(2)?) });
        }
        Ok(verification)
    }

    /// What offline and live checks share. `noted` is a head of the chain that was written down elsewhere.
    fn go_on(
        &mut self,
        connection: &Connection,
        registers: &Registers,
        noted: Option<Hash>,
        verification: &mut Verification,
    ) -> Result<(), LedgerError> {
        let number = |select: &str| connection.query_row(select, [], |row| row.get::<_, i64>(0));
        let settled_below = number("SELECT settled_below FROM journal_position")?;
        attempts(connection, self.head, (self.settled_below, settled_below), verification)?;
        postings::check_held(connection, self.held, verification)?;
        let head = chain::check(connection, (self.head, &mut self.rows), noted, verification)?;
        corrections::check(connection, registers, self.correction, verification)?;
        closings::check(&mut self.closings, connection, verification)?;
        let read = (&mut self.records, &*self.fleets);
        self.journal = journal::check(&self.directory, connection, registers, self.journal, read, verification)?;
        self.held = number("SELECT coalesce(max(id), 0) FROM held")?;
        self.correction = number("SELECT coalesce(max(id), 0) FROM correction")?;
        (self.head, self.settled_below, verification.head) = (head, settled_below, head);
        Ok(())
    }
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

/// Every settlement past `from` has its intent; every attempt of these rows, of which none should be open, has its settlement.
fn attempts(connection: &Connection, from: Head, (first, below): (i64, i64), verification: &mut Verification) -> Result<(), LedgerError> {
    let no_intent = "SELECT request, attempt FROM entry WHERE number > ?1 AND kind = 'settlement'
         AND NOT EXISTS (SELECT 1 FROM attempt WHERE (attempt.request, attempt.attempt) = (entry.request, entry.attempt))";
    let never_settled = "SELECT request, attempt FROM attempt WHERE id >= ?1 AND id < ?2 AND NOT EXISTS
         (SELECT 1 FROM settlement WHERE (settlement.request, settlement.attempt) = (attempt.request, attempt.attempt))";
    for attempt in selected(connection, no_intent, params![from.number])? {
        verification.find(Finding::NoIntent { attempt });
    }
    for attempt in selected(connection, never_settled, params![first, below])? {
        verification.find(Finding::NeverSettled { attempt });
    }
    Ok(())
}

fn selected(connection: &Connection, select: &str, params: impl Params) -> Result<Vec<AttemptId>, LedgerError> {
    let mut select = connection.prepare(select)?;
    Ok(select.query_map(params, |row| attempt_at(row, 0))?.collect::<Result<_, _>>()?)
}
