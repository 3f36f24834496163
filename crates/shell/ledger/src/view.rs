//! What readers of the ledger see. Any process may read while another writes.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dispatch::{AttemptId, Decision, KeyId, Known, Question, Record, RequestId, Settlement};
use fleet::FleetVersion;
use market::Tokens;
use rusqlite::{Connection, OptionalExtension, Row, params};
use units::{Instant, Money};

use crate::correction::{self, Corrected};
use crate::entry::Why;
use crate::error::LedgerError;
use crate::journal::{self, Next, Position, SegmentReader, for_each, segments};
use crate::register::Registers;
use crate::rows::{INTENT, SETTLEMENT, settlement_at, why_at};
use crate::words::{Request, attempt_at};
use crate::{directory, schema};

/// Counts the attempts that are known only within bounds, and that nothing has cleared yet.
pub(crate) const UNRECONCILED: &str = "SELECT count(*) FROM settlement WHERE known = 'bounded' AND NOT EXISTS (SELECT 1 FROM correction
     WHERE (correction.request, correction.attempt) = (settlement.request, settlement.attempt))";

/// An attempt as the ledger has it, with names that outlive the fleet version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// Which attempt.
    pub attempt: AttemptId,
    /// For which key.
    pub key: KeyId,
    /// Which model.
    pub model: String,
    /// Where it went.
    pub endpoint: String,
    /// Who pays.
    pub contract: String,
    /// Under which fleet.
    pub fleet: FleetVersion,
    /// When the decision was taken.
    pub decided: Instant,
    /// Why it went there.
    pub why: Why,
    /// The pool that its endpoint runs on, if any.
    pub pool: Option<String>,
    /// The contract's rates clauses that charge it, by their place in the file.
    pub clauses: Vec<usize>,
    /// Its end; `None` while it is open.
    pub settled: Option<Settlement>,
    /// The last correction of it, if any: what counts.
    pub corrected: Option<Corrected>,
}

impl AttemptRow {
    /// What it took as far as is known, and what that comes to at list prices; `None` while it is open or known only within bounds.
    #[must_use]
    pub fn taken(&self) -> Option<(Tokens, Money)> {
        let settled = self.settled.as_ref().filter(|settled| settled.known != Known::Bounded);
        let corrected = self.corrected.as_ref().map(|corrected| (corrected.tokens, corrected.list));
        corrected.or(settled.map(|settled| (settled.tokens, settled.list)))
    }

    /// Whether it is known only within bounds.
    #[must_use]
    pub fn unreconciled(&self) -> bool {
        self.settled.is_some_and(|settled| settled.known == Known::Bounded) && self.corrected.is_none()
    }
}

/// A decision from the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journaled {
    /// For which attempt.
    pub attempt: AttemptId,
    /// For which key.
    pub key: KeyId,
    /// What it saw.
    pub question: Question,
    /// What it chose.
    pub decision: Decision,
}

/// A state directory, open for reading only: what it shows is as of the last commit.
#[derive(Debug)]
pub struct View {
    pub(crate) directory: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) connection: Connection,
    pub(crate) registers: Registers,
    /// The newest fleet row that `registers` has.
    newest: i64,
}

impl View {
    /// Opens a state directory for reading, whether or not a process is running on it.
    ///
    /// # Errors
    /// When there is none, or it is newer than this program, or older and in use.
    pub fn open(directory: &Path) -> Result<Self, LedgerError> {
        if !schema::database(directory).exists() {
            return Err(LedgerError::Missing { what: format!("a ledger in {}", directory.display()) });
        }
        let mut connection = schema::connect(directory)?;
        schema::migrate_beside(directory, &mut connection)?;
        Ok(Self { directory: directory.to_owned(), open: Mutex::new(Open { connection, registers: Registers::default(), newest: 0 }) })
    }

    /// The last attempts, newest first.
    ///
    /// # Errors
    /// When the database refused.
    pub fn attempts(&self, limit: usize) -> Result<Vec<AttemptRow>, LedgerError> {
        self.select("ORDER BY attempt.id DESC LIMIT ?1", params![i64::try_from(limit).unwrap_or(i64::MAX)])
    }

