//! What a fleet's promises come to before anything is decided: no solver, only arithmetic by calendar year.
//!
//! Obligations are what falls due under contracts when nothing is used: committed charges, prepayments, and floors in full. Against
//! them stand the revenue if all demand is served, raises by how sure they are, other costs, and the cash at the beginning.
//! Metered use above floors, energy, interest and what a plan may order are left out: they depend on decisions.

mod dependence;
mod evidence;
mod flows;
mod obligations;
mod ventures;
mod years;

use fleet::Fleet;
use serde::Serialize;
use units::{Money, Share};

use years::Years;

pub use dependence::{Capacity, Dependence};
pub use evidence::{Evidence, Fact, Figure};
pub use flows::Balance;
pub use obligations::{Obligation, PERIODS_MAX, Part, PartKind};
pub use ventures::VentureMeans;

/// What a fleet's promises come to, year by year. All money is in the fleet's currency; every list by year is as long as `years`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outline {
    /// What the lab calls the fleet.
    pub name: String,
    /// The fleet's currency.
    pub currency: String,
    /// The calendar years that the plan covers, in the fleet's zone; the first and last may be covered in part.
    pub years: Vec<i16>,
    /// What is due under signed contracts if nothing is used, one row each.
    pub obligations: Vec<Obligation>,
    /// The same of contracts that are discussed or stalled, each as if it alone were signed as the file states it.
    pub if_signed: Vec<Obligation>,
    /// Contracts that are billed too often for this: more than [`PERIODS_MAX`] times.
    pub not_outlined: Vec<String>,
    /// What customers pay if all demand is served.
    pub revenue: Vec<Row>,
    /// Money raised, certain or up to so much.
    pub raises: Vec<Row>,
    /// Costs beside compute, and what the lab pays into ventures.
    pub costs: Vec<Row>,
    /// What is left, and what that does to the cash.
    pub balance: Balance,
    /// What joint ventures have and what it builds.
    pub ventures: Vec<VentureMeans>,
    /// Capacity that signed contracts give a right to, delivered or not: the mean of each year's months.
    pub capacity: Vec<Capacity>,
    /// What rests on whom, in all roles: every party that has anything to do with the money or the capacity.
    pub dependence: Vec<Dependence>,
    /// What somebody said that carries no figure of the file: to set beside the sums.
    pub beside: Vec<Fact>,
}

/// Amounts by year, with what they rest on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// As a person reads it.
    pub label: String,
    /// From or to whom.
    pub party: Option<String>,
    /// On what it depends.
    pub depends: Depends,
    /// By year.
    pub amounts: Vec<Money>,
    /// The low and the high end by year, when the file gives a range for any of it.
    pub range: Option<Range>,
    /// The figures behind it.
    pub evidence: Evidence,
}

impl Row {
    /// All years together.
    #[must_use]
    pub fn total(&self) -> Money {
        self.amounts.iter().copied().sum()
    }

    /// Up to and with each year.
    #[must_use]
    pub fn cumulative(&self) -> Vec<Money> {
        cumulative(&self.amounts)
    }
}

/// The two ends of amounts by year; where the file gives no range, both are the amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The low ends.
    pub low: Vec<Money>,
    /// The high ends.
    pub high: Vec<Money>,
}

/// On what an amount depends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "on")]
pub enum Depends {
    /// On nothing that the file knows of.
    Nothing,
    /// On serving all demand of a workload.
    Served {
        /// Which.
        workload: String,
    },
    /// On being had at all: it is an upper bound.
    UpTo {
        /// How likely.
        likelihood: Share,
        /// What it costs beside, as a share.
        cost: Option<Share>,
    },
    /// On a contract that is not signed, or is at a standstill.
    Signed {
        /// Where it stands: `discussed` or `stalled`.
        status: String,
    },
}

/// What a fleet's promises come to.
#[must_use]
pub fn outline(fleet: &Fleet) -> Outline {
    let years = Years::of(fleet);
    let (obligations, if_signed, not_outlined) = obligations::all(fleet, &years);
    let revenue = flows::revenue(fleet, &years);
    let raises = flows::raises(fleet, &years);
    let costs = flows::costs(fleet, &years);
    let balance = flows::balance(fleet, &years, &obligations, [&revenue, &raises, &costs]);
    let (capacity, dependence) = dependence::all(fleet, &years, &obligations, [&revenue, &raises]);
    Outline {
        name: fleet.name.clone(),
        currency: fleet.currency.code().to_owned(),
        ventures: ventures::all(fleet, &years),
        beside: evidence::beside(fleet),
        years: years.numbers().collect(),
        obligations,
        if_signed,
        not_outlined,
        revenue,
        raises,
        costs,
        balance,
        capacity,
        dependence,
    }
}

fn cumulative(amounts: &[Money]) -> Vec<Money> {
    let mut sum = Money::ZERO;
    let add = |amount: &Money| {
        sum += *amount;
        sum
    };
    amounts.iter().map(add).collect()
}

/// The sum of rows by year.
fn sum<'a>(years: &Years, rows: impl Iterator<Item = &'a Row>) -> Vec<Money> {
    let mut sums = years.nothing();
    for row in rows {
        add(&mut sums, &row.amounts);
    }
    sums
}

fn add(sums: &mut [Money], amounts: &[Money]) {
    sums.iter_mut().zip(amounts).for_each(|(sum, amount)| *sum += *amount);
}

/// `part` of `whole` as a share; nothing of nothing is nothing.
fn share(part: i128, whole: i128) -> Share {
    if whole <= 0 {
        return Share::NONE;
    }
    Share::from_ppm(i64::try_from(Money::from_nanos(part).times_ratio(1_000_000, whole).nanos()).unwrap_or(i64::MAX))
}
