//! From what the solver chose to the lists that a month needs.

use super::lists::Lists;
use super::order::Prices;
use super::{At, Charge, FinancePlan, FloorPlan, Policy, Way};
use crate::decided::Decided;
use crate::instance::{Instance, Supply, WorkKind};
use crate::scenario::first_steps;
use crate::state::State;

impl Policy {
    /// The rule that follows `decided`, which was decided for `instance` from `opening` on.
    #[must_use]
    pub fn compile(instance: &Instance, opening: &State, decided: &Decided) -> Self {
        let (months, steps, supplies) = (instance.months.len(), instance.steps.len(), instance.supplies.len());
        let money: Vec<f64> =
            (0..months).map(|month| decided.prices.cash.get(month).copied().filter(|worth| *worth > 1e-9).unwrap_or(1.0)).collect();
        let by_supply = |terms: &[(usize, usize, f64)], index: usize| -> Vec<(usize, (u32, f64))> {
            terms.iter().map(|(supply, step, amount)| (step * supplies + supply, (small(index), *amount))).collect()
        };
        let counts = instance.floors.iter().enumerate().flat_map(|(index, floor)| by_supply(&floor.terms, index)).collect();
        let tiers = instance.tiered.iter().enumerate().flat_map(|(index, tiered)| by_supply(&tiered.terms, index)).collect();
        let limits = instance.limits.iter().enumerate().flat_map(|(index, limit)| {
            let taking = limit.terms.iter().filter(|(_, factor)| *factor > 0.0);
            taking.map(move |(supply, factor)| (*supply, (small(index), *factor)))
        });
        let limits: Vec<(usize, (u32, f64))> = limits.collect();
        let mut policy = Self {
            from: opening.month,
            months,
            firsts: first_steps(instance),
            taken: decided.taken.clone(),
            money,
            ways: instance.fits.iter().map(|fit| Way { supply: small(fit.supply), work: small(fit.work), speed: fit.speed }).collect(),
            costs: Vec::new(),
            floats: instance.supplies.iter().map(|supply| supply.floating).collect(),
            charges: charges(instance),
            growing: (0..instance.limits.len()).filter(|limit| !instance.limits[*limit].expansions.is_empty()).map(small).collect(),
            takers: Lists::new(
                instance.limits.len(),
                limits.iter().map(|(supply, (limit, _))| (*limit as usize, small(*supply))).collect(),
            ),
            limits: Lists::new(supplies, limits),
            planned: Lists::new(steps, Vec::new()),
            ranks: Lists::new(steps, Vec::new()),
            hidden: Vec::new(),
            scarce: Vec::new(),
            fit_of: by_work_and_supply(instance, None, |index| Some(small(index))),
            speeds: by_work_and_supply(instance, 0.0, |index| instance.fits[index].speed),
            counts: Lists::new(steps * supplies, counts),
            tiers: Lists::new(steps * supplies, tiers),
            windows: Lists::new(months, Vec::new()),
            grown: Lists::new(months, grown(instance)),
            ending: Lists::new(months, ending(instance)),
            nesting: Lists::new(instance.floors.len(), nesting(instance)),
            billed: Lists::new(months, billed(instance)),
            carriers: Lists::new(instance.floors.len(), carriers(instance)),
            charged: Lists::new(instance.tiered.len(), charged(instance)),
            floors: Vec::new(),
            waived: waived(instance, decided),
            left: left(instance, opening, decided),
            ordered: decided.ordered.iter().flatten().copied().collect(),
            kinds: kinds(instance),
            closes: instance.treasury.windows.iter().map(|window| window.open.1).collect(),
            finance: finance(instance, decided),
        };
        policy.ordered.resize(instance.expansions.len() * months, 0.0);
        let steps = instance.steps.iter().enumerate().map(|(step, at)| At { month: at.month, step });
        policy.costs = steps
            .flat_map(|at| instance.supplies.iter().map(move |supply| (supply, at)))
            .map(|(supply, at)| policy.cost(supply, at))
            .collect();
        policy.count_floors(instance, opening, decided);
        let prices = Prices::new(instance, decided, &policy);
        let (planned, hidden, scarce, ranks) = (prices.planned(decided), prices.all_hidden(), prices.all_scarce(), prices.ranks());
        Self { planned, hidden, scarce, ranks, ..policy }
    }

