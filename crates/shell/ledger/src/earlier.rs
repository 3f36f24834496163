//! Prices that left the fleet file: what was used under them is charged by them.
//!
//! A model that is retired leaves the file with its rates, and its contract stays. What it took of the open period is due all the same. So a
//! statement is made by the present terms and, for meters that these price by nothing, by the metered rates clauses under which the meter was
//! posted last. A meter that is posted on without a price is free, as the file says. Committed charges, floors and capacity are those of the
//! present terms alone: they are owed by what was agreed, not by use.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use fleet::{Charge, Contract, ContractId, Fleet, FleetVersion, Meter, MeterKind, RateClause};
use units::Instant;

use crate::error::LedgerError;
use crate::fleets::Fleets;
use crate::register::Register;

/// When a meter was posted last under each fleet version, by its contract's periods.
type Posted = BTreeMap<i64, BTreeMap<FleetVersion, Instant>>;

/// What was posted on meters that the present terms of its contract price by nothing, by the fleet versions that it was posted under.
#[derive(Debug)]
pub(crate) struct Earlier {
    posted: BTreeMap<(ContractId, Meter), Posted>,
    fleets: Arc<Fleets>,
    /// The terms that were reckoned last, and of which versions they are: that changes seldom, and is asked many times a second.
    last: RefCell<Option<(Vec<Chosen>, Arc<Fleet>)>>,
}

/// A meter of a contract, and the version whose rates it is charged by.
type Chosen = (ContractId, Meter, FleetVersion);

impl Earlier {
    /// Nothing yet.
    pub(crate) fn new(fleets: &Arc<Fleets>) -> Self {
        Self { posted: BTreeMap::new(), fleets: Arc::clone(fleets), last: RefCell::default() }
    }

    /// Earlier fleets.
    pub(crate) fn fleets(&self) -> &Arc<Fleets> {
        &self.fleets
    }

    /// Takes in that a meter was posted at that time under `version`, if `fleet` prices it by nothing. The fleet that may have is read before,
    /// so that what it says is there when it is asked for.
    pub(crate) fn note(
        &mut self,
        fleet: &Fleet,
        (contract, meter): (ContractId, Meter),
        version: FleetVersion,
        at: Instant,
    ) -> Result<(), LedgerError> {
        let terms = &fleet.contracts[contract];
        if terms.rates.iter().any(|clause| clause.meter == meter) {
            return Ok(());
        }
        if version != fleet.version {
            self.fleets.get(version)?;
        }
        let periods = self.posted.entry((contract, meter)).or_default();
        let last = periods.entry(terms.calendar.index(at)).or_default().entry(version).or_insert(at);
        *last = at.max(*last);
        Ok(())
    }

    /// A fleet that was noted, unless it is gone.
    fn noted(&self, version: FleetVersion) -> Option<Arc<Fleet>> {
        self.fleets.get(version).ok().flatten()
    }

    /// The fleet with the clauses that it lacks, behind those that it has, as of a period that ends at `until`: what is posted in a later one
    /// changes no earlier price. `names` has the fleet's names and those of every meter that was noted.
    pub(crate) fn terms(&self, fleet: &Arc<Fleet>, names: &Register, until: Instant) -> Arc<Fleet> {
        let before = Instant::from_micros(until.micros().saturating_sub(1));
        let last = |((contract, meter), posted): (&(ContractId, Meter), &Posted)| {
            let period = fleet.contracts[*contract].calendar.index(before);
            let (version, _) = posted.range(..=period).next_back().and_then(|(_, versions)| last_of(versions))?;
            (version != fleet.version).then_some((*contract, *meter, version))
        };
        let chosen: Vec<Chosen> = self.posted.iter().filter_map(last).collect();
        if chosen.is_empty() {
            return Arc::clone(fleet);
        }
        let mut kept = self.last.borrow_mut();
        match &*kept {
            Some((known, terms)) if *known == chosen && terms.version == fleet.version => Arc::clone(terms),
            _ => {
                let terms = self.reckoned(fleet, names, &chosen);
                *kept = Some((chosen, Arc::clone(&terms)));
                terms
            }
        }
    }

    /// The fleet with the clauses of what was chosen.
    fn reckoned(&self, fleet: &Arc<Fleet>, names: &Register, chosen: &[Chosen]) -> Arc<Fleet> {
        let mut terms = Arc::clone(fleet);
        for (contract, meter, version) in chosen {
            let (Some(earlier), Ok(subject)) = (self.noted(*version), names.subject(*meter)) else { continue };
            let own = (fleet.contracts.name(*contract), &fleet.contracts[*contract]);
            let clauses = metered(&earlier, own, (meter.kind(), subject));
            if !clauses.is_empty() {
                let clauses = clauses.into_iter().map(|clause| RateClause { meter: *meter, ..clause });
                Arc::make_mut(&mut terms).contracts[*contract].rates.extend(clauses);
            }
        }
        terms
    }

    /// What was posted last under a version whose text is gone, or is none to this program, and when: nothing says what it costs.
    pub(crate) fn unread(&self, present: FleetVersion) -> impl Iterator<Item = (ContractId, Meter, Instant)> {
        self.posted.iter().filter_map(move |((contract, meter), posted)| {
            let (version, last) = posted.values().next_back().and_then(last_of)?;
            (version != present && self.noted(version).is_none()).then_some((*contract, *meter, last))
        })
    }
}

/// The version under which something was posted last, and when.
fn last_of(versions: &BTreeMap<FleetVersion, Instant>) -> Option<(FleetVersion, Instant)> {
    versions.iter().map(|(version, at)| (*version, *at)).max_by_key(|(version, at)| (*at, *version))
}

/// The clauses of that fleet's contract for what is metered of a meter. Amounts in another currency are not its own any more.
fn metered(fleet: &Fleet, (name, own): (&str, &Contract), (kind, subject): (MeterKind, &str)) -> Vec<RateClause> {
    let (Some(contract), Some(meter)) = (fleet.contracts.id(name), Register::new(fleet).meter(kind, subject)) else { return Vec::new() };
    let terms = &fleet.contracts[contract];
    let rates = terms.rates.iter().filter(|_| terms.currency == own.currency);
    rates.filter(|clause| clause.meter == meter && clause.charge == Charge::Metered).cloned().collect()
}
