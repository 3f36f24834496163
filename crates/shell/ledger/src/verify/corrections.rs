//! Corrections: each of a settlement or of the correction before it, posting what it changes.

use rusqlite::{Connection, params};

use super::postings::Posting;
use super::{Finding, Verification};
use crate::correction::{self, change};
use crate::error::LedgerError;
use crate::register::Registers;
use crate::rows::stored_settlement;
use crate::words::attempt_at;

/// Checks the corrections of every attempt that has one with a number past `past`.
pub(super) fn check(connection: &Connection, registers: &Registers, past: i64, verification: &mut Verification) -> Result<(), LedgerError> {
    let mut select = connection.prepare("SELECT DISTINCT request, attempt FROM correction WHERE id > ?1 ORDER BY request, attempt")?;
    let attempts = select.query_map([past], |row| attempt_at(row, 0))?.collect::<Result<Vec<_>, _>>()?;
    for attempt in attempts {
        let settlement = stored_settlement(connection, registers, attempt)?;
        let mut before = None;
        for corrected in correction::of(connection, attempt)? {
            let number = corrected.number;
            let Some(settlement) = &settlement else {
                verification.find(Finding::Correction { number, why: "its attempt was never settled" });
                continue;
            };
            if corrected.corrects != before.map(|(number, _)| number) {
                verification.find(Finding::Correction { number, why: "it doesn't correct the one before it" });
            }
            let register = registers.of(settlement.fleet)?;
            let usage = change(register, settlement, before.map(|(_, tokens)| tokens), corrected.tokens);
            let mut expected = usage.iter().map(|usage| Posting::of(register, usage)).collect::<Result<Vec<_>, _>>()?;
            expected.sort();
            if posted(connection, number)? != expected {
                verification.find(Finding::Correction { number, why: "its postings are not what it changes" });
            }
            before = Some((number, corrected.tokens));
        }
    }
    Ok(())
}

fn posted(connection: &Connection, number: i64) -> Result<Vec<Posting>, LedgerError> {
    let columns = Posting::COLUMNS;
    let of = crate::correction::attempt_of(connection, number)?;
    let Some(of) = of else { return Ok(Vec::new()) };
    // Postings of an entry stand together: those of this correction are between two entries of the chain. A ledger that is put together of
    // several has only a part of the chains.
    let mut select = connection.prepare_cached(&format!(
        "SELECT {columns} FROM posting WHERE correction = ?1 AND request = ?2
         AND id <= coalesce((SELECT posting_to FROM entry WHERE kind = 'correction' AND row = ?1), id)"
    ))?;
    let mut found =
        select.query_map(params![number, crate::words::Request(of.request)], |row| Posting::at(row, 0))?.collect::<Result<Vec<_>, _>>()?;
    found.sort();
    Ok(found)
}
