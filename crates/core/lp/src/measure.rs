//! What a choice comes to, without asking the solver that made it.

use crate::problem::{Problem, RowId};

/// A dual up to this of a bound that there isn't is the solver's rounding.
const ROUNDING_MAX: f64 = 1e-8;

impl Problem {
    /// What `columns` are worth, with the offset.
    #[must_use]
    pub fn worth(&self, columns: &[f64]) -> f64 {
        self.cost.iter().zip(columns).map(|(cost, value)| cost * value).sum::<f64>() + self.offset
    }

    /// By row: the sum of its entries at `columns`.
    #[must_use]
    pub fn sums(&self, columns: &[f64]) -> Vec<f64> {
        let rows = u32::try_from(self.row_count()).expect("a problem has fewer than 2^32 rows");
        let sum = |row| self.entries(RowId(row)).map(|(column, factor)| factor * columns[column.0 as usize]).sum();
        (0..rows).map(sum).collect()
    }

    /// The most that anything feasible can be worth, as `duals` prove it: what the bounds that bind in them are worth. A
    /// solver's answer is the best when this is what it is worth. Whole columns may have fractions here.
    #[must_use]
    pub fn bound(&self, duals: &[f64]) -> f64 {
        let mut reduced = self.cost.clone();
        let rows = u32::try_from(self.row_count()).expect("a problem has fewer than 2^32 rows");
        for (row, dual) in (0..rows).zip(duals).filter(|(_, dual)| **dual != 0.0) {
            self.entries(RowId(row)).for_each(|(column, factor)| reduced[column.0 as usize] -= dual * factor);
        }
        let most = |duals: &[f64], low: &[f64], high: &[f64]| {
            let bounds = duals.iter().zip(low).zip(high).map(|((dual, low), high)| (dual, if *dual < 0.0 { low } else { high }));
            bounds.map(|(dual, bound)| if bound.is_infinite() && dual.abs() <= ROUNDING_MAX { 0.0 } else { dual * bound }).sum::<f64>()
        };
        self.offset + most(duals, &self.least, &self.most) + most(&reduced, &self.low, &self.high)
    }

    /// The most by which `columns` or the rows' `sums` miss a bound, or a whole column misses a whole number.
    #[must_use]
    pub fn residual(&self, columns: &[f64], sums: &[f64]) -> f64 {
        let missed = |values: &[f64], low: &[f64], high: &[f64]| {
            let bounds = low.iter().zip(high);
            values.iter().zip(bounds).map(|(value, (low, high))| (low - value).max(value - high)).fold(0.0, f64::max)
        };
        let fractions = self.whole.iter().map(|id| columns[id.0 as usize]).map(|value| (value - value.round()).abs());
        let of_columns = fractions.fold(missed(columns, &self.low, &self.high), f64::max);
        of_columns.max(missed(sums, &self.least, &self.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_measured_from_the_problem_alone() {
        let mut problem = Problem { offset: 10.0, ..Problem::with_room(0, 0, 0) };
        let a = problem.column(2.0, 0.0, 4.0);
        let b = problem.choice(-1.0);
        problem.entry(a, 1.0);
        problem.entry(b, 3.0);
        problem.row(f64::NEG_INFINITY, 5.0);
        problem.row(0.0, 0.0);
        let measured = |columns: [f64; 2]| (problem.worth(&columns), problem.residual(&columns, &problem.sums(&columns)));
        assert_eq!(problem.sums(&[1.5, 1.0]), [4.5, 0.0]);
        assert_eq!(measured([1.5, 1.0]), (12.0, 0.0));
        assert_eq!(measured([4.25, 0.0]), (18.5, 0.25));
        assert_eq!(measured([-0.5, 1.0]), (8.0, 0.5));
        assert_eq!(measured([4.0, 1.0]), (17.0, 2.0));
        assert_eq!(measured([0.0, 0.75]), (9.25, 0.25));
    }

    #[test]
    fn duals_prove_what_is_best() {
        // 3 a + 2 b + 5 with a + b <= 4 and a <= 3: the best is 16, and one more unit in the row is worth 2.
        let mut problem = Problem { offset: 5.0, ..Problem::with_room(0, 0, 0) };
        let columns = [problem.column(3.0, 0.0, 3.0), problem.column(2.0, 0.0, f64::INFINITY)];
        columns.iter().for_each(|&column| problem.entry(column, 1.0));
        problem.row(f64::NEG_INFINITY, 4.0);
        let worth = problem.worth(&[3.0, 1.0]);
        assert_eq!((problem.bound(&[2.0]), worth), (16.0, 16.0));
        // Other duals prove less, or nothing.
        assert_eq!([2.5, 3.5].map(|dual| problem.bound(&[dual])), [16.5, 19.0]);
        assert_eq!([1.5, -0.5].map(|dual| problem.bound(&[dual])), [f64::INFINITY; 2]);
    }
}
