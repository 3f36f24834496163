//! What is used of each supply, for which work, and what that costs.

use super::bounds;
use super::build::Build;
use crate::WorkKind;

pub(super) fn columns(build: &mut Build<'_>, month: usize) {
    let instance = build.instance;
    for step in build.steps_of[month].clone() {
        for (index, supply) in instance.supplies.iter().enumerate() {
            let mut only = None;
            let mut count = 0;
            for fit in build.fits_of[index].clone() {
                let placed = &instance.fits[fit];
                if placed.open.iter().any(|(from, to)| (*from..*to).contains(&step)) {
                    // Training done is worth its value; what serving is worth is with what is served.
                    let worth = match &instance.works[placed.work].kind {
                        WorkKind::Serving { .. } => 0.0,
                        WorkKind::Training { value, .. } => value * placed.speed,
                    };
                    let column = build.problem.column(worth, 0.0, f64::INFINITY);
                    build.layout.columns.fits.set(fit, step, column);
                    only = Some(column);
                    count += 1;
                }
            }
            let Some(only) = only else { continue };
            let used = if count == 1 { only } else { build.problem.column(0.0, 0.0, f64::INFINITY) };
            build.layout.columns.used.set(index, step, used);
            let due = build.payday(supply.due[month]);
            let (rate, energy) = (supply.rate[step], supply.energy[month]);
            if due == month {
                build.pay(month, used, rate + energy);
            } else {
                build.pay(due, used, rate);
                build.pay(month, used, energy);
            }
        }
    }
}

pub(super) fn rows(build: &mut Build<'_>) {
    let instance = build.instance;
    for (index, supply) in instance.supplies.iter().enumerate() {
        let first = build.problem.row_count();
        for step in build.steps() {
            use_row(build, index, step);
        }
        build.name_rows(format!("use of {}", supply.name), first);
        if let Some(choice) = supply.choice {
            let first = build.problem.row_count();
            for step in build.steps() {
                signed_row(build, index, choice, step);
            }
            build.name_rows(format!("{} only if it is signed", supply.name), first);
        }
    }
}

/// What works use of a supply is what is used of it. With one work there is one column, and nothing to say.
fn use_row(build: &mut Build<'_>, supply: usize, step: usize) {
    let Some(used) = build.layout.columns.used.at(supply, step) else { return };
    let mut single = false;
    for fit in build.fits_of[supply].clone() {
        if let Some(column) = build.layout.columns.fits.at(fit, step) {
            single = column == used;
            if !single {
                build.problem.entry(column, 1.0);
            }
        }
    }
    if !single {
        build.problem.entry(used, -1.0);
        build.equals(0.0);
    }
}

/// A supply that no limit ties to its choice is tied here, by the most that work could use of it.
fn signed_row(build: &mut Build<'_>, supply: usize, choice: usize, step: usize) {
    let Some(used) = build.layout.columns.used.at(supply, step) else { return };
    if bounds::tied(build.instance, supply, choice, step) {
        return;
    }
    let most = bounds::most_used(build.instance, build.opening, supply, step);
    build.entry(used, 1.0);
    build.entry(build.layout.columns.taken[choice], -most);
    build.at_most(0.0);
}
