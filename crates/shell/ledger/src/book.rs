//! Entries into rows, each attempt and each held time exactly once.

use std::collections::BTreeSet;

use dispatch::{AttemptId, Cost, HeldTime, KeyId, Settlement};
use fleet::FleetVersion;
use market::{TokenPrices, Usage};
use rusqlite::{Connection, OptionalExtension, Row, params};
use units::Instant;

use crate::entry::{Entry, Intent, Why};
use crate::error::LedgerError;
use crate::journal::Position;
use crate::register::{Register, Registers};
use crate::words::{Nanos, Request, Word};

/// What a transaction changed, to be told to the books once it is committed.
#[derive(Debug, Default)]
pub(crate) struct Booked {
    pub(crate) usage: Vec<(FleetVersion, Usage)>,
    pub(crate) intents: Vec<(AttemptId, i64)>,
    pub(crate) settled: BTreeSet<AttemptId>,
}

/// Where a posting comes from.
#[derive(Clone, Copy)]
enum Source {
    Attempt(AttemptId),
    Held(i64),
}

/// Books one entry whose journal record began at `began`.
pub(crate) fn book(
    connection: &Connection,
    registers: &Registers,
    entry: &Entry,
    began: Position,
    booked: &mut Booked,
) -> Result<(), LedgerError> {
    match entry {
        Entry::Intent(intent) => match insert_intent(connection, registers, intent, began)? {
            Some(row) => booked.intents.push((intent.attempt, row)),
            None => keep_conflict(
                connection,
                entry,
                intent.attempt,
                stored_intent(connection, registers, intent.attempt)?.is_some_and(|stored| stored.says(intent)),
            )?,
        },
        Entry::Settled(settlement) => {
            if insert_settlement(connection, registers, settlement)? {
                let register = registers.of(settlement.fleet)?;
                let meters = register.token_meters(settlement.contract, settlement.endpoint);
                let usage = meters.map(|meters| meters.postings(settlement)).unwrap_or_default();
                insert_postings(connection, registers, settlement.fleet, &usage, Source::Attempt(settlement.attempt), booked)?;
                booked.settled.insert(settlement.attempt);
            } else {
                let same = stored_settlement(connection, registers, settlement.attempt)?.as_ref() == Some(settlement);
                keep_conflict(connection, entry, settlement.attempt, same)?;
            }
        }
        Entry::Held(held) => {
            let row = insert_held(connection, registers, held, began)?;
            insert_postings(connection, registers, held.fleet, &held.usage, Source::Held(row), booked)?;
        }
    }
    Ok(())
}

fn insert_intent(connection: &Connection, registers: &Registers, intent: &Intent, began: Position) -> Result<Option<i64>, LedgerError> {
    let register = registers.of(intent.fleet)?;
    let why = intent.why.as_ref();
    let mut insert = connection.prepare_cached(
        "INSERT INTO attempt (request, attempt, key, model, endpoint, contract, fleet, decided, bound_input, bound_output, segment, offset,
             tier, rule, marginal, energy, scarcity, cache_loss, slo_miss, list_input, list_cached, list_output)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22) ON CONFLICT (request, attempt) DO NOTHING",
    )?;
    let inserted = insert.execute(params![
        Request(intent.attempt.request),
        intent.attempt.attempt,
        intent.key.0,
        register.model(intent.model)?,
        register.endpoint(intent.endpoint)?,
        register.contract(intent.contract)?,
        registers.row(intent.fleet)?,
        intent.decided.micros(),
        intent.bound_input,
        intent.bound_output,
        began.segment,
        offset(began),
        why.map(|why| Word(why.tier)),
        why.map(|why| Word(why.rule)),
        why.map(|why| Nanos(why.cost.marginal)),
        why.map(|why| Nanos(why.cost.energy)),
        why.map(|why| Nanos(why.cost.scarcity)),
        why.map(|why| Nanos(why.cost.cache_loss)),
        why.map(|why| Nanos(why.cost.slo_miss)),
        why.map(|why| why.list.input),
        why.map(|why| why.list.cached),
        why.map(|why| why.list.output),
    ])?;
    Ok((inserted == 1).then(|| connection.last_insert_rowid()))
}

