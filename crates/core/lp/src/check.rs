//! Whether a problem is one.

use crate::problem::{Block, ColumnId, Problem, RowId};

impl Problem {
    /// Says what is wrong with the problem, in the words of its blocks: lengths that differ, a bound, cost or factor that is no
    /// number, a least above its most, a column that there isn't or that stands twice in a row.
    ///
    /// # Errors
    /// The first fault.
    pub fn check(&self) -> Result<(), String> {
        self.check_lengths()?;
        for index in 0..self.column_count() {
            let what = || self.column_name(ColumnId(position(index)));
            finite(self.cost[index], || format!("the cost of {}", what()))?;
            bounds(self.low[index], self.high[index], what)?;
        }
        finite(self.offset, || "the offset".to_owned())?;
        let count = self.column_count();
        let rising = self.whole.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || self.whole.last().is_some_and(|last| last.0 as usize >= count) {
            return Err("the whole columns are not columns in rising order".to_owned());
        }
        self.check_rows()
    }

    fn check_lengths(&self) -> Result<(), String> {
        let (columns, rows, entries) = (self.column_count(), self.row_count(), self.columns.len());
        let runs =
            self.starts.first() == Some(&0) && self.starts.is_sorted() && self.starts.last().map(|&end| end as usize) == Some(entries);
        let within = |blocks: &[Block], length: usize| blocks.iter().all(|block| block.first as usize + block.count as usize <= length);
        match () {
            () if self.low.len() != columns || self.high.len() != columns => {
                Err("columns have other numbers of costs and bounds".to_owned())
            }
            () if self.most.len() != rows || self.starts.len() != rows + 1 => {
                Err("rows have other numbers of bounds and starts".to_owned())
            }
            () if self.factors.len() != entries => Err("entries have other numbers of columns and factors".to_owned()),
            () if !runs => Err("entries were added after the last row was closed, or starts don't rise".to_owned()),
            () if !within(&self.column_blocks, columns) || !within(&self.row_blocks, rows) => Err("a block ends past the end".to_owned()),
            () => Ok(()),
        }
    }

    fn check_rows(&self) -> Result<(), String> {
        // The last row that each column was seen in, counted from one.
        let mut seen = vec![0_u32; self.column_count()];
        for index in 0..self.row_count() {
            let row = RowId(position(index));
            bounds(self.least[index], self.most[index], || self.row_name(row))?;
            for (column, factor) in self.entries(row) {
                let named = || format!("the factor of {} in {}", self.column_name(column), self.row_name(row));
                let last =
                    seen.get_mut(column.0 as usize).ok_or_else(|| format!("{} has an entry in column {}", self.row_name(row), column.0))?;
                if std::mem::replace(last, row.0 + 1) == row.0 + 1 {
                    return Err(format!("{} stands twice in {}", self.column_name(column), self.row_name(row)));
                }
                finite(factor, named)?;
            }
        }
        Ok(())
    }
}

fn position(index: usize) -> u32 {
    u32::try_from(index).expect("a problem has fewer than 2^32 columns and rows")
}

pub(crate) fn finite(value: f64, what: impl FnOnce() -> String) -> Result<(), String> {
    if value.is_finite() { Ok(()) } else { Err(format!("{} is {value}", what())) }
}

pub(crate) fn bounds(low: f64, high: f64, what: impl FnOnce() -> String) -> Result<(), String> {
    // Also false when either is no number.
    let possible = low <= high && low < f64::INFINITY && high > f64::NEG_INFINITY;
    if possible { Ok(()) } else { Err(format!("{} is in {low}..={high}", what())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spoil: impl FnOnce(&mut Problem), expected: &str) {
        let mut problem = Problem::with_room(0, 0, 0);
        let columns = [0, 1, 2].map(|_| problem.choice(1.0));
        problem.name_columns("sign", 0);
        for row in 0..2 {
            problem.entry(columns[row], 1.0);
            problem.entry(columns[row + 1], 1.0);
            problem.row(0.0, 1.0);
        }
        problem.name_rows("either", 0);
        assert_eq!(problem.check(), Ok(()));
        spoil(&mut problem);
        assert_eq!(problem.check(), Err(expected.to_owned()));
    }

    #[test]
    fn a_fault_is_told_in_the_words_of_its_block() {
        check(|problem| problem.cost[1] = f64::NAN, "the cost of sign [1] is NaN");
        check(|problem| problem.low[2] = 2.0, "sign [2] is in 2..=1");
        check(|problem| problem.high[0] = f64::NAN, "sign [0] is in 0..=NaN");
        check(|problem| problem.least[1] = f64::INFINITY, "either [1] is in inf..=1");
        check(|problem| problem.factors[3] = f64::INFINITY, "the factor of sign [2] in either [1] is inf");
        check(|problem| problem.columns[3] = ColumnId(3), "either [1] has an entry in column 3");
        check(|problem| problem.columns[3] = ColumnId(1), "sign [1] stands twice in either [1]");
        check(|problem| problem.offset = f64::INFINITY, "the offset is inf");
    }

    #[test]
    fn lengths_that_differ_are_found() {
        check(|problem| problem.low.truncate(2), "columns have other numbers of costs and bounds");
        check(|problem| problem.most.push(0.0), "rows have other numbers of bounds and starts");
        check(|problem| problem.factors.truncate(1), "entries have other numbers of columns and factors");
        check(|problem| problem.entry(ColumnId(0), 1.0), "entries were added after the last row was closed, or starts don't rise");
        check(|problem| problem.starts[1] = 5, "entries were added after the last row was closed, or starts don't rise");
        check(|problem| problem.row_blocks[0].count = 3, "a block ends past the end");
        check(|problem| problem.whole.swap(0, 1), "the whole columns are not columns in rising order");
        check(|problem| problem.whole.push(ColumnId(3)), "the whole columns are not columns in rising order");
    }
}
