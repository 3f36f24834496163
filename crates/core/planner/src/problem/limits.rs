//! Capacity of contracts, pools and sites.

use super::build::Build;
use crate::Limit;

pub(super) fn rows(build: &mut Build<'_>) {
    let instance = build.instance;
    for (index, limit) in instance.limits.iter().enumerate() {
        let first = build.problem.row_count();
        for step in build.steps() {
            limit_row(build, index, limit, step);
        }
        build.name_rows(limit.name.clone(), first);
    }
}

/// `sum factor u - choices - expansions <= fixed`; left out where nothing could reach it.
fn limit_row(build: &mut Build<'_>, index: usize, limit: &Limit, step: usize) {
    let used = |(supply, factor): &(usize, f64)| Some((build.layout.columns.used.at(*supply, step)?, *factor));
    let terms: Vec<_> = limit.terms.iter().filter_map(used).collect();
    let lowered = limit.most.fixed[step] < 0.0
        || limit.most.by_choice.iter().any(|(_, amounts)| amounts[step] < 0.0)
        || limit.expansions.iter().any(|(_, amounts)| amounts[step] < 0.0);
    if terms.is_empty() && !lowered {
        return;
    }
    build.sum(terms);
    build.by_choice([(&limit.most, -1.0)], step);
    let month = build.instance.steps[step].month;
    for (expansion, amounts) in &limit.expansions {
        if let Some(installed) = build.layout.columns.installed.at(*expansion, month) {
            build.entry(installed, -amounts[step]);
        }
    }
    let row = build.at_most(limit.most.fixed[step]);
    build.layout.rows.limits.set(index, step, row);
}
