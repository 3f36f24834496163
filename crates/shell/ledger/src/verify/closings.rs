//! Closings: without gap or overlap, none before its time, each line what the contract came to by what was booked then.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleet::FleetVersion;
use rusqlite::Connection;
use units::Instant;

use super::{Finding, Verification};
use crate::books::Fold;
use crate::chain::Hash;
use crate::closing::{self, Closed, Folds, GRACE, digest, lines};
use crate::error::LedgerError;
use crate::fleets::Fleets;

/// What is remembered of the closings so far.
#[derive(Debug)]
pub(super) struct Closings {
    number: i64,
    folds: Folds,
    /// For each contract the end of its last closing, and the newest posting that this knew.
    ends: BTreeMap<String, (Instant, i64)>,
}

impl Closings {
    /// Nothing yet.
    pub(super) fn none(fleets: &Arc<Fleets>) -> Self {
        Self { number: 0, folds: Folds::new(fleets), ends: BTreeMap::new() }
    }
}

/// Checks every closing since, in the order in which they were made.
pub(super) fn check(closings: &mut Closings, connection: &Connection, verification: &mut Verification) -> Result<(), LedgerError> {
    let Closings { number, folds, ends } = closings;
    for closed in closing::past(connection, *number)? {
        *number = closed.number;
        let before = ends.insert(closed.contract.clone(), (closed.span.to, closed.posting_to));
        check_one((connection, folds), &closed, (before, closed.number), verification)?;
    }
    Ok(())
}

/// Checks a closing that is of all replicas, in a ledger that has what came before it and nothing else. Numbers say no order there.
pub(crate) fn check_next(
    (connection, folds): (&Connection, &mut Folds),
    closed: &Closed,
    verification: &mut Verification,
) -> Result<(), LedgerError> {
    let before = closing::last_closed(connection, &closed.contract)?;
    check_one((connection, folds), closed, (before, i64::MAX), verification)
}

/// Checks a closing beside the one `before` it of its contract, by closings with numbers below `below`.
fn check_one(
    (connection, folds): (&Connection, &mut Folds),
    closed: &Closed,
    (before, below): (Option<(Instant, i64)>, i64),
    verification: &mut Verification,
) -> Result<(), LedgerError> {
    let mut find = |why: String| verification.find(Finding::Closing { number: closed.number, contract: closed.contract.clone(), why });
    if before.is_some_and(|(to, _)| to != closed.span.from) {
        find("it doesn't begin where the one before it ended".to_owned());
    }
    if closed.span.is_empty() || closed.at < closed.span.to + GRACE {
        find("it was closed before its time".to_owned());
    }
    if closed.due != closed.lines.iter().map(|line| line.money).sum() {
        find("its lines don't add up to what is due".to_owned());
    }
    if digest(&closed.lines) != closed.digest {
        find("its digest is not that of its lines".to_owned());
    }
    let version = connection.query_row("SELECT version FROM fleet WHERE id = ?1", [closed.fleet], |row| row.get(0).map(FleetVersion))?;
    let Some(fold) = folds.take(connection, version, closed.posting_to, closed.at)? else {
        find("the fleet that it was closed by can't be read any more".to_owned());
        return Ok(());
    };
    if let Some(why) = difference(connection, (&fold, folds), closed, (before.map(|(_, posting_to)| posting_to), below))? {
        find(why);
    }
    folds.put(fold);
    Ok(())
}

/// How the lines differ from what the contract comes to by what was booked at the time.
fn difference(
    connection: &Connection,
    (fold, folds): (&Fold, &mut Folds),
    closed: &Closed,
    (known_to, below): (Option<i64>, i64),
) -> Result<Option<String>, LedgerError> {
    let Some(contract) = fold.fleet.contracts.id(&closed.contract) else { return Ok(Some("its fleet has no such contract".to_owned())) };
    let expected = lines(connection, (fold, folds), (contract, closed.period, closed.span), known_to, below)?;
    if expected == closed.lines {
        return Ok(None);
    }
    let due: units::Money = expected.iter().map(|line| line.money).sum();
    let hash: Hash = digest(&expected);
    Ok(Some(format!("it comes to {due} ({hash}), and {} was closed", closed.due)))
}
