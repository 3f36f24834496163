//! A solver for tests that tries every whole choice.

use crate::problem::Problem;
use crate::solver::{Change, Effort, Failure, Kept, Solution, Solver, Verdict};

/// No column is tried above this, whatever its bound.
const COLUMN_MAX: f64 = 14.0;

/// Tries whole quantities for columns with bounds, and gives a column without a highest bound (a slack, which is in one row) what its row lacks.
#[derive(Default)]
pub struct Exhaustive {
    pub problem: Problem,
    pub solves: usize,
}

impl Exhaustive {
    /// The best choice of the columns from `column` on.
    fn best(&self, columns: &mut Vec<f64>, best: &mut Option<(f64, Vec<f64>)>) {
        let column = columns.len();
        if column == self.problem.column_count() {
            let mut full = columns.clone();
            self.fill(&mut full);
            let worth = self.problem.worth(&full);
            let possible = self.problem.residual(&full, &self.problem.sums(&full)) == 0.0;
            if possible && best.as_ref().is_none_or(|(known, _)| worth > *known) {
                *best = Some((worth, full));
            }
            return;
        }
        let slack = self.problem.high[column] == f64::INFINITY;
        let mut value = self.problem.low[column];
        while value <= self.problem.high[column].min(COLUMN_MAX) {
            columns.push(value);
            self.best(columns, best);
            columns.pop();
            if slack {
                break;
            }
            value += 1.0;
        }
    }

    fn fill(&self, columns: &mut [f64]) {
        for (index, sum) in self.problem.sums(columns).into_iter().enumerate() {
            let row = crate::RowId(u32::try_from(index).expect("a small problem"));
            let lacks = (self.problem.least[index] - sum).max(0.0);
            let slack = self.problem.entries(row).find(|(column, _)| self.problem.high[column.0 as usize] == f64::INFINITY);
            slack.into_iter().for_each(|(column, _)| columns[column.0 as usize] += lacks);
        }
    }
}

impl Solver for Exhaustive {
    fn load(&mut self, problem: Problem) -> Result<(), Failure> {
        self.problem = problem;
        self.problem.check().map_err(Failure::Broke)
    }

    fn problem(&self) -> &Problem {
        &self.problem
    }

    fn change(&mut self, changes: &[Change]) -> Result<(), Failure> {
        changes.iter().try_for_each(|&change| self.problem.change(change)).map_err(Failure::Broke)
    }

    fn solve(&mut self, effort: Effort, _: Kept) -> Result<Solution, Failure> {
        self.solves += 1;
        let mut best = None;
        if effort.nodes > 0 {
            self.best(&mut Vec::new(), &mut best);
        }
        Ok(match best {
            Some((objective, columns)) => {
                let zero = |length| vec![0.0; length];
                let (rows, duals, reduced) = (self.problem.sums(&columns), zero(self.problem.row_count()), zero(columns.len()));
                Solution { objective, columns, rows, duals, reduced, ..Solution::none(Verdict::Optimal) }
            }
            None => Solution::none(if effort.nodes > 0 { Verdict::Infeasible } else { Verdict::Exhausted }),
        })
    }
}
