//! What rests on whom: obligations, capacity and money in, by party in all its roles.

use std::collections::BTreeMap;

use fleet::{AcceleratorId, CapacityOf, Contract, Fleet, PartyId, Role, SiteId, Status};
use serde::Serialize;
use units::{Instant, Money, Share};

use super::years::Years;
use super::{Obligation, Row, add, share, ventures};

/// Capacity in a year, as the mean of its months, and its share of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Capacity {
    /// Facility power in watts.
    pub watts: i64,
    /// Accelerators, of any kind.
    pub accelerators: i64,
    /// Of all facility power.
    pub power_share: Share,
    /// Of all accelerators, weighed by their peak arithmetic.
    pub work_share: Share,
}

/// What rests on one party, and so what its loss would take away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dependence {
    /// Who.
    pub party: String,
    /// Every role it has.
    pub roles: Vec<&'static str>,
    /// Due to it under signed contracts, by year.
    pub obligations: Vec<Money>,
    /// The share of all obligations, by year.
    pub obligations_share: Vec<Share>,
    /// Capacity under its contracts or at sites that it runs, by year: gone when it fails.
    pub supplies: Vec<Capacity>,
    /// Capacity on chips that it makes, by year: what is there stays, and nothing comes after it.
    pub makes: Vec<Capacity>,
    /// Money that would not come: raises, revenue, stakes.
    pub brings: Vec<Row>,
}

/// Capacity of one contract on one kind of chip at one site, at an instant.
#[derive(Clone, Copy, Default)]
struct Held {
    watts: i128,
    accelerators: i128,
    peak: i128,
}

impl Held {
    fn add(&mut self, other: Self) {
        self.watts += other.watts;
        self.accelerators += other.accelerators;
        self.peak += other.peak;
    }
}

/// Where capacity comes from.
#[derive(Clone, Copy)]
struct Place {
    supplier: PartyId,
    operator: Option<PartyId>,
    vendor: Option<PartyId>,
}

/// All capacity by year, and what of it and of the money rests on each party.
pub(super) fn all(
    fleet: &Fleet,
    years: &Years,
    obligations: &[Obligation],
    [revenue, raises]: [&[Row]; 2],
) -> (Vec<Capacity>, Vec<Dependence>) {
    let held: Vec<Vec<(Place, Held)>> = years.months().map(|months| mean(fleet, &months)).collect();
    let wholes: Vec<Held> = held.iter().map(|held| of(held, |_| true)).collect();
    let capacity = |filter: &dyn Fn(&Place) -> bool| {
        let parts = held.iter().map(|held| of(held, filter));
        parts.zip(&wholes).map(|(part, whole)| capacity(part, *whole)).collect::<Vec<_>>()
    };
    let mut owed = years.nothing();
    obligations.iter().for_each(|obligation| add(&mut owed, &obligation.row.amounts));
    let stakes: Vec<Row> = ventures::stakes(fleet, years).map(|(_, stake)| stake).collect();
    let dependence = fleet.parties.iter().map(|(id, name, party)| {
        let is = |row: &&Row| row.party.as_deref() == Some(name);
        let mut due = years.nothing();
        obligations.iter().map(|obligation| &obligation.row).filter(is).for_each(|row| add(&mut due, &row.amounts));
        Dependence {
            party: name.to_owned(),
            roles: party.roles.iter().map(|role| word(*role)).collect(),
            obligations_share: due.iter().zip(&owed).map(|(due, all)| share(due.nanos(), all.nanos())).collect(),
            obligations: due,
            supplies: capacity(&|place| place.supplier == id || place.operator == Some(id)),
            makes: capacity(&|place| place.vendor == Some(id)),
            brings: raises.iter().chain(revenue).chain(&stakes).filter(is).cloned().collect(),
        }
    });
    (capacity(&|_| true), dependence.filter(matters).collect())
}

fn matters(dependence: &Dependence) -> bool {
    let capacity = dependence.supplies.iter().chain(&dependence.makes);
    dependence.obligations.iter().any(|due| *due != Money::ZERO)
        || !dependence.brings.is_empty()
        || capacity.into_iter().any(|capacity| capacity.watts > 0 || capacity.accelerators > 0)
}

fn of(held: &[(Place, Held)], filter: impl Fn(&Place) -> bool) -> Held {
    let mut sum = Held::default();
    held.iter().filter(|(place, _)| filter(place)).for_each(|(_, held)| sum.add(*held));
    sum
}

fn capacity(part: Held, whole: Held) -> Capacity {
    let count = |count: i128| i64::try_from(count).unwrap_or(i64::MAX);
    Capacity {
        watts: count(part.watts),
        accelerators: count(part.accelerators),
        power_share: share(part.watts, whole.watts),
        work_share: share(part.peak, whole.peak),
    }
}

