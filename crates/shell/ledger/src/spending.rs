//! What keys have spent: balances are a fold of it, of what corrections change while a service runs too.

use dispatch::{AttemptId, KeyId};
use rusqlite::{OptionalExtension, Row, params};
use units::{Instant, Money};

use crate::error::LedgerError;
use crate::removed::APART;
use crate::view::View;
use crate::words::{Nanos, Request, attempt_at};

/// So many corrections are read at once: an invoice may bring a million.
const CORRECTIONS_AT_ONCE: usize = 1_000;

/// What one settled attempt counts against budgets, or by how much a correction changes that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spending {
    /// Whose request it was.
    pub key: KeyId,
    /// When it was decided: the budget's period is the one that this lies in.
    pub decided: Instant,
    /// What it came to at list price, in the fleet's currency; below zero where a correction says that it was less.
    pub list: Money,
}

/// Reads what was spent before a service began, and what corrections have changed since: every correction counts in one of the two.
#[derive(Debug)]
pub struct SpendingReader {
    /// The last correction that is counted.
    corrected_to: i64,
    /// The same of those that were made once for all replicas, such as by an invoice.
    corrected_for_all_to: i64,
}

impl SpendingReader {
    /// Tells every settled attempt that was decided at `since` or later as it counts now; without `since` none.
    ///
    /// # Errors
    /// When the database refused.
    pub fn begin(view: &View, since: Option<Instant>, mut tell: impl FnMut(Spending)) -> Result<Self, LedgerError> {
        let open = view.lock()?;
        // What comes between this and the next statement is told as a change of it.
        let corrected_to = open.connection.query_row("SELECT coalesce(max(id), 0) FROM correction", [], |row| row.get(0))?;
        let reader = Self { corrected_to, corrected_for_all_to: 0 };
        let Some(since) = since else { return Ok(reader) };
        let mut select = open.connection.prepare_cached(
            "SELECT attempt.key, attempt.decided, coalesce((SELECT list FROM correction
                 WHERE (correction.request, correction.attempt) = (attempt.request, attempt.attempt) AND correction.id <= ?2
                 ORDER BY id DESC LIMIT 1), settlement.list)
             FROM attempt JOIN settlement
             ON (settlement.request, settlement.attempt) = (attempt.request, attempt.attempt) WHERE attempt.decided >= ?1",
        )?;
        let mut rows = select.query(params![since.micros(), corrected_to])?;
        while let Some(row) = rows.next()? {
            let Nanos(list) = row.get(2)?;
            tell(spending(row, list)?);
        }
        Ok(reader)
    }

    /// Tells by how much each correction that was booked since the last time changes what its attempt counts.
    ///
    /// # Errors
    /// When the database refused: what was not told comes the next time.
    pub fn catch_up(&mut self, view: &View, mut tell: impl FnMut(Spending)) -> Result<(), LedgerError> {
        loop {
            let changes = self.next(view)?;
            for (number, change) in &changes {
                tell(*change);
                self.corrected_to = *number;
            }
            if changes.len() < CORRECTIONS_AT_ONCE {
                return Ok(());
            }
        }
    }

    /// Tells by how much each correction that was made for all replicas changes what attempts of this one count; `whole` is the ledger of
    /// all, as far as it has come here. A process tells each of them once.
    ///
    /// # Errors
    /// When a database refused: what was not told comes the next time.
    pub fn catch_up_for_all(&mut self, view: &View, whole: &View, mut tell: impl FnMut(Spending)) -> Result<(), LedgerError> {
        loop {
            let changes = self.next_for_all(whole)?;
            let open = view.lock()?;
            let mut find = open.connection.prepare_cached("SELECT key, decided FROM attempt WHERE (request, attempt) = (?1, ?2)")?;
            for (number, attempt, change) in &changes {
                let own = find.query_row(params![Request(attempt.request), attempt.attempt], |row| spending(row, *change)).optional()?;
                own.into_iter().for_each(&mut tell);
                self.corrected_for_all_to = *number;
            }
            if changes.len() < CORRECTIONS_AT_ONCE {
                return Ok(());
            }
        }
    }

    /// The next corrections for all, with the attempt of each and what it changes.
    fn next_for_all(&self, whole: &View) -> Result<Vec<(i64, AttemptId, Money)>, LedgerError> {
        let open = whole.lock()?;
        // What each replica corrected itself has numbers from `APART` on.
        let mut select = open.connection.prepare_cached(
            "SELECT correction.id, correction.request, correction.attempt, correction.list, coalesce(before.list, settlement.list)
             FROM correction
             JOIN settlement ON (settlement.request, settlement.attempt) = (correction.request, correction.attempt)
             LEFT JOIN correction AS before ON before.id = correction.corrects
             WHERE correction.id > ?1 AND correction.id < ?2 ORDER BY correction.id LIMIT ?3",
        )?;
        let most = i64::try_from(CORRECTIONS_AT_ONCE).unwrap_or(i64::MAX);
        let rows = select.query_map([self.corrected_for_all_to, APART, most], |row| {
            let (Nanos(after), Nanos(before)) = (row.get(3)?, row.get(4)?);
            Ok((row.get(0)?, attempt_at(row, 1)?, after - before))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The next corrections, with what each changes.
    fn next(&self, view: &View) -> Result<Vec<(i64, Spending)>, LedgerError> {
        let open = view.lock()?;
        let mut select = open.connection.prepare_cached(
            "SELECT attempt.key, attempt.decided, correction.id, correction.list, coalesce(before.list, settlement.list)
             FROM correction
             JOIN attempt ON (attempt.request, attempt.attempt) = (correction.request, correction.attempt)
             JOIN settlement ON (settlement.request, settlement.attempt) = (correction.request, correction.attempt)
             LEFT JOIN correction AS before ON before.id = correction.corrects
             WHERE correction.id > ?1 ORDER BY correction.id LIMIT ?2",
        )?;
        let change = |row: &Row<'_>| {
            let (Nanos(after), Nanos(before)) = (row.get(3)?, row.get(4)?);
            Ok((row.get(2)?, spending(row, after - before)?))
        };
        let rows = select.query_map(params![self.corrected_to, i64::try_from(CORRECTIONS_AT_ONCE).unwrap_or(i64::MAX)], change)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn spending(row: &Row<'_>, list: Money) -> rusqlite::Result<Spending> {
    Ok(Spending { key: KeyId(row.get(0)?), decided: Instant::from_micros(row.get(1)?), list })
}