fn insert_settlement(connection: &Connection, registers: &Registers, settlement: &Settlement) -> Result<bool, LedgerError> {
    let register = registers.of(settlement.fleet)?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO settlement
             (request, attempt, endpoint, contract, fleet, outcome, known, input, cached, output, started, first_content, ended, list)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) ON CONFLICT (request, attempt) DO NOTHING",
    )?;
    let inserted = insert.execute(params![
        Request(settlement.attempt.request),
        settlement.attempt.attempt,
        register.endpoint(settlement.endpoint)?,
        register.contract(settlement.contract)?,
        registers.row(settlement.fleet)?,
        Word(settlement.outcome),
        Word(settlement.known),
        settlement.tokens.input,
        settlement.tokens.cached,
        settlement.tokens.output,
        settlement.started.micros(),
        settlement.first_content.map(Instant::micros),
        settlement.ended.micros(),
        Nanos(settlement.list),
    ])?;
    Ok(inserted == 1)
}

fn insert_held(connection: &Connection, registers: &Registers, held: &HeldTime, began: Position) -> Result<i64, LedgerError> {
    let register = registers.of(held.fleet)?;
    let mut insert =
        connection.prepare_cached("INSERT INTO held (endpoint, fleet, from_us, to_us, segment, offset) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    insert.execute(params![
        register.endpoint(held.endpoint)?,
        registers.row(held.fleet)?,
        held.span.from.micros(),
        held.span.to.micros(),
        began.segment,
        offset(began),
    ])?;
    let row = connection.last_insert_rowid();
    let mut insert =
        connection.prepare_cached("INSERT INTO held_share (held, number, request, attempt, quantity) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (number, (attempt, quantity)) in (0_i64..).zip(&held.shares) {
        insert.execute(params![row, number, Request(attempt.request), attempt.attempt, quantity.count()])?;
    }
    Ok(row)
}

fn insert_postings(
    connection: &Connection,
    registers: &Registers,
    fleet: FleetVersion,
    usage: &[Usage],
    source: Source,
    booked: &mut Booked,
) -> Result<(), LedgerError> {
    let register = registers.of(fleet)?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO posting (contract, meter, subject, at_us, held, used, fleet, request, attempt, source)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    let (attempt, held) = match source {
        Source::Attempt(attempt) => (Some(attempt), None),
        Source::Held(row) => (None, Some(row)),
    };
    for usage in usage {
        insert.execute(params![
            register.contract(usage.contract)?,
            Word(usage.meter.kind()),
            register.subject(usage.meter)?,
            usage.at.micros(),
            usage.held.count(),
            usage.used.count(),
            registers.row(fleet)?,
            attempt.map(|attempt| Request(attempt.request)),
            attempt.map(|attempt| attempt.attempt),
            held,
        ])?;
        booked.usage.push((fleet, *usage));
    }
    Ok(())
}

/// A record that says the same as the first is nothing new; one that doesn't is kept apart and never booked.
fn keep_conflict(connection: &Connection, entry: &Entry, attempt: AttemptId, same: bool) -> Result<(), LedgerError> {
    if !same {
        let bytes = postcard::to_stdvec(entry)?;
        let mut insert = connection.prepare_cached("INSERT INTO conflict (request, attempt, entry) VALUES (?1, ?2, ?3)")?;
        insert.execute(params![Request(attempt.request), attempt.attempt, bytes])?;
    }
    Ok(())
}

/// The intent of an attempt, as it was booked.
pub(crate) fn stored_intent(connection: &Connection, registers: &Registers, attempt: AttemptId) -> Result<Option<Intent>, LedgerError> {
    let mut find = connection.prepare_cached(&format!("SELECT {INTENT} FROM attempt WHERE request = ?1 AND attempt = ?2"))?;
    let found = find.query_row(params![Request(attempt.request), attempt.attempt], |row| Ok(intent_at(row, registers))).optional()?;
    found.transpose()
}

