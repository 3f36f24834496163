//! Checks a plan against `docs/plan.md` from the fleet file and the plan alone. It shares no code with what makes plans.

mod bills;
mod dates;
mod demand;
mod dependence;
mod limits;
mod lived;
mod money;
mod offers;
mod places;
mod promises;
mod relied;
mod shape;
mod turned;
mod world;

use core::fmt;

use fleet::{ContractId, EndpointId, Fleet, PoolId, WorkloadId};
use serde::{Deserialize, Serialize};
use units::{Money, Span};

use crate::plan::{Flow, Plan};
use crate::scenario::Told;
use turned::Turned;

/// What `docs/plan.md` asks of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rule {
    /// Its months, steps and rows are those of the fleet.
    Shape,
    /// Only signed contracts are used, within their terms, for what they cover.
    InForce,
    /// Work runs on what it fits.
    Fit,
    /// What is done is what the quantities do.
    Done,
    /// Contract capacity.
    Capacity,
    /// A pool's count.
    Pool,
    /// A site's power.
    SitePower,
    /// Exclusivity.
    Exclusivity,
    /// First refusal.
    FirstRefusal,
    /// What an offer allows.
    Offer,
    /// What an expansion allows.
    Expansion,
    /// Chip supply.
    ChipSupply,
    /// A joint venture's means.
    Venture,
    /// Serving within demand.
    Demand,
    /// Training's backlog.
    Backlog,
    /// Promises that are broken are said to be.
    Promise,
    /// What falls due.
    Due,
    /// Floors' shortfalls.
    Short,
    /// The parts of a month's money.
    Money,
    /// Cash and its floor.
    Cash,
    /// Debt, its limit and its covenant.
    Debt,
    /// Raises that are taken as needed.
    Raise,
    /// Dependence.
    Dependence,
    /// The parts of a price.
    Price,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => "months, steps and rows (1)",
            Self::InForce => "supplies in force (2)",
            Self::Fit => "fit (2)",
            Self::Done => "what quantities do (6)",
            Self::Capacity => "contract capacity (2)",
            Self::Pool => "pool (2)",
            Self::SitePower => "site power (2)",
            Self::Exclusivity => "exclusivity (2)",
            Self::FirstRefusal => "first refusal (2)",
            Self::Offer => "offers (2)",
            Self::Expansion => "expansion (2)",
            Self::ChipSupply => "chip supply (2)",
            Self::Venture => "joint venture (2)",
            Self::Demand => "serving (3)",
            Self::Backlog => "training (3)",
            Self::Promise => "promises (5)",
            Self::Due => "what falls due (4)",
            Self::Short => "shortfalls (4)",
            Self::Money => "a month's money (4)",
            Self::Cash => "cash (4)",
            Self::Debt => "debt (4)",
            Self::Raise => "raises (4)",
            Self::Dependence => "dependence (4)",
            Self::Price => "prices (7)",
        })
    }
}

/// Where a plan is not what `docs/plan.md` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Which rule; it shows with its section.
    pub rule: Rule,
    /// Where: `contract oracle, step 14`.
    pub place: String,
    /// By how much, or what is there and what should be.
    pub by: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.rule, self.place, self.by)
    }
}

/// Everything that is wrong with a plan; nothing for a plan that keeps every rule. A plan whose shape is wrong is checked no further.
#[must_use]
pub fn audit(fleet: &Fleet, plan: &Plan) -> Vec<Violation> {
    let mut auditor = Auditor { fleet, world: world::world(fleet, plan), plan, turn: None, flows: Vec::new(), found: Vec::new() };
    shape::check(&mut auditor);
    if auditor.found.is_empty() {
        auditor.limits();
        dependence::check(&mut auditor);
        bills::check(&mut auditor);
        money::check(&mut auditor);
        promises::check(&mut auditor);
    }
    auditor.found
}

