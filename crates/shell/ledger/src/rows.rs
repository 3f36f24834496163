//! Rows as what they say.

use dispatch::{Advice, AttemptId, Cost, KeyId, Settlement};
use market::TokenPrices;
use rusqlite::{Connection, OptionalExtension, Row, params};
use units::Instant;

use crate::entry::{Intent, Why};
use crate::error::LedgerError;
use crate::journal::Position;
use crate::register::{Register, Registers};
use crate::words::{Nanos, Request, Word};

/// The intent of an attempt, as it was booked.
pub(crate) fn stored_intent(connection: &Connection, registers: &Registers, attempt: AttemptId) -> Result<Option<Intent>, LedgerError> {
    let mut find = connection.prepare_cached(&format!("SELECT {INTENT} FROM attempt WHERE request = ?1 AND attempt = ?2"))?;
    let found = find.query_row(params![Request(attempt.request), attempt.attempt], |row| Ok(intent_at(row, registers))).optional()?;
    let Some(intent) = found.transpose()? else { return Ok(None) };
    Ok(Some(Intent { advice: stored_advice(connection, registers.of(intent.fleet)?, attempt)?.map(Box::new), ..intent }))
}

/// Where an attempt would have gone, as it was booked in shadow mode.
fn stored_advice(connection: &Connection, register: &Register, attempt: AttemptId) -> Result<Option<Advice>, LedgerError> {
    let text =
        format!("SELECT {ADVICE} FROM advice JOIN attempt ON attempt.id = advice.attempt WHERE request = ?1 AND attempt.attempt = ?2");
    let mut find = connection.prepare_cached(&text)?;
    let found = find.query_row(params![Request(attempt.request), attempt.attempt], |row| Ok(advice_at(row, 0, register, attempt)));
    found.optional()?.transpose()
}

/// The columns that [`advice_at`] reads.
pub(crate) const ADVICE: &str = "advice.endpoint, advice.contract, advice.prepaid, advice.marginal, advice.energy, advice.scarcity, \
     advice.cache_loss, advice.slo_miss, advice.list_input, advice.list_cached, advice.list_output, marginal_input, marginal_cached, \
     marginal_output, given_input, given_cached, given_output";

/// The advice whose seventeen columns begin at `from`.
pub(crate) fn advice_at(row: &Row<'_>, from: usize, register: &Register, attempt: AttemptId) -> Result<Advice, LedgerError> {
    Ok(Advice {
        endpoint: endpoint_at(row, from, register, attempt)?,
        contract: contract_at(row, from + 1, register, attempt)?,
        prepaid: row.get(from + 2)?,
        cost: cost_at(row, from + 3)?,
        list: prices_at(row, from + 8)?,
        marginal: prices_at(row, from + 11)?,
        given: prices_at(row, from + 14)?,
    })
}

pub(crate) fn cost_at(row: &Row<'_>, from: usize) -> rusqlite::Result<Cost> {
    let money = |column: usize| row.get(from + column).map(|Nanos(money)| money);
    Ok(Cost { marginal: money(0)?, energy: money(1)?, scarcity: money(2)?, cache_loss: money(3)?, slo_miss: money(4)? })
}

fn prices_at(row: &Row<'_>, from: usize) -> rusqlite::Result<TokenPrices> {
    Ok(TokenPrices { input: row.get(from)?, cached: row.get(from + 1)?, output: row.get(from + 2)? })
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
pub(crate) const INTENT: &str = "attempt.request, attempt.attempt, key, model, attempt.endpoint, attempt.contract, attempt.fleet, \
     decided, bound_input, bound_output, tier, rule, marginal, energy, scarcity, cache_loss, slo_miss, list_input, list_cached, list_output, \
     EXISTS (SELECT 1 FROM in_units WHERE in_units.attempt = attempt.id)";

/// An intent but for its advice, which stands in rows of its own.
fn intent_at(row: &Row<'_>, registers: &Registers) -> Result<Intent, LedgerError> {
    let attempt = crate::words::attempt_at(row, 0)?;
    let register = registers.at_row(row.get(6)?)?;
    Ok(Intent {
        attempt,
        key: KeyId(row.get(2)?),
        model: register.model_id(&row.get::<_, String>(3)?).ok_or(LedgerError::Unreadable { attempt })?,
        endpoint: endpoint_at(row, 4, register, attempt)?,
        contract: contract_at(row, 5, register, attempt)?,
        in_units: row.get(20)?,
        fleet: register.version,
        decided: Instant::from_micros(row.get(7)?),
        bound_input: row.get(8)?,
        bound_output: row.get(9)?,
        why: why_at(row, 10)?,
        advice: None,
    })
}

/// The reason whose ten columns begin at `from`.
pub(crate) fn why_at(row: &Row<'_>, from: usize) -> rusqlite::Result<Why> {
    let Word(tier) = row.get(from)?;
    let Word(rule) = row.get(from + 1)?;
    Ok(Why { tier, rule, cost: cost_at(row, from + 2)?, list: prices_at(row, from + 7)? })
}

/// The columns that [`settlement_at`] reads.
pub(crate) const SETTLEMENT: &str = "settlement.request, settlement.attempt, settlement.endpoint, settlement.contract, settlement.fleet, outcome, known, \
     settlement.input, settlement.cached, settlement.output, started, first_content, ended, settlement.list, \
     EXISTS (SELECT 1 FROM in_units JOIN attempt AS made ON made.id = in_units.attempt \
         WHERE (made.request, made.attempt) = (settlement.request, settlement.attempt))";

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
        in_units: row.get(from + 14)?,
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
