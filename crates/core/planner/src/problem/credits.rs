//! Prepayments, as they are credited against charges.

use super::build::{Build, at};
use crate::Credit;

pub(super) fn columns(build: &mut Build<'_>, month: usize) {
    let instance = build.instance;
    for (index, _) in instance.credits.iter().enumerate() {
        let credited = build.problem.column(0.0, 0.0, f64::INFINITY);
        build.layout.columns.credited.set(index, month, credited);
        build.pay(month, credited, -1.0);
        let uncredited = build.problem.column(0.0, 0.0, f64::INFINITY);
        build.layout.columns.uncredited.set(index, month, uncredited);
    }
}

pub(super) fn rows(build: &mut Build<'_>) {
    let credits = &build.instance.credits;
    for (index, credit) in credits.iter().enumerate() {
        let first = build.problem.row_count();
        for month in build.months() {
            granted_row(build, index, credit, month);
        }
        build.name_rows(credit.name.clone(), first);
        // Prepayments of one contract share its charges, so the rows are written once, for the first.
        let same = |other: &Credit| other.contract == credit.contract && other.choice == credit.choice;
        if credits.iter().position(same) == Some(index) {
            let first = build.problem.row_count();
            charges_rows(build, credit, &(index..credits.len()).filter(|other| same(&credits[*other])).collect::<Vec<_>>());
            build.name_rows(format!("charges that {} may pay", credit.name), first);
        }
    }
}

/// `uncredited - uncredited before + credited = granted`.
fn granted_row(build: &mut Build<'_>, index: usize, credit: &Credit, month: usize) {
    let first = month == build.layout.from;
    let columns = &build.layout.columns;
    let before = if first { None } else { columns.uncredited.at(index, month - 1) };
    for (column, factor) in [(columns.uncredited.at(index, month), 1.0), (columns.credited.at(index, month), 1.0), (before, -1.0)] {
        if let Some(column) = column {
            build.problem.entry(column, factor);
        }
    }
    let left = if first { at(&build.opening.credit, index) } else { 0.0 };
    match credit.choice {
        Some(choice) => {
            build.entry(build.layout.columns.taken[choice], -credit.granted[month]);
            build.equals(left);
        }
        None => {
            build.equals(left + credit.granted[month]);
        }
    }
}

/// What is credited in a month is at most what the contract charges then: metered, tiered and committed.
fn charges_rows(build: &mut Build<'_>, credit: &Credit, shared: &[usize]) {
    let instance = build.instance;
    let mut metered = vec![Vec::new(); instance.months.len()];
    for (index, supply) in instance.supplies.iter().enumerate() {
        if supply.contract != credit.contract || supply.choice != credit.choice {
            continue;
        }
        for step in build.steps() {
            if let Some(used) = build.layout.columns.used.at(index, step) {
                metered[build.payday(supply.due[instance.steps[step].month])].push((used, supply.rate[step]));
            }
        }
    }
    for (index, tiered) in instance.tiered.iter().enumerate().filter(|(_, tiered)| tiered.contract == credit.contract) {
        let of_choice = tiered.terms.iter().all(|(supply, _, _)| instance.supplies[*supply].choice == credit.choice);
        let columns = build.layout.columns.tiers[index].iter().zip(&tiered.tiers).filter(|_| of_choice);
        metered[build.payday(tiered.due)].extend(columns.map(|(column, (_, rate))| (*column, *rate)));
    }
    for month in build.months() {
        // What accrued before the plan and falls due now may be paid too.
        let accrued = shared.first().and_then(|first| build.opening.chargeable.get(*first)).map_or(0.0, |due| at(due, month));
        for credit in shared {
            if let Some(credited) = build.layout.columns.credited.at(*credit, month) {
                build.problem.entry(credited, 1.0);
            }
        }
        for (column, rate) in &metered[month] {
            build.entry(*column, -rate);
        }
        for (choice, less) in &credit.replaced {
            build.entry(build.layout.columns.taken[*choice], -less[month]);
        }
        match credit.choice {
            Some(choice) => {
                build.entry(build.layout.columns.taken[choice], -credit.committed[month]);
                build.at_most(accrued);
            }
            None => {
                build.at_most(accrued + credit.committed[month]);
            }
        }
    }
}
