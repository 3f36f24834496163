//! Contracts that the fleet file no longer has: what they came to while it had them is still to be closed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use fleet::{Contract, ContractId, Fleet, FleetVersion};
use rusqlite::{Connection, params};
use units::Instant;

use crate::error::LedgerError;
use crate::fleets::Fleets;
use crate::register::Registers;

/// A contract that the present fleet lacks.
#[derive(Debug)]
pub(crate) struct Removed {
    /// The last fleet that had it.
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) contract: ContractId,
    /// When it was gone everywhere, as far as openings say: a period that begins later is none of it, unless it was used in it.
    pub(crate) at: Instant,
    /// Up to this posting it was not used since.
    unused_to: Cell<i64>,
}

impl Removed {
    /// Whether a period that begins then is one of its: it was there, or was used all the same, as by a replica that had it for longer.
    pub(crate) fn has(&self, connection: &Connection, begin: Instant) -> Result<bool, LedgerError> {
        if begin < self.at {
            return Ok(true);
        }
        let newest: i64 = connection.query_row("SELECT coalesce(max(id), 0) FROM posting", [], |row| row.get(0))?;
        let mut find = connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM posting WHERE id > ?1 AND id <= ?2 AND contract = ?3 AND at_us >= ?4)")?;
        let used: bool = find.query_row(params![self.unused_to.get(), newest, self.name(), begin.micros()], |row| row.get(0))?;
        if !used {
            self.unused_to.set(newest);
        }
        Ok(used)
    }

    pub(crate) fn name(&self) -> &str {
        self.fleet.contracts.name(self.contract)
    }

    pub(crate) fn terms(&self) -> &Contract {
        &self.fleet.contracts[self.contract]
    }
}

/// How far apart rows of two replicas are, in a ledger that is put together of several.
pub(crate) const APART: i64 = 1 << 40;

/// What the openings of one replica say of one contract.
struct Had {
    /// When it last began with a fleet that had it, and with which.
    last: (Instant, FleetVersion),
    /// When it first began without it after that.
    gone: Option<Instant>,
}

/// The contracts that some process had and `present` lacks, as of a process that begins at `now` with it. Where the text of the last fleet
/// that had one is gone, or is none to this program, it can't be closed.
pub(crate) fn removed(
    connection: &Connection,
    registers: &Registers,
    fleets: &Fleets,
    present: &Fleet,
    now: Instant,
) -> Result<Vec<Removed>, LedgerError> {
    let mut had: BTreeMap<&str, BTreeMap<i64, Had>> = BTreeMap::new();
    // In the order in which each replica booked them, whatever its clock said.
    let mut openings = connection.prepare("SELECT fleet, at_us, id FROM opening ORDER BY id")?;
    let mut openings = openings.query([])?;
    while let Some(opening) = openings.next()? {
        let (register, at) = (registers.at_row(opening.get(0)?)?, Instant::from_micros(opening.get(1)?));
        let replica = opening.get::<_, i64>(2)? / APART;
        for (_, by) in had.iter_mut().filter(|(name, _)| register.contract_id(name).is_none()) {
            by.get_mut(&replica).map(|had| had.gone.get_or_insert(at));
        }
        for name in register.contract_names() {
            had.entry(name).or_default().insert(replica, Had { last: (at, register.version), gone: None });
        }
    }
    let gone = had.into_iter().filter(|(name, _)| present.contracts.id(name).is_none());
    let removed = gone.filter_map(|(name, by)| {
        let (_, version) = by.values().map(|had| had.last).max()?;
        let fleet = fleets.get(version)?;
        // A replica that never began again says nothing.
        let at = by.values().filter_map(|had| had.gone).max().unwrap_or(now);
        Some(Removed { contract: fleet.contracts.id(name)?, fleet, at, unused_to: Cell::new(0) })
    });
    Ok(removed.collect())
}
