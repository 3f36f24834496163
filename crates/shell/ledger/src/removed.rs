//! Contracts that the fleet file no longer has: what they came to while it had them is still to be closed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fleet::{Contract, ContractId, Fleet, FleetVersion};
use rusqlite::Connection;
use units::Instant;

use crate::directory;
use crate::error::LedgerError;
use crate::register::Registers;

/// A contract that the present fleet lacks.
#[derive(Debug)]
pub(crate) struct Removed {
    /// The last fleet that had it.
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) contract: ContractId,
    /// When a process first began with a fleet that lacks it: a period that begins later is none of it.
    pub(crate) at: Instant,
}

impl Removed {
    pub(crate) fn name(&self) -> &str {
        self.fleet.contracts.name(self.contract)
    }

    pub(crate) fn terms(&self) -> &Contract {
        &self.fleet.contracts[self.contract]
    }
}

/// The contracts that some process had and `present` lacks, as of a process that begins at `now` with it. Where the text of the last fleet
/// that had one is gone, or is none to this program, it can't be closed.
pub(crate) fn removed(
    connection: &Connection,
    registers: &Registers,
    directory: &Path,
    present: &Fleet,
    now: Instant,
) -> Result<Vec<Removed>, LedgerError> {
    let mut last: BTreeMap<&str, (FleetVersion, Option<Instant>)> = BTreeMap::new();
    let mut openings = connection.prepare("SELECT fleet, at_us FROM opening ORDER BY at_us, id")?;
    let mut openings = openings.query([])?;
    while let Some(opening) = openings.next()? {
        let (register, at) = (registers.at_row(opening.get(0)?)?, Instant::from_micros(opening.get(1)?));
        for (name, (_, gone)) in &mut last {
            if register.contract_id(name).is_none() {
                gone.get_or_insert(at);
            }
        }
        last.extend(register.contract_names().map(|name| (name, (register.version, None))));
    }
    let mut fleets: BTreeMap<FleetVersion, Option<Arc<Fleet>>> = BTreeMap::new();
    let mut read = |version| fleets.entry(version).or_insert_with(|| directory::fleet(directory, version)).clone();
    let gone = last.into_iter().filter(|(name, _)| present.contracts.id(name).is_none());
    let removed = gone.filter_map(|(name, (version, at))| {
        let fleet = read(version)?;
        Some(Removed { contract: fleet.contracts.id(name)?, fleet, at: at.unwrap_or(now) })
    });
    Ok(removed.collect())
}
