//! What a step and a month come to in money.

use super::{At, Charge, Policy, Run};
use crate::instance::{EventKind, Instance, Tiered, WorkKind};

/// Closer to a tier's threshold than this share, a quantity is at it.
const NEAR: f64 = 1e-7;

impl Policy {
    /// Books what a step used and did.
    pub(super) fn account(&self, world: &Instance, at: At, run: &mut Run) {
        let step = at.step;
        let (first, used) = (step * world.supplies.len(), core::mem::take(&mut run.used));
        let charges = self.charges[first..].iter().zip(self.counts.of_each(first, used.len())).zip(self.tiers.of_each(first, used.len()));
        for (index, (used, ((charge, counts), tiers))) in used.iter().zip(charges).enumerate() {
            let (used, Charge { rate, energy, due }) = (*used, *charge);
            if used == 0.0 {
                continue;
            }
            let due = due as usize;
            let charge = used * if self.floats[index] { world.supplies[index].rate[step] } else { rate };
            run.state.payable[due] += charge;
            for (credit, chargeable) in world.credits.iter().zip(&mut run.state.chargeable) {
                let supply = &world.supplies[index];
                if (credit.contract, credit.choice) == (supply.contract, supply.choice) {
                    chargeable[due] += charge;
                }
            }
            run.now.compute += energy * used;
            run.now.energy += energy * used;
            for (floor, amount) in counts {
                run.state.counted[*floor as usize] += amount * used;
                run.floors[*floor as usize].counted += amount * used;
            }
            for (tiered, share) in tiers {
                run.state.tiered[*tiered as usize] += share * used;
            }
            if !world.caps.is_empty() {
                self.share(world, at, index, used, run);
            }
        }
        run.used = used;
        for (work, (of, tally)) in world.works.iter().zip(&run.tallies).enumerate() {
            match &of.kind {
                WorkKind::Serving { .. } => {
                    let missed = (tally.promised - tally.done).max(0.0);
                    run.now.missed += missed;
                    run.now.penalty += world.miss_cost[work] * missed;
                    run.now.unserved += (tally.wanted - tally.done).max(0.0);
                }
                WorkKind::Training { value, .. } => {
                    run.state.backlog[work] = (run.state.backlog[work] - tally.done).max(0.0);
                    run.state.done[work] += tally.done;
                    run.now.worth += value * tally.done;
                }
            }
        }
        // Of training nothing is asked by the tranche.
        for rank in self.ranks.of(step) {
            let (tally, asked) = (&mut run.tallies[rank.work as usize], &run.asked[rank.tranche as usize]);
            let served = tally.done.min(asked.demand);
            tally.done -= served;
            run.now.revenue += asked.price * served;
            run.now.worth += asked.value * served;
            run.note(|did| {
                // Tranches are counted through all works, and training as one.
                let before: usize = did.served[..rank.work as usize].iter().map(|tranches| tranches.len().max(1)).sum();
                if let Some(tranche) = did.served[rank.work as usize].get_mut(rank.tranche as usize - before) {
                    tranche[step] += served;
                }
            });
        }
    }

    /// What cash is at the month's end, before anything is raised, borrowed or paid back; books what falls due.
    pub(super) fn settle(&self, world: &Instance, month: usize, run: &mut Run) -> f64 {
        for index in self.billed.of(month) {
            self.bill(world, month, *index as usize, run);
        }
        for index in self.ending.of(month) {
            self.settle_floor(world, month, *index as usize, run);
        }
        let due = run.state.payable[month] - self.use_credits(world, month, run);
        run.state.payable[month] = 0.0;
        run.now.compute += due;
        for event in &world.treasury.events {
            let amount = event.amounts.at(month, &self.taken);
            match event.kind {
                EventKind::Revenue => run.now.revenue += amount,
                EventKind::Energy => (run.now.compute, run.now.energy) = (run.now.compute - amount, run.now.energy - amount),
                EventKind::Committed | EventKind::Prepayment | EventKind::Penalty => run.now.compute -= amount,
                EventKind::Raise => run.now.given += amount,
                EventKind::Cost | EventKind::Stake => run.now.other += amount,
            }
        }
        let interest = world.treasury.debt.as_ref().map_or(0.0, |debt| debt.rate * run.state.debt);
        (1.0 + world.treasury.interest) * run.state.cash + run.now.revenue + run.now.given + run.now.other - run.now.compute - interest
    }

    fn bill(&self, world: &Instance, month: usize, index: usize, run: &mut Run) {
        let tiered = &world.tiered[index];
        let charge = charge_of(tiered, filled(world, index, &run.state.tiered), run.state.tiered[index]);
        let due = tiered.due.clamp(month, self.months - 1);
        run.state.payable[due] += charge;
        for (credit, chargeable) in world.credits.iter().zip(&mut run.state.chargeable) {
            if credit.contract == tiered.contract {
                chargeable[due] += charge;
            }
        }
        for floor in self.charged.of(index) {
            run.state.counted[*floor as usize] += charge;
        }
    }

    fn is_billed(&self, world: &Instance, month: usize, index: usize) -> bool {
        world.tiered[index].terms.iter().all(|(_, step, _)| *step < self.firsts[month + 1])
    }

