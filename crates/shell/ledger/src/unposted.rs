//! What a killed process held and had not posted yet.
//!
//! Held time is posted every few seconds. A killed process leaves the last piece out: it held its replicas at least up to the
//! last instant that its journal names, and nobody says for how much longer. That piece is posted as held, none of it as used. So is what
//! endpoints held over the last reading whose records of it the kill left out.
//!
//! One of several replicas posts it up to the instant that was its to post, and no further: another takes over there.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use dispatch::HeldTime;
use fleet::EndpointId;
use market::Usage;
use rusqlite::{Connection, OptionalExtension};
use units::{Instant, Quantity, Span};

use crate::directory;
use crate::error::{LedgerError, at};
use crate::fleets::Fleets;
use crate::register::{Register, Registers};
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
pub(crate) fn held(
    directory: &Path,
    connection: &Connection,
    registers: &Registers,
    fleets: &Fleets,
) -> Result<Vec<HeldTime>, LedgerError> {
    let killed: bool = connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM opening WHERE id = (SELECT max(id) FROM opening) AND id NOT IN (SELECT opening FROM ending))",
        [],
        |row| row.get(0),
    )?;
    let last = connection.query_row("SELECT max(id), fleet, endpoint, from_us, to_us FROM held", [], |row| {
        let Some(_) = row.get::<_, Option<i64>>(0)? else { return Ok(None) };
        let span = Span { from: Instant::from_micros(row.get(3)?), to: Instant::from_micros(row.get(4)?) };
        Ok(Some((row.get::<_, i64>(1)?, row.get::<_, String>(2)?, span)))
    })?;
    let (Some((fleet, endpoint, reading)), true) = (last, killed) else { return Ok(Vec::new()) };
    let (register, kept, last) = (registers.at_row(fleet)?, kept(directory), last_instant(connection)?);
    let mut held = held_to(connection, register, (fleet, reading.to))?;
    if held.is_empty() {
        // It was noted that nothing is held any more.
        return Ok(Vec::new());
    }
    // A reading goes by the order of endpoints: the kill left those out of it that are behind its last one and were held up to its beginning.
    let mut left_out = held_to(connection, register, (fleet, reading.from))?;
    left_out.retain(|other, _| Some(*other) > register.endpoint_id(&endpoint));
    // Whose contract ended there was in no later one.
    let fleet = fleets.get(register.version)?;
    let in_force = |contract| fleet.as_ref().is_none_or(|fleet| fleet.contracts[contract].in_force(reading.from));
    left_out.retain(|_, held: &mut HeldTime| held.usage.iter().all(|usage| in_force(usage.contract)));
    let rest = whole(reading.from, reading.to.min(kept));
    // They come first: wherever another kill comes, it is found as this one was.
    let mut pieces: Vec<HeldTime> = left_out.values().filter(|_| !rest.is_empty()).map(|held| at_pace_of(held, rest)).collect();
    held.extend(left_out);
    if last.since(reading.to) <= GAP_MAX {
        let spans = split(whole(reading.to, last.min(kept)));
        pieces.extend(spans.flat_map(|span| held.values().map(move |held| at_pace_of(held, span))));
    }
    Ok(pieces)
}

/// From an instant on in whole milliseconds; over nothing where `to` is before it.
fn whole(from: Instant, to: Instant) -> Span {
    let length = Duration::from_millis(u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX));
    Span { from, to: from + length }
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

/// What each endpoint held over its record that ended then, without what was used of it.
fn held_to(
    connection: &Connection,
    register: &Register,
    (fleet, ended): (i64, Instant),
) -> Result<BTreeMap<EndpointId, HeldTime>, LedgerError> {
    let mut select = connection.prepare_cached(
        "SELECT held.id, held.endpoint, held.from_us, posting.contract, posting.meter, posting.subject, posting.held
         FROM held JOIN posting ON posting.source = held.id
         WHERE held.id > (SELECT max(id) FROM held) - 8192 AND held.fleet = ?1 AND held.to_us = ?2 ORDER BY posting.id",
    )?;
    let mut rows = select.query([fleet, ended.micros()])?;
    let mut found: BTreeMap<i64, HeldTime> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let Some(endpoint) = register.endpoint_id(&row.get::<_, String>(1)?) else { continue };
        let Word(kind) = row.get(4)?;
        let Some(contract) = register.contract_id(&row.get::<_, String>(3)?) else { continue };
        let Some(meter) = register.meter(kind, &row.get::<_, String>(5)?) else { continue };
        let span = Span { from: Instant::from_micros(row.get(2)?), to: ended };
        let fleet = register.version;
        let held = found.entry(row.get(0)?).or_insert_with(|| HeldTime { endpoint, fleet, span, usage: Vec::new(), shares: Vec::new() });
        held.usage.push(Usage { contract, meter, at: span.from, held: Quantity::new(row.get(6)?), used: Quantity::ZERO });
    }
    Ok(found.into_values().map(|held| (held.endpoint, held)).collect())
}

/// The same held over another span.
fn at_pace_of(held: &HeldTime, span: Span) -> HeldTime {
    let micros = |span: Span| i128::try_from(span.length().as_micros()).unwrap_or(i128::MAX);
    let part = |all: Quantity| i64::try_from(i128::from(all.count()) * micros(span) / micros(held.span).max(1)).unwrap_or(i64::MAX);
    let usage = held.usage.iter().map(|usage| Usage { at: span.from, held: Quantity::new(part(usage.held)), ..*usage });
    HeldTime { span, usage: usage.collect(), ..held.clone() }
}
