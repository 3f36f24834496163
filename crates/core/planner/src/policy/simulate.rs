//! Month after month.

use super::run::Standing;
use super::{At, FloorPlan, Policy, Run};
use crate::instance::{Instance, WorkKind};
use crate::state::{Month, State};

impl Policy {
    /// Lives through `months` months of `world` from where `from` stands. `world` has the shape of the instance that the policy was compiled
    /// for, and its prices but for those that float; of it only the month that is lived through is looked at.
    pub fn simulate(&self, world: &Instance, from: &State, months: usize, run: &mut Run) {
        run.begin(world, from);
        run.learn(world, &self.taken);
        for (work, of) in world.works.iter().enumerate() {
            if let WorkKind::Training { due, .. } = &of.kind {
                run.due[work] = due[..from.month].iter().sum();
            }
        }
        for month in from.month..(from.month + months).min(self.months) {
            run.now = Month::default();
            self.order(world, month, run);
            self.credit_floors(month, run);
            self.begin_month(world, month, run);
            for step in self.firsts[month]..self.firsts[month + 1] {
                self.place(world, At { month, step }, run);
            }
            give_up(world, month, run);
            let before = self.settle(world, month, run);
            self.finance(world, month, before, run);
            run.worth += run.now.worth - run.now.penalty;
            run.state.month = month + 1;
            run.months.push(run.now);
        }
    }

    /// What was ordered arrives, and what is planned is ordered, as far as it can be had.
    fn order(&self, world: &Instance, month: usize, run: &mut Run) {
        run.chips.fill(0.0);
        for (index, expansion) in world.expansions.iter().enumerate() {
            run.wished[index] += self.ordered[index * self.months + month];
            // In most months nothing is ordered.
            if run.wished[index] > run.ordered[index] {
                let kind = self.kinds[index] as usize;
                let room = expansion.supply.as_ref().map_or(f64::INFINITY, |supply| supply[month] - run.chips[kind]);
                let most = expansion.per_month[month].min(expansion.most - run.ordered[index]).min(room);
                let ordered = (run.wished[index] - run.ordered[index]).min(most).max(0.0);
                run.chips[kind] += ordered;
                run.ordered[index] += ordered;
                run.now.compute += expansion.capex[month] * ordered;
                run.now.capex += expansion.capex[month] * ordered;
                run.note(|did| did.ordered[index][month] += ordered);
                if let Some(arriving) = run.state.arriving[index].get_mut(expansion.arrival(month)) {
                    *arriving += ordered;
                }
            }
            run.state.installed[index] += run.state.arriving[index][month];
            if expansion.running[month] != 0.0 {
                run.state.payable[expansion.due[month].clamp(month, self.months - 1)] +=
                    expansion.running[month] * run.state.installed[index];
            }
        }
    }

    /// What a unit that counts towards a floor is worth: the plan's price while the window goes as planned; nothing when it will be met
    /// anyway; all that is due when it will not.
    fn credit_floors(&self, month: usize, run: &mut Run) {
        for (index, planned) in self.windows.of(month) {
            let index = *index as usize;
            let (plan, floor) = (&self.floors[index], &mut run.floors[index]);
            let needed = floor.needed - (run.state.counted[index] - floor.counted);
            floor.credit = if needed <= 0.0 { 0.0 } else { plan.credit_at(needed, floor) };
            floor.expected += planned;
        }
    }

    fn begin_month(&self, world: &Instance, month: usize, run: &mut Run) {
        for (floor, expansion, amount) in self.grown.of(month) {
            let counted = amount * run.state.installed[*expansion as usize];
            run.state.counted[*floor as usize] += counted;
            run.floors[*floor as usize].counted += counted;
        }
        for (work, of) in world.works.iter().enumerate() {
            if let WorkKind::Training { arrivals, due, .. } = &of.kind {
                run.state.backlog[work] += arrivals[month];
                run.due[work] += due[month];
            }
        }
        self.begin_shares(world, month, run);
    }
}

impl FloorPlan {
    /// What a unit takes off what is to be paid while so much is needed still.
    fn credit_at(&self, needed: f64, floor: &Standing) -> f64 {
        let pace = if floor.expected > 1e-9 { floor.counted / floor.expected } else { 1.0 };
        let forecast = floor.counted + (self.counted - floor.expected) * pace;
        let astray = 1e-6 * (self.counted.abs() + needed.abs());
        if forecast < self.counted - astray && forecast < needed {
            self.credit_short
        } else if forecast > self.counted + astray && forecast > needed {
            0.0
        } else {
            self.credit
        }
    }
}

/// What is due and not done is given up; a deadline that was promised costs more than its value.
fn give_up(world: &Instance, month: usize, run: &mut Run) {
    for (work, of) in world.works.iter().enumerate() {
        let WorkKind::Training { value, promised, .. } = &of.kind else { continue };
        let late = (run.due[work] - run.state.done[work]).clamp(0.0, run.state.backlog[work]);
        if late > 0.0 {
            run.state.backlog[work] -= late;
            run.state.done[work] += late;
            run.late[work] += late;
            run.now.late += late;
            run.note(|did| did.late[work][month] += late);
            if *promised {
                run.now.penalty += world.gap_cost * value * late;
            }
        }
    }
}
