//! Where work goes in one step.

use super::run::{Asked, Tally};
use super::{At, Planned, Policy, Rank, Run, Way};
use crate::instance::{Instance, Supply, WorkKind};

/// Below this nothing is worth placing, in the instance's units.
const NOTHING: f64 = 1e-9;
/// A gain below this share of what it costs is the solver's tolerance.
const NEAR: f64 = 1e-6;

impl Policy {
    /// What is planned, first what was promised; then what pays.
    pub(super) fn place(&self, world: &Instance, at: At, run: &mut Run) {
        let step = at.step;
        self.measure(world, step, run);
        self.ask(world, at, run);
        self.price(world, at, run);
        let planned = self.planned.of(step);
        run.placed.clear();
        run.placed.resize(planned.len(), 0.0);
        run.used.fill(0.0);
        if run.tallies.iter().any(|tally| tally.promised > 0.0) {
            self.follow(world, step, planned, true, run);
            for work in 0..world.works.len() {
                let target = run.tallies[work].promised - self.waived[work * world.steps.len() + step];
                if run.tallies[work].done < target - NOTHING * target.abs().max(1.0) {
                    self.offer(run);
                    self.keep_promise(world, at, work, target, run);
                }
            }
        }
        self.follow(world, step, planned, false, run);
        run.tallies.iter_mut().for_each(|tally| tally.exhausted = false);
        let mut is_offered = false;
        for rank in self.ranks.of(step) {
            let work = rank.work as usize;
            let most = self.reach(world, step, *rank, run);
            if !run.tallies[work].exhausted && falls_short(run.tallies[work].done, most) {
                if !is_offered {
                    self.offer(run);
                    is_offered = true;
                }
                let worth = run.asked[rank.tranche as usize].worth;
                self.fill(world, at, work, most, worth, run);
            }
        }
        self.account(world, at, run);
    }

    /// What there is of each limit.
    fn measure(&self, world: &Instance, step: usize, run: &mut Run) {
        let limits = world.limits.len();
        run.left.copy_from_slice(&run.most[step * limits..][..limits]);
        for limit in &self.growing {
            let limit = *limit as usize;
            let ordered = world.limits[limit].expansions.iter().map(|(expansion, amounts)| amounts[step] * run.state.installed[*expansion]);
            run.left[limit] += ordered.sum::<f64>();
        }
    }

    /// What is wanted and promised of each work, and what it is worth.
    fn ask(&self, world: &Instance, at: At, run: &mut Run) {
        let At { month, step } = at;
        run.asked.clear();
        for (work, (of, tally)) in world.works.iter().zip(&mut run.tallies).enumerate() {
            *tally = Tally { best: f64::NEG_INFINITY, ..Tally::default() };
            match &of.kind {
                WorkKind::Serving { tranches, .. } => {
                    for tranche in tranches {
                        let (demand, price, value) = (tranche.demand[step], tranche.price[step], tranche.value[step]);
                        let worth = price * self.money[month] + value;
                        tally.wanted += demand;
                        tally.promised += tranche.least * demand;
                        tally.best = tally.best.max(worth);
                        run.asked.push(Asked { demand, price, value, worth });
                    }
                }
                WorkKind::Training { value, .. } => {
                    (tally.wanted, tally.best) = (run.state.backlog[work], *value);
                    run.asked.push(Asked { worth: *value, ..Asked::default() });
                }
            }
        }
    }

    /// What a unit of each supply costs now; what a tier adds is in what the plan's prices hide.
    fn price(&self, world: &Instance, at: At, run: &mut Run) {
        let first = at.step * world.supplies.len();
        let counts = self.counts.of_each(first, run.cost.len());
        for (index, (cost, counts)) in run.cost.iter_mut().zip(counts).enumerate() {
            let credit: f64 = counts.iter().map(|(floor, amount)| amount * run.floors[*floor as usize].credit).sum();
            let all = if self.floats[index] { self.cost(&world.supplies[index], at) } else { self.costs[first + index] };
            *cost = all - credit;
        }
    }

    /// What a unit of a supply costs, in money of the end, before what it counts towards floors.
    pub(super) fn cost(&self, supply: &Supply, at: At) -> f64 {
        let due = supply.due[at.month].min(self.months - 1);
        supply.rate[at.step] * self.money[due] + supply.energy[at.month] * self.money[at.month]
    }

    /// Places the plan's quantities as far as there is room and work, up to what is promised or whole; not what has turned into a loss.
    fn follow(&self, world: &Instance, step: usize, planned: &[Planned], promised: bool, run: &mut Run) {
        for tally in &mut run.tallies {
            tally.goal = if promised { tally.promised.min(tally.wanted) } else { tally.wanted };
        }
        for (index, entry) in planned.iter().enumerate() {
            let Way { supply, work, speed } = entry.way;
            let tally = &run.tallies[work as usize];
            let (left, to_do) = (entry.amount - run.placed[index], tally.goal - tally.done);
            if left <= 0.0 || to_do <= 0.0 {
                continue;
            }
            let cost = run.cost[supply as usize];
            let want = left.min(to_do / speed);
            let due = if tally.done < tally.promised { world.miss_cost[work as usize] } else { 0.0 };
            let margin = speed * (tally.best + due) - cost;
            if margin < entry.margin.min(0.0) - NEAR * (1.0 + cost.abs()) {
                continue;
            }
            run.placed[index] += self.put(step, entry.fit, entry.way, want, run);
        }
    }

