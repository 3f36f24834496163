//! A problem as a solver takes it.

/// A column: a quantity to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ColumnId(pub u32);

/// A row: a bound on a sum of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowId(pub u32);

/// A named run of columns or rows, so that a person can be told what a number in the middle of a problem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What they are, such as `capacity of oracle`.
    pub name: String,
    /// The first.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// `maximise cost x + offset` where `least <= rows x <= most` and `low <= x <= high`; infinities are bounds that don't bind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Problem {
    /// What one unit of each column is worth.
    pub cost: Vec<f64>,
    /// The least of each column.
    pub low: Vec<f64>,
    /// The most of each column.
    pub high: Vec<f64>,
    /// Columns that are whole numbers, in rising order.
    pub whole: Vec<ColumnId>,
    /// The least of each row.
    pub least: Vec<f64>,
    /// The most of each row.
    pub most: Vec<f64>,
    /// Where each row's entries begin; one more than rows.
    pub starts: Vec<u32>,
    /// The columns of the entries.
    pub columns: Vec<ColumnId>,
    /// The factors of the entries.
    pub factors: Vec<f64>,
    /// What is earned whatever is chosen.
    pub offset: f64,
    /// Names of runs of columns, in order; a column may be in none.
    pub column_blocks: Vec<Block>,
    /// Names of runs of rows, in order.
    pub row_blocks: Vec<Block>,
}

impl Problem {
    /// A problem without columns or rows, with room for so many.
    #[must_use]
    pub fn with_room(columns: usize, rows: usize, entries: usize) -> Self {
        let (column, row) = (|| Vec::with_capacity(columns), || Vec::with_capacity(rows));
        let mut starts = Vec::with_capacity(rows + 1);
        starts.push(0);
        Self {
            cost: column(),
            low: column(),
            high: column(),
            least: row(),
            most: row(),
            starts,
            columns: Vec::with_capacity(entries),
            factors: Vec::with_capacity(entries),
            ..Self::default()
        }
    }

    /// Adds a column of `low..=high` that is worth `cost` each.
    pub fn column(&mut self, cost: f64, low: f64, high: f64) -> ColumnId {
        let id = ColumnId(count(self.cost.len()));
        self.cost.push(cost);
        self.low.push(low);
        self.high.push(high);
        id
    }

    /// Adds a column that is 0 or 1.
    pub fn choice(&mut self, cost: f64) -> ColumnId {
        let id = self.column(cost, 0.0, 1.0);
        self.whole.push(id);
        id
    }

    /// Adds an entry to the row that [`Self::row`] will close.
    #[inline]
    pub fn entry(&mut self, column: ColumnId, factor: f64) {
        self.columns.push(column);
        self.factors.push(factor);
    }

    /// Closes a row of the entries added since the last one: their sum is in `least..=most`.
    pub fn row(&mut self, least: f64, most: f64) -> RowId {
        let id = RowId(count(self.least.len()));
        self.least.push(least);
        self.most.push(most);
        self.starts.push(count(self.columns.len()));
        id
    }

    /// Names the columns added since `first`.
    pub fn name_columns(&mut self, name: impl Into<String>, first: usize) {
        let block = Block { name: name.into(), first: count(first), count: count(self.cost.len() - first) };
        self.column_blocks.push(block);
    }

    /// Names the rows added since `first`.
    pub fn name_rows(&mut self, name: impl Into<String>, first: usize) {
        let block = Block { name: name.into(), first: count(first), count: count(self.least.len() - first) };
        self.row_blocks.push(block);
    }

    /// How many columns there are.
    #[must_use]
    pub fn column_count(&self) -> usize {
        self.cost.len()
    }

    /// How many rows there are.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.least.len()
    }

    /// What a column is, such as `use of oracle [17]`: its block and its place there; the block alone when it has only one.
    #[must_use]
    pub fn column_name(&self, id: ColumnId) -> String {
        name(&self.column_blocks, id.0).unwrap_or_else(|| format!("column {}", id.0))
    }

    /// What a row is, such as `capacity of oracle [17]`.
    #[must_use]
    pub fn row_name(&self, id: RowId) -> String {
        name(&self.row_blocks, id.0).unwrap_or_else(|| format!("row {}", id.0))
    }

    /// The entries of a row.
    pub fn entries(&self, row: RowId) -> impl Iterator<Item = (ColumnId, f64)> {
        let of = self.starts[row.0 as usize] as usize..self.starts[row.0 as usize + 1] as usize;
        self.columns[of.clone()].iter().copied().zip(self.factors[of].iter().copied())
    }
}

/// The first block that was named wins: it is the innermost.
fn name(blocks: &[Block], id: u32) -> Option<String> {
    let block = blocks.iter().find(|block| id >= block.first && id - block.first < block.count)?;
    Some(if block.count == 1 { block.name.clone() } else { format!("{} [{}]", block.name, id - block.first) })
}

fn count(length: usize) -> u32 {
    u32::try_from(length).expect("a problem has fewer than 2^32 columns, rows and entries")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_built_in_place() {
        let mut problem = Problem::with_room(3, 2, 4);
        let [a, b, c] = [1.0, 2.0, 3.0].map(|cost| problem.column(cost, 0.0, f64::INFINITY));
        problem.entry(a, 1.0);
        problem.entry(c, -1.0);
        let first = problem.row(f64::NEG_INFINITY, 4.0);
        let empty = problem.row(0.0, 0.0);
        problem.entry(b, 2.5);
        let last = problem.row(1.0, 1.0);
        let entries = |row| problem.entries(row).collect::<Vec<_>>();
        assert_eq!([entries(first), entries(empty), entries(last)], [vec![(a, 1.0), (c, -1.0)], vec![], vec![(b, 2.5)]]);
        assert_eq!((problem.column_count(), problem.row_count()), (3, 3));
        assert_eq!(problem.check(), Ok(()));
    }

    #[test]
    fn a_number_in_the_middle_of_a_problem_has_a_name() {
        let mut problem = Problem::with_room(0, 0, 0);
        problem.column(0.0, 0.0, 1.0);
        for month in 0..3 {
            problem.choice(0.0);
            problem.row(0.0, f64::from(month));
        }
        problem.name_columns("use of oracle", 1);
        problem.name_rows("cash at the end", 2);
        problem.name_rows("capacity of oracle", 0);
        assert_eq!([0, 1, 3].map(|id| problem.column_name(ColumnId(id))), ["column 0", "use of oracle [0]", "use of oracle [2]"]);
        assert_eq!([1, 2, 3].map(|id| problem.row_name(RowId(id))), ["capacity of oracle [1]", "cash at the end", "row 3"]);
    }
}
