//! A price from both sides: what one less would cost, and what one more would bring.

use lp::{Change, Effort, Failure, Kept, Problem, RowId, Solution, Solver, Verdict};

use super::extract::money;
use super::layout::Layout;
use crate::Instance;

/// The share of a row's bound by which it is moved: far above the solver's tolerance, and small enough to stay near.
const SHARE: f64 = 1e-3;
/// A bound is moved by this at least, in the instance's units.
const STEP_LEAST: f64 = 1e-4;
/// A row is tight when it is this near to its bound, as a share of it.
const TIGHT: f64 = 1e-7;

/// A row whose price is wanted, and the month in whose money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Which row; it has a highest bound.
    pub row: RowId,
    /// The month.
    pub month: usize,
}

impl Probe {
    /// That of a limit in a step, if there is such a row.
    #[must_use]
    pub fn limit(instance: &Instance, layout: &Layout, limit: usize, step: usize) -> Option<Self> {
        layout.rows.limits.at(limit, step).map(|row| Self { row, month: instance.steps[step].month })
    }

    /// That of the chips for an expansion in a month, if there is such a row.
    #[must_use]
    pub fn chips(layout: &Layout, expansion: usize, month: usize) -> Option<Self> {
        layout.rows.chips.at(expansion, month).map(|row| Self { row, month })
    }
}

/// What a unit of a bound is worth on either side of where it stands, in the money of its month. What is worth less the more there
/// is of it has `more <= less`, and the solver's dual lies between.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sides {
    /// What one less would cost; `None` when there is none to take away or nothing satisfies the rest.
    pub less: Option<f64>,
    /// What one more would bring; `None` when nothing satisfies the rest.
    pub more: Option<f64>,
}

/// The problem with its integers fixed as a solution has them: linear, so that it has prices.
#[must_use]
pub fn settled(problem: &Problem, solution: &Solution) -> Problem {
    let mut settled = problem.clone();
    for whole in core::mem::take(&mut settled.whole) {
        let index = whole.0 as usize;
        let value = solution.columns[index].round();
        (settled.low[index], settled.high[index]) = (value, value);
    }
    settled
}

/// Both sides of the price of each probe in turn, as far as `solves` small re-solves go: two for a row that is tight, none for
/// another, whose price is nothing. The problem has no integers ([`settled`]). What is left out is not in the answer.
///
/// # Errors
/// When the solver breaks off.
pub fn sides(
    problem: Problem,
    layout: &Layout,
    probes: &[Probe],
    solves: usize,
    solver: &mut dyn Solver,
    effort: Effort,
) -> Result<Vec<Sides>, Failure> {
    solver.load(problem)?;
    let base = solver.solve(effort, Kept::Nothing)?;
    if base.verdict != Verdict::Optimal {
        return Ok(Vec::new());
    }
    let mut left = solves;
    let mut answers = Vec::new();
    for probe in probes {
        let index = probe.row.0 as usize;
        let (least, most) = (solver.problem().least[index], solver.problem().most[index]);
        let slack = most - base.rows[index];
        if slack > TIGHT * most.abs().max(1.0) {
            answers.push(Sides { less: Some(0.0), more: Some(0.0) });
            continue;
        }
        if left < 2 {
            break;
        }
        left -= 2;
        let worth = money(layout, &base, probe.month);
        let step = (SHARE * most.abs()).max(STEP_LEAST);
        let mut moved = |by: f64| -> Result<Option<f64>, Failure> {
            solver.change(&[Change::Row(probe.row, least, most + by)])?;
            let solution = solver.solve(effort, Kept::Basis)?;
            Ok((solution.verdict == Verdict::Optimal).then(|| (solution.objective - base.objective) / by / worth))
        };
        let more = moved(step)?;
        // Where there is nothing, less of it has no meaning.
        let less = if most > 0.0 { moved(-step.min(most))? } else { None };
        solver.change(&[Change::Row(probe.row, least, most)])?;
        answers.push(Sides { less, more });
    }
    Ok(answers)
}
