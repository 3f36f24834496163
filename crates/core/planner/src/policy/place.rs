//! Where work goes in one step.

use super::compile::small;
use super::{At, Planned, Policy, Rank, Run};
use crate::instance::{Fit, Instance, WorkKind};

/// Below this nothing is worth placing, in the instance's units.
const NOTHING: f64 = 1e-9;
/// A gain below this share of what it costs is the solver's tolerance.
const NEAR: f64 = 1e-6;

impl Policy {
    /// What is planned, first what was promised; then what pays.
    pub(super) fn place(&self, world: &Instance, at: At, run: &mut Run) {
        let step = at.step;
        self.measure(world, step, run);
        self.ask(world, step, run);
        self.price(world, at, run);
        for work in 0..world.works.len() {
            run.best[work] = self.best_worth(world, at, work);
        }
        let planned = self.planned.of(step);
        run.placed.clear();
        run.placed.resize(planned.len(), 0.0);
        run.used.fill(0.0);
        if run.promised.iter().any(|promised| *promised > 0.0) {
            self.follow(world, step, planned, true, run);
            for work in 0..world.works.len() {
                let target = run.promised[work] - self.waived[work * world.steps.len() + step];
                if run.done[work] < target - NOTHING * target.abs().max(1.0) {
                    self.offer(run);
                    self.keep_promise(world, at, work, target, run);
                }
            }
        }
        self.follow(world, step, planned, false, run);
        run.exhausted.fill(false);
        self.offer(run);
        for rank in self.ranks.of(step) {
            self.add(world, at, *rank, run);
        }
        self.account(world, at, run);
    }

    /// What there is of each limit.
    fn measure(&self, world: &Instance, step: usize, run: &mut Run) {
        for (left, limit) in run.left.iter_mut().zip(&world.limits) {
            let ordered = limit.expansions.iter().map(|(expansion, amounts)| amounts[step] * run.state.installed[*expansion]);
            *left = limit.most.at(step, &self.taken) + ordered.sum::<f64>();
        }
    }

    /// What is wanted and promised of each work.
    fn ask(&self, world: &Instance, step: usize, run: &mut Run) {
        for (work, of) in world.works.iter().enumerate() {
            (run.done[work], run.reach[work]) = (0.0, 0.0);
            (run.wanted[work], run.promised[work]) = match &of.kind {
                WorkKind::Serving { tranches, .. } => tranches.iter().fold((0.0, 0.0), |(wanted, promised), tranche| {
                    (wanted + tranche.demand[step], promised + tranche.least * tranche.demand[step])
                }),
                WorkKind::Training { .. } => (run.state.backlog[work], 0.0),
            };
        }
    }

    /// What a unit of each supply costs now; what a tier adds is in what the plan's prices hide.
    fn price(&self, world: &Instance, at: At, run: &mut Run) {
        let At { month, step } = at;
        let supplies = world.supplies.len();
        for (index, supply) in world.supplies.iter().enumerate() {
            let of = step * supplies + index;
            let credit: f64 = self.counts.of(of).iter().map(|(floor, amount)| amount * run.credit[*floor as usize]).sum();
            let due = supply.due[month].min(self.months - 1);
            run.cost[index] = supply.rate[step] * self.money[due] + supply.energy[month] * self.money[month] - credit;
        }
    }

    /// What a unit of a tranche is worth now, in money of the end.
    fn worth(&self, world: &Instance, at: At, work: usize, tranche: usize) -> f64 {
        let At { month, step } = at;
        match &world.works[work].kind {
            WorkKind::Serving { tranches, .. } => tranches[tranche].price[step] * self.money[month] + tranches[tranche].value[step],
            WorkKind::Training { value, .. } => *value,
        }
    }

    fn best_worth(&self, world: &Instance, at: At, work: usize) -> f64 {
        match &world.works[work].kind {
            WorkKind::Serving { tranches, .. } => {
                (0..tranches.len()).map(|tranche| self.worth(world, at, work, tranche)).fold(f64::NEG_INFINITY, f64::max)
            }
            WorkKind::Training { value, .. } => *value,
        }
    }

    /// Places the plan's quantities as far as there is room and work, up to what is promised or whole; not what has turned into a loss.
    fn follow(&self, world: &Instance, step: usize, planned: &[Planned], promised: bool, run: &mut Run) {
        for (index, entry) in planned.iter().enumerate() {
            let fit = entry.fit as usize;
            let (work, supply) = (self.work[fit] as usize, self.supply[fit] as usize);
            let most = if promised { run.promised[work].min(run.wanted[work]) } else { run.wanted[work] };
            let want = (entry.amount - run.placed[index]).min((most - run.done[work]) / self.speed[fit]);
            if want <= 0.0 {
                continue;
            }
            let due = if run.done[work] < run.promised[work] { world.miss_cost[work] } else { 0.0 };
            let margin = self.speed[fit] * (run.best[work] + due) - run.cost[supply];
            if margin < entry.margin.min(0.0) - NEAR * (1.0 + run.cost[supply].abs()) {
                continue;
            }
            run.placed[index] += self.put(world, step, fit, want, run);
        }
    }

