//! Opening after whatever happened: the torn end goes, the rest is booked, what was in flight is settled.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use dispatch::{AttemptId, Known, Outcome, Record, Settlement};
use fleet::Fleet;
use market::Tokens;
use units::Instant;

use crate::book::stored_intent;
use crate::books::Fold;
use crate::entry::Entry;
use crate::error::{LedgerError, at};
use crate::ingest::Ingester;
use crate::journal::{self, Journal, Next, Position, SegmentReader, encode, holds_whole_frame, segment_path, segments};
use crate::register::{Register, Registers};
use crate::{directory, schema};

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

/// A state directory ready to go on.
pub(crate) struct Recovered {
    pub(crate) recovery: Recovery,
    pub(crate) ingester: Ingester,
    pub(crate) journal: Journal,
}

/// Recovers a directory that the caller has locked.
pub(crate) fn recover(
    directory: &Path,
    fleet_text: &str,
    fleet: Arc<Fleet>,
    now: Instant,
    segment_bytes: u64,
) -> Result<Recovered, LedgerError> {
    let mut connection = schema::connect(directory)?;
    schema::migrate(&mut connection)?;
    directory::keep_text(directory, fleet.version, fleet_text)?;
    Registers::remember(&connection, &fleet, now)?;
    let registers = Arc::new(Registers::read(&connection)?);
    let mut fold = Fold::new(fleet, now);
    fold.post_all(&connection)?;
    let folder = journal::folder(directory);
    let mut ingester = Ingester::new(connection, registers, folder.clone(), fold)?;

    let mut recovery = Recovery::default();
    let found = inspect(&folder, ingester.at())?;
    if found.torn_bytes > 0 {
        let path = segment_path(&folder, found.end.segment);
        let file = OpenOptions::new().write(true).open(&path).map_err(at(&path))?;
        file.set_len(found.end.offset).and_then(|()| file.sync_all()).map_err(at(&path))?;
    }
    recovery.torn_bytes = found.torn_bytes;
    recovery.replayed = found.records;
    ingester.advance(&[], found.end, &found.unsynced)?;

    let journal = Journal::open(&folder, found.end, segment_bytes)?;
    recovery.interrupted = ingester.open_attempts();
    for attempt in &recovery.interrupted {
        let settlement = interrupted(&ingester, *attempt, now)?;
        let record = Record::Settled(settlement);
        journal.append(&encode(&record)?, Entry::of(&record))?;
    }
    let wakeup = journal.wait(Some(std::time::Instant::now()));
    ingester.advance(&wakeup.appended, wakeup.end, &wakeup.unsynced)?;
    Ok(Recovered { recovery, ingester, journal })
}

/// The settlement of an attempt that nobody is left to settle: anything up to its bounds may be billed.
fn interrupted(ingester: &Ingester, attempt: AttemptId, now: Instant) -> Result<Settlement, LedgerError> {
    let intent = stored_intent(&ingester.connection, &ingester.registers, attempt)?.ok_or(LedgerError::Unreadable { attempt })?;
    Ok(Settlement {
        attempt,
        endpoint: intent.endpoint,
        contract: intent.contract,
        fleet: intent.fleet,
        outcome: Outcome::Interrupted,
        tokens: Tokens { input: intent.bound_input, cached: 0, output: intent.bound_output },
        known: Known::Bounded,
        started: intent.decided,
        first_content: None,
        ended: now.max(intent.decided),
    })
}

/// What the journal holds past a position.
struct Found {
    end: Position,
    records: usize,
    torn_bytes: u64,
    unsynced: Vec<Arc<File>>,
}

/// Reads the journal from a committed position to its end. Only the end of its last segment may be torn.
fn inspect(folder: &Path, from: Position) -> Result<Found, LedgerError> {
    let mut found = Found { end: from, records: 0, torn_bytes: 0, unsynced: Vec::new() };
    let segments = segments(folder)?;
    let Some(last) = segments.last().copied() else {
        return if from == Position::default() { Ok(found) } else { Err(missing(folder, from)) };
    };
    if segments.binary_search(&from.segment).is_err() {
        return Err(missing(folder, from));
    }
    for segment in from.segment..=last {
        let start = Position { segment, offset: if segment == from.segment { from.offset } else { 0 } };
        let path = segment_path(folder, segment);
        let file = File::open(&path).map_err(at(&path))?;
        let length = file.metadata().map_err(at(&path))?.len();
        if length < start.offset {
            return Err(LedgerError::Damaged { path, offset: length });
        }
        let mut reader = SegmentReader::open(folder, start)?;
        let whole = loop {
            match reader.next()? {
                Next::Record(..) => found.records += 1,
                Next::End => break true,
                Next::Broken => break false,
            }
        };
        found.end = reader.position();
        if !whole {
            let mut rest = vec![0; usize::try_from(length - found.end.offset).unwrap_or(0)];
            file.read_exact_at(&mut rest, found.end.offset).map_err(at(&path))?;
            if segment != last || holds_whole_frame(&rest[1..]) {
                return Err(reader.damaged());
            }
            found.torn_bytes = rest.len() as u64;
        }
        found.unsynced.push(Arc::new(file));
    }
    Ok(found)
}

fn missing(folder: &Path, position: Position) -> LedgerError {
    LedgerError::Missing { what: segment_path(folder, position.segment).display().to_string() }
}

impl Registers {
    /// Keeps the present fleet's names for good.
    fn remember(connection: &rusqlite::Connection, fleet: &Fleet, now: Instant) -> Result<(), LedgerError> {
        let register = postcard::to_stdvec(&Register::new(fleet))?;
        connection.execute(
            "INSERT INTO fleet (version, name, first_used, register) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (version) DO NOTHING",
            rusqlite::params![fleet.version.0, fleet.name, now.micros(), register],
        )?;
        Ok(())
    }

    /// Every fleet version that was ever in use here.
    pub(crate) fn read(connection: &rusqlite::Connection) -> Result<Self, LedgerError> {
        let mut registers = Self::default();
        let mut select = connection.prepare_cached("SELECT id, register FROM fleet ORDER BY id")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            registers.insert(row.get(0)?, postcard::from_bytes(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?);
        }
        Ok(registers)
    }
}