/// The settlement of an attempt, as it was booked.
pub(crate) fn stored_settlement(
    connection: &Connection,
    registers: &Registers,
    attempt: AttemptId,
) -> Result<Option<Settlement>, LedgerError> {
    let mut find = connection.prepare_cached(&format!("SELECT {SETTLEMENT} FROM settlement WHERE request = ?1 AND attempt = ?2"))?;
    let found =
        find.query_row(params![Request(attempt.request), attempt.attempt], |row| Ok(settlement_at(row, 0, registers))).optional()?;
    found.transpose()
}

/// The columns that [`intent_at`] reads.
pub(crate) const INTENT: &str = "request, attempt, key, model, endpoint, contract, fleet, decided, bound_input, bound_output, \
     tier, rule, marginal, energy, scarcity, cache_loss, slo_miss, list_input, list_cached, list_output";

pub(crate) fn intent_at(row: &Row<'_>, registers: &Registers) -> Result<Intent, LedgerError> {
    let attempt = crate::words::attempt_at(row, 0)?;
    let register = registers.at_row(row.get(6)?)?;
    Ok(Intent {
        attempt,
        key: KeyId(row.get(2)?),
        model: register.model_id(&row.get::<_, String>(3)?).ok_or(LedgerError::Unreadable { attempt })?,
        endpoint: endpoint_at(row, 4, register, attempt)?,
        contract: contract_at(row, 5, register, attempt)?,
        fleet: register.version,
        decided: Instant::from_micros(row.get(7)?),
        bound_input: row.get(8)?,
        bound_output: row.get(9)?,
        why: why_at(row, 10)?,
    })
}

/// The reason whose ten columns begin at `from`, if it was kept.
pub(crate) fn why_at(row: &Row<'_>, from: usize) -> rusqlite::Result<Option<Why>> {
    let Some(Word(tier)) = row.get(from)? else { return Ok(None) };
    let Word(rule) = row.get(from + 1)?;
    let money = |column: usize| row.get(from + column).map(|Nanos(money)| money);
    let cost = Cost { marginal: money(2)?, energy: money(3)?, scarcity: money(4)?, cache_loss: money(5)?, slo_miss: money(6)? };
    let list = TokenPrices { input: row.get(from + 7)?, cached: row.get(from + 8)?, output: row.get(from + 9)? };
    Ok(Some(Why { tier, rule, cost, list }))
}

/// The columns that [`settlement_at`] reads.
pub(crate) const SETTLEMENT: &str =
    "request, attempt, endpoint, contract, fleet, outcome, known, input, cached, output, started, first_content, ended, list";

pub(crate) fn settlement_at(row: &Row<'_>, from: usize, registers: &Registers) -> Result<Settlement, LedgerError> {
    let attempt = crate::words::attempt_at(row, from)?;
    let register = registers.at_row(row.get(from + 4)?)?;
    let Word(outcome) = row.get(from + 5)?;
    let Word(known) = row.get(from + 6)?;
    Ok(Settlement {
        attempt,
        endpoint: endpoint_at(row, from + 2, register, attempt)?,
        contract: contract_at(row, from + 3, register, attempt)?,
        fleet: register.version,
        outcome,
        tokens: market::Tokens { input: row.get(from + 7)?, cached: row.get(from + 8)?, output: row.get(from + 9)? },
        known,
        started: Instant::from_micros(row.get(from + 10)?),
        first_content: row.get::<_, Option<i64>>(from + 11)?.map(Instant::from_micros),
        ended: Instant::from_micros(row.get(from + 12)?),
        list: row.get(from + 13).map(|Nanos(list)| list)?,
    })
}

fn endpoint_at(row: &Row<'_>, column: usize, register: &Register, attempt: AttemptId) -> Result<fleet::EndpointId, LedgerError> {
    register.endpoint_id(&row.get::<_, String>(column)?).ok_or(LedgerError::Unreadable { attempt })
}

fn contract_at(row: &Row<'_>, column: usize, register: &Register, attempt: AttemptId) -> Result<fleet::ContractId, LedgerError> {
    register.contract_id(&row.get::<_, String>(column)?).ok_or(LedgerError::Unreadable { attempt })
}

/// A byte offset as SQLite keeps it.
pub(crate) fn offset(position: Position) -> i64 {
    i64::try_from(position.offset).expect("segments are far shorter than 2^63 bytes")
}
