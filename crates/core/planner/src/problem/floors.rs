//! The least that contracts want to be paid, window by window, with what is carried from one window to the next.

use lp::ColumnId;

use super::bounds;
use super::build::{Build, at};
use crate::{Floor, Instance};

/// Whether use still counts in a floor's window; otherwise its shortfall is among what the state has to pay.
fn live(build: &Build<'_>, floor: &Floor) -> bool {
    floor.last >= build.layout.from
}

pub(super) fn columns(build: &mut Build<'_>, month: usize) {
    let instance = build.instance;
    let first = month == build.layout.from;
    for (index, floor) in instance.floors.iter().enumerate() {
        let live = live(build, floor);
        if live && build.payday(floor.last) == month {
            let short = build.problem.column(0.0, 0.0, f64::INFINITY);
            build.layout.columns.short[index] = Some(short);
            build.pay(floor.due, short, floor.price);
        }
        let past = !live && first && at(&build.opening.carried, index) > 0.0;
        if (live && build.payday(floor.last) == month) || past {
            carry_columns(build, index, floor);
        }
    }
}

/// What a window may carry on to each later one, and for a window that is not over yet its excess.
fn carry_columns(build: &mut Build<'_>, index: usize, floor: &Floor) {
    let Some((_, later)) = &floor.carry else { return };
    let to: Vec<usize> = later.iter().copied().filter(|later| live(build, &build.instance.floors[*later])).collect();
    if to.is_empty() {
        return;
    }
    if live(build, floor) {
        build.layout.columns.excess[index] = Some(build.problem.column(0.0, 0.0, f64::INFINITY));
        if launders(build.instance, index) {
            build.layout.columns.exceeds[index] = Some(build.problem.choice(0.0));
        }
    }
    for later in to {
        let column = build.problem.column(0.0, 0.0, f64::INFINITY);
        build.layout.columns.carried.push((index, later, column));
    }
}

/// Whether it could pay to be short, or to use what was carried in, only to have an excess to carry on: when something can be carried in
/// (which can't be carried twice), when a later window's price is higher than this one's, or when a shortfall counts towards another floor too.
fn launders(instance: &Instance, index: usize) -> bool {
    let floor = &instance.floors[index];
    let carried_in = instance.floors.iter().any(|other| other.carry.as_ref().is_some_and(|(_, later)| later.contains(&index)));
    let dearer = |(share, later): &(f64, Vec<usize>)| later.iter().any(|later| share * instance.floors[*later].price > floor.price);
    let counts = instance.floors.iter().any(|other| other.nested.contains(&index));
    carried_in || counts || floor.carry.as_ref().is_some_and(dearer)
}

pub(super) fn rows(build: &mut Build<'_>) {
    let instance = build.instance;
    let carried = build.layout.columns.carried.clone();
    for (index, floor) in instance.floors.iter().enumerate() {
        let first = build.problem.row_count();
        if let Some(short) = build.layout.columns.short[index] {
            floor_row(build, index, floor, short, &carried);
            either_row(build, index, floor, short, &carried);
        }
        carry_row(build, index, floor, &carried);
        build.name_rows(floor.name.clone(), first);
    }
}

/// `use + charges + nested shortfalls + expansions + counted + carried in + short - excess >= least - what counted before`.
fn floor_row(build: &mut Build<'_>, index: usize, floor: &Floor, short: ColumnId, carried: &[(usize, usize, ColumnId)]) {
    let instance = build.instance;
    let from = build.layout.from;
    let future = floor.terms.iter().filter(|(_, step, _)| *step >= build.layout.from_step);
    let used = future.filter_map(|(supply, step, amount)| Some((build.layout.columns.used.at(*supply, *step)?, *amount)));
    build.sum(used.collect());
    for tiered in &floor.tiered {
        for (tier, (_, rate)) in instance.tiered[*tiered].tiers.iter().enumerate() {
            if let Some(column) = build.layout.columns.tiers[*tiered].get(tier).copied() {
                build.entry(column, *rate);
            }
        }
    }
    for nested in &floor.nested {
        if let Some(short) = build.layout.columns.short[*nested] {
            build.entry(short, instance.floors[*nested].price);
        }
    }
    for (expansion, month, amount) in floor.expansions.iter().filter(|(_, month, _)| *month >= from) {
        if let Some(installed) = build.layout.columns.installed.at(*expansion, *month) {
            build.entry(installed, *amount);
        }
    }
    build.by_choice([(&floor.counted, 1.0), (&floor.least, -1.0)], 0);
    for (_, _, column) in carried.iter().filter(|(_, to, _)| *to == index) {
        build.problem.entry(*column, 1.0);
    }
    build.problem.entry(short, 1.0);
    if let Some(excess) = build.layout.columns.excess[index] {
        build.problem.entry(excess, -1.0);
    }
    let row = build.at_least(floor.least.fixed[0] - floor.counted.fixed[0] - at(&build.opening.counted, index));
    build.layout.rows.floors[index] = Some(row);
}