    /// The attempts of one request, in order.
    ///
    /// # Errors
    /// When the database refused.
    pub fn attempts_of(&self, request: RequestId) -> Result<Vec<AttemptRow>, LedgerError> {
        self.select("WHERE attempt.request = ?1 ORDER BY attempt.attempt", params![Request(request)])
    }

    /// Attempts whose tokens are only bounded, newest first: what they took is unknown until the supplier's bill says.
    ///
    /// # Errors
    /// When the database refused.
    pub fn unreconciled(&self, limit: usize) -> Result<Vec<AttemptRow>, LedgerError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.select(
            "WHERE settlement.known = 'bounded' AND NOT EXISTS (SELECT 1 FROM correction
             WHERE (correction.request, correction.attempt) = (settlement.request, settlement.attempt)) ORDER BY attempt.id DESC LIMIT ?1",
            params![limit],
        )
    }

    /// Attempts of which a second record said something else than the first: the first counts.
    ///
    /// # Errors
    /// When the database refused.
    pub fn conflicts(&self) -> Result<Vec<AttemptId>, LedgerError> {
        let open = self.lock()?;
        let mut select = open.connection.prepare_cached("SELECT request, attempt FROM conflict ORDER BY id")?;
        Ok(select.query_map([], |row| attempt_at(row, 0))?.collect::<Result<_, _>>()?)
    }

    /// Only text of this program's own becomes SQL: `'static` says so.
    fn select(&self, rest: &'static str, params: impl rusqlite::Params) -> Result<Vec<AttemptRow>, LedgerError> {
        let open = self.lock()?;
        let joined = "FROM attempt LEFT JOIN settlement ON (settlement.request, settlement.attempt) = (attempt.request, attempt.attempt)";
        let mut select = open.connection.prepare_cached(&["SELECT", INTENT, ",", SETTLEMENT, joined, rest].join(" "))?;
        let mut rows = select.query(params)?;
        let mut attempts = Vec::new();
        while let Some(row) = rows.next()? {
            let mut attempt = attempt_row(row, &open.registers)?;
            attempt.corrected = correction::of(&open.connection, attempt.attempt)?.pop();
            attempts.push(attempt);
        }
        Ok(attempts)
    }

    /// Every journaled decision from `since` on, in order.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn decisions(&self, since: Instant) -> Result<Vec<Journaled>, LedgerError> {
        let folder = journal::folder(&self.directory);
        let mut found = Vec::new();
        for_each(&folder, first_worth_reading(&folder, since)?, |record, _| {
            found.extend(journaled(record).filter(|journaled| journaled.question.now >= since));
            Ok(())
        })?;
        Ok(found)
    }

    /// One journaled decision.
    ///
    /// # Errors
    /// When there is no such attempt, its journal segment has expired, or it can't be read.
    pub fn decision(&self, attempt: AttemptId) -> Result<Journaled, LedgerError> {
        let position = {
            let open = self.lock()?;
            let mut find = open.connection.prepare_cached("SELECT segment, offset FROM attempt WHERE request = ?1 AND attempt = ?2")?;
            find.query_row(params![Request(attempt.request), attempt.attempt], position_at).optional()?
        };
        let missing = || LedgerError::Missing { what: format!("the decision of attempt {attempt}") };
        let position = position.ok_or_else(missing)?;
        if !journal::segment_path(&journal::folder(&self.directory), position.segment).exists() {
            return Err(LedgerError::Missing { what: format!("the decision of attempt {attempt}: its journal segment has expired") });
        }
        let mut reader = SegmentReader::open(&journal::folder(&self.directory), position)?;
        match reader.next()? {
            Next::Record(record, _) => journaled(*record).filter(|journaled| journaled.attempt == attempt).ok_or_else(missing),
            Next::End | Next::Broken => Err(reader.damaged()),
        }
    }

    /// The decisions of all attempts of one request, in order.
    ///
    /// # Errors
    /// As for [`Self::decision`].
    pub fn decisions_of(&self, request: RequestId) -> Result<Vec<Journaled>, LedgerError> {
        let attempts: Vec<u8> = {
            let open = self.lock()?;
            let mut find = open.connection.prepare_cached("SELECT attempt FROM attempt WHERE request = ?1 ORDER BY attempt")?;
            find.query_map([Request(request)], |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        attempts.into_iter().map(|attempt| self.decision(AttemptId { request, attempt })).collect()
    }

    /// Every fleet version that was in use, the newest first.
    ///
    /// # Errors
    /// When the database refused.
    pub fn fleet_versions(&self) -> Result<Vec<FleetVersion>, LedgerError> {
        let open = self.lock()?;
        let mut select = open.connection.prepare_cached("SELECT version FROM fleet ORDER BY id DESC")?;
        Ok(select.query_map([], |row| row.get(0).map(FleetVersion))?.collect::<Result<_, _>>()?)
    }

    /// The text of a fleet version that was in use.
    ///
    /// # Errors
    /// When there is none.
    pub fn fleet_text(&self, version: FleetVersion) -> Result<String, LedgerError> {
        directory::text(&self.directory, version)
    }

    /// The connection, with every fleet version that the rows may name.
    pub(crate) fn lock(&self) -> Result<MutexGuard<'_, Open>, LedgerError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = open.connection.query_row("SELECT coalesce(max(id), 0) FROM fleet", [], |row| row.get(0))?;
        if newest != open.newest {
            open.registers = Registers::read(&open.connection)?;
            open.newest = newest;
        }
        Ok(open)
    }
}

