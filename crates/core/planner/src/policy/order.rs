//! In which order work is placed, by the plan's prices.

use super::compile::small;
use super::lists::Lists;
use super::{Planned, Policy, Rank};
use crate::decided::Decided;
use crate::instance::{Fit, Instance, WorkKind};

/// What a unit of each fit costs and earns in the plan's own world, in money of the end.
pub(super) struct Prices<'a> {
    instance: &'a Instance,
    policy: &'a Policy,
    /// By step and supply: what a unit costs, without what is scarce.
    cost: Vec<f64>,
    /// By step and supply: what is scarce, at the plan's prices.
    scarce: Vec<f64>,
    /// By step and work: what one more unit done is worth, if the plan says.
    worths: Vec<Option<f64>>,
}

impl<'a> Prices<'a> {
    pub(super) fn new(instance: &'a Instance, decided: &Decided, policy: &'a Policy) -> Self {
        let (steps, supplies) = (instance.steps.len(), instance.supplies.len());
        let mut cost = vec![0.0; steps * supplies];
        let mut scarce = vec![0.0; steps * supplies];
        for (step, at) in instance.steps.iter().enumerate() {
            for index in 0..supplies {
                let credit: f64 = policy
                    .counts
                    .of(step * supplies + index)
                    .iter()
                    .map(|(floor, amount)| amount * policy.floors[*floor as usize].credit)
                    .sum();
                cost[step * supplies + index] = policy.costs[step * supplies + index] - credit;
                let takes = policy.limits.of(index).iter().map(|(limit, factor)| {
                    let price = decided.prices.limits.get(*limit as usize).and_then(|prices| prices.get(step)).copied().unwrap_or(0.0);
                    factor * price.max(0.0) * policy.money[at.month]
                });
                scarce[step * supplies + index] = takes.sum();
            }
        }
        let worth = |step: usize, work: usize| {
            let worth = decided.prices.works.get(work).and_then(|worths| worths.get(step));
            worth.map(|worth| worth * policy.money[instance.steps[step].month])
        };
        let worths = (0..steps).flat_map(|step| (0..instance.works.len()).map(move |work| worth(step, work))).collect();
        Self { instance, policy, cost, scarce, worths }
    }

    fn at(&self, step: usize, fit: &Fit) -> usize {
        step * self.instance.supplies.len() + fit.supply
    }

    /// What one unit of a work costs on a fit, at the margin.
    fn unit_cost(&self, step: usize, fit: &Fit) -> f64 {
        (self.cost[self.at(step, fit)] + self.scarce[self.at(step, fit)] + self.hidden(step, fit)) / fit.speed
    }

    /// What a unit must cost beside, as the plan does not use more although it would pay by the prices that are seen: the next tier, or
    /// what may rest on a party.
    fn hidden(&self, step: usize, fit: &Fit) -> f64 {
        let worth = self.worths[step * self.instance.works.len() + fit.work];
        worth.map_or(0.0, |worth| (fit.speed * worth - self.cost[self.at(step, fit)] - self.scarce[self.at(step, fit)]).max(0.0))
    }

    /// What a unit of a tranche is worth.
    fn worth(&self, step: usize, work: usize, tranche: usize) -> f64 {
        match &self.instance.works[work].kind {
            WorkKind::Serving { tranches, .. } => {
                tranches[tranche].price[step] * self.policy.money[self.instance.steps[step].month] + tranches[tranche].value[step]
            }
            WorkKind::Training { value, .. } => *value,
        }
    }

    fn best_worth(&self, step: usize, work: usize) -> f64 {
        let count = tranche_count(self.instance, work);
        (0..count).map(|tranche| self.worth(step, work, tranche)).fold(f64::NEG_INFINITY, f64::max)
    }

    /// What is planned in each step, what is cheapest by the unit of work first: when there is less to do, the dearest falls away.
    pub(super) fn planned(&self, decided: &Decided) -> Lists<Planned> {
        let steps = self.instance.steps.len();
        let mut items = Vec::new();
        for step in self.policy.firsts[self.policy.from]..steps {
            let first = items.len();
            for (index, fit) in self.instance.fits.iter().enumerate() {
                let amount = decided.used[index * steps + step];
                if amount > 0.0 {
                    let margin = fit.speed * self.best_worth(step, fit.work) - self.cost[self.at(step, fit)];
                    items.push((step, Planned { fit: small(index), way: self.policy.ways[index], amount, margin }));
                }
            }
            let cost = |planned: &Planned| self.unit_cost(step, &self.instance.fits[planned.fit as usize]);
            items[first..].sort_by(|a, b| cost(&a.1).total_cmp(&cost(&b.1)).then(a.1.fit.cmp(&b.1.fit)));
        }
        Lists::new(steps, items)
    }

    /// What a unit beyond the plan must cost beside, by step, work and supply.
    pub(super) fn all_hidden(&self) -> Vec<f32> {
        let signed = |fit: &Fit| self.instance.supplies[fit.supply].choice.is_none_or(|choice| self.policy.taken[choice] > 0.5);
        let of = |step: usize, fit: &Fit| {
            let open = signed(fit) && fit.is_open(step);
            if open { rough(self.hidden(step, fit)) } else { f32::INFINITY }
        };
        let fits = || self.policy.fit_of.iter().map(|fit| fit.map(|fit| &self.instance.fits[fit as usize]));
        (0..self.instance.steps.len()).flat_map(|step| fits().map(move |fit| fit.map_or(f32::INFINITY, |fit| of(step, fit)))).collect()
    }

    /// What is scarce that a unit takes, by step and supply.
    pub(super) fn all_scarce(&self) -> Vec<f32> {
        self.scarce.iter().copied().map(rough).collect()
    }

    /// Every tranche, by step: first the one that gains most on a unit of the supply that gains most on it.
    pub(super) fn ranks(&self) -> Lists<Rank> {
        let steps = self.instance.steps.len();
        let mut items = Vec::new();
        for step in self.policy.firsts[self.policy.from]..steps {
            let mut ranks = Vec::new();
            for work in 0..self.instance.works.len() {
                for tranche in 0..tranche_count(self.instance, work) {
                    let worth = self.worth(step, work, tranche);
                    let fits = self.instance.fits.iter().filter(|fit| fit.work == work);
                    let gain = fits.map(|fit| fit.speed * (worth - self.unit_cost(step, fit))).fold(f64::NEG_INFINITY, f64::max);
                    ranks.push((gain, Rank { work: small(work), tranche: small(ranks.len()) }));
                }
            }
            ranks.sort_by(|a, b| b.0.total_cmp(&a.0));
            items.extend(ranks.into_iter().map(|(_, rank)| (step, rank)));
        }
        Lists::new(steps, items)
    }
}

/// A price to seven digits.
#[expect(clippy::cast_possible_truncation, reason = "to seven digits is what it is for")]
fn rough(price: f64) -> f32 {
    price as f32
}

fn tranche_count(instance: &Instance, work: usize) -> usize {
    match &instance.works[work].kind {
        WorkKind::Serving { tranches, .. } => tranches.len(),
        WorkKind::Training { .. } => 1,
    }
}