/// Everything that is wrong with what the policy did in a scenario, told in the fleet's words: every limit as the scenario leaves it, and its
/// money. What the policy counts in floats is held to a hundred-millionth, what falls due under contracts to a `rough` share of the money
/// that moves. Of limits on dependence what is done beyond `followed`, the flows of the plans that were followed, is held to; without, all of it.
#[must_use]
pub fn audit_lived(fleet: &Fleet, lived: &Plan, told: &Told, followed: Option<&[Flow]>, rough: f64) -> Vec<Violation> {
    if lived.months.is_empty() {
        return audit(fleet, lived);
    }
    let turned = turned::turned(fleet, lived, told);
    let turn = Some(Turn { told, turned: &turned });
    let mut auditor =
        Auditor { fleet: &turned.fleet, world: turned.world.clone(), plan: lived, turn, flows: Vec::new(), found: Vec::new() };
    shape::check(&mut auditor);
    if auditor.found.is_empty() {
        auditor.limits();
        lived::check(&mut auditor, rough);
        relied::check(&mut auditor, followed, rough);
        money::check(&mut auditor);
    }
    auditor.found
}

/// What a flow runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Where {
    Pool(PoolId),
    Tokens(EndpointId),
    Units(EndpointId),
}

/// A flow with its names looked up.
#[derive(Clone, Copy, Debug)]
struct Found<'a> {
    row: &'a Flow,
    contract: ContractId,
    on: Where,
    workload: WorkloadId,
    month: usize,
}

/// A scenario, and what it leaves.
#[derive(Clone, Copy)]
struct Turn<'a> {
    told: &'a Told,
    turned: &'a Turned,
}

/// What a number of the policy may be off: a hundred-millionth.
const FUZZ: i128 = 100_000_000;

struct Auditor<'a> {
    /// As the file says.
    fleet: &'a Fleet,
    /// As the plan decides it.
    world: Fleet,
    plan: &'a Plan,
    /// The scenario, where what the policy did is checked.
    turn: Option<Turn<'a>>,
    flows: Vec<Found<'a>>,
    found: Vec<Violation>,
}

impl Auditor<'_> {
    fn report(&mut self, rule: Rule, place: impl Into<String>, by: impl Into<String>) {
        self.found.push(Violation { rule, place: place.into(), by: by.into() });
    }

    /// Reports where what is there is not what should be.
    fn same<T: PartialEq + fmt::Display>(&mut self, rule: Rule, place: impl Into<String>, there: &T, should: &T) {
        if there != should {
            self.report(rule, place, format!("{there}, and should be {should}"));
        }
    }

    /// What is checked of work, whoever decided it.
    fn limits(&mut self) {
        places::check(self);
        limits::check(self);
        offers::check(self);
        demand::check(self);
    }

    /// How far a number of about this size may be off: not at all in a plan.
    fn slack(&self, of: i128, least: i128) -> i128 {
        if self.turn.is_some() { of.abs() / FUZZ + least } else { 0 }
    }

    /// Reports where a number is further from what it should be than `slack`.
    fn near(&mut self, rule: Rule, place: impl Into<String>, (there, should): (i128, i128), slack: i128) {
        if (there - should).abs() > slack {
            self.report(rule, place, format!("{there}, and should be {should}"));
        }
    }

    /// Reports where money is further from what it should be than a scenario's may.
    fn same_money(&mut self, place: impl Into<String>, rule: Rule, (there, should): (Money, Money), slack: i128) {
        if (there - should).nanos().abs() > slack {
            self.report(rule, place, format!("{there}, and should be {should}"));
        }
    }

    fn span(&self, month: usize) -> Span {
        self.plan.months[month].span
    }

    fn begins(&self) -> units::Instant {
        self.plan.months[0].span.from
    }

    fn place(&self, found: &Found<'_>) -> String {
        let row = found.row;
        let on = row.pool.as_ref().or(row.endpoint.as_ref()).map_or("", String::as_str);
        format!("{} on {on} for {}, step {}", row.contract, row.workload, row.step)
    }
}
