//! What each clause costs: the plan without it, less the plan with it.

use fleet::ContractId;
use lp::{Effort, Kept, Solver, Verdict};

use super::build::{Promises, rows};
use super::decide::DecideError;
use super::plainly::plainly;
use crate::{Bar, BarKind, EventKind, Floor, Instance, Lifts, LimitKind, State};

/// What kind of clause it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClauseKind {
    /// A floor.
    Floor,
    /// Prepayments of a contract, with their credits.
    Prepayment,
    /// An exclusivity.
    Exclusivity,
    /// A first refusal.
    FirstRefusal,
    /// A limit on dependence.
    Cap,
    /// The covenant on debt.
    Covenant,
    /// A site's power.
    Site,
}

/// A clause of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// As a person reads it.
    pub name: String,
    /// What kind.
    pub kind: ClauseKind,
    /// Whose, when it is a contract's.
    pub contract: Option<ContractId>,
    /// Where it is first found in the list of its kind: floors, events, bars, caps or limits.
    first: usize,
}

/// Every clause of an instance that could cost something, by kind and then in the instance's order.
#[must_use]
pub fn clauses(instance: &Instance) -> Vec<Clause> {
    let mut clauses = Vec::new();
    let mut add = |name: &str, kind, contract, first| clauses.push(Clause { name: name.to_owned(), kind, contract, first });
    for (index, floor) in instance.floors.iter().enumerate() {
        if instance.floors.iter().position(|other| same_floor(other, floor)) == Some(index) {
            // A window is named `floor of oracle, 2027`; the clause is what comes before.
            let name = floor.name.rsplit_once(", ").map_or(floor.name.as_str(), |(name, _)| name);
            add(name, ClauseKind::Floor, Some(floor.contract), index);
        }
    }
    let events = &instance.treasury.events;
    let prepays = |index: usize| events[index].kind == EventKind::Prepayment;
    for (index, event) in events.iter().enumerate().filter(|(index, event)| prepays(*index) && event.contract.is_some()) {
        if (0..index).all(|other| !prepays(other) || events[other].contract != event.contract) {
            add(&event.name, ClauseKind::Prepayment, event.contract, index);
        }
    }
    for (index, bar) in instance.bars.iter().enumerate() {
        if instance.bars.iter().position(|other| same_bar(other, bar)) == Some(index) {
            let kind = match bar.kind {
                BarKind::Exclusivity => ClauseKind::Exclusivity,
                BarKind::FirstRefusal => ClauseKind::FirstRefusal,
            };
            add(&bar.name, kind, bar.contract, index);
        }
    }
    for (index, cap) in instance.caps.iter().enumerate() {
        add(&cap.name, ClauseKind::Cap, None, index);
    }
    if instance.treasury.debt.as_ref().is_some_and(|debt| debt.covenant.is_some()) {
        add("covenant", ClauseKind::Covenant, None, 0);
    }
    for (index, limit) in instance.limits.iter().enumerate().filter(|(_, limit)| matches!(limit.kind, LimitKind::Site(_))) {
        add(&limit.name, ClauseKind::Site, None, index);
    }
    clauses
}

impl Clause {
    /// The instance as it would be without this clause of it.
    #[must_use]
    pub fn without(&self, instance: &Instance) -> Instance {
        let mut relaxed = instance.clone();
        match self.kind {
            ClauseKind::Floor => {
                for floor in relaxed.floors.iter_mut().filter(|floor| same_floor(floor, &instance.floors[self.first])) {
                    floor.least.fixed[0] = 0.0;
                    floor.least.by_choice.clear();
                }
            }
            ClauseKind::Prepayment => {
                let contract = self.contract;
                relaxed.treasury.events.retain(|event| event.kind != EventKind::Prepayment || event.contract != contract);
                for credit in relaxed.credits.iter_mut().filter(|credit| Some(credit.contract) == contract) {
                    credit.granted.fill(0.0);
                }
            }
            ClauseKind::Exclusivity | ClauseKind::FirstRefusal => lift(instance, &instance.bars[self.first], &mut relaxed),
            ClauseKind::Cap => {
                relaxed.caps.remove(self.first);
            }
            ClauseKind::Covenant => {
                if let Some(debt) = &mut relaxed.treasury.debt {
                    debt.covenant = None;
                }
            }
            ClauseKind::Site => relaxed.limits[self.first].most.fixed.fill(f64::INFINITY),
        }
        relaxed
    }
}

fn same_floor(one: &Floor, other: &Floor) -> bool {
    (one.contract, one.clause) == (other.contract, other.clause)
}

fn same_bar(one: &Bar, other: &Bar) -> bool {
    (&one.name, one.kind) == (&other.name, other.kind)
}

/// Opens what a clause bars, but for fits that another clause bars as well.
fn lift(instance: &Instance, bar: &Bar, relaxed: &mut Instance) {
    relaxed.bars.retain(|other| !same_bar(other, bar));
    for lifted in instance.bars.iter().filter(|other| same_bar(other, bar)) {
        if let Lifts::Fit(fit, from, to) = lifted.lifts {
            let barred = |step: usize| {
                relaxed.bars.iter().any(|other| matches!(other.lifts, Lifts::Fit(of, a, b) if of == fit && (a..b).contains(&step)))
            };
            let opened: Vec<_> = (from..to).filter(|step| !barred(*step)).map(|step| (step, step + 1)).collect();
            relaxed.fits[fit].open.extend(opened);
        }
    }
}

/// What a clause costs the plan, in money of the end: the best plan's worth without it less `worth`, the best's with it; both as [`plainly`]
/// counts them. It is below zero where a promise that is broken with the clause is kept without it, and keeping it takes money.
///
/// # Errors
/// When the solver breaks off or finds nothing.
pub fn clause_price(
    instance: &Instance,
    clause: &Clause,
    opening: &State,
    taken: Option<&[f64]>,
    worth: f64,
    solver: &mut dyn Solver,
    effort: Effort,
) -> Result<f64, DecideError> {
    let relaxed = clause.without(instance);
    let (problem, layout) = rows(&relaxed, opening, Promises::Priced, taken);
    solver.load(problem)?;
    let solution = solver.solve(effort, Kept::Nothing)?;
    match solution.verdict {
        Verdict::Exhausted if !solution.found() => Err(DecideError::Exhausted),
        Verdict::Optimal | Verdict::Exhausted => Ok(plainly(&relaxed, &layout, solver.problem(), &solution).0 - worth),
        Verdict::Unbounded => Err(DecideError::Unbounded),
        Verdict::Infeasible => Err(DecideError::Impossible(vec![clause.name.clone()])),
    }
}
