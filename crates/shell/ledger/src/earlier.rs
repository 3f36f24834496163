//! Prices that left the fleet file: what was used under them is charged by them.
//!
//! A model that is retired leaves the file with its rates, and its contract stays. What it took of the open period is due all the same. So a
//! statement is made by the present terms and, for meters that these price by nothing, by the metered rates clauses under which the meter was
//! posted last. Committed charges, floors and capacity are those of the present terms alone: they are owed by what was agreed, not by use.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleet::{Charge, ContractId, Fleet, FleetVersion, Meter, MeterKind, RateClause};
use units::Instant;

use crate::directory;
use crate::register::Register;

/// When a meter was posted first and last under one fleet version.
type Posted = (Instant, Instant);

/// What was posted on meters that the present terms of its contract price by nothing, by the fleet versions that it was posted under.
#[derive(Debug)]
pub(crate) struct Earlier {
    directory: PathBuf,
    posted: BTreeMap<(ContractId, Meter), BTreeMap<FleetVersion, Posted>>,
    read: RefCell<BTreeMap<FleetVersion, Option<Arc<Fleet>>>>,
}

impl Earlier {
    /// Nothing yet. The directory has the texts of earlier fleets.
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), posted: BTreeMap::new(), read: RefCell::default() }
    }

    /// Where the texts of fleets are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Takes in that a meter was posted at that time under `version`, if `fleet` prices it by nothing.
    pub(crate) fn note(&mut self, fleet: &Fleet, (contract, meter): (ContractId, Meter), version: FleetVersion, at: Instant) {
        if version == fleet.version || fleet.contracts[contract].rates.iter().any(|clause| clause.meter == meter) {
            return;
        }
        let (first, last) = self.posted.entry((contract, meter)).or_default().entry(version).or_insert((at, at));
        (*first, *last) = (at.min(*first), at.max(*last));
    }

    /// The fleet with the clauses that it lacks, behind those that it has, as of a period that ends at `until`: what came later changes no
    /// earlier price. `names` has the fleet's names and those of every meter that was noted.
    pub(crate) fn terms(&self, fleet: &Arc<Fleet>, names: &Register, until: Instant) -> Arc<Fleet> {
        let mut terms = Arc::clone(fleet);
        for ((contract, meter), versions) in &self.posted {
            let clauses = self.clauses(names, (*contract, *meter), versions, until);
            if !clauses.is_empty() {
                Arc::make_mut(&mut terms).contracts[*contract].rates.extend(clauses);
            }
        }
        terms
    }

    /// By what the last version that priced a meter before `until` charges it.
    fn clauses(
        &self,
        names: &Register,
        (contract, meter): (ContractId, Meter),
        versions: &BTreeMap<FleetVersion, Posted>,
        until: Instant,
    ) -> Vec<RateClause> {
        let (Ok(contract), Ok(subject)) = (names.contract(contract), names.subject(meter)) else { return Vec::new() };
        let before = versions.iter().filter(|(_, (first, _))| *first < until);
        let mut before: Vec<_> = before.map(|(version, (first, last))| ((*last).min(until), *first, *version)).collect();
        before.sort_unstable();
        let priced = before
            .iter()
            .rev()
            .map(|(.., version)| self.fleet(*version).map(|fleet| metered(&fleet, contract, (meter.kind(), subject))).unwrap_or_default());
        let found = priced.into_iter().find(|clauses| !clauses.is_empty()).unwrap_or_default();
        found.into_iter().map(|clause| RateClause { meter, ..clause }).collect()
    }

    fn fleet(&self, version: FleetVersion) -> Option<Arc<Fleet>> {
        self.read.borrow_mut().entry(version).or_insert_with(|| directory::fleet(&self.directory, version)).clone()
    }

    /// What was posted under versions whose text is gone, or is none to this program, and when last: nothing says what it costs.
    pub(crate) fn unread(&self) -> impl Iterator<Item = (ContractId, Meter, Instant)> {
        self.posted.iter().filter_map(|((contract, meter), versions)| {
            let unread = versions.iter().filter(|(version, _)| self.fleet(**version).is_none());
            Some((*contract, *meter, unread.map(|(_, (_, last))| *last).max()?))
        })
    }
}

/// The clauses of that fleet's contract for what is metered of a meter.
fn metered(fleet: &Fleet, contract: &str, (kind, subject): (MeterKind, &str)) -> Vec<RateClause> {
    let (Some(contract), Some(meter)) = (fleet.contracts.id(contract), Register::new(fleet).meter(kind, subject)) else {
        return Vec::new();
    };
    let rates = fleet.contracts[contract].rates.iter();
    rates.filter(|clause| clause.meter == meter && clause.charge == Charge::Metered).cloned().collect()
}