    /// What the plan counts towards each floor, and what a unit that counts is worth.
    fn count_floors(&mut self, instance: &Instance, opening: &State, decided: &Decided) {
        let (steps, supplies) = (instance.steps.len(), instance.supplies.len());
        let mut used = vec![0.0; steps * supplies];
        for (fit, placed) in instance.fits.iter().enumerate() {
            for step in self.firsts[self.from]..steps {
                used[step * supplies + placed.supply] += decided.used[fit * steps + step];
            }
        }
        let installed = installed(instance, opening, decided);
        let mut windows = Vec::new();
        for (index, floor) in instance.floors.iter().enumerate() {
            let mut monthly = vec![None; self.months];
            for (supply, step, amount) in floor.terms.iter().filter(|(_, step, _)| *step >= self.firsts[self.from]) {
                *monthly[instance.steps[*step].month].get_or_insert(0.0) += amount * used[step * supplies + supply];
            }
            for (expansion, month, amount) in floor.expansions.iter().filter(|(_, month, _)| *month >= self.from) {
                *monthly[*month].get_or_insert(0.0) += amount * installed[expansion * self.months + month];
            }
            let counted: f64 = monthly.iter().flatten().sum();
            windows.extend(monthly.iter().enumerate().filter_map(|(month, counted)| Some((month, (small(index), (*counted)?)))));
            let before = opening.counted.get(index).copied().unwrap_or(0.0);
            let short = decided.short.get(index).copied().unwrap_or(0.0) > 1e-9
                || floor.counted.at(0, &self.taken) + before + counted < floor.least.at(0, &self.taken) * (1.0 - 1e-9);
            let price = decided.prices.floors.get(index).copied().unwrap_or(if short { floor.price } else { 0.0 });
            let money = self.money[floor.due.min(self.months - 1)];
            self.floors.push(FloorPlan { counted, credit: price * money, credit_short: floor.price * money });
        }
        self.windows = Lists::new(self.months, windows);
    }
}

/// A position as the lists hold it.
pub(super) fn small(index: usize) -> u32 {
    u32::try_from(index).expect("an instance has fewer than 2^32 of anything")
}

fn charges(instance: &Instance) -> Vec<Charge> {
    let last = instance.months.len().saturating_sub(1);
    let charge = |step: usize, supply: &Supply| {
        let month = instance.steps[step].month;
        Charge { rate: supply.rate[step], energy: supply.energy[month], due: small(supply.due[month].clamp(month, last)) }
    };
    (0..instance.steps.len()).flat_map(|step| instance.supplies.iter().map(move |supply| charge(step, supply))).collect()
}

fn grown(instance: &Instance) -> Vec<(usize, (u32, u32, f64))> {
    let of = |(index, floor): (usize, &crate::Floor)| {
        floor.expansions.iter().map(|(expansion, month, amount)| (*month, (small(index), small(*expansion), *amount))).collect::<Vec<_>>()
    };
    instance.floors.iter().enumerate().flat_map(of).collect()
}

/// A tiered charge is known when the last step that counts in it is over.
fn billed(instance: &Instance) -> Vec<(usize, u32)> {
    let last = |tiered: &crate::Tiered| tiered.terms.iter().map(|(_, step, _)| instance.steps[*step].month).max();
    instance.tiered.iter().enumerate().filter_map(|(index, tiered)| Some((last(tiered)?, small(index)))).collect()
}

/// Windows by the month in which they end; of one month those first that are nested in others.
fn ending(instance: &Instance) -> Vec<(usize, u32)> {
    fn depth(instance: &Instance, floor: usize) -> usize {
        instance.floors[floor].nested.iter().map(|nested| 1 + depth(instance, *nested)).max().unwrap_or(0)
    }
    let mut floors: Vec<usize> = (0..instance.floors.len()).collect();
    floors.sort_by_key(|floor| depth(instance, *floor));
    floors.into_iter().map(|floor| (instance.floors[floor].last.min(instance.months.len() - 1), small(floor))).collect()
}

/// By floor, those that it is nested in.
fn nesting(instance: &Instance) -> Vec<(usize, u32)> {
    let of = |(index, floor): (usize, &crate::Floor)| floor.nested.iter().map(|nested| (*nested, small(index))).collect::<Vec<_>>();
    instance.floors.iter().enumerate().flat_map(of).collect()
}

/// By floor, the windows whose excess may count in it.
fn carriers(instance: &Instance) -> Vec<(usize, u32)> {
    let to = |(index, floor): (usize, &crate::Floor)| {
        let later = floor.carry.iter().flat_map(|(_, later)| later);
        later.map(|later| (*later, small(index))).collect::<Vec<_>>()
    };
    instance.floors.iter().enumerate().flat_map(to).collect()
}

/// By tiered charge, the floors that it counts towards.
fn charged(instance: &Instance) -> Vec<(usize, u32)> {
    let of = |(index, floor): (usize, &crate::Floor)| floor.tiered.iter().map(|tiered| (*tiered, small(index))).collect::<Vec<_>>();
    instance.floors.iter().enumerate().flat_map(of).collect()
}

