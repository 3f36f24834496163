//! A plan as a rule for every month: what it planned first, then what pays at its prices, knowing only the past.
//!
//!     Decided --compile--> Policy --simulate(world)--> Run, month by month: place, settle, finance
//!
//! In the world that the plan expected it does what the plan says, to rounding.

mod compile;
mod finance;
mod lists;
mod order;
mod place;
mod run;
mod settle;
mod signed;
mod simulate;
#[cfg(test)]
mod tests;

pub use run::Run;

use lists::Lists;

/// A plan's quantities and prices, in the order in which a month needs them.
#[derive(Clone, Debug)]
pub struct Policy {
    from: usize,
    months: usize,
    /// Where each month's steps begin; one more than months.
    firsts: Vec<usize>,
    taken: Vec<f64>,
    /// What a unit of money in a month is worth at the end, by month.
    money: Vec<f64>,
    /// By fit.
    ways: Vec<Way>,
    /// By step and supply: what a unit costs in the plan's own world, in money of the end, before what it counts towards floors.
    costs: Vec<f64>,
    /// By supply: whether its price moves with the market.
    floats: Vec<bool>,
    /// By step and supply: what a unit is charged, and when; of a price that floats the rate is the world's.
    charges: Vec<Charge>,
    /// Limits that orders raise or lower.
    growing: Vec<u32>,
    /// By supply: (limit, what a unit takes).
    limits: Lists<(u32, f64)>,
    /// By limit: the supplies that take of it.
    takers: Lists<u32>,
    /// By step: what is planned, in the order in which it is placed.
    planned: Lists<Planned>,
    /// By step: works' tranches, the one to be served first at the front.
    ranks: Lists<Rank>,
    /// By step, work and supply: what must be paid for a unit beyond the plan, beside what is seen; infinite when there is no fit, or it is
    /// not open. There is one for each step, so it is kept small.
    hidden: Vec<f32>,
    /// By step and supply: what is scarce that a unit takes, at the plan's prices.
    scarce: Vec<f32>,
    /// By work and supply: the fit, if there is one.
    fit_of: Vec<Option<u32>>,
    /// By work and supply: its speed, or zero.
    speeds: Vec<f64>,
    /// By step and supply: (floor, what a unit counts).
    counts: Lists<(u32, f64)>,
    /// By step and supply: (tiered charge, share that lies in it).
    tiers: Lists<(u32, f64)>,
    /// By month: floors whose windows are open, with what the plan counts in it.
    windows: Lists<(u32, f64)>,
    /// By month: (floor, expansion, what a thousand count).
    grown: Lists<(u32, u32, f64)>,
    /// By month: floors whose windows end, nested ones first.
    ending: Lists<u32>,
    /// By floor: those that it is nested in.
    nesting: Lists<u32>,
    /// By month: tiered charges whose period ends.
    billed: Lists<u32>,
    /// By floor: the windows whose excess may count in it, oldest first.
    carriers: Lists<u32>,
    /// By tiered charge: the floors that it counts towards.
    charged: Lists<u32>,
    floors: Vec<FloorPlan>,
    /// By work and step: what of promised service the plan does not serve.
    waived: Vec<f64>,
    /// By work and step: planned backlog, as if none were given up.
    left: Vec<f64>,
    /// By expansion and month.
    ordered: Vec<f64>,
    /// By expansion: the first of the same kind of chip.
    kinds: Vec<u32>,
    /// The first month in which each window of the treasury is no longer open, as it was expected.
    closes: Vec<usize>,
    finance: FinancePlan,
}

/// A step, and the month that it is in.
#[derive(Clone, Copy, Debug)]
struct At {
    month: usize,
    step: usize,
}

/// What a unit of a supply is charged in a step.
#[derive(Clone, Copy, Debug)]
struct Charge {
    rate: f64,
    /// Energy, paid in the month.
    energy: f64,
    /// The month in which the rate is due.
    due: u32,
}

/// What a fit puts to which work, and how fast.
#[derive(Clone, Copy, Debug)]
struct Way {
    supply: u32,
    work: u32,
    speed: f64,
}

/// A planned quantity of a fit.
#[derive(Clone, Copy, Debug)]
struct Planned {
    fit: u32,
    way: Way,
    amount: f64,
    /// What a unit is worth by the plan's prices, without what is scarce.
    margin: f64,
}

/// A tranche of a work, or all of a training work.
#[derive(Clone, Copy, Debug)]
struct Rank {
    work: u32,
    /// Its position among the tranches of all works; a training work has one.
    tranche: u32,
}

/// What the plan expects of a floor.
#[derive(Clone, Copy, Debug)]
struct FloorPlan {
    /// What its use counts in the whole window, from the plan's beginning on.
    counted: f64,
    /// What a unit that counts takes off what is to be paid by the plan's prices, in money of the end.
    credit: f64,
    /// What it takes off when the window is sure to end short.
    credit_short: f64,
}

/// What the plan does about money, by month.
#[derive(Clone, Debug, Default)]
struct FinancePlan {
    drawn: Vec<f64>,
    repaid: Vec<f64>,
    cash: Vec<f64>,
    /// By window and month.
    raised: Vec<f64>,
    /// How far cash may lie below the plan's before money is missing in some month to come, all else as planned.
    slack: Vec<f64>,
    /// Windows of the treasury, the cheapest first.
    windows: Vec<u32>,
}
