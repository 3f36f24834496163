//! Whether a solution is what it says: checked from the problem and its duals alone.

use lp::{Problem, RowId, Solution};

/// How far a solution is from being the best.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimality {
    /// The most by which a row or a bound is missed.
    pub primal: f64,
    /// The most that a column or row would still gain in a direction in which nothing bounds it.
    pub dual: f64,
    /// By how much the bound that the duals prove differs from the worth of the columns, as a share of it.
    pub gap: f64,
}

impl Optimality {
    /// Whether all three are as small as a simplex leaves them.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.primal <= 1e-6 && self.dual <= 1e-6 && self.gap <= 1e-8
    }
}

/// Checks a solution of a problem without integers: rows and bounds, signs of duals, and the worth that the duals prove.
#[must_use]
pub fn optimality(problem: &Problem, solution: &Solution) -> Optimality {
    let mut reduced = problem.cost.clone();
    let (mut primal, mut dual, mut proven) = (0.0_f64, 0.0_f64, problem.offset);
    let mut bounded = |price: f64, low: f64, high: f64, at: f64| {
        primal = primal.max(low - at).max(at - high);
        let bound = if price > 0.0 { high } else { low };
        if bound.is_finite() {
            proven += price * bound;
        } else {
            dual = dual.max(price.abs());
        }
    };
    for (index, row) in (0..problem.row_count()).zip((0..).map(RowId)) {
        let price = solution.duals[index];
        let mut sum = 0.0;
        for (column, factor) in problem.entries(row) {
            sum += factor * solution.columns[column.0 as usize];
            reduced[column.0 as usize] -= price * factor;
        }
        bounded(price, problem.least[index], problem.most[index], sum);
    }
    for (index, price) in reduced.iter().enumerate() {
        bounded(*price, problem.low[index], problem.high[index], solution.columns[index]);
    }
    let worth: f64 = problem.offset + problem.cost.iter().zip(&solution.columns).map(|(cost, value)| cost * value).sum::<f64>();
    let gap = (proven - worth).abs().max((solution.objective - worth).abs()) / worth.abs().max(1.0);
    Optimality { primal, dual, gap }
}