    /// A shortfall is due when its contract says; an excess is carried on.
    fn settle_floor(&self, world: &Instance, month: usize, index: usize, run: &mut Run) {
        let floor = &world.floors[index];
        // A charge that is known only later counts with what there is of it.
        let open = floor.tiered.iter().filter(|tiered| !self.is_billed(world, month, **tiered));
        let accrued: f64 = open
            .map(|tiered| charge_of(&world.tiered[*tiered], filled(world, *tiered, &run.state.tiered), run.state.tiered[*tiered]))
            .sum();
        let counted = run.state.counted[index] + accrued + floor.counted.at(0, &self.taken);
        let mut need = floor.least.at(0, &self.taken) - counted;
        if need <= 0.0 {
            if let Some((share, _)) = &floor.carry {
                run.state.carried[index] = -need * share;
            }
            return;
        }
        for earlier in self.carriers.of(index) {
            let carried = &mut run.state.carried[*earlier as usize];
            let taken = carried.min(need);
            *carried -= taken;
            need -= taken;
        }
        run.state.payable[floor.due.clamp(month, self.months - 1)] += floor.price * need;
        run.now.shortfall += floor.price * need;
        for outer in self.nesting.of(index) {
            run.state.counted[*outer as usize] += floor.price * need;
        }
    }

    /// What prepayments pay of what falls due: of several of one contract the first goes first.
    fn use_credits(&self, world: &Instance, month: usize, run: &mut Run) -> f64 {
        let mut used = 0.0;
        for (index, credit) in world.credits.iter().enumerate() {
            if credit.choice.is_some_and(|choice| self.taken[choice] < 0.5) {
                continue;
            }
            run.state.credit[index] += credit.granted[month];
            let open = (run.state.chargeable[index][month] + credit.committed[month]).max(0.0);
            let paid = run.state.credit[index].min(open).max(0.0);
            run.state.credit[index] -= paid;
            used += paid;
            for (other, chargeable) in world.credits.iter().zip(&mut run.state.chargeable).skip(index + 1) {
                if (other.contract, other.choice) == (credit.contract, credit.choice) {
                    chargeable[month] -= paid;
                }
            }
        }
        used
    }

    /// What rests on whom before any work is placed: what is committed.
    pub(super) fn begin_shares(&self, world: &Instance, month: usize, run: &mut Run) {
        for (cap, share) in world.caps.iter().zip(&mut run.shares) {
            *share = (0.0, 0.0);
            if !cap.spend {
                continue;
            }
            for event in world.treasury.events.iter().filter(|event| event.kind == EventKind::Committed) {
                let amount = -event.amounts.at(month, &self.taken);
                share.1 += amount;
                if event.party == Some(cap.party) {
                    share.0 += amount;
                }
            }
        }
    }

    fn share(&self, world: &Instance, at: At, index: usize, used: f64, run: &mut Run) {
        let At { month, step } = at;
        let supply = &world.supplies[index];
        for (cap, share) in world.caps.iter().zip(&mut run.shares).filter(|(cap, _)| cap.months.0 <= month && month < cap.months.1) {
            let amount = used * if cap.spend { supply.rate[step] } else { supply.arithmetic };
            share.1 += amount;
            if supply.party == cap.party || supply.vendor == Some(cap.party) {
                share.0 += amount;
            }
        }
    }

    /// How much more of a supply, beyond the plan, leaves every dependence within its limit.
    pub(super) fn within_shares(&self, world: &Instance, at: At, index: usize, run: &Run) -> f64 {
        let At { month, step } = at;
        let supply = &world.supplies[index];
        let mut most = f64::INFINITY;
        for (position, cap) in world.caps.iter().enumerate() {
            let on = |supply: &crate::Supply| supply.party == cap.party || supply.vendor == Some(cap.party);
            if month < cap.months.0 || cap.months.1 <= month || !on(supply) || cap.share >= 1.0 {
                continue;
            }
            let weight = |supply: &crate::Supply| if cap.spend { supply.rate[step] } else { supply.arithmetic };
            let (mut rests, mut all) = run.shares[position];
            for (other, used) in world.supplies.iter().zip(&run.used) {
                all += weight(other) * used;
                rests += if on(other) { weight(other) * used } else { 0.0 };
            }
            if weight(supply) > 0.0 {
                most = most.min(((cap.share * all - rests) / (weight(supply) * (1.0 - cap.share))).max(0.0));
            }
        }
        most
    }
}

/// What earlier periods of the term have put into the tiers of a charge.
fn filled(world: &Instance, index: usize, tiered: &[f64]) -> f64 {
    let earlier = core::iter::successors(world.tiered[index].after, |charge| world.tiered[*charge].after);
    earlier.map(|charge| tiered[charge]).sum()
}

/// What a quantity comes to when so much is in the tiers before: all at the tier reached, or each part at its own.
fn charge_of(tiered: &Tiered, before: f64, quantity: f64) -> f64 {
    if tiered.volume {
        // At a threshold, to rounding, a plan stands on its cheaper side.
        let near = NEAR * (before + quantity).max(1.0);
        let reached = |quantity: f64| tiered.tiers.iter().rev().find(|(from, _)| *from <= quantity).map_or(0.0, |(_, rate)| *rate);
        let rate = reached(before + quantity + near).min(reached((before + quantity - near).max(0.0)));
        return rate * quantity;
    }
    let ends = tiered.tiers.iter().skip(1).map(|(from, _)| *from).chain([f64::INFINITY]);
    let part = |from: f64, end: f64| ((before + quantity).min(end) - from.max(before)).max(0.0);
    tiered.tiers.iter().zip(ends).map(|((from, rate), end)| rate * part(*from, end)).sum()
}
