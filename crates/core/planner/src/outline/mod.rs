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

/// Billing periods of one contract that an outline adds up at most.
pub const PERIODS_MAX: i64 = 4_000;

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

/// What one contract asks for if nothing is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Obligation {
    /// The sum of the parts.
    pub row: Row,
    /// What it is made of; parts that are nothing in all years are left out.
    pub parts: Vec<Part>,
}

/// A part of an obligation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Of which kind.
    pub kind: PartKind,
    /// By year.
    pub amounts: Vec<Money>,
}

/// Why something is due though nothing is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartKind {
    /// Capacity that is paid for whether used or not.
    Committed,
    /// What is paid ahead, less what of it is credited.
    Prepaid,
    /// What a floor is short of.
    Floor,
    /// Penalties and rounding.
    Other,
}

/// What is left of revenue, by year, and the cash that follows. A raise that may fail is in `cash_with_all` only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Due under signed contracts.
    pub obligations: Vec<Money>,
    /// Revenue if all is served.
    pub revenue: Vec<Money>,
    /// Costs beside compute, and payments into ventures.
    pub costs: Vec<Money>,
    /// Revenue less obligations and costs.
    pub left: Vec<Money>,
    /// The cash that was counted; `None` when the file doesn't say.
    pub cash: Option<Money>,
    /// Below which it must not fall.
    pub floor: Option<Money>,
    /// Cash at each year's end without any raise.
    pub cash_without: Vec<Money>,
    /// With those raises that are certain.
    pub cash_with_certain: Vec<Money>,
    /// With every raise in full.
    pub cash_with_all: Vec<Money>,
    /// What must have been raised or earned beside by each year's end, so that cash stays at its floor.
    pub needed: Vec<Money>,
}

/// A joint venture: what its partners put in, and what power that pays for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VentureMeans {
    /// Its name.
    pub name: String,
    /// The partners' money, the lab's own without a party.
    pub stakes: Vec<Row>,
    /// All of it within the years covered.
    pub paid: Money,
    /// What it can borrow on that.
    pub borrowed: Money,
    /// Watts that both together build.
    pub watts: i64,
    /// Watts that are left when a partner does not pay, by partner.
    pub watts_without: Vec<(String, i64)>,
    /// The figures behind cost, leverage and time.
    pub evidence: Evidence,
}

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

/// The figures that a line rests on, as far as the file says where they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Who said what of them, each once.
    pub facts: Vec<Fact>,
    /// The figures that say where they come from, by their path in the file.
    pub figures: Vec<Figure>,
}

impl Evidence {
    /// Paths of the figures that are the lab's own assumptions, also where they start from what somebody said.
    pub fn assumptions(&self) -> impl Iterator<Item = &str> {
        self.figures.iter().filter(|figure| figure.assumption).map(|figure| figure.path.as_str())
    }
}

/// Where one figure comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// Its path in the file.
    pub path: String,
    /// Who said it, or what it starts from: the name of a [`Fact`].
    pub source: Option<String>,
    /// Whether it is the lab's own assumption.
    pub assumption: bool,
}

/// What somebody said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// The name by which figures give it as their source.
    pub id: String,
    /// Who said it; `None` where the file only has the name.
    pub speaker: Option<String>,
    /// What, in short.
    pub says: Option<String>,
    /// When.
    pub when: Option<String>,
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