pub(crate) fn position_at(row: &Row<'_>) -> rusqlite::Result<Position> {
    Ok(Position { segment: row.get(0)?, offset: u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0) })
}

fn attempt_row(row: &Row<'_>, registers: &Registers) -> Result<AttemptRow, LedgerError> {
    const SETTLEMENT_FROM: usize = 21;
    let register = registers.at_row(row.get(6)?)?;
    let (endpoint, contract): (String, String) = (row.get(4)?, row.get(5)?);
    let (place, payer) = (register.endpoint_id(&endpoint), register.contract_id(&contract));
    let in_units = row.get(20)?;
    let settled = row.get_ref(SETTLEMENT_FROM)? != rusqlite::types::ValueRef::Null;
    Ok(AttemptRow {
        attempt: attempt_at(row, 0)?,
        key: KeyId(row.get(2)?),
        model: row.get(3)?,
        pool: place.and_then(|place| register.pool(place)).map(str::to_owned),
        clauses: payer.zip(place).map(|(payer, place)| register.clauses(payer, place, in_units)).unwrap_or_default(),
        endpoint,
        contract,
        fleet: register.version,
        decided: Instant::from_micros(row.get(7)?),
        why: why_at(row, 10)?,
        settled: settled.then(|| settlement_at(row, SETTLEMENT_FROM, registers)).transpose()?,
        corrected: None,
    })
}

fn journaled(record: Record) -> Option<Journaled> {
    match record {
        Record::Decided { attempt, key, question, decision } => Some(Journaled { attempt, key, question: *question, decision: *decision }),
        Record::Settled(_) | Record::Held(_) => None,
    }
}

/// The last segment whose first decision is before `since`: no earlier one can hold a later decision.
fn first_worth_reading(folder: &Path, since: Instant) -> Result<Position, LedgerError> {
    let segments = segments(folder)?;
    for segment in segments.iter().rev().copied() {
        let mut reader = SegmentReader::open(folder, Position { segment, offset: 0 })?;
        while let Next::Record(record, _) = reader.next()? {
            match journaled(*record) {
                Some(first) if first.question.now < since => return Ok(Position { segment, offset: 0 }),
                Some(_) => break,
                None => {}
            }
        }
    }
    Ok(Position { segment: segments.first().copied().unwrap_or(0), offset: 0 })
}
