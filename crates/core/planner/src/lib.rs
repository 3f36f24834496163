//! Planning in months: which contracts to sign, where work goes, whether the cash lasts. `docs/plan.md` is the definition.
//!
//!     fleet --survey--> Instance --rows--> lp::Problem --solver--> Decided --settle--> Plan --audit--> (nothing wrong)
//!                          |                                          |
//!                     under(scenario)                          Policy, month by month
//!
//! An [`Instance`] is the fleet as plain numbers by month; the problem, the policy and the scenarios all read it, and
//! nothing but [`survey`] reads the fleet for it. A [`Plan`] is exact again: its quantities are whole base units and its
//! money is what `market` says they come to.

mod audit;
mod decided;
mod difference;
mod guide;
mod instance;
mod moved;
mod outline;
mod plan;
mod policy;
mod problem;
mod risk;
mod scenario;
mod settle;
mod state;
mod survey;
mod zone;

pub use audit::{Rule, Violation, audit, audit_lived};
pub use decided::{Decided, Prices};
pub use difference::{Difference, Shifted, Signed, diff};
pub use guide::guide;
pub use instance::{
    Bar, BarKind, Cap, Choice, Credit, Debt, Event, EventKind, Expansion, Fit, Floor, Instance, Lifts, Limit, LimitKind, Month, On,
    Refusal, Scale, Series, Step, Supply, Tiered, Tranche, Treasury, VentureFunds, Window, Work, WorkKind,
};
pub use moved::moved;
pub use outline::{
    Balance, Capacity, Dependence, Depends, Evidence, Fact, Figure, Obligation, Outline, PERIODS_MAX, Part, PartKind, Range, Row,
    VentureMeans, outline,
};
pub use plan::{Added, Chosen, Due, Flow, Gap, MonthMoney, MonthPrice, Plan, PlanMonth, Raised, Served, Short, SitePrice, Trained};
pub use policy::{Policy, Run};
pub use problem::{
    Answer, Broken, Clause, ClauseKind, Columns, DecideError, How, Layout, Optimality, Probe, Promises, Rows, Session, Sides,
    changed_share, changes, clause_price, clauses, decide, extract, optimality, plainly, promises, rows, settled, sides,
};
pub use risk::{Decide, FAN, Outcome, QUARTER, Summary, foresight, frozen, live_anew, regret, replanned};
pub use scenario::{Delay, Draw, Odds, Outage, Scenario, Told, World};
pub use settle::{Beside, decided_fleet, foreseen, lived, planned_flows, settle};
pub use state::{Month as MonthOutcome, State};
pub use survey::{Refused, Why, decided, survey};
