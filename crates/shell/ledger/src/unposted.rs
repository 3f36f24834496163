//! What a killed process held and had not posted yet.
//!
//! Held time is posted every few seconds. A killed process leaves the last piece out: it held its replicas at least up to the
//! last instant that its journal names, and nobody says for how much longer. That piece is posted as held, none of it as used.
//!
//! One of several replicas posts it up to the instant that was its to post, and no further: another takes over there.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use dispatch::HeldTime;
use market::Usage;
use rusqlite::{Connection, OptionalExtension};
use units::{Instant, Quantity, Span};

use crate::directory;
use crate::error::{LedgerError, at};
use crate::register::Registers;
use crate::view::View;
use crate::words::{Request, Word};

/// A longer gap is no piece that was about to be posted: the process was not holding any more.
const GAP_MAX: Duration = Duration::from_secs(10);
const MINUTE: i64 = 60_000_000;

/// The file of a replica's directory that says up to when held time is its to post.
const KEPT: &str = "kept";

/// Up to when held time was this directory's to post: what is not noted, or only in part, was not.
fn kept(directory: &Path) -> Instant {
    if !directory::takes_part(directory) {
        return Instant::MAX;
    }
    let noted = std::fs::read_to_string(directory.join(KEPT)).ok().and_then(|text| text.parse().ok());
    noted.map_or(Instant::MIN, Instant::from_micros)
}

/// The held time to post, when the last process was killed.
pub(crate) fn held(directory: &Path, connection: &Connection, registers: &Registers) -> Result<Vec<HeldTime>, LedgerError> {
    let killed: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM opening WHERE id = (SELECT max(id) FROM opening) AND id NOT IN (SELECT opening FROM ending))",
        [],
        |row| row.get(0),
    )?;
    let last = connection.query_row("SELECT max(id), fleet, to_us FROM held", [], |row| {
        Ok(row.get::<_, Option<i64>>(0)?.zip(row.get::<_, Option<i64>>(1)?).zip(row.get::<_, Option<i64>>(2)?))
    })?;
    let (Some(((_, fleet), to)), true) = (last, killed) else { return Ok(Vec::new()) };
    let (from, to) = (Instant::from_micros(to), last_instant(connection)?);
    if to.since(from) > GAP_MAX {
        return Ok(Vec::new());
    }
    let length = Duration::from_millis(u64::try_from(to.min(kept(directory)).since(from).as_millis()).unwrap_or(u64::MAX));
    if length.is_zero() {
        return Ok(Vec::new());
    }
    let mut pieces = Vec::new();
    for span in split(Span { from, to: from + length }) {
        pieces.extend(pieces_of(connection, registers, (fleet, from), span)?);
    }
    Ok(pieces)
}

impl View {
    /// Notes up to when held time is this replica's to post, before it posts any of that.
    ///
    /// # Errors
    /// When it can't be written: then less is posted after a kill, and nothing twice.
    pub fn note_kept(&self, until: Instant) -> Result<(), LedgerError> {
        let path = self.directory.join(KEPT);
        std::fs::write(&path, until.micros().to_string()).map_err(at(&path))
    }

    /// Up to when held time is posted: a clock that was set back makes none be posted twice.
    ///
    /// # Errors
    /// When the database refused.
    pub fn held_until(&self) -> Result<Option<Instant>, LedgerError> {
        let open = self.lock()?;
        // It only ever grows, up to the endpoints of one reading.
        let last = "SELECT max(to_us) FROM (SELECT to_us FROM held ORDER BY id DESC LIMIT 4096)";
        Ok(open.connection.query_row(last, [], |row| row.get::<_, Option<i64>>(0))?.map(Instant::from_micros))
    }
}

/// The last instant that a record of the journal names, by its order.
pub(crate) fn last_instant(connection: &Connection) -> Result<Instant, LedgerError> {
    let decided: Option<i64> = connection.query_row("SELECT max(id), decided FROM attempt", [], |row| row.get(1))?;
    let settled = connection
        .query_row("SELECT request, attempt FROM entry WHERE kind = 'settlement' ORDER BY number DESC LIMIT 1", [], |row| {
            Ok((row.get::<_, Request>(0)?, row.get::<_, u8>(1)?))
        })
        .optional()?;
    let ended: Option<i64> = match settled {
        Some((request, attempt)) => connection
            .query_row("SELECT ended FROM settlement WHERE request = ?1 AND attempt = ?2", rusqlite::params![request, attempt], |row| {
                row.get(0)
            })
            .optional()?,
        None => None,
    };
    let held: Option<i64> = connection.query_row("SELECT max(id), to_us FROM held", [], |row| row.get(1))?;
    Ok(Instant::from_micros(decided.into_iter().chain(ended).chain(held).max().unwrap_or(i64::MIN)))
}

/// Cut at a whole minute, so that no piece lies in two billing periods.
fn split(span: Span) -> impl Iterator<Item = Span> {
    let minute = Instant::from_micros((span.from.micros().div_euclid(MINUTE) + 1) * MINUTE);
    let pieces = [Span { from: span.from, to: minute.min(span.to) }, Span { from: minute.min(span.to), to: span.to }];
    pieces.into_iter().filter(|piece| !piece.is_empty())
}

/// What each endpoint went on holding over `span`, at the pace of the piece that ended at `ended`.
fn pieces_of(
    connection: &Connection,
    registers: &Registers,
    (fleet, ended): (i64, Instant),
    span: Span,
) -> Result<Vec<HeldTime>, LedgerError> {
    let register = registers.at_row(fleet)?;
    let mut select = connection.prepare(
        "SELECT held.id, held.endpoint, held.to_us - held.from_us, posting.contract, posting.meter, posting.subject, posting.held
         FROM held JOIN posting ON posting.source = held.id
         WHERE held.id > (SELECT max(id) FROM held) - 4096 AND held.fleet = ?1 AND held.to_us = ?2 ORDER BY posting.id",
    )?;
    let mut rows = select.query([fleet, ended.micros()])?;
    let mut found: BTreeMap<i64, HeldTime> = BTreeMap::new();
    let length = i128::try_from(span.length().as_micros()).unwrap_or(i128::MAX);
    while let Some(row) = rows.next()? {
        let Some(endpoint) = register.endpoint_id(&row.get::<_, String>(1)?) else { continue };
        let Word(kind) = row.get(4)?;
        let Some(contract) = register.contract_id(&row.get::<_, String>(3)?) else { continue };
        let Some(meter) = register.meter(kind, &row.get::<_, String>(5)?) else { continue };
        let (over, held): (i64, i64) = (row.get(2)?, row.get(6)?);
        let held = i64::try_from(i128::from(held) * length / i128::from(over.max(1))).unwrap_or(i64::MAX);
        let piece = found.entry(row.get(0)?).or_insert_with(|| HeldTime {
            endpoint,
            fleet: register.version,
            span,
            usage: Vec::new(),
            shares: Vec::new(),
        });
        piece.usage.push(Usage { contract, meter, at: span.from, held: Quantity::new(held), used: Quantity::ZERO });
    }
    Ok(found.into_values().collect())
}
