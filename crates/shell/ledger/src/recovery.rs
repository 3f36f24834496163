//! Opening after whatever happened: the torn end goes, the rest is booked, what was in flight is settled.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use dispatch::{AttemptId, Known, Outcome, Record, Settlement};
use fleet::Fleet;
use market::Tokens;
use units::{Instant, Money};

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
    let tokens = Tokens { input: intent.bound_input, cached: 0, output: intent.bound_output };
    Ok(Settlement {
        attempt,
        endpoint: intent.endpoint,
        contract: intent.contract,
        fleet: intent.fleet,
        outcome: Outcome::Interrupted,
        tokens,
        known: Known::Bounded,
        list: intent.why.map_or(Money::ZERO, |why| why.list.cost(tokens)),
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

#[cfg(test)]
mod tests {
    use std::fs;

    use dispatch::{HeldTime, RequestId};
    use fleet::{FleetVersion, Id};
    use proptest::prelude::*;
    use units::{Quantity, Span};

    use super::*;

    fn record(request: u128, shares: usize) -> Record {
        let attempt = AttemptId { request: RequestId(request), attempt: 1 };
        let version = FleetVersion([7; 32]);
        if shares > 0 {
            let span = Span { from: Instant::from_micros(1), to: Instant::from_micros(2) };
            let shares = vec![(attempt, Quantity::new(9)); shares];
            return Record::Held(HeldTime { endpoint: Id::from_index(1), fleet: version, span, usage: Vec::new(), shares });
        }
        Record::Settled(Settlement {
            attempt,
            endpoint: Id::from_index(0),
            contract: Id::from_index(0),
            fleet: version,
            outcome: Outcome::Answered,
            tokens: Tokens { input: 300, cached: 1, output: 7 },
            known: Known::Reported,
            list: Money::ZERO,
            started: Instant::from_micros(5),
            first_content: Some(Instant::from_micros(6)),
            ended: Instant::from_micros(7),
        })
    }

    /// A log of these records and where each ends.
    fn log(records: &[Record]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for record in records {
            bytes.extend(encode(record).expect("short enough"));
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    /// What is found in a folder with this one segment: whole records, their end, and torn bytes; or where it is damaged.
    fn find(folder: &Path, bytes: &[u8]) -> Result<(usize, u64, u64), u64> {
        fs::write(segment_path(folder, 0), bytes).expect("written");
        match inspect(folder, Position::default()) {
            Ok(found) => Ok((found.records, found.end.offset, found.torn_bytes)),
            Err(LedgerError::Damaged { offset, .. }) => Err(offset),
            Err(other) => unreachable!("{other}"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn a_log_cut_anywhere_gives_back_its_whole_records(shares in proptest::collection::vec(0..4_usize, 1..5)) {
            let folder = tempfile::tempdir().expect("a folder");
            let records: Vec<_> = (0..).zip(&shares).map(|(request, shares)| record(request, *shares)).collect();
            let (bytes, ends) = log(&records);
            for cut in 0..=bytes.len() {
                let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
                let torn = (cut - ends[whole]) as u64;
                prop_assert_eq!(find(folder.path(), &bytes[..cut]), Ok((whole, ends[whole] as u64, torn)), "cut at {}", cut);
            }
        }

        #[test]
        fn a_flipped_bit_is_damage_unless_it_is_in_the_last_record(
            shares in proptest::collection::vec(0..4_usize, 1..5), bit in 0..8_u32,
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let records: Vec<_> = (0..).zip(&shares).map(|(request, shares)| record(request, *shares)).collect();
            let (bytes, ends) = log(&records);
            let last = ends[ends.len() - 2];
            for place in 0..bytes.len() {
                let mut flipped = bytes.clone();
                flipped[place] ^= 1 << bit;
                let began = ends.iter().rev().find(|end| **end <= place).copied().unwrap_or(0);
                let torn = Ok((records.len() - 1, last as u64, (bytes.len() - last) as u64));
                let expected = if began == last { torn } else { Err(began as u64) };
                prop_assert_eq!(find(folder.path(), &flipped), expected, "flipped at {}", place);
            }
        }

        #[test]
        fn bytes_that_are_no_record_are_torn(noise in proptest::collection::vec(any::<u8>(), 1..400)) {
            let folder = tempfile::tempdir().expect("a folder");
            let (bytes, ends) = log(&[record(1, 0), record(2, 2)]);
            let found = find(folder.path(), &[bytes.as_slice(), &noise].concat());
            prop_assert_eq!(found, Ok((2, ends[2] as u64, noise.len() as u64)));
        }

        #[test]
        fn what_is_written_is_read_back(request in any::<u128>(), shares in 0..50_usize) {
            let folder = tempfile::tempdir().expect("a folder");
            let written = record(request, shares);
            fs::write(segment_path(folder.path(), 0), encode(&written).expect("short enough")).expect("written");
            let mut reader = SegmentReader::open(folder.path(), Position::default()).expect("there");
            let read = reader.next().expect("read");
            prop_assert!(matches!(read, Next::Record(read, _) if *read == written));
        }
    }

    #[test]
    fn a_record_past_the_limit_is_refused() {
        let long = record(1, journal::RECORD_BYTES_MAX / 2);
        assert!(matches!(encode(&long), Err(LedgerError::TooLong { limit: journal::RECORD_BYTES_MAX, .. })));
    }

    #[test]
    fn a_hole_between_segments_is_no_journal() {
        let folder = tempfile::tempdir().expect("a folder");
        let (bytes, _) = log(&[record(1, 0)]);
        for segment in [0, 2] {
            fs::write(segment_path(folder.path(), segment), &bytes).expect("written");
        }
        assert!(matches!(inspect(folder.path(), Position::default()), Err(LedgerError::Missing { .. })));
        fs::write(segment_path(folder.path(), 1), &bytes[..bytes.len() - 1]).expect("written");
        assert!(matches!(inspect(folder.path(), Position::default()), Err(LedgerError::Damaged { .. })), "torn, and not the last");
    }
}
