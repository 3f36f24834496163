//! Changing a problem that is stated.

use crate::check::{bounds, finite};
use crate::problem::{ColumnId, Problem, RowId};
use crate::solver::Change;

impl Problem {
    /// Makes one change; a factor may be of a column that the row didn't have.
    ///
    /// # Errors
    /// When it speaks of a column or row that there isn't, or would make a problem that [`Problem::check`] refuses; nothing is changed then.
    pub fn change(&mut self, change: Change) -> Result<(), String> {
        match change {
            Change::Column(column, low, high) => {
                let index = self.known_column(column)?;
                bounds(low, high, || self.column_name(column))?;
                (self.low[index], self.high[index]) = (low, high);
            }
            Change::Row(row, least, most) => {
                let index = self.known_row(row)?;
                bounds(least, most, || self.row_name(row))?;
                (self.least[index], self.most[index]) = (least, most);
            }
            Change::Cost(column, cost) => {
                let index = self.known_column(column)?;
                finite(cost, || format!("the cost of {}", self.column_name(column)))?;
                self.cost[index] = cost;
            }
            Change::Factor(row, column, factor) => {
                self.known_column(column)?;
                let index = self.known_row(row)?;
                finite(factor, || format!("the factor of {} in {}", self.column_name(column), self.row_name(row)))?;
                self.set_factor(index, column, factor);
            }
        }
        Ok(())
    }

    fn set_factor(&mut self, row: usize, column: ColumnId, factor: f64) {
        let of = self.starts[row] as usize..self.starts[row + 1] as usize;
        match (of.clone().find(|&at| self.columns[at] == column), factor == 0.0) {
            (None, true) => {}
            (Some(at), false) => self.factors[at] = factor,
            (Some(at), true) => {
                self.columns.remove(at);
                self.factors.remove(at);
                self.starts[row + 1..].iter_mut().for_each(|start| *start -= 1);
            }
            (None, false) => {
                self.columns.insert(of.end, column);
                self.factors.insert(of.end, factor);
                self.starts[row + 1..].iter_mut().for_each(|start| *start += 1);
            }
        }
    }

    fn known_column(&self, column: ColumnId) -> Result<usize, String> {
        let index = column.0 as usize;
        if index < self.column_count() { Ok(index) } else { Err(format!("there is no column {index}")) }
    }

    fn known_row(&self, row: RowId) -> Result<usize, String> {
        let index = row.0 as usize;
        if index < self.row_count() { Ok(index) } else { Err(format!("there is no row {index}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a + 2 b` in 0..=4 and `3 c` in 1..=2.
    fn problem() -> Problem {
        let mut problem = Problem::with_room(0, 0, 0);
        let [a, b, c] = [0, 1, 2].map(|_| problem.column(1.0, 0.0, 9.0));
        problem.entry(a, 1.0);
        problem.entry(b, 2.0);
        problem.row(0.0, 4.0);
        problem.entry(c, 3.0);
        problem.row(1.0, 2.0);
        problem
    }

    fn rows(changes: &[Change]) -> String {
        let mut problem = problem();
        changes.iter().for_each(|&change| problem.change(change).expect("it is possible"));
        assert_eq!(problem.check(), Ok(()));
        let row =
            |row: u32| problem.entries(RowId(row)).map(|(column, factor)| format!("{factor}x{}", column.0)).collect::<Vec<_>>().join(" ");
        format!("{}; {}", row(0), row(1))
    }

    #[test]
    fn a_factor_is_changed_added_and_taken_away() {
        let factor = |row, column, factor| Change::Factor(RowId(row), ColumnId(column), factor);
        assert_eq!(rows(&[factor(0, 1, 5.0)]), "1x0 5x1; 3x2");
        assert_eq!(rows(&[factor(0, 0, 0.0)]), "2x1; 3x2");
        assert_eq!(rows(&[factor(0, 2, 7.0), factor(1, 0, 8.0)]), "1x0 2x1 7x2; 3x2 8x0");
        assert_eq!(rows(&[factor(1, 2, 0.0), factor(1, 2, 0.0), factor(0, 2, 6.0)]), "1x0 2x1 6x2; ");
    }

    #[test]
    fn bounds_and_costs_change() {
        let mut problem = problem();
        problem.change(Change::Column(ColumnId(1), -1.0, f64::INFINITY)).expect("bounds");
        problem.change(Change::Row(RowId(1), 2.0, 2.0)).expect("bounds");
        problem.change(Change::Cost(ColumnId(2), 5.0)).expect("a cost");
        assert_eq!((&problem.low[..], &problem.high[..]), (&[0.0, -1.0, 0.0][..], &[9.0, f64::INFINITY, 9.0][..]));
        assert_eq!((&problem.least[..], &problem.most[..], &problem.cost[..]), (&[0.0, 2.0][..], &[4.0, 2.0][..], &[1.0, 1.0, 5.0][..]));
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let refused = [
            (Change::Column(ColumnId(3), 0.0, 1.0), "there is no column 3"),
            (Change::Row(RowId(2), 0.0, 1.0), "there is no row 2"),
            (Change::Column(ColumnId(1), 2.0, 1.0), "column 1 is in 2..=1"),
            (Change::Cost(ColumnId(0), f64::NAN), "the cost of column 0 is NaN"),
            (Change::Factor(RowId(0), ColumnId(2), f64::INFINITY), "the factor of column 2 in row 0 is inf"),
        ];
        for (change, expected) in refused {
            let mut changed = problem();
            assert_eq!(changed.change(change), Err(expected.to_owned()));
            assert_eq!(changed, problem());
        }
    }
}
