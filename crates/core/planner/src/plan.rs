//! A plan as it is written to a file: whole base units, exact money, names of the fleet file; nothing else is needed to check it.

use serde::{Deserialize, Serialize};
use units::{MeterUnit, Money, Span};

/// A plan. Months and steps are positions in `months` and in `steps`; names are the fleet file's. Money is in the fleet's currency unless said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Of this format: 1.
    pub format: u32,
    /// The fleet's version, as `baseload check` shows it, in full.
    pub fleet: String,
    /// What the lab calls the fleet.
    pub name: String,
    /// Changes to the file that the plan was made under, in order.
    pub what_if: Vec<String>,
    /// The fleet's currency.
    pub currency: String,
    /// The months.
    pub months: Vec<PlanMonth>,
    /// The steps: (month, share of its hours in parts per million).
    pub steps: Vec<(usize, i64)>,
    /// What is to be signed, and what not.
    pub choices: Vec<Chosen>,
    /// Capacity that is ordered.
    pub added: Vec<Added>,
    /// Where work goes.
    pub flows: Vec<Flow>,
    /// What is served.
    pub served: Vec<Served>,
    /// What is trained.
    pub trained: Vec<Trained>,
    /// Raises that are taken as needed.
    pub raised: Vec<Raised>,
    /// What falls due under contracts.
    pub due: Vec<Due>,
    /// Floors' shortfalls.
    pub shorts: Vec<Short>,
    /// Cash, month by month.
    pub money: Vec<MonthMoney>,
    /// Promises that are not kept; empty in a plan that holds.
    pub gaps: Vec<Gap>,
    /// What one more unit costs, by contract and month.
    pub prices: Vec<MonthPrice>,
    /// What one more megawatt-hour is worth, by site and month.
    pub sites: Vec<SitePrice>,
    /// The solver's objective, in the fleet's currency.
    pub objective: Money,
    /// The relative gap that the solver left, in parts per billion.
    pub gap_ppb: i64,
    /// The most by which the solver's cash in a month differs from this plan's.
    pub residual: Money,
}

/// A month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanMonth {
    /// Half-open.
    pub span: Span,
}

/// A contract that could be signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// Which contract.
    pub contract: String,
    /// Whether it is to be signed.
    pub signed: bool,
    /// By how many months its dates move, against the file.
    pub moved: i32,
    /// The month by which it must be signed at the latest.
    pub by: usize,
    /// What signing is worth against not signing, or what signing would lose; when it was computed.
    pub worth: Option<Money>,
}

/// Capacity that is ordered under an expansion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// Under which contract.
    pub contract: String,
    /// Which of its expansion clauses.
    pub clause: usize,
    /// In which month it is ordered.
    pub month: usize,
    /// How many accelerators.
    pub count: i64,
}

/// Work of one kind, on one supply, in one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// When.
    pub step: usize,
    /// Who pays.
    pub contract: String,
    /// On which pool; or else:
    pub pool: Option<String>,
    /// on which endpoint.
    pub endpoint: Option<String>,
    /// What is counted: of a pool accelerator-milliseconds, of an endpoint tokens or, where it sells provisioned units, unit-milliseconds.
    pub unit: MeterUnit,
    /// Which workload.
    pub workload: String,
    /// So many of the supply.
    pub quantity: i64,
    /// Tokens served, or accelerator-milliseconds of the workload's first accelerator trained.
    pub done: i64,
}

/// What a service tier got in a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// When.
    pub step: usize,
    /// Which workload.
    pub workload: String,
    /// Which tier.
    pub tier: fleet::ServiceTier,
    /// Tokens wanted.
    pub wanted: i64,
    /// Tokens served.
    pub served: i64,
}

/// What a training workload came to in a month, in accelerator-milliseconds of its first accelerator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trained {
    /// When.
    pub month: usize,
    /// Which workload.
    pub workload: String,
    /// What arrived.
    pub arrived: i64,
    /// What was done.
    pub done: i64,
    /// What was given up, its deadline passed.
    pub late: i64,
    /// What is left at the month's end.
    pub backlog: i64,
}

