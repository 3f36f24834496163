//! Opening after whatever happened: the torn end goes, the rest is booked, what was in flight is settled.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dispatch::{AttemptId, Known, Outcome, Record, Settlement};
use fleet::Fleet;
use market::Tokens;
use rusqlite::{Connection, TransactionBehavior};
use units::Instant;

use crate::books::Fold;
use crate::chain::{self, Chain, FLEET, Kind, OPENING, Of};
use crate::entry::Entry;
use crate::error::LedgerError;
use crate::field::fields;
use crate::fleets::Fleets;
use crate::ingest::Ingester;
use crate::insert::Rows;
use crate::journal::{self, Journal, When, encode, inspect, write_again};
use crate::register::{Register, Registers};
use crate::removed::removed;
use crate::rows::stored_intent;
use crate::{closing, directory, schema, unposted};

/// Postings that nothing prices.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unpriced {
    /// Under which contract.
    pub contract: String,
    /// Of which model, accelerator, site or region.
    pub subject: String,
}

/// What was found and settled when the directory was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// What was used of a meter that a contract of the fleet file prices no longer, in a period that is not closed and under a version whose text
    /// can't be read: nothing prices it.
    pub unpriced: Vec<Unpriced>,
    /// Journal records that the database did not have yet.
    pub replayed: usize,
    /// Attempts that were in flight: settled as interrupted, bounded, unreconciled.
    pub interrupted: Vec<AttemptId>,
    /// Bytes cut off the journal's end because the last record was incomplete.
    pub torn_bytes: u64,
    /// Records behind a hole in what was never synced: kept in the folder `aside`, and not booked.
    pub aside_records: usize,
    /// How many bytes there are from the hole on.
    pub aside_bytes: u64,
    /// Held time of a killed process that it had not posted yet: up to the last instant that its journal names.
    pub held: Duration,
}

/// The folder of what was found behind a hole.
const ASIDE: &str = "aside";

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
    Registers::remember(&mut connection, &fleet, now)?;
    let registers = Arc::new(Registers::read(&connection)?);
    let fleets = Fleets::of(directory);
    let closes = (!directory::takes_part(directory), removed(&connection, &registers, &fleets, &fleet, now)?);
    let mut fold = Fold::new(fleet, &fleets, now);
    let booked = chain::head(&connection)?;
    fold.catch_up(&connection, booked.posting_to)?;
    let folder = journal::folder(directory);
    let mut ingester = Ingester::new(connection, registers, folder.clone(), fold, closes)?;

    let mut recovery = Recovery::default();
    let found = inspect(&folder, ingester.at())?;
    found.cut(&folder, &directory.join(ASIDE))?;
    recovery.torn_bytes = found.torn_bytes;
    (recovery.aside_records, recovery.aside_bytes) = (found.aside_records, found.aside_bytes);
    recovery.replayed = found.records;
    // A sync of it may have failed in the process before.
    write_again(&folder, ingester.at(), found.end)?;
    ingester.advance(found.end, &found.unsynced)?;

    let journal = Journal::open(&folder, found.end, segment_bytes)?;
    let last = unposted::last_instant(&ingester.connection)?.min(now);
    for held in unposted::held(directory, &ingester.connection, &ingester.registers, &fleets)? {
        recovery.held = recovery.held.max(held.span.length());
        let record = Record::Held(held);
        let entry = Entry::of(&record);
        entry.check(&ingester.registers)?;
        journal.append(&encode(&record)?, None, entry, When::Now)?;
    }
    recovery.interrupted = ingester.open_attempts();
    for attempt in &recovery.interrupted {
        let settlement = interrupted(&ingester, *attempt, last)?;
        let record = Record::Settled(settlement);
        journal.append(&encode(&record)?, None, Entry::of(&record), When::Now)?;
    }
    if let Some(unsynced) = journal.unsynced() {
        ingester.advance(unsynced.end, &unsynced.files)?;
        journal.mark_synced(&unsynced);
    }
    for (contract, meter, last) in ingester.fold.earlier.unread(ingester.fold.fleet.version) {
        let contract = ingester.fold.present.contract(contract)?.to_owned();
        if closing::last_closed(&ingester.connection, &contract)?.is_none_or(|(to, _)| last >= to) {
            recovery.unpriced.push(Unpriced { contract, subject: ingester.fold.present.subject(meter)?.to_owned() });
        }
    }
    recovery.unpriced.sort();
    recovery.unpriced.dedup();
    remember_opening(&mut ingester, &recovery, now)?;
    Ok(Recovered { recovery, ingester, journal })
}

/// Books that the directory was opened, and what was found.
fn remember_opening(ingester: &mut Ingester, recovery: &Recovery, now: Instant) -> Result<(), LedgerError> {
    let fleet = ingester.registers.row(ingester.fold.fleet.version)?;
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let transaction = ingester.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut chain = Chain::read(&transaction, Rows::Single)?;
    let opening = chain.insert_new(
        &OPENING,
        &fields![
            fleet,
            now.micros(),
            count(recovery.replayed),
            count(recovery.interrupted.len()),
            recovery.torn_bytes.cast_signed(),
            count(recovery.aside_records),
            recovery.aside_bytes.cast_signed(),
        ],
    )?;
    chain.link(Kind::Opening, Of::Row(opening))?;
    drop(chain);
    Ok(transaction.commit()?)
}

/// The settlement of an attempt that nobody is left to settle: anything up to its bounds may be billed. It ended with its process, of which
/// `last` is the last that is known: the next one may begin in another billing period.
fn interrupted(ingester: &Ingester, attempt: AttemptId, last: Instant) -> Result<Settlement, LedgerError> {
    let intent = stored_intent(&ingester.connection, &ingester.registers, attempt)?.ok_or(LedgerError::Unreadable { attempt })?;
    let tokens = Tokens { input: intent.bound_input, cached: 0, output: intent.bound_output };
    Ok(Settlement {
        attempt,
        endpoint: intent.endpoint,
        contract: intent.contract,
        in_units: intent.in_units,
        fleet: intent.fleet,
        outcome: Outcome::Interrupted,
        tokens,
        known: Known::Bounded,
        list: intent.why.list.cost(tokens),
        started: intent.decided,
        first_content: None,
        ended: last.max(intent.decided),
    })
}

impl Registers {
    /// Keeps the present fleet's names for good.
    fn remember(connection: &mut Connection, fleet: &Fleet, now: Instant) -> Result<(), LedgerError> {
        let register = postcard::to_stdvec(&Register::new(fleet))?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut chain = Chain::read(&transaction, Rows::Single)?;
        if let Some(row) = chain.insert(&FLEET, &fields![&fleet.version.0[..], fleet.name.as_str(), now.micros(), &register[..]])? {
            chain.link(Kind::Fleet, Of::Row(row))?;
        }
        drop(chain);
        Ok(transaction.commit()?)
    }

    /// Every fleet version that was ever in use here.
    pub(crate) fn read(connection: &Connection) -> Result<Self, LedgerError> {
        let mut registers = Self::default();
        let mut select = connection.prepare_cached("SELECT id, register FROM fleet ORDER BY id")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            registers.insert(row.get(0)?, postcard::from_bytes(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?);
        }
        Ok(registers)
    }
}
