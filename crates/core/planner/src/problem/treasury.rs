//! Cash, debt, raises and revenue. Written last: by then every column has said what it pays and earns.

use lp::ColumnId;

use super::build::{Build, at};
use crate::{Debt, EventKind};

/// Months of revenue that a covenant looks at.
const TRAILING: usize = 12;

pub(super) fn columns(build: &mut Build<'_>, month: usize) {
    let instance = build.instance;
    let treasury = &instance.treasury;
    let last = month + 1 == instance.months.len();
    let at_end = if last { 1.0 } else { 0.0 };
    if treasury.debt.as_ref().is_some_and(|debt| debt.covenant.is_some()) {
        build.layout.columns.revenue[month] = Some(build.problem.column(0.0, f64::NEG_INFINITY, f64::INFINITY));
    }
    for (index, window) in treasury.windows.iter().enumerate() {
        if (window.open.0..window.open.1).contains(&month) {
            let raised = build.problem.column(-(1.0 + window.cost), 0.0, f64::INFINITY);
            build.layout.columns.raised.set(index, month, raised);
            build.pay(month, raised, -1.0);
        }
    }
    if let Some(debt) = &treasury.debt {
        let owed = build.problem.column(-at_end, 0.0, debt.limit[month]);
        let drawn = build.problem.column(0.0, 0.0, f64::INFINITY);
        let repaid = build.problem.column(0.0, 0.0, f64::INFINITY);
        build.layout.columns.debt[month] = Some(owed);
        build.layout.columns.drawn[month] = Some(drawn);
        build.layout.columns.repaid[month] = Some(repaid);
    }
    let floor = if treasury.bound { treasury.floor[month] } else { f64::NEG_INFINITY };
    build.layout.columns.cash[month] = Some(build.problem.column(at_end, floor, f64::INFINITY));
    if treasury.bound {
        build.layout.columns.gap[month] = Some(build.problem.column(-instance.gap_cost_in(month), 0.0, build.slack()));
    }
}

pub(super) fn rows(build: &mut Build<'_>) {
    window_rows(build);
    if let Some(debt) = &build.instance.treasury.debt {
        debt_rows(build);
        if let Some(covenant) = debt.covenant {
            revenue_rows(build);
            covenant_rows(build, covenant);
        }
    }
    let first = build.problem.row_count();
    for month in build.months() {
        cash_row(build, month);
    }
    build.name_rows("cash", first);
}

/// A raise is taken up to its amount, over all the months in which it is open.
fn window_rows(build: &mut Build<'_>) {
    for (index, window) in build.instance.treasury.windows.iter().enumerate() {
        let first = build.problem.row_count();
        let columns: Vec<ColumnId> = build.layout.columns.raised.line(index).map(|(_, column)| column).collect();
        if !columns.is_empty() {
            for column in columns {
                build.problem.entry(column, 1.0);
            }
            build.at_most((window.most - at(&build.opening.raised, index)).max(0.0));
        }
        build.name_rows(window.name.clone(), first);
    }
}

/// `debt - debt before - drawn + repaid = 0`.
fn debt_rows(build: &mut Build<'_>) {
    let first = build.problem.row_count();
    for month in build.months() {
        let columns = &build.layout.columns;
        let before = if month > build.layout.from { columns.debt[month - 1] } else { None };
        for (column, factor) in [(columns.debt[month], 1.0), (before, -1.0), (columns.drawn[month], -1.0), (columns.repaid[month], 1.0)] {
            if let Some(column) = column {
                build.problem.entry(column, factor);
            }
        }
        let owed = if month == build.layout.from { build.opening.debt } else { 0.0 };
        build.equals(owed);
    }
    build.name_rows("debt", first);
}

/// `revenue - what served tokens earn = what customers pay anyway`.
fn revenue_rows(build: &mut Build<'_>) {
    let instance = build.instance;
    let first = build.problem.row_count();
    for month in build.months() {
        let Some(revenue) = build.layout.columns.revenue[month] else { continue };
        build.problem.entry(revenue, 1.0);
        for (column, price) in core::mem::take(&mut build.earned[month]) {
            build.entry(column, -price);
        }
        let events = instance.treasury.events.iter().filter(|event| event.kind == EventKind::Revenue);
        build.by_choice(events.clone().map(|event| (&event.amounts, -1.0)), month);
        build.equals(events.map(|event| event.amounts.fixed[month]).sum());
    }
    build.name_rows("revenue", first);
}

/// `debt <= covenant x revenue of the last twelve months`; months that nobody knows count as the first one known.
fn covenant_rows(build: &mut Build<'_>, covenant: f64) {
    let first = build.problem.row_count();
    let past = &build.opening.revenue;
    for month in build.months() {
        let columns = &build.layout.columns;
        let Some(debt) = columns.debt[month] else { continue };
        build.problem.entry(debt, 1.0);
        let since = (month + 1 - build.layout.from).min(TRAILING);
        let before = TRAILING - since;
        let known = before.min(past.len());
        let unknown = (before - known) as f64;
        for (index, revenue) in columns.revenue[month + 1 - since..=month].iter().enumerate() {
            let stands_in = index == 0 && past.is_empty();
            if let Some(revenue) = revenue {
                build.problem.entry(*revenue, -covenant * if stands_in { 1.0 + unknown } else { 1.0 });
            }
        }
        let known: f64 = past[past.len() - known..].iter().sum();
        build.at_most(covenant * (known + unknown * at(past, 0)));
    }
    build.name_rows("covenant", first);
}

/// `cash - (1 + interest) cash before + interest on debt - raised - drawn + repaid - gap - revenue + costs = other money`.
fn cash_row(build: &mut Build<'_>, month: usize) {
    let treasury = &build.instance.treasury;
    let (opening, begins) = (build.opening, month == build.layout.from);
    let columns = &build.layout.columns;
    let before = |of: &[Option<ColumnId>]| if begins { None } else { of[month - 1] };
    let rate = treasury.debt.as_ref().map_or(0.0, |debt: &Debt| debt.rate);
    let entries = [
        (columns.cash[month], 1.0),
        (before(&columns.cash), -1.0 - treasury.interest),
        (before(&columns.debt), rate),
        (columns.drawn[month], -1.0),
        (columns.repaid[month], 1.0),
        (columns.gap[month], -1.0),
        (columns.revenue[month], -1.0),
    ];
    for (column, factor) in entries {
        if let Some(column) = column {
            build.entry(column, factor);
        }
    }
    for (column, price) in core::mem::take(&mut build.earned[month]) {
        build.entry(column, -price);
    }
    for (column, amount) in core::mem::take(&mut build.paid[month]) {
        build.entry(column, amount);
    }
    // What customers pay anyway is in the revenue column, where there is one.
    let counted = build.layout.columns.revenue[month].is_some();
    let events = treasury.events.iter().filter(|event| !(counted && event.kind == EventKind::Revenue));
    build.by_choice(events.clone().map(|event| (&event.amounts, -1.0)), month);
    let mut other: f64 = events.map(|event| event.amounts.fixed[month]).sum();
    other -= at(&opening.payable, month);
    if begins {
        other += (1.0 + treasury.interest) * opening.cash - rate * opening.debt;
    }
    let row = build.equals(other);
    build.layout.rows.cash[month] = Some(row);
}