fn by_work_and_supply<T: Clone>(instance: &Instance, none: T, of: impl Fn(usize) -> T) -> Vec<T> {
    let supplies = instance.supplies.len();
    let mut all = vec![none; instance.works.len() * supplies];
    for (index, fit) in instance.fits.iter().enumerate() {
        all[fit.work * supplies + fit.supply] = of(index);
    }
    all
}

fn kinds(instance: &Instance) -> Vec<u32> {
    let first = |expansion: &crate::Expansion| instance.expansions.iter().position(|other| other.accelerator == expansion.accelerator);
    instance.expansions.iter().map(|expansion| small(first(expansion).unwrap_or(0))).collect()
}

fn waived(instance: &Instance, decided: &Decided) -> Vec<f64> {
    let of = |work: usize, step: usize| decided.missed.get(work).and_then(|missed| missed.get(step)).copied().unwrap_or(0.0);
    (0..instance.works.len()).flat_map(|work| (0..instance.steps.len()).map(move |step| of(work, step))).collect()
}

fn left(instance: &Instance, opening: &State, decided: &Decided) -> Vec<f64> {
    let steps = instance.steps.len();
    let mut left = vec![0.0; instance.works.len() * steps];
    for (work, of) in instance.works.iter().enumerate() {
        let WorkKind::Training { arrivals, .. } = &of.kind else { continue };
        let mut backlog = opening.backlog.get(work).copied().unwrap_or(0.0);
        let mut before = None;
        for (step, at) in instance.steps.iter().enumerate().filter(|(_, at)| at.month >= opening.month) {
            if before != Some(at.month) {
                backlog += arrivals[at.month];
                before = Some(at.month);
            }
            let fits = instance.fits.iter().enumerate().filter(|(_, fit)| fit.work == work);
            backlog -= fits.map(|(index, fit)| fit.speed * decided.used[index * steps + step]).sum::<f64>();
            left[work * steps + step] = backlog;
        }
    }
    left
}

fn installed(instance: &Instance, opening: &State, decided: &Decided) -> Vec<f64> {
    let months = instance.months.len();
    let mut installed = vec![0.0; instance.expansions.len() * months];
    for (index, expansion) in instance.expansions.iter().enumerate() {
        let mut arriving = opening.arriving.get(index).cloned().unwrap_or_default();
        arriving.resize(months, 0.0);
        for month in opening.month..months {
            if let Some(later) = arriving.get_mut(expansion.arrival(month)) {
                *later += decided.ordered.get(index).and_then(|ordered| ordered.get(month)).copied().unwrap_or(0.0);
            }
        }
        let mut there = opening.installed.get(index).copied().unwrap_or(0.0);
        for month in opening.month..months {
            there += arriving[month];
            installed[index * months + month] = there;
        }
    }
    installed
}

fn finance(instance: &Instance, decided: &Decided) -> FinancePlan {
    let (treasury, months) = (&instance.treasury, instance.months.len());
    let padded = |amounts: &[f64]| (0..months).map(|month| amounts.get(month).copied().unwrap_or(0.0)).collect::<Vec<_>>();
    let raised: Vec<f64> =
        (0..treasury.windows.len()).flat_map(|window| padded(decided.raised.get(window).map_or(&[], Vec::as_slice))).collect();
    let (cash, debt) = (padded(&decided.cash), padded(&decided.debt));
    // What other raises could still bring, beside what the plan takes of them, is money that a later month can have.
    let spare = |from: usize, until: usize| -> f64 {
        let of = |(index, window): (usize, &crate::Window)| {
            let opens = window.open.1 > from + 1 && window.open.0 <= until;
            let taken: f64 = raised[index * months..][..months].iter().sum();
            if opens { (window.most - taken).max(0.0) } else { 0.0 }
        };
        treasury.windows.iter().enumerate().map(of).sum()
    };
    let room = |month: usize| treasury.debt.as_ref().map_or(0.0, |lender| (lender.limit[month] - debt[month]).max(0.0));
    let above = |month: usize| cash[month] - treasury.floor.get(month).copied().unwrap_or(0.0) + room(month);
    let slack = |month: usize| (month..months).map(|later| above(later) + spare(month, later)).fold(f64::INFINITY, f64::min);
    let mut windows: Vec<u32> = (0..treasury.windows.len()).map(small).collect();
    windows.sort_by(|a, b| treasury.windows[*a as usize].cost.total_cmp(&treasury.windows[*b as usize].cost));
    FinancePlan {
        drawn: padded(&decided.drawn),
        repaid: padded(&decided.repaid),
        slack: (0..months).map(slack).collect(),
        cash,
        raised,
        windows,
    }
}
