//! What a solver does for us.

use crate::problem::{ColumnId, Problem, RowId};

/// How much a solve may take: counts, never seconds, so that the answer is the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Simplex iterations at most.
    pub iterations: u32,
    /// Branch-and-bound nodes at most.
    pub nodes: u32,
    /// The relative gap at which an integer solution is good enough; with infinity any is.
    pub gap: f64,
}

impl Default for Effort {
    fn default() -> Self {
        Self { iterations: 2_000_000, nodes: 20_000, gap: 1e-6 }
    }
}

/// One change to the problem that is loaded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change {
    /// A column's bounds.
    Column(ColumnId, f64, f64),
    /// A row's bounds.
    Row(RowId, f64, f64),
    /// What a column is worth.
    Cost(ColumnId, f64),
    /// A factor; zero takes the entry away.
    Factor(RowId, ColumnId, f64),
}

/// What is kept of an earlier solve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing: presolve and solve from the beginning. Best after large changes.
    Nothing,
    /// The last basis. Best after a few changes; a solver skips presolve then, and begins anew where the basis leads nowhere.
    Basis,
}

/// How a solve ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The best there is (within the gap, when there are integers).
    Optimal,
    /// Nothing satisfies every row.
    Infeasible,
    /// There is no best: something is worth more without end.
    Unbounded,
    /// The effort was used up; the solution is the best that was found, if there is one.
    Exhausted,
}

/// What a solver found; where it has no solution to tell, the lists are empty. Duals are those of the problem as stated (maximise): what one more unit on the right is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// How it ended.
    pub verdict: Verdict,
    /// The worth of `columns`, with the problem's offset; infinite when unbounded, minus infinite when there is no solution.
    pub objective: f64,
    /// By column.
    pub columns: Vec<f64>,
    /// By row: the sum of its entries.
    pub rows: Vec<f64>,
    /// By row: what one more unit of a binding bound is worth, with integers fixed as found; zero where the effort was used up.
    pub duals: Vec<f64>,
    /// By column: what one more unit of a binding bound is worth.
    pub reduced: Vec<f64>,
    /// Simplex iterations.
    pub iterations: u32,
    /// Branch-and-bound nodes.
    pub nodes: u32,
    /// How much better, relatively, anything could still be: with integers by the search, else as the duals prove it.
    pub gap: f64,
    /// The most by which a row or a column's bound is missed.
    pub residual: f64,
    /// What it was found from in the end: nothing where a kept basis led nowhere.
    pub from: Kept,
}

impl Solution {
    /// Whether there is a solution to tell.
    #[must_use]
    pub fn found(&self) -> bool {
        self.objective.is_finite()
    }

    /// A verdict without a solution.
    #[must_use]
    pub fn none(verdict: Verdict) -> Self {
        let objective = if verdict == Verdict::Unbounded { f64::INFINITY } else { f64::NEG_INFINITY };
        let [columns, rows, duals, reduced] = [const { Vec::new() }; 4];
        Self { verdict, objective, columns, rows, duals, reduced, iterations: 0, nodes: 0, gap: 0.0, residual: 0.0, from: Kept::Nothing }
    }
}

/// Why there is no solution at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The solver can't be had, with what to do about it.
    #[error("{0}")]
    Missing(String),
    /// The solver refused the problem or broke off.
    #[error("the solver broke off: {0}")]
    Broke(String),
}

/// A solver with one problem loaded.
pub trait Solver {
    /// Takes a problem in, in place of the last. The solver has the only copy, as large ones take much memory.
    ///
    /// # Errors
    /// When the solver can't be had or refuses it; there is no problem then.
    fn load(&mut self, problem: Problem) -> Result<(), Failure>;

    /// The problem that is loaded, with the changes that were made; one without columns when there is none.
    fn problem(&self) -> &Problem;

    /// Changes the problem that is loaded.
    ///
    /// # Errors
    /// When the solver refuses.
    fn change(&mut self, changes: &[Change]) -> Result<(), Failure>;

    /// Solves what is loaded. With integers, a second solve with them fixed gives the duals.
    ///
    /// # Errors
    /// When the solver broke off. Infeasible is an answer, not an error.
    fn solve(&mut self, effort: Effort, kept: Kept) -> Result<Solution, Failure>;
}