/// Money from a raise that is taken as needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    /// When.
    pub month: usize,
    /// Which.
    pub name: String,
    /// How much.
    pub amount: Money,
}

/// What falls due for a billing period of a contract: what `market::statement` says of the plan's use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// Which contract.
    pub contract: String,
    /// Which billing period, as its calendar numbers it.
    pub period: i64,
    /// The month in which it falls due.
    pub month: usize,
    /// In the contract's currency.
    pub due: Money,
    /// In the fleet's, by the rate of that date.
    pub paid: Money,
}

/// What a floor's window was short of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Short {
    /// Which contract.
    pub contract: String,
    /// Which of its floors.
    pub clause: usize,
    /// In which billing period it is due.
    pub period: i64,
    /// In the contract's currency.
    pub money: Money,
}

/// A month's money. `cash = before + interest + revenue + raised + other + drawn - repaid - debt_interest - contracts - energy - capex + gap`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthMoney {
    /// What cash earned.
    pub interest: Money,
    /// From customers.
    pub revenue: Money,
    /// Raised, taken whole or as needed.
    pub raised: Money,
    /// Other money in (above zero) or out: costs beside compute, payments into ventures.
    pub other: Money,
    /// Borrowed.
    pub drawn: Money,
    /// Paid back.
    pub repaid: Money,
    /// Interest on debt.
    pub debt_interest: Money,
    /// Due under contracts.
    pub contracts: Money,
    /// Energy.
    pub energy: Money,
    /// Paid for what is ordered under expansions.
    pub capex: Money,
    /// Money that is missing.
    pub gap: Money,
    /// Cash at the end.
    pub cash: Money,
    /// Owed at the end.
    pub debt: Money,
}

/// A promise that the plan does not keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The promise, in the fleet file's words.
    pub promise: String,
    /// When, first.
    pub month: usize,
    /// By how much, in all, as a person reads it.
    pub by: String,
    /// Whether it is in the smallest set of promises that can't hold together.
    pub conflicts: bool,
}

/// What one more accelerator-hour (unit-hour, million tokens) of a supply costs in a month, in nano-units of the fleet's currency of that month:
/// `total = list + energy - floor_credit + power + capacity`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MonthPrice {
    /// Who pays.
    pub contract: String,
    /// On which pool; or else:
    pub pool: Option<String>,
    /// on which endpoint.
    pub endpoint: Option<String>,
    /// What a base unit of it is.
    pub unit: MeterUnit,
    /// When.
    pub month: usize,
    /// What it is metered at.
    pub list: Money,
    /// Energy.
    pub energy: Money,
    /// What a floor that is not met gives back: from nothing to the list price.
    pub floor_credit: Money,
    /// What the site's power is worth to others.
    pub power: Money,
    /// What the capacity is worth to others.
    pub capacity: Money,
    /// The sum.
    pub total: Money,
    /// What capacity is worth when there is one unit less; `None` where there is none to take away.
    pub capacity_less: Option<Money>,
    /// What capacity is worth when there is one unit more; `None` where that was not computed.
    pub capacity_more: Option<Money>,
    /// What the plan uses, in the supply's base units.
    pub planned: i64,
    /// What there is, in the supply's base units; `None` is no limit.
    pub there: Option<i64>,
}

/// What one more megawatt-hour is worth at a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SitePrice {
    /// Which site.
    pub site: String,
    /// When.
    pub month: usize,
    /// Facility power that the plan uses, in watts, as the month's mean.
    pub used: i64,
    /// Facility power that there is.
    pub limit: i64,
    /// In the fleet's currency a MWh, with one less; `None` where there is none to take away.
    pub less: Option<Money>,
    /// With one more; `None` where it was not computed.
    pub more: Option<Money>,
}