    /// What is promised is served wherever that costs less than to break the promise.
    fn keep_promise(&self, world: &Instance, at: At, work: usize, target: f64, run: &mut Run) {
        let worth = run.best[work] + world.miss_cost[work];
        self.fill(world, at, work, target, worth, run);
    }

    /// More of a tranche, where it pays; of training, what the plan would have done by now.
    fn add(&self, world: &Instance, at: At, rank: Rank, run: &mut Run) {
        let step = at.step;
        let (work, tranche) = (rank.work as usize, rank.tranche as usize);
        let most = match &world.works[work].kind {
            WorkKind::Serving { tranches, .. } => {
                // A work's tranches come one after the other: the ones before are served first.
                run.reach[work] += tranches[tranche].demand[step];
                run.reach[work]
            }
            WorkKind::Training { .. } => {
                let left = run.state.backlog[work] + run.late[work] - run.done[work];
                let behind = left - self.left[work * world.steps.len() + step];
                run.wanted[work].min(run.done[work] + behind.max(0.0))
            }
        };
        if !run.exhausted[work] && most - run.done[work] > NOTHING * most.max(1.0) {
            let worth = self.worth(world, at, work, tranche);
            self.fill(world, at, work, most, worth, run);
        }
    }

    /// Does a work up to `most` on what is cheapest, while a unit of it is worth more than it costs.
    fn fill(&self, world: &Instance, at: At, work: usize, most: f64, worth: f64, run: &mut Run) {
        let mut open = core::mem::take(&mut run.open);
        open.clear();
        let fits = &self.fit_of[work * world.supplies.len()..][..world.supplies.len()];
        for (supply, cost) in &run.offered {
            let Some(fit) = fits[*supply as usize] else { continue };
            let beyond = &self.beyond[at.step * self.speed.len() + fit as usize];
            let (cost, speed) = (cost + f64::from(beyond.hidden), self.speed[fit as usize]);
            if speed * worth > cost + NEAR * (1.0 + cost.abs()) {
                open.push(((cost + f64::from(beyond.scarce)) / speed, fit));
            }
        }
        while most - run.done[work] > NOTHING * most.max(1.0) {
            let Some(next) = (0..open.len()).min_by(|a, b| open[*a].0.total_cmp(&open[*b].0).then(open[*a].1.cmp(&open[*b].1))) else {
                break;
            };
            let fit = open.swap_remove(next).1 as usize;
            let supply = self.supply[fit] as usize;
            let want = ((most - run.done[work]) / self.speed[fit]).min(self.within_shares(world, at, supply, run));
            if want > 0.0 {
                self.put(world, at.step, fit, want, run);
            }
        }
        run.exhausted[work] = most - run.done[work] > NOTHING * most.max(1.0);
        run.open = open;
    }

    /// Finds the supplies of which more can be had.
    fn offer(&self, run: &mut Run) {
        run.offered.clear();
        for (supply, cost) in run.cost.iter().enumerate() {
            if self.limits.of(supply).iter().all(|(limit, _)| run.left[*limit as usize] > NOTHING) {
                run.offered.push((small(supply), *cost));
            }
        }
    }

    /// Puts up to `want` of a fit's supply to work, as far as its limits allow; returns how much.
    fn put(&self, world: &Instance, step: usize, fit: usize, want: f64, run: &mut Run) -> f64 {
        if !is_open(&world.fits[fit], step) {
            return 0.0;
        }
        let supply = self.supply[fit] as usize;
        let limits = self.limits.of(supply);
        let amount = limits.iter().fold(want, |amount, (limit, factor)| amount.min(run.left[*limit as usize] / factor));
        if amount <= 0.0 {
            return 0.0;
        }
        for (limit, factor) in limits {
            run.left[*limit as usize] -= amount * factor;
        }
        run.used[supply] += amount;
        run.note(|did| did.used[fit * world.steps.len() + step] += amount);
        run.done[self.work[fit] as usize] += amount * self.speed[fit];
        amount
    }
}

/// Whether a fit may be used in a step.
pub(super) fn is_open(fit: &Fit, step: usize) -> bool {
    fit.open.iter().any(|(from, to)| (*from..*to).contains(&step))
}
