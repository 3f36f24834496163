//! What each column and row of a problem stands for.

use lp::{ColumnId, RowId};

use super::grid::Grid;
use crate::{Instance, WorkKind};

/// The columns, by what they stand for.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    /// Whether a choice is taken: by choice.
    pub taken: Vec<ColumnId>,
    /// Quantity used of a supply for a work: by fit and step.
    pub fits: Grid<ColumnId>,
    /// Quantity used of a supply: by supply and step. With one work only it is that work's column.
    pub used: Grid<ColumnId>,
    /// Tokens served: by work, then tranche and step.
    pub served: Vec<Grid<ColumnId>>,
    /// Promised tokens not served: by work and step.
    pub missed: Grid<ColumnId>,
    /// Training not yet done: by work and month.
    pub backlog: Grid<ColumnId>,
    /// Training given up: by work and month.
    pub late: Grid<ColumnId>,
    /// Thousands installed: by expansion and month.
    pub installed: Grid<ColumnId>,
    /// Thousands ordered: by expansion and month.
    pub ordered: Grid<ColumnId>,
    /// Quantity in a tier: by tiered charge, then tier; empty when its period is over.
    pub tiers: Vec<Vec<ColumnId>>,
    /// Whether a tier is reached: by tiered charge, then tier; only where cheapest-first would not fill the tiers in order.
    pub reached: Vec<Vec<ColumnId>>,
    /// Short: by floor.
    pub short: Vec<Option<ColumnId>>,
    /// What may be carried on is a share of this excess: by floor.
    pub excess: Vec<Option<ColumnId>>,
    /// Whether a floor has an excess, and so no need: by floor, where the prices don't see to it.
    pub exceeds: Vec<Option<ColumnId>>,
    /// What is carried from one floor window to another.
    pub carried: Vec<(usize, usize, ColumnId)>,
    /// Prepayment credited: by credit and month.
    pub credited: Grid<ColumnId>,
    /// Prepayment not yet credited: by credit and month.
    pub uncredited: Grid<ColumnId>,
    /// Taken: by window of the treasury and month.
    pub raised: Grid<ColumnId>,
    /// Revenue, when a covenant looks at it: by month.
    pub revenue: Vec<Option<ColumnId>>,
    /// Cash at the end: by month.
    pub cash: Vec<Option<ColumnId>>,
    /// Money missing: by month.
    pub gap: Vec<Option<ColumnId>>,
    /// Owed at the end: by month.
    pub debt: Vec<Option<ColumnId>>,
    /// Borrowed: by month.
    pub drawn: Vec<Option<ColumnId>>,
    /// Paid back: by month.
    pub repaid: Vec<Option<ColumnId>>,
}

/// The rows that have a price, by what they bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// By limit and step.
    pub limits: Grid<RowId>,
    /// What is served is done somewhere: by work and step.
    pub serving: Grid<RowId>,
    /// The backlog: by work and month.
    pub backlog: Grid<RowId>,
    /// By floor.
    pub floors: Vec<Option<RowId>>,
    /// Chip supply: by expansion and month; expansions of one accelerator share a row.
    pub chips: Grid<RowId>,
    /// Cash: by month.
    pub cash: Vec<Option<RowId>>,
}

/// What each column and row of a problem stands for. Months and steps before [`Layout::from`] have none.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// The first month of the problem.
    pub from: usize,
    /// The first step of the problem.
    pub from_step: usize,
    /// The columns.
    pub columns: Columns,
    /// The rows.
    pub rows: Rows,
}

impl Layout {
    /// A layout of an instance from a month on, in which nothing has an id yet.
    pub(super) fn of(instance: &Instance, from: usize) -> Self {
        let (months, steps, works) = (instance.months.len(), instance.steps.len(), instance.works.len());
        let tranches = |kind: &WorkKind| match kind {
            WorkKind::Serving { tranches, .. } => tranches.len(),
            WorkKind::Training { .. } => 0,
        };
        let columns = Columns {
            taken: Vec::with_capacity(instance.choices.len()),
            fits: Grid::new(instance.fits.len(), steps),
            used: Grid::new(instance.supplies.len(), steps),
            served: instance.works.iter().map(|work| Grid::new(tranches(&work.kind), steps)).collect(),
            missed: Grid::new(works, steps),
            backlog: Grid::new(works, months),
            late: Grid::new(works, months),
            installed: Grid::new(instance.expansions.len(), months),
            ordered: Grid::new(instance.expansions.len(), months),
            tiers: vec![Vec::new(); instance.tiered.len()],
            reached: vec![Vec::new(); instance.tiered.len()],
            short: vec![None; instance.floors.len()],
            excess: vec![None; instance.floors.len()],
            exceeds: vec![None; instance.floors.len()],
            carried: Vec::new(),
            credited: Grid::new(instance.credits.len(), months),
            uncredited: Grid::new(instance.credits.len(), months),
            raised: Grid::new(instance.treasury.windows.len(), months),
            revenue: vec![None; months],
            cash: vec![None; months],
            gap: vec![None; months],
            debt: vec![None; months],
            drawn: vec![None; months],
            repaid: vec![None; months],
        };
        let rows = Rows {
            limits: Grid::new(instance.limits.len(), steps),
            serving: Grid::new(works, steps),
            backlog: Grid::new(works, months),
            floors: vec![None; instance.floors.len()],
            chips: Grid::new(instance.expansions.len(), months),
            cash: vec![None; months],
        };
        let from_step = instance.steps.partition_point(|step| step.month < from);
        Self { from, from_step, columns, rows }
    }
}
