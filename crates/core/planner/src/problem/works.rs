//! What is asked for: tokens in tranches, training as a backlog.

use super::build::{Build, at};
use crate::{Instance, State, WorkKind};

pub(super) fn columns(build: &mut Build<'_>, month: usize) {
    let instance = build.instance;
    for (index, work) in instance.works.iter().enumerate() {
        match &work.kind {
            WorkKind::Serving { tranches, .. } => {
                let promised = tranches.iter().any(|tranche| tranche.least > 0.0);
                for step in build.steps_of[month].clone() {
                    for (number, tranche) in tranches.iter().enumerate() {
                        let served = build.problem.column(tranche.value[step], 0.0, tranche.demand[step]);
                        build.layout.columns.served[index].set(number, step, served);
                        build.earned[month].push((served, tranche.price[step]));
                    }
                    if promised {
                        let missed = build.problem.column(-instance.miss_cost[index], 0.0, build.slack());
                        build.layout.columns.missed.set(index, step, missed);
                    }
                }
            }
            WorkKind::Training { promised, .. } => {
                let backlog = build.problem.column(0.0, 0.0, backlog_most(instance, build.opening, index, month));
                build.layout.columns.backlog.set(index, month, backlog);
                let (cost, most) = if *promised { (late_cost(instance, index), build.slack()) } else { (0.0, f64::INFINITY) };
                let late = build.problem.column(0.0 - cost, 0.0, most);
                build.layout.columns.late.set(index, month, late);
            }
        }
    }
}

/// What giving up a unit of promised training costs beside its value.
pub(super) fn late_cost(instance: &Instance, work: usize) -> f64 {
    match &instance.works[work].kind {
        WorkKind::Training { value, .. } => instance.gap_cost * value,
        WorkKind::Serving { .. } => 0.0,
    }
}

/// The most that may be left at a month's end: all that arrived by then less what is due by then.
fn backlog_most(instance: &Instance, opening: &State, work: usize, month: usize) -> f64 {
    let WorkKind::Training { arrivals, due, .. } = &instance.works[work].kind else { return 0.0 };
    let arrived = at(&opening.backlog, work) + at(&opening.done, work) + arrivals[opening.month..=month].iter().sum::<f64>();
    (arrived - due[..=month].iter().sum::<f64>()).max(0.0)
}

pub(super) fn rows(build: &mut Build<'_>) {
    let instance = build.instance;
    let mut fits_of = vec![Vec::new(); instance.works.len()];
    for (index, fit) in instance.fits.iter().enumerate() {
        fits_of[fit.work].push(index);
    }
    for (index, work) in instance.works.iter().enumerate() {
        let first = build.problem.row_count();
        match &work.kind {
            WorkKind::Serving { tranches, .. } => {
                for step in build.steps() {
                    done(build, &fits_of[index], step);
                    for (_, served) in
                        (0..tranches.len()).filter_map(|number| build.layout.columns.served[index].at(number, step).map(|id| (number, id)))
                    {
                        build.problem.entry(served, -1.0);
                    }
                    let row = build.equals(0.0);
                    build.layout.rows.serving.set(index, step, row);
                }
                build.name_rows(format!("{} is served", work.name), first);
                least_rows(build, index);
            }
            WorkKind::Training { arrivals, .. } => {
                backlog_rows(build, index, arrivals, &fits_of[index]);
                build.name_rows(format!("backlog of {}", work.name), first);
            }
        }
    }
}

/// What supplies do of a work in a step, as entries of the open row.
fn done(build: &mut Build<'_>, fits: &[usize], step: usize) {
    for fit in fits {
        if let Some(column) = build.layout.columns.fits.at(*fit, step) {
            build.problem.entry(column, build.instance.fits[*fit].speed);
        }
    }
}

/// `served + missed >= what is promised`, in each step.
fn least_rows(build: &mut Build<'_>, work: usize) {
    let WorkKind::Serving { tranches, .. } = &build.instance.works[work].kind else { return };
    let first = build.problem.row_count();
    for step in build.steps() {
        let Some(missed) = build.layout.columns.missed.at(work, step) else { continue };
        for number in 0..tranches.len() {
            if let Some(served) = build.layout.columns.served[work].at(number, step) {
                build.problem.entry(served, 1.0);
            }
        }
        build.problem.entry(missed, 1.0);
        build.at_least(tranches.iter().map(|tranche| tranche.least * tranche.demand[step]).sum());
    }
    build.name_rows(format!("least of {}", build.instance.works[work].name), first);
}

/// `backlog - backlog before + done + given up = arrivals`.
fn backlog_rows(build: &mut Build<'_>, work: usize, arrivals: &[f64], fits: &[usize]) {
    for month in build.months() {
        for step in build.steps_of[month].clone() {
            done(build, fits, step);
        }
        let columns = &build.layout.columns;
        let entries = [(columns.backlog.at(work, month), 1.0), (columns.late.at(work, month), 1.0)];
        let before = if month > build.layout.from { columns.backlog.at(work, month - 1) } else { None };
        for (column, factor) in entries.into_iter().chain([(before, -1.0)]) {
            if let Some(column) = column {
                build.problem.entry(column, factor);
            }
        }
        let carried = if month == build.layout.from { at(&build.opening.backlog, work) } else { 0.0 };
        let row = build.equals(arrivals[month] + carried);
        build.layout.rows.backlog.set(work, month, row);
    }
}
