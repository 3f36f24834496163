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

    /// The entries of a row.
    pub fn entries(&self, row: RowId) -> impl Iterator<Item = (ColumnId, f64)> {
        let of = self.starts[row.0 as usize] as usize..self.starts[row.0 as usize + 1] as usize;
        self.columns[of.clone()].iter().copied().zip(self.factors[of].iter().copied())
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).expect("a problem has fewer than 2^32 columns, rows and entries")
}
