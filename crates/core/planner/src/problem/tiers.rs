//! Metered charges whose rate depends on the quantity.

use lp::ColumnId;

use super::bounds;
use super::build::{Build, at};
use crate::{Instance, Tiered};

/// Whether some of its period is still to come; a charge whose period is over is among what the state has to pay.
pub(super) fn live(build: &Build<'_>, tiered: &Tiered) -> bool {
    tiered.terms.iter().any(|(_, step, _)| *step >= build.layout.from_step)
}

/// Whether the tiers fill in their order by themselves: the cheapest is first, each part stays at its own rate, and nobody gains by
/// paying more now: no floor counts the charge, no limit is a share of spend, and no later charge finds the cheap tiers left.
fn fills_itself(instance: &Instance, index: usize) -> bool {
    let tiered = &instance.tiered[index];
    let rises = !tiered.volume && tiered.tiers.windows(2).all(|pair| pair[0].1 <= pair[1].1);
    let chained = tiered.after.is_some() || instance.tiered.iter().any(|later| later.after == Some(index));
    let counts = instance.floors.iter().any(|floor| floor.tiered.contains(&index)) || instance.caps.iter().any(|cap| cap.spend);
    rises && !chained && !counts
}

pub(super) fn columns(build: &mut Build<'_>, month: usize) {
    let instance = build.instance;
    for (index, tiered) in instance.tiered.iter().enumerate() {
        if build.payday(tiered.due) != month || !live(build, tiered) {
            continue;
        }
        for (_, rate) in &tiered.tiers {
            let column = build.problem.column(0.0, 0.0, f64::INFINITY);
            build.layout.columns.tiers[index].push(column);
            build.pay(tiered.due, column, *rate);
        }
        if !fills_itself(instance, index) {
            for _ in &tiered.tiers {
                let reached = build.problem.choice(0.0);
                build.layout.columns.reached[index].push(reached);
            }
        }
    }
}

pub(super) fn rows(build: &mut Build<'_>) {
    let instance = build.instance;
    for (index, tiered) in instance.tiered.iter().enumerate().filter(|(_, tiered)| live(build, tiered)).collect::<Vec<_>>() {
        let first = build.problem.row_count();
        quantity_row(build, index, tiered);
        let filling = Filling::of(build, index);
        if tiered.volume {
            volume_rows(build, index, tiered, &filling);
        } else {
            graduated_rows(build, index, tiered, &filling);
        }
        build.name_rows(tiered.name.clone(), first);
    }
}

/// The tiers together are what is used in the period.
fn quantity_row(build: &mut Build<'_>, index: usize, tiered: &Tiered) {
    for tier in 0..tiered.tiers.len() {
        build.entry(build.layout.columns.tiers[index][tier], 1.0);
    }
    let future = tiered.terms.iter().filter(|(_, step, _)| *step >= build.layout.from_step);
    let used = future.filter_map(|(supply, step, share)| Some((build.layout.columns.used.at(*supply, *step)?, -share)));
    build.sum(used.collect());
    build.equals(at(&build.opening.tiered, index));
}

/// What fills the tiers by the end of a charge's period: that charge, and when tiers count over the term those before it.
struct Filling {
    /// The charges whose periods are not over, this one first.
    charges: Vec<usize>,
    /// The quantity of those whose periods are.
    before: f64,
    /// The most that all of it can come to.
    most: f64,
}

impl Filling {
    fn of(build: &Build<'_>, index: usize) -> Self {
        let mut filling = Self { charges: Vec::new(), before: 0.0, most: 0.0 };
        let chain = core::iter::successors(Some(index), |charge| build.instance.tiered[*charge].after);
        for charge in chain {
            let tiered = &build.instance.tiered[charge];
            let sofar = at(&build.opening.tiered, charge);
            if live(build, tiered) {
                filling.charges.push(charge);
            } else {
                filling.before += sofar;
            }
            let future = tiered.terms.iter().filter(|(_, step, _)| *step >= build.layout.from_step);
            let used = future.map(|(supply, step, share)| share * bounds::most_used(build.instance, build.opening, *supply, *step));
            filling.most += sofar + used.sum::<f64>();
        }
        filling
    }

    /// Adds all that fills a tier to the open row, times `factor`.
    fn enter(&self, build: &mut Build<'_>, tier: usize, factor: f64) {
        for charge in &self.charges {
            build.entry(build.layout.columns.tiers[*charge][tier], factor);
        }
    }

    /// How much room a tier has after the periods that are over.
    fn room(&self, tiered: &Tiered, tier: usize) -> f64 {
        let from = tiered.tiers[tier].0.max(self.before);
        let next = tiered.tiers.get(tier + 1).map_or(f64::INFINITY, |(next, _)| *next);
        (next - from).max(0.0)
    }
}

/// One tier is reached by the end of the period, and all of the period is in it.
fn volume_rows(build: &mut Build<'_>, index: usize, tiered: &Tiered, filling: &Filling) {
    let reached = build.layout.columns.reached[index].clone();
    for column in &reached {
        build.entry(*column, 1.0);
    }
    build.equals(1.0);
    let last = tiered.tiers.last().map_or(0.0, |(from, _)| *from);
    let next = |tier: usize| tiered.tiers.get(tier + 1).map_or(filling.most.max(last), |(next, _)| *next);
    for (tier, column) in reached.iter().enumerate() {
        build.entry(build.layout.columns.tiers[index][tier], 1.0);
        build.entry(*column, -next(tier));
        build.at_most(0.0);
        if filling.charges.len() == 1 && filling.before == 0.0 {
            // Tighter than the rows below, where only this period counts.
            build.entry(build.layout.columns.tiers[index][tier], 1.0);
            build.entry(*column, -tiered.tiers[tier].0);
            build.at_least(0.0);
        }
    }
    let enter_all = |build: &mut Build<'_>, edge: &dyn Fn(usize) -> f64| {
        for (tier, column) in reached.iter().enumerate() {
            filling.enter(build, tier, 1.0);
            build.entry(*column, -edge(tier));
        }
    };
    enter_all(build, &|tier| tiered.tiers[tier].0);
    build.at_least(-filling.before);
    enter_all(build, &next);
    build.at_most(-filling.before);
}

/// No tier holds more than its width; and where the tiers would not fill in order, none is reached before the one before is full.
fn graduated_rows(build: &mut Build<'_>, index: usize, tiered: &Tiered, filling: &Filling) {
    let reached: Vec<ColumnId> = build.layout.columns.reached[index].clone();
    for tier in 0..tiered.tiers.len() {
        let room = filling.room(tiered, tier);
        match reached.get(tier) {
            Some(column) => {
                filling.enter(build, tier, 1.0);
                build.entry(*column, -room.min(filling.most));
                build.at_most(0.0);
                if let Some(before) = tier.checked_sub(1) {
                    filling.enter(build, before, 1.0);
                    build.entry(*column, -filling.room(tiered, before));
                    build.at_least(0.0);
                }
            }
            None if room.is_finite() => {
                filling.enter(build, tier, 1.0);
                build.at_most(room);
            }
            None => {}
        }
    }
}
