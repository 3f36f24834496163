//! Every journal record that should be booked, looked up.

use std::fs;
use std::path::Path;

use dispatch::{AttemptId, HeldTime};
use rusqlite::{Connection, OptionalExtension, params};

use super::postings::Posting;
use super::records::Records;
use super::{Finding, Verification};
use crate::entry::Entry;
use crate::error::{LedgerError, at};
use crate::fleets::Fleets;
use crate::journal::{Next, Position, SegmentReader, folder, segment_path, segments};
use crate::register::Registers;
use crate::rows::{offset, stored_intent, stored_settlement};
use crate::view::position_at;
use crate::words::{Request, attempt_at};

/// Checks the journal's segments against the rows and by themselves, from `from` up to the position that the rows claim, and gives that.
pub(super) fn check(
    directory: &Path,
    connection: &Connection,
    registers: &Registers,
    from: Position,
    (records, fleets): (&mut Records, &Fleets),
    verification: &mut Verification,
) -> Result<Position, LedgerError> {
    let folder = folder(directory);
    records.read_openings(connection)?;
    let booked_to = connection.query_row("SELECT segment, offset FROM journal_position", [], position_at)?;
    // An empty journal ends where it begins; so does a segment that was closed just before a commit.
    let mut ends_there = booked_to == from;
    let segments = segments(&folder)?;
    'segments: for segment in segments.iter().copied().filter(|segment| *segment >= from.segment) {
        let offset = if segment == from.segment { from.offset } else { 0 };
        let mut reader = SegmentReader::open(&folder, Position { segment, offset })?;
        loop {
            match reader.next()? {
                Next::Record(record, began) => {
                    verification.records += 1;
                    ends_there |= reader.position() == booked_to;
                    if began >= booked_to {
                        verification.ahead += 1;
                    } else {
                        if !booked(connection, registers, &Entry::of(&record), began)? {
                            verification.find(Finding::NotBooked { at: began });
                        }
                        records.take(&record, registers, fleets, verification)?;
                    }
                }
                Next::End => break,
                // It was never booked, and perhaps never synced: the next opening cuts it off or sets it aside.
                Next::Broken if reader.position() >= booked_to => {
                    for later in segments.iter().copied().filter(|later| *later >= segment) {
                        let path = segment_path(&folder, later);
                        verification.torn_bytes += fs::metadata(&path).map_err(at(&path))?.len();
                    }
                    verification.torn_bytes -= reader.position().offset;
                    break 'segments;
                }
                Next::Broken => {
                    verification.find(Finding::Damaged { at: reader.position() });
                    break;
                }
            }
        }
    }
    if !ends_there {
        verification.find(Finding::Position { at: booked_to });
    }
    records.finish(fleets, verification)?;
    Ok(booked_to)
}

/// Whether the rows say what the record says, or keep it as a conflict.
fn booked(connection: &Connection, registers: &Registers, entry: &Entry, began: Position) -> Result<bool, LedgerError> {
    Ok(match entry {
        Entry::Intent(intent) => {
            stored_intent(connection, registers, intent.attempt)?.as_ref() == Some(intent) || conflict(connection, intent.attempt, entry)?
        }
        Entry::Settled(settlement) => {
            stored_settlement(connection, registers, settlement.attempt)?.as_ref() == Some(settlement)
                || conflict(connection, settlement.attempt, entry)?
        }
        Entry::Held(held) => held_booked(connection, registers, held, began)?,
    })
}

fn conflict(connection: &Connection, attempt: AttemptId, entry: &Entry) -> Result<bool, LedgerError> {
    let bytes = postcard::to_stdvec(entry)?;
    let mut find = connection.prepare_cached("SELECT 1 FROM conflict WHERE request = ?1 AND attempt = ?2 AND entry = ?3")?;
    Ok(find.exists(params![Request(attempt.request), attempt.attempt, bytes])?)
}

fn held_booked(connection: &Connection, registers: &Registers, held: &HeldTime, began: Position) -> Result<bool, LedgerError> {
    let register = registers.of(held.fleet)?;
    let mut find = connection.prepare_cached(
        "SELECT id FROM held WHERE segment = ?1 AND offset = ?2 AND endpoint = ?3 AND fleet = ?4 AND from_us = ?5 AND to_us = ?6",
    )?;
    let row: Option<i64> = find
        .query_row(
            params![
                began.segment,
                offset(began),
                register.endpoint(held.endpoint)?,
                registers.row(held.fleet)?,
                held.span.from.micros(),
                held.span.to.micros()
            ],
            |row| row.get(0),
        )
        .optional()?;
    let Some(row) = row else { return Ok(false) };
    let mut shares = connection.prepare_cached("SELECT request, attempt, quantity FROM held_share WHERE held = ?1 ORDER BY number")?;
    let shares = shares.query_map([row], |row| Ok((attempt_at(row, 0)?, row.get(2)?)))?.collect::<Result<Vec<(_, i64)>, _>>()?;
    let columns = Posting::COLUMNS;
    let mut postings = connection.prepare_cached(&format!("SELECT {columns} FROM posting WHERE source = ?1 ORDER BY id"))?;
    let postings = postings.query_map([row], |row| Posting::at(row, 0))?.collect::<Result<Vec<_>, _>>()?;
    let expected = held.usage.iter().map(|usage| Posting::of(register, usage)).collect::<Result<Vec<_>, _>>()?;
    Ok(postings == expected && shares.into_iter().eq(held.shares.iter().map(|(attempt, quantity)| (*attempt, quantity.count()))))
}
