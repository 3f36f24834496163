//! Contracts that the fleet file no longer has, or no longer has as signed: what they came to while they were is still to be closed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use fleet::{Contract, ContractId, Fleet, FleetVersion, Status};
use rusqlite::{Connection, params};
use units::Instant;

use crate::error::LedgerError;
use crate::fleets::Fleets;
use crate::register::Registers;

/// A contract that the present fleet lacks, or has as one that isn't signed.
#[derive(Debug)]
pub(crate) struct Removed {
    /// The last fleet that had it signed.
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) contract: ContractId,
    /// When it was gone everywhere, as far as openings say: a period that begins later is none of it, unless it was used in it.
    pub(crate) at: Instant,
    /// Up to this posting it was not used since.
    unused_to: Cell<i64>,
}

impl Removed {
    /// Whether a period that begins then is one of its: it was in force, or was used all the same, as by a replica that had it for longer.
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
    /// When it last began with a fleet that had it signed, and with which.
    last: (Instant, FleetVersion),
    /// When it first began without it after that.
    gone: Option<Instant>,
}

/// The contracts that some process had signed and `present` has not, as of a process that begins at `now` with it. Where the text of the last
/// fleet that had one is gone, or is none to this program, it can't be closed.
pub(crate) fn removed(
    connection: &Connection,
    registers: &Registers,
    fleets: &Fleets,
    present: &Fleet,
    now: Instant,
) -> Result<Vec<Removed>, LedgerError> {
    let mut had: BTreeMap<&str, BTreeMap<i64, Had>> = BTreeMap::new();
    // When each replica began the next time.
    let mut next: BTreeMap<i64, Instant> = BTreeMap::new();
    // In the order in which each replica booked them, whatever its clock said, from the last one back: few texts are read then.
    let of_all: bool =
        connection.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'whole_row')", [], |row| row.get(0))?;
    let mut openings = connection.prepare(if of_all { OPENINGS_OF_ALL } else { OPENINGS })?;
    let mut openings = openings.query([])?;
    while let Some(opening) = openings.next()? {
        let (register, at) = (registers.at_row(opening.get(0)?)?, Instant::from_micros(opening.get(1)?));
        let replica = opening.get::<_, i64>(2)? / APART;
        for name in register.contract_names().filter(|name| !has_signed(present, name)) {
            // A text that can't be read may have it signed.
            if let Entry::Vacant(had) = had.entry(name).or_default().entry(replica)
                && fleets.get(register.version)?.is_none_or(|fleet| has_signed(&fleet, name))
            {
                had.insert(Had { last: (at, register.version), gone: next.get(&replica).copied() });
            }
        }
        next.insert(replica, at);
    }
    let mut removed = Vec::new();
    for (name, by) in had {
        let Some((_, version)) = by.values().map(|had| had.last).max() else { continue };
        let Some(fleet) = fleets.get(version)? else { continue };
        // A replica that never began again says nothing.
        let at = by.values().filter_map(|had| had.gone).max().unwrap_or(now);
        if let Some(contract) = fleet.contracts.id(name) {
            removed.push(Removed { contract, fleet, at, unused_to: Cell::new(0) });
        }
    }
    Ok(removed)
}

const OPENINGS: &str = "SELECT fleet, at_us, id FROM opening ORDER BY id DESC";

/// Of a chain that two replicas brought, each began so often.
const OPENINGS_OF_ALL: &str = "SELECT fleet, at_us, id FROM opening
    UNION ALL SELECT fleet, at_us, origin FROM whole_row JOIN opening ON opening.id = whole_row.row WHERE kind = 'opening' ORDER BY 3 DESC";

fn has_signed(fleet: &Fleet, name: &str) -> bool {
    fleet.contracts.id(name).is_some_and(|contract| fleet.contracts[contract].status == Status::Signed)
}