    /// What is promised is served wherever that costs less than to break the promise.
    fn keep_promise(&self, world: &Instance, at: At, work: usize, target: f64, run: &mut Run) {
        let worth = run.tallies[work].best + world.miss_cost[work];
        self.fill(world, at, work, target, worth, run);
    }

    /// How much of a work is to be done with a tranche and those before it; of training, what the plan would have done by now.
    fn reach(&self, world: &Instance, step: usize, rank: Rank, run: &mut Run) -> f64 {
        let work = rank.work as usize;
        let tally = &mut run.tallies[work];
        match &world.works[work].kind {
            WorkKind::Serving { .. } => {
                // A work's tranches come one after the other: the ones before are served first.
                tally.reach += run.asked[rank.tranche as usize].demand;
                tally.reach
            }
            WorkKind::Training { .. } => {
                let left = run.state.backlog[work] + run.late[work] - tally.done;
                let behind = left - self.left[work * world.steps.len() + step];
                tally.wanted.min(tally.done + behind.max(0.0))
            }
        }
    }

    /// Does a work up to `most` on what is cheapest, while a unit of it is worth more than it costs.
    fn fill(&self, world: &Instance, at: At, work: usize, most: f64, worth: f64, run: &mut Run) {
        let supplies = world.supplies.len();
        let hidden = &self.hidden[at.step * self.fit_of.len() + work * supplies..][..supplies];
        let speeds = &self.speeds[work * supplies..][..supplies];
        // Which ones pay can't be guessed: each is written down, and the next one over it if it does not.
        run.paying.resize(run.stock.len() + 1, 0);
        let mut count = 0;
        for supply in &run.stock {
            let index = *supply as usize;
            let cost = run.offered[index] + f64::from(hidden[index]);
            run.paying[count] = *supply;
            count += usize::from(speeds[index] * worth > cost + NEAR * (1.0 + cost.abs()));
        }
        let mut open = core::mem::take(&mut run.open);
        open.clear();
        for supply in &run.paying[..count] {
            let index = *supply as usize;
            let cost = run.offered[index] + f64::from(hidden[index]) + f64::from(self.scarce[at.step * supplies + index]);
            open.push((cost / speeds[index], *supply));
        }
        while falls_short(run.tallies[work].done, most) {
            let Some(next) = cheapest(&open) else { break };
            let supply = open.swap_remove(next).1 as usize;
            let want = ((most - run.tallies[work].done) / speeds[supply]).min(self.within_shares(world, at, supply, run));
            // Another of these may have emptied it.
            let fit = self.fit_of[work * supplies + supply].filter(|_| want > 0.0 && run.offered[supply] < f64::INFINITY);
            if let Some(fit) = fit {
                self.put(at.step, fit, self.ways[fit as usize], want, run);
                self.withdraw(supply, run);
            }
        }
        run.tallies[work].exhausted = falls_short(run.tallies[work].done, most);
        run.open = open;
    }

    /// Finds the supplies of which more can be had.
    fn offer(&self, run: &mut Run) {
        let Run { offered, stock, left, cost, .. } = run;
        offered.clone_from(cost);
        for (limit, _) in left.iter().enumerate().filter(|(_, left)| **left <= NOTHING) {
            self.takers.of(limit).iter().for_each(|supply| offered[*supply as usize] = f64::INFINITY);
        }
        stock.clear();
        stock.extend(offered.iter().zip(0..).filter(|(cost, _)| **cost < f64::INFINITY).map(|(_, supply)| supply));
    }

    /// Offers no more of what a supply has emptied.
    fn withdraw(&self, supply: usize, run: &mut Run) {
        for (limit, _) in self.limits.of(supply) {
            if run.left[*limit as usize] <= NOTHING {
                self.takers.of(*limit as usize).iter().for_each(|supply| run.offered[*supply as usize] = f64::INFINITY);
            }
        }
    }

    /// Puts up to `want` of a fit's supply to work, as far as its limits allow; returns how much. Every month does this some sixty times.
    #[inline(always)]
    fn put(&self, step: usize, fit: u32, way: Way, want: f64, run: &mut Run) -> f64 {
        if !run.open_in[fit as usize].has(step) {
            return 0.0;
        }
        let limits = self.limits.of(way.supply as usize);
        let mut amount = want;
        for (limit, factor) in limits {
            let most = run.left[*limit as usize] / factor;
            // No number here is undefined, and this is one instruction where `f64::min` is four.
            amount = if most < amount { most } else { amount };
        }
        if amount <= 0.0 {
            return 0.0;
        }
        for (limit, factor) in limits {
            run.left[*limit as usize] -= amount * factor;
        }
        run.used[way.supply as usize] += amount;
        run.note(|did| did.used[fit as usize * self.firsts[self.months] + step] += amount);
        run.tallies[way.work as usize].done += amount * way.speed;
        amount
    }
}

/// The position of the supply that costs least; of several the first in the instance.
fn cheapest(open: &[(f64, u32)]) -> Option<usize> {
    let mut best: Option<(usize, (f64, u32))> = None;
    for (index, supply) in open.iter().enumerate() {
        if best.is_none_or(|(_, best)| *supply < best) {
            best = Some((index, *supply));
        }
    }
    best.map(|(index, _)| index)
}

/// Whether more than rounding is left to do.
fn falls_short(done: f64, most: f64) -> bool {
    most - done > NOTHING * most.max(1.0)
}
