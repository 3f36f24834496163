//! From the solver's columns and duals back to the instance's words.

use lp::{ColumnId, RowId, Solution};

use super::grid::Grid;
use super::layout::Layout;
use crate::{Decided, Instance, Prices, WorkKind};

/// What a solution decides, with its prices in each month's own money.
#[must_use]
pub fn extract(instance: &Instance, layout: &Layout, solution: &Solution) -> Decided {
    let (months, steps) = (instance.months.len(), instance.steps.len());
    let columns = &layout.columns;
    let value = |column: Option<ColumnId>| column.map_or(0.0, |column| solution.columns[column.0 as usize]);
    let line = |grid: &Grid<ColumnId>, line: usize, width: usize| (0..width).map(|time| value(grid.at(line, time))).collect::<Vec<_>>();
    let lines = |grid: &Grid<ColumnId>, count: usize, width: usize| (0..count).map(|index| line(grid, index, width)).collect::<Vec<_>>();
    let by_work = |grid: &Grid<ColumnId>, width: usize, serving: bool| -> Vec<Vec<f64>> {
        let of = |(index, work): (usize, &crate::Work)| {
            if matches!(work.kind, WorkKind::Serving { .. }) == serving { line(grid, index, width) } else { Vec::new() }
        };
        instance.works.iter().enumerate().map(of).collect()
    };
    let series = |ids: &[Option<ColumnId>]| ids.iter().map(|id| value(*id)).collect::<Vec<_>>();
    let tranches = |work: usize| match &instance.works[work].kind {
        WorkKind::Serving { tranches, .. } => tranches.len(),
        WorkKind::Training { .. } => 0,
    };
    Decided {
        from: layout.from,
        taken: columns.taken.iter().map(|id| value(Some(*id)).round()).collect(),
        used: lines(&columns.fits, instance.fits.len(), steps).concat(),
        served: (0..instance.works.len()).map(|work| lines(&columns.served[work], tranches(work), steps)).collect(),
        missed: by_work(&columns.missed, steps, true),
        late: by_work(&columns.late, months, false),
        ordered: lines(&columns.ordered, instance.expansions.len(), months),
        short: series(&columns.short),
        credited: lines(&columns.credited, instance.credits.len(), months),
        raised: lines(&columns.raised, instance.treasury.windows.len(), months),
        drawn: series(&columns.drawn),
        repaid: series(&columns.repaid),
        gap: series(&columns.gap),
        cash: series(&columns.cash),
        debt: series(&columns.debt),
        objective: solution.objective,
        gap_left: solution.gap,
        residual: solution.residual,
        iterations: solution.iterations,
        prices: prices(instance, layout, solution),
    }
}

/// What a unit of money in a month is worth at the end: the dual of that month's cash.
pub(super) fn money(layout: &Layout, solution: &Solution, month: usize) -> f64 {
    layout.rows.cash[month].map_or(1.0, |row| solution.duals[row.0 as usize])
}

fn prices(instance: &Instance, layout: &Layout, solution: &Solution) -> Prices {
    let (months, steps) = (instance.months.len(), instance.steps.len());
    let cash: Vec<f64> = (0..months).map(|month| if month < layout.from { 0.0 } else { money(layout, solution, month) }).collect();
    let month_of = |step: usize| instance.steps[step].month;
    let price = |row: Option<RowId>, month: usize| row.map_or(0.0, |row| solution.duals[row.0 as usize] / cash[month]);
    let work = |(index, work): (usize, &crate::Work)| -> Vec<f64> {
        let at = |step: usize| {
            let month = month_of(step);
            match &work.kind {
                // One more unit done elsewhere would be served without being used for: it moves the balance the other way.
                WorkKind::Serving { .. } => layout.rows.serving.at(index, step).map_or(0.0, |row| -price(Some(row), month)),
                // Done elsewhere it earns its value and leaves the backlog.
                WorkKind::Training { value, .. } => {
                    layout.rows.backlog.at(index, month).map_or(0.0, |row| value / cash[month] - price(Some(row), month))
                }
            }
        };
        (0..steps).map(at).collect()
    };
    let floor = |(index, floor): (usize, &crate::Floor)| {
        let due = floor.due.clamp(layout.from, months - 1);
        // The row says what raising the least would be worth, which is never good.
        layout.rows.floors[index].map_or(0.0, |row| -price(Some(row), due))
    };
    Prices {
        limits: (0..instance.limits.len())
            .map(|limit| (0..steps).map(|step| price(layout.rows.limits.at(limit, step), month_of(step))).collect())
            .collect(),
        floors: instance.floors.iter().enumerate().map(floor).collect(),
        works: instance.works.iter().enumerate().map(work).collect(),
        orders: (0..instance.expansions.len())
            .map(|expansion| (0..months).map(|month| price(layout.rows.chips.at(expansion, month), month)).collect())
            .collect(),
        cash,
    }
}
