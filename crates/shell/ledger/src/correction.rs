//! Corrections: what an attempt really took, said after it was settled.

use std::collections::BTreeMap;

use dispatch::{AttemptId, Known, Settlement};
use fleet::Meter;
use market::{Tokens, Usage};
use rusqlite::{Connection, OptionalExtension, Row, params};
use units::{Instant, Money, Quantity};

use crate::book::{Booking, Source};
use crate::chain::{CORRECTION, Kind, Of};
use crate::error::LedgerError;
use crate::field::fields;
use crate::register::Register;
use crate::rows::{stored_intent, stored_settlement};
use crate::words::{Nanos, Request};

/// A correction to be booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correct {
    /// Of which attempt.
    pub attempt: AttemptId,
    /// What it really took.
    pub tokens: Tokens,
    /// Why.
    pub why: String,
    /// Who says so.
    pub who: String,
}

/// A correction as it was booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrected {
    /// Its number.
    pub number: i64,
    /// The correction that it corrects; `None`: the settlement.
    pub corrects: Option<i64>,
    /// What the attempt really took.
    pub tokens: Tokens,
    /// What that comes to at the list prices of the decision.
    pub list: Money,
    /// The number of the invoice that says so, if it was one.
    pub invoice: Option<i64>,
    /// Why.
    pub why: String,
    /// Who said so.
    pub who: String,
    /// When.
    pub at: Instant,
}

/// Books a correction; its postings are what it changes, at the instant that the attempt ended.
pub(crate) fn correct(booking: &mut Booking<'_>, correct: &Correct, invoice: Option<i64>, now: Instant) -> Result<i64, LedgerError> {
    let attempt = correct.attempt;
    let missing = || LedgerError::Missing { what: format!("the settlement of attempt {attempt}") };
    if correct.tokens.cached > correct.tokens.input {
        return Err(LedgerError::Unbalanced { why: "more input was cached than there was" });
    }
    let settlement = stored_settlement(booking.connection, booking.registers, attempt)?.ok_or_else(missing)?;
    let intent = stored_intent(booking.connection, booking.registers, attempt)?.ok_or_else(missing)?;
    let before = of(booking.connection, attempt)?.pop();
    let list = intent.why.list.cost(correct.tokens);
    let number = booking.chain.insert_next(
        &CORRECTION,
        &fields![
            attempt.request,
            attempt.attempt,
            before.as_ref().map(|before| before.number),
            correct.tokens.input,
            correct.tokens.cached,
            correct.tokens.output,
            Nanos(list),
            invoice,
            correct.why.as_str(),
            correct.who.as_str(),
            now.micros(),
        ],
    )?;
    let usage = change(booking.registers.of(settlement.fleet)?, &settlement, before.map(|before| before.tokens), correct.tokens);
    booking.post(settlement.fleet, &usage, Source::Correction(attempt, number))?;
    booking.chain.link(Kind::Correction, Of::Row(number))?;
    Ok(number)
}

/// What is posted when an attempt that counted as its settlement, or as a correction of `before`, counts as `after`.
pub(crate) fn change(register: &Register, settlement: &Settlement, before: Option<Tokens>, after: Tokens) -> Vec<Usage> {
    let Some(meters) = register.token_meters(settlement.contract, settlement.endpoint) else { return Vec::new() };
    let was = before.map_or(*settlement, |tokens| Settlement { tokens, known: Known::Counted, ..*settlement });
    let is = Settlement { tokens: after, known: Known::Counted, ..*settlement };
    let mut changes: BTreeMap<Meter, Quantity> = BTreeMap::new();
    for usage in meters.postings(&is) {
        *changes.entry(usage.meter).or_default() += usage.held;
    }
    for usage in meters.postings(&was) {
        *changes.entry(usage.meter).or_default() -= usage.held;
    }
    let changed = changes.into_iter().filter(|(_, quantity)| *quantity != Quantity::ZERO);
    let usage = |(meter, quantity)| Usage { contract: settlement.contract, meter, at: settlement.ended, held: quantity, used: quantity };
    changed.map(usage).collect()
}

/// The corrections of an attempt, each of the one before it.
pub(crate) fn of(connection: &Connection, attempt: AttemptId) -> Result<Vec<Corrected>, LedgerError> {
    let mut select = connection.prepare_cached(
        "SELECT id, corrects, input, cached, output, list, invoice, why, who, at_us FROM correction
         WHERE request = ?1 AND attempt = ?2 ORDER BY id",
    )?;
    Ok(select.query_map(params![Request(attempt.request), attempt.attempt], corrected_at)?.collect::<Result<_, _>>()?)
}

pub(crate) fn corrected_at(row: &Row<'_>) -> rusqlite::Result<Corrected> {
    let Nanos(list) = row.get(5)?;
    Ok(Corrected {
        number: row.get(0)?,
        corrects: row.get(1)?,
        tokens: Tokens { input: row.get(2)?, cached: row.get(3)?, output: row.get(4)? },
        list,
        invoice: row.get(6)?,
        why: row.get(7)?,
        who: row.get(8)?,
        at: Instant::from_micros(row.get(9)?),
    })
}

/// The attempt that a correction is of.
pub(crate) fn attempt_of(connection: &Connection, number: i64) -> Result<Option<AttemptId>, LedgerError> {
    let mut find = connection.prepare_cached("SELECT request, attempt FROM correction WHERE id = ?1")?;
    Ok(find.query_row([number], |row| crate::words::attempt_at(row, 0)).optional()?)
}