/// The mean over the given months of what all signed contracts give a right to.
fn mean(fleet: &Fleet, months: &[Instant]) -> Vec<(Place, Held)> {
    let mut sums: BTreeMap<_, (Place, Held)> = BTreeMap::new();
    for at in months {
        for (_, _, terms) in fleet.contracts.iter().filter(|(.., terms)| terms.status == Status::Signed && terms.term.contains(*at)) {
            for (place, held) in rights(fleet, terms, *at) {
                let sum = sums.entry((place.supplier, place.operator, place.vendor)).or_insert((place, Held::default()));
                sum.1.add(held);
            }
        }
    }
    let months = i128::try_from(months.len()).unwrap_or(1).max(1);
    let mean = |sum: i128| units::round_half_even(sum, months);
    let mean = |(place, held): (Place, Held)| {
        (place, Held { watts: mean(held.watts), accelerators: mean(held.accelerators), peak: mean(held.peak) })
    };
    sums.into_values().map(mean).collect()
}

/// What the capacity clauses of a contract come to at an instant, delivered or not. Of several for one thing the first counts.
fn rights(fleet: &Fleet, terms: &Contract, at: Instant) -> Vec<(Place, Held)> {
    let mut rights = Vec::new();
    for (index, clause) in terms.capacity.iter().enumerate() {
        if terms.capacity[..index].iter().any(|earlier| earlier.of == clause.of) {
            continue;
        }
        let amount = i128::from(clause.ramp.at(at).unwrap_or(0));
        match clause.of {
            CapacityOf::Accelerators(accelerator) => rights.push(counted(fleet, terms, accelerator, amount)),
            CapacityOf::Power(site) => rights.extend(powered(fleet, terms, site, amount, at)),
            CapacityOf::Units(_) => {}
        }
    }
    rights
}

/// So many accelerators of a kind, at the first site where the contract has a pool of them.
fn counted(fleet: &Fleet, terms: &Contract, accelerator: AcceleratorId, count: i128) -> (Place, Held) {
    let pool = terms.pools.iter().map(|pool| &fleet.pools[*pool]).find(|pool| pool.accelerator == accelerator);
    place(fleet, terms, pool.map(|pool| pool.site), Some(accelerator), |each| count * each)
}

/// So much power at a site: the contract's pools there take it in the order of its list, and what is left has no chip yet.
fn powered(fleet: &Fleet, terms: &Contract, site: SiteId, watts: i128, at: Instant) -> Vec<(Place, Held)> {
    let mut left = watts;
    let mut parts = Vec::new();
    for pool in terms.pools.iter().map(|pool| &fleet.pools[*pool]).filter(|pool| pool.site == site) {
        let each = facility_milliwatts(fleet, site, pool.accelerator).max(1);
        let count = i128::from(pool.count.at(at).unwrap_or(0)).min(left * 1_000 / each);
        let (place, held) = place(fleet, terms, Some(site), Some(pool.accelerator), |each| count * each);
        left -= held.watts;
        parts.push((place, held));
    }
    if left > 0 {
        let (place, _) = place(fleet, terms, Some(site), None, |_| 0);
        parts.push((place, Held { watts: left, ..Held::default() }));
    }
    parts
}

fn place(fleet: &Fleet, terms: &Contract, site: Option<SiteId>, on: Option<AcceleratorId>, times: impl Fn(i128) -> i128) -> (Place, Held) {
    let place = Place {
        supplier: terms.party,
        operator: site.and_then(|site| fleet.sites[site].operator),
        vendor: on.and_then(|accelerator| fleet.accelerators[accelerator].vendor),
    };
    let Some(accelerator) = on else { return (place, Held::default()) };
    let each = match site {
        Some(site) => facility_milliwatts(fleet, site, accelerator),
        None => i128::from(fleet.accelerators[accelerator].power.count()) * 1_000,
    };
    let peak = i128::from(fleet.accelerators[accelerator].peak.count());
    (place, Held { watts: times(each) / 1_000, accelerators: times(1), peak: times(peak) })
}

/// What one accelerator takes of the whole site's power.
fn facility_milliwatts(fleet: &Fleet, site: SiteId, accelerator: AcceleratorId) -> i128 {
    i128::from(fleet.accelerators[accelerator].power.count()) * i128::from(fleet.sites[site].pue_ppm) / 1_000
}

fn word(role: Role) -> &'static str {
    match role {
        Role::Supplier => "supplier",
        Role::ChipVendor => "chip-vendor",
        Role::Shareholder => "shareholder",
        Role::Lender => "lender",
        Role::Partner => "partner",
        Role::Rival => "rival",
        Role::Customer => "customer",
    }
}
