//! The problem as it grows: columns month by month first, then rows kind by kind.

use core::ops::Range;

use lp::{ColumnId, Problem, RowId};

use super::layout::Layout;
use super::{caps, choices, credits, expansions, floors, limits, supplies, tiers, treasury, works};
use crate::{Instance, Series, State};

/// How promises stand in a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promises {
    /// They hold: no slack.
    Kept,
    /// They may be broken at their price.
    Priced,
}

/// The problem of an instance from where `opening` stands, and what its columns and rows are. With `taken`, the choices are
/// what it says (by choice, 0 or 1) and not to be chosen.
#[must_use]
pub fn rows(instance: &Instance, opening: &State, promises: Promises, taken: Option<&[f64]>) -> (Problem, Layout) {
    let mut build = Build::new(instance, opening, promises, taken);
    choices::columns(&mut build);
    for month in build.months() {
        let first = build.problem.column_count();
        supplies::columns(&mut build, month);
        works::columns(&mut build, month);
        expansions::columns(&mut build, month);
        tiers::columns(&mut build, month);
        floors::columns(&mut build, month);
        credits::columns(&mut build, month);
        treasury::columns(&mut build, month);
        let named = &instance.months[month];
        build.problem.name_columns(format!("{:04}-{:02}", named.year, named.number), first);
    }
    choices::rows(&mut build);
    supplies::rows(&mut build);
    limits::rows(&mut build);
    works::rows(&mut build);
    expansions::rows(&mut build);
    tiers::rows(&mut build);
    floors::rows(&mut build);
    credits::rows(&mut build);
    caps::rows(&mut build);
    treasury::rows(&mut build);
    (build.problem, build.layout)
}

/// A problem that is being written.
pub(super) struct Build<'a> {
    pub instance: &'a Instance,
    pub opening: &'a State,
    pub promises: Promises,
    pub taken: Option<&'a [f64]>,
    pub problem: Problem,
    pub layout: Layout,
    /// The fits of each supply: they are in the order of supplies.
    pub fits_of: Vec<Range<usize>>,
    /// The steps of each month.
    pub steps_of: Vec<Range<usize>>,
    /// What a unit of a column takes out of a month's cash; below zero it brings in.
    pub paid: Vec<Vec<(ColumnId, f64)>>,
    /// What a unit of a column brings in from customers in a month.
    pub earned: Vec<Vec<(ColumnId, f64)>>,
}

impl<'a> Build<'a> {
    fn new(instance: &'a Instance, opening: &'a State, promises: Promises, taken: Option<&'a [f64]>) -> Self {
        let layout = Layout::of(instance, opening.month);
        let steps = instance.steps.len() - layout.from_step;
        let cells = steps * (instance.fits.len() + 3 * instance.works.len() + 4 * instance.supplies.len());
        let problem =
            Problem::with_room(cells, steps * (instance.supplies.len() + instance.works.len() + instance.limits.len()), 3 * cells);
        let runs = |count, first: &dyn Fn(usize) -> usize| (0..count).map(|index| first(index)..first(index + 1)).collect();
        Self {
            instance,
            opening,
            promises,
            taken,
            problem,
            layout,
            fits_of: runs(instance.supplies.len(), &|supply| instance.fits.partition_point(|fit| fit.supply < supply)),
            steps_of: runs(instance.months.len(), &|month| instance.steps.partition_point(|step| step.month < month)),
            paid: vec![Vec::new(); instance.months.len()],
            earned: vec![Vec::new(); instance.months.len()],
        }
    }

    /// The months that are to come.
    pub fn months(&self) -> Range<usize> {
        self.layout.from..self.instance.months.len()
    }

    /// The steps that are to come.
    pub fn steps(&self) -> Range<usize> {
        self.layout.from_step..self.instance.steps.len()
    }

    /// The month of the problem in which something that is due then is paid.
    pub fn payday(&self, due: usize) -> usize {
        due.clamp(self.layout.from, self.instance.months.len() - 1)
    }

    /// Lets a unit of a column take so much out of the cash of a month.
    #[inline]
    pub fn pay(&mut self, month: usize, column: ColumnId, amount: f64) {
        if amount != 0.0 {
            let payday = self.payday(month);
            self.paid[payday].push((column, amount));
        }
    }

    /// The highest bound of the slack of a promise.
    pub fn slack(&self) -> f64 {
        match self.promises {
            Promises::Kept => 0.0,
            Promises::Priced => f64::INFINITY,
        }
    }

    /// Adds an entry to the open row, unless its factor is zero.
    #[inline]
    pub fn entry(&mut self, column: ColumnId, factor: f64) {
        if factor != 0.0 {
            self.problem.entry(column, factor);
        }
    }

    /// Adds entries to the open row; those of one column are one.
    pub fn sum(&mut self, mut terms: Vec<(ColumnId, f64)>) {
        terms.sort_by_key(|(column, _)| *column);
        for run in terms.chunk_by(|one, next| one.0 == next.0) {
            self.entry(run[0].0, run.iter().map(|(_, factor)| factor).sum());
        }
    }

    /// Adds `factor` times what each choice adds to a series to the open row.
    pub fn by_choice<'s>(&mut self, series: impl IntoIterator<Item = (&'s Series, f64)>, index: usize) {
        let mut sums: Vec<(usize, f64)> = Vec::new();
        for (series, factor) in series {
            for (choice, amounts) in &series.by_choice {
                match sums.iter_mut().find(|(known, _)| known == choice) {
                    Some((_, sum)) => *sum += factor * amounts[index],
                    None => sums.push((*choice, factor * amounts[index])),
                }
            }
        }
        for (choice, sum) in sums {
            self.entry(self.layout.columns.taken[choice], sum);
        }
    }

    /// Closes the open row as `least <= row`.
    pub fn at_least(&mut self, least: f64) -> RowId {
        self.problem.row(least, f64::INFINITY)
    }

    /// Closes the open row as `row <= most`.
    pub fn at_most(&mut self, most: f64) -> RowId {
        self.problem.row(f64::NEG_INFINITY, most)
    }

    /// Closes the open row as `row = amount`.
    pub fn equals(&mut self, amount: f64) -> RowId {
        self.problem.row(amount, amount)
    }

    /// Names the rows since `first`, if there are any.
    pub fn name_rows(&mut self, name: impl Into<String>, first: usize) {
        if self.problem.row_count() > first {
            self.problem.name_rows(name, first);
        }
    }
}

/// A position of a state that may leave out what is zero.
pub(super) fn at(values: &[f64], index: usize) -> f64 {
    values.get(index).copied().unwrap_or(0.0)
}
