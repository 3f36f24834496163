//! Capacity that is ordered and arrives later.

use fleet::AcceleratorId;

use super::build::{Build, at};
use crate::{Expansion, Lifts};

pub(super) fn columns(build: &mut Build<'_>, month: usize) {
    let instance = build.instance;
    for (index, expansion) in instance.expansions.iter().enumerate() {
        let installed = build.problem.column(0.0, 0.0, f64::INFINITY);
        build.layout.columns.installed.set(index, month, installed);
        build.pay(expansion.due[month], installed, expansion.running[month]);
        let barred = instance
            .bars
            .iter()
            .any(|bar| matches!(&bar.lifts, Lifts::Expansion(of, from, to) if *of == index && (*from..*to).contains(&month)));
        let ordered = build.problem.column(0.0, 0.0, if barred { 0.0 } else { expansion.per_month[month] });
        build.layout.columns.ordered.set(index, month, ordered);
        build.pay(month, ordered, expansion.capex[month]);
    }
}

pub(super) fn rows(build: &mut Build<'_>) {
    let instance = build.instance;
    for (index, expansion) in instance.expansions.iter().enumerate() {
        let first = build.problem.row_count();
        for month in build.months() {
            installed_row(build, index, expansion, month);
        }
        build.name_rows(format!("installed by {}", expansion.name), first);
        let first = build.problem.row_count();
        most_row(build, index, expansion);
        build.name_rows(format!("most of {}", expansion.name), first);
    }
    let mut kinds: Vec<AcceleratorId> = instance.expansions.iter().map(|expansion| expansion.accelerator).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        chip_rows(build, kind);
    }
}

/// `installed - installed before - what was ordered to arrive now = what was on its way`.
fn installed_row(build: &mut Build<'_>, index: usize, expansion: &Expansion, month: usize) {
    let from = build.layout.from;
    let columns = &build.layout.columns;
    let before = if month > from { columns.installed.at(index, month - 1) } else { None };
    let mut entries = vec![(columns.installed.at(index, month), 1.0), (before, -1.0)];
    let ordered = (from..=month).filter(|order| expansion.arrival(*order) == month);
    entries.extend(ordered.map(|order| (columns.ordered.at(index, order), -1.0)));
    for (column, factor) in entries {
        if let Some(column) = column {
            build.problem.entry(column, factor);
        }
    }
    let arriving = build.opening.arriving.get(index).map_or(0.0, |arriving| at(arriving, month));
    let there = if month == from { at(&build.opening.installed, index) } else { 0.0 };
    build.equals(arriving + there);
}

/// All that is ordered is at most what the contract allows, and nothing when it is not signed.
fn most_row(build: &mut Build<'_>, index: usize, expansion: &Expansion) {
    for month in build.months() {
        if let Some(ordered) = build.layout.columns.ordered.at(index, month) {
            build.problem.entry(ordered, 1.0);
        }
    }
    let under_way: f64 = build.opening.arriving.get(index).map_or(0.0, |arriving| arriving.iter().skip(build.layout.from).sum());
    let before = at(&build.opening.installed, index) + under_way;
    match expansion.choice {
        Some(choice) => {
            build.entry(build.layout.columns.taken[choice], -expansion.most);
            build.at_most(-before);
        }
        None => {
            build.at_most(expansion.most - before);
        }
    }
}

/// Over all expansions of one kind of chip, what is ordered in a month is at most what can be had.
fn chip_rows(build: &mut Build<'_>, kind: AcceleratorId) {
    let instance = build.instance;
    let of: Vec<usize> = (0..instance.expansions.len()).filter(|index| instance.expansions[*index].accelerator == kind).collect();
    let Some(supply) = of.iter().find_map(|index| instance.expansions[*index].supply.as_ref()) else { return };
    let first = build.problem.row_count();
    for month in build.months() {
        for index in &of {
            if let Some(ordered) = build.layout.columns.ordered.at(*index, month) {
                build.problem.entry(ordered, 1.0);
            }
        }
        let row = build.at_most(supply[month]);
        for index in &of {
            build.layout.rows.chips.set(*index, month, row);
        }
    }
    build.name_rows(format!("chips for {}", instance.expansions[of[0]].name), first);
}
