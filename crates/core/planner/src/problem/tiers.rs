//! Metered charges whose rate depends on the quantity.

use lp::ColumnId;

use super::bounds;
use super::build::{Build, at};
use crate::Tiered;

/// Whether some of its period is still to come; a charge whose period is over is among what the state has to pay.
pub(super) fn live(build: &Build<'_>, tiered: &Tiered) -> bool {
    tiered.terms.iter().any(|(_, step, _)| *step >= build.layout.from_step)
}

/// Whether the solver would take the tiers in another order than they come: the cheap part of a graduated rate last, or all of a
/// volume rate anywhere.
fn ordered(tiered: &Tiered) -> bool {
    !tiered.volume && tiered.tiers.windows(2).all(|pair| pair[0].1 <= pair[1].1)
}

pub(super) fn columns(build: &mut Build<'_>, month: usize) {
    let instance = build.instance;
    for (index, tiered) in instance.tiered.iter().enumerate() {
        if build.payday(tiered.due) != month || !live(build, tiered) {
            continue;
        }
        for (tier, (from, rate)) in tiered.tiers.iter().enumerate() {
            let width = tiered.tiers.get(tier + 1).map_or(f64::INFINITY, |(next, _)| next - from);
            let column = build.problem.column(0.0, 0.0, if tiered.volume { f64::INFINITY } else { width });
            build.layout.columns.tiers[index].push(column);
            build.pay(tiered.due, column, *rate);
        }
        if !ordered(tiered) {
            for _ in &tiered.tiers {
                let reached = build.problem.choice(0.0);
                build.layout.columns.reached[index].push(reached);
            }
        }
    }
}

pub(super) fn rows(build: &mut Build<'_>) {
    let instance = build.instance;
    for (index, tiered) in instance.tiered.iter().enumerate() {
        let tiers = build.layout.columns.tiers[index].clone();
        let reached = build.layout.columns.reached[index].clone();
        if tiers.is_empty() {
            continue;
        }
        let first = build.problem.row_count();
        quantity_row(build, index, tiered, &tiers);
        if tiered.volume {
            volume_rows(build, index, &tiers, &reached);
        } else if !reached.is_empty() {
            graduated_rows(build, index, &tiers, &reached);
        }
        build.name_rows(tiered.name.clone(), first);
    }
}

/// The tiers together are what is used in the period.
fn quantity_row(build: &mut Build<'_>, index: usize, tiered: &Tiered, tiers: &[ColumnId]) {
    for tier in tiers {
        build.problem.entry(*tier, 1.0);
    }
    let from = build.layout.from_step;
    for (supply, step, share) in tiered.terms.iter().filter(|(_, step, _)| *step >= from) {
        if let Some(used) = build.layout.columns.used.at(*supply, *step) {
            build.entry(used, -share);
        }
    }
    build.equals(at(&build.opening.tiered, index));
}

/// The most that the quantity can come to.
fn most(build: &Build<'_>, index: usize) -> f64 {
    let future = build.instance.tiered[index].terms.iter().filter(|(_, step, _)| *step >= build.layout.from_step);
    let used = future.map(|(supply, step, share)| share * bounds::most_used(build.instance, build.opening, *supply, *step));
    at(&build.opening.tiered, index) + used.sum::<f64>()
}

/// One tier is reached, and all is in it: `from reached <= tier <= next reached`.
fn volume_rows(build: &mut Build<'_>, index: usize, tiers: &[ColumnId], reached: &[ColumnId]) {
    for column in reached {
        build.problem.entry(*column, 1.0);
    }
    build.equals(1.0);
    let tiered = &build.instance.tiered[index];
    let most = most(build, index);
    for (tier, (from, _)) in tiered.tiers.iter().enumerate() {
        build.problem.entry(tiers[tier], 1.0);
        build.entry(reached[tier], -from);
        build.at_least(0.0);
        let next = tiered.tiers.get(tier + 1).map_or(most.max(*from), |(next, _)| *next);
        build.problem.entry(tiers[tier], 1.0);
        build.entry(reached[tier], -next);
        build.at_most(0.0);
    }
}

/// A tier is reached only when the one before is full: `tier <= width reached`, `tier before >= width before x reached`.
fn graduated_rows(build: &mut Build<'_>, index: usize, tiers: &[ColumnId], reached: &[ColumnId]) {
    let tiered = &build.instance.tiered[index];
    let most = most(build, index);
    for (tier, (from, _)) in tiered.tiers.iter().enumerate() {
        let width = tiered.tiers.get(tier + 1).map_or((most - from).max(0.0), |(next, _)| next - from);
        build.problem.entry(tiers[tier], 1.0);
        build.entry(reached[tier], -width);
        build.at_most(0.0);
        if let Some(before) = tier.checked_sub(1) {
            build.problem.entry(tiers[before], 1.0);
            build.entry(reached[tier], tiered.tiers[before].0 - from);
            build.at_least(0.0);
        }
    }
}
