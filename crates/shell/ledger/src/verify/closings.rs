//! Closings: without gap or overlap, none before its time, each line what the contract came to by what was booked then.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fleet::{Fleet, FleetVersion};
use rusqlite::Connection;
use units::Instant;

use super::{Finding, Verification};
use crate::books::Fold;
use crate::chain::Hash;
use crate::closing::{self, Closed, GRACE, digest, lines};
use crate::error::LedgerError;

/// The fleets by which periods were closed, read from their texts when first asked for.
struct Fleets<'a> {
    directory: &'a Path,
    connection: &'a Connection,
    read: BTreeMap<i64, Option<Arc<Fleet>>>,
}

impl Fleets<'_> {
    fn get(&mut self, row: i64) -> Result<Option<Arc<Fleet>>, LedgerError> {
        if let Some(known) = self.read.get(&row) {
            return Ok(known.clone());
        }
        let version = self.connection.query_row("SELECT version FROM fleet WHERE id = ?1", [row], |row| row.get(0).map(FleetVersion))?;
        let text = crate::directory::text(self.directory, version).ok();
        let fleet = text.and_then(|text| fleet::parse(&text).fleet).filter(|fleet| fleet.version == version).map(Arc::new);
        self.read.insert(row, fleet.clone());
        Ok(fleet)
    }
}

/// Checks every closing in the order in which they were made.
pub(super) fn check(directory: &Path, connection: &Connection, verification: &mut Verification) -> Result<(), LedgerError> {
    let mut fleets = Fleets { directory, connection, read: BTreeMap::new() };
    let mut fold: Option<Fold> = None;
    let mut ends: BTreeMap<String, (Instant, i64)> = BTreeMap::new();
    for closed in closing::all(connection, None)? {
        let before = ends.insert(closed.contract.clone(), (closed.span.to, closed.posting_to));
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
        let Some(fleet) = fleets.get(closed.fleet)? else {
            find("the fleet that it was closed by can't be read any more".to_owned());
            continue;
        };
        let fold = match &mut fold {
            Some(same) if same.fleet.version == fleet.version => same,
            other => other.insert(Fold::new(fleet, closed.at)),
        };
        fold.catch_up(connection, closed.posting_to)?;
        if let Some(why) = difference(connection, fold, &closed, before.map(|(_, posting_to)| posting_to))? {
            find(why);
        }
    }
    Ok(())
}

/// How the lines differ from what the contract comes to by what was booked at the time.
fn difference(connection: &Connection, fold: &Fold, closed: &Closed, known_to: Option<i64>) -> Result<Option<String>, LedgerError> {
    let Some(contract) = fold.fleet.contracts.id(&closed.contract) else { return Ok(Some("its fleet has no such contract".to_owned())) };
    let expected = lines(connection, fold, (contract, closed.period, closed.span.from), known_to, closed.number)?;
    if expected == closed.lines {
        return Ok(None);
    }
    let due: units::Money = expected.iter().map(|line| line.money).sum();
    let hash: Hash = digest(&expected);
    Ok(Some(format!("it comes to {due} ({hash}), and {} was closed", closed.due)))
}