/// A window has an excess or a need, not both: `excess <= most x exceeds`, `short + carried in <= least (1 - exceeds)`.
fn either_row(build: &mut Build<'_>, index: usize, floor: &Floor, short: ColumnId, carried: &[(usize, usize, ColumnId)]) {
    let (Some(excess), Some(exceeds)) = (build.layout.columns.excess[index], build.layout.columns.exceeds[index]) else { return };
    let least = most_asked(floor);
    build.problem.entry(excess, 1.0);
    build.entry(exceeds, -most_counted(build, index, floor));
    build.at_most(0.0);
    build.problem.entry(short, 1.0);
    for (_, _, column) in carried.iter().filter(|(_, to, _)| *to == index) {
        build.problem.entry(*column, 1.0);
    }
    build.entry(exceeds, least);
    build.at_most(least);
}

/// The most that a window could ask for, and so be short of.
fn most_asked(floor: &Floor) -> f64 {
    floor.least.fixed[0] + floor.least.by_choice.iter().map(|(_, amounts)| amounts[0].max(0.0)).sum::<f64>()
}

/// The most that could ever count in a window.
fn most_counted(build: &Build<'_>, index: usize, floor: &Floor) -> f64 {
    let instance = build.instance;
    let used = |(supply, step): (usize, usize)| bounds::most_used(instance, build.opening, supply, step);
    let future = |step: usize| step >= build.layout.from_step;
    let terms = floor.terms.iter().filter(|(_, step, _)| future(*step)).map(|(supply, step, amount)| amount * used((*supply, *step)));
    let charged = floor.tiered.iter().map(|tiered| {
        let tiered = &instance.tiered[*tiered];
        let dearest = tiered.tiers.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        dearest * tiered.terms.iter().map(|(supply, step, share)| share * used((*supply, *step))).sum::<f64>()
    });
    let expanded = floor.expansions.iter().map(|(expansion, _, amount)| amount * instance.expansions[*expansion].most);
    let nested = floor.nested.iter().map(|nested| instance.floors[*nested].price * most_asked(&instance.floors[*nested]).max(0.0));
    let chosen = floor.counted.by_choice.iter().map(|(_, amounts)| amounts[0].max(0.0));
    let fixed = floor.counted.fixed[0].max(0.0) + at(&build.opening.counted, index);
    fixed + terms.sum::<f64>() + charged.sum::<f64>() + nested.sum::<f64>() + expanded.sum::<f64>() + chosen.sum::<f64>()
}

/// What a window carries on is at most a share of its excess, or what is left of it when it is over.
fn carry_row(build: &mut Build<'_>, index: usize, floor: &Floor, carried: &[(usize, usize, ColumnId)]) {
    let Some((share, _)) = &floor.carry else { return };
    let mut any = false;
    for (_, _, column) in carried.iter().filter(|(from, _, _)| *from == index) {
        build.problem.entry(*column, 1.0);
        any = true;
    }
    if !any {
        return;
    }
    match build.layout.columns.excess[index] {
        Some(excess) => {
            build.entry(excess, -share);
            build.at_most(0.0);
        }
        None => {
            build.at_most(at(&build.opening.carried, index));
        }
    }
}
