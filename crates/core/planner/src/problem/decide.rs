//! The best plan, the promises that it breaks, and which of them can't hold together.

use lp::{Change, Effort, Failure, Kept, Problem, Promise, Solution, Solver, Verdict, conflict};

use super::build::{Promises, rows};
use super::extract::extract;
use super::impossible::impossible;
use super::layout::Layout;
use super::promises::promises;
use crate::{Decided, Instance, State};

/// Below this a slack is the solver's tolerance, in the instance's units.
const NOTHING: f64 = 1e-6;

/// A promise that a plan breaks.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    /// In the fleet file's words.
    pub promise: String,
    /// By how much in all, in the instance's units.
    pub by: f64,
    /// The first month in which it is broken.
    pub first: usize,
    /// Whether it is in the smallest set that can't hold together.
    pub conflicts: bool,
}

/// The best plan there is.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What is chosen.
    pub decided: Decided,
    /// What the solver said, for prices.
    pub solution: Solution,
    /// The problem, promises priced.
    pub problem: Problem,
    /// What its columns and rows are.
    pub layout: Layout,
    /// The promises that it breaks, in order; none in a plan that holds.
    pub broken: Vec<Broken>,
    /// An irreducible set of promises that can't hold together: when promises are broken for want of money or compute.
    pub conflict: Vec<String>,
    /// What it would cost to keep all of them, in money of the end: when they are broken although they can hold together.
    pub keeping: Option<f64>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecideError {
    /// The solver can't be had or broke off.
    #[error(transparent)]
    Solver(#[from] Failure),
    /// Rows that no promise can soften contradict each other.
    #[error("nothing satisfies all of: {}", .0.join("; "))]
    Impossible(Vec<String>),
    /// Something earns without end.
    #[error("something in the fleet is worth more without end, so there is no best plan")]
    Unbounded,
    /// The effort was used up before any plan was found.
    #[error("no plan was found within the effort")]
    Exhausted,
}

/// Solves an instance from where it stands, promises as a last resort to break. With `taken`, choices are as it says.
///
/// # Errors
/// When there is no plan, with the reason.
pub fn decide(
    instance: &Instance,
    opening: &State,
    taken: Option<&[f64]>,
    solver: &mut dyn Solver,
    effort: Effort,
) -> Result<Answer, DecideError> {
    let (problem, layout) = rows(instance, opening, Promises::Priced, taken);
    solver.load(problem)?;
    let solution = solver.solve(effort, Kept::Nothing)?;
    match solution.verdict {
        Verdict::Infeasible => return Err(DecideError::Impossible(impossible(solver, effort)?)),
        Verdict::Unbounded => return Err(DecideError::Unbounded),
        Verdict::Exhausted if solution.columns.is_empty() => return Err(DecideError::Exhausted),
        Verdict::Optimal | Verdict::Exhausted => {}
    }
    let promises = promises(instance, &layout);
    let mut answer = Answer {
        decided: extract(instance, &layout, &solution),
        broken: broken(instance, &layout, &promises, &solution),
        conflict: Vec::new(),
        keeping: None,
        solution,
        problem: solver.problem().clone(),
        layout,
    };
    if !answer.broken.is_empty() {
        explain(&mut answer, &promises, solver, effort)?;
    }
    Ok(answer)
}

fn broken(instance: &Instance, layout: &Layout, promises: &[Promise], solution: &Solution) -> Vec<Broken> {
    let month_of = |column: lp::ColumnId| {
        let columns = &layout.columns;
        let by_month = (0..instance.months.len()).find(|month| {
            columns.gap[*month] == Some(column) || (0..instance.works.len()).any(|work| columns.late.at(work, *month) == Some(column))
        });
        let by_step =
            || (0..instance.steps.len()).find(|step| (0..instance.works.len()).any(|work| columns.missed.at(work, *step) == Some(column)));
        by_month.or_else(|| by_step().map(|step| instance.steps[step].month))
    };
    let one = |promise: &Promise| {
        let slack = |column: &&lp::ColumnId| solution.columns[column.0 as usize] > NOTHING;
        let first = promise.slacks.iter().find(slack)?;
        let by = promise.slacks.iter().filter(slack).map(|column| solution.columns[column.0 as usize]).sum();
        Some(Broken { promise: promise.name.clone(), by, first: month_of(*first).unwrap_or(layout.from), conflicts: false })
    };
    promises.iter().filter_map(one).collect()
}

/// Finds which promises can't hold together, or else what keeping them would cost.
fn explain(answer: &mut Answer, promises: &[Promise], solver: &mut dyn Solver, effort: Effort) -> Result<(), DecideError> {
    if let Some(found) = conflict(solver, promises, effort)? {
        answer.conflict = found.promises.iter().map(|index| promises[*index].name.clone()).collect();
        for broken in &mut answer.broken {
            broken.conflicts = answer.conflict.contains(&broken.promise);
        }
        return Ok(());
    }
    let kept: Vec<Change> = promises.iter().flat_map(|promise| &promise.slacks).map(|slack| Change::Column(*slack, 0.0, 0.0)).collect();
    solver.change(&kept)?;
    let solution = solver.solve(effort, Kept::Nothing)?;
    answer.keeping = (solution.verdict == Verdict::Optimal).then_some(answer.solution.objective - solution.objective);
    Ok(())
}
