//! The instance as it is in a scenario.

use fleet::{Id, PartyId};

use super::outage::{held, is, late};
use super::recommit::recommit;
use super::shape::Shape;
use super::{Delay, Outage, Scenario};
use crate::instance::{EventKind, Expansion, Instance, LimitKind, Step, Treasury, WorkKind};

/// An instance, and room for it as it is in one scenario after another.
#[derive(Clone, Debug)]
pub struct World<'a> {
    base: &'a Instance,
    shape: Shape,
    now: Instance,
    moved: bool,
    /// Whether a contract has changed hands.
    taken: bool,
    /// Whose everything is while none has: the events of the treasury, and all else.
    owners: Vec<Option<PartyId>>,
    given: Shape,
}

impl Instance {
    /// This instance as it is in `scenario`; [`World`] does the same for many without new room for each.
    #[must_use]
    pub fn under(&self, scenario: &Scenario) -> Self {
        let mut world = World::new(self);
        world.enter(scenario);
        world.now
    }
}

impl<'a> World<'a> {
    /// Room for `base` in any scenario. Money that comes back from a supplier that fails has its own events, after the others.
    #[must_use]
    pub fn new(base: &'a Instance) -> Self {
        let mut now = base.clone();
        let shape = Shape::new(base, &mut now.treasury.events);
        let owners = now.treasury.events.iter().map(|event| event.party).collect();
        Self { base, given: shape.clone(), shape, now, moved: false, taken: false, owners }
    }

    /// The instance as it is in `scenario`.
    pub fn enter(&mut self, scenario: &Scenario) -> &Instance {
        if self.moved {
            self.restore();
        }
        self.move_markets(scenario);
        self.move_tiers(scenario);
        self.moved = scenario.defaults.iter().any(Option::is_some)
            || scenario.delays.iter().any(Option::is_some)
            || scenario.shortages.iter().any(Option::is_some)
            || scenario.shortfalls.iter().any(Option::is_some)
            || scenario.refusals.iter().any(|taken| *taken)
            || scenario.windows.iter().chain(&scenario.events).any(|open| !open);
        if self.moved {
            self.strike(scenario);
        }
        &self.now
    }

    /// Undoes [`Self::strike`]; what moves with markets is written anew each time.
    fn restore(&mut self) {
        for (now, base) in self.now.limits.iter_mut().zip(&self.base.limits) {
            now.most.restore(&base.most);
            now.expansions.iter_mut().zip(&base.expansions).for_each(|(now, base)| now.1.copy_from_slice(&base.1));
        }
        for (now, base) in self.now.fits.iter_mut().zip(&self.base.fits) {
            now.open.copy_from_slice(&base.open);
        }
        for (now, base) in self.now.expansions.iter_mut().zip(&self.base.expansions) {
            now.per_month.copy_from_slice(&base.per_month);
            now.running.copy_from_slice(&base.running);
            (now.lead, now.held) = (base.lead, base.held);
        }
        for (now, base) in self.now.floors.iter_mut().zip(&self.base.floors) {
            now.least.restore(&base.least);
            now.counted.restore(&base.counted);
        }
        for (now, base) in self.now.credits.iter_mut().zip(&self.base.credits) {
            now.granted.copy_from_slice(&base.granted);
            now.committed.copy_from_slice(&base.committed);
        }
        for (now, base) in self.now.ventures.iter_mut().zip(&self.base.ventures) {
            now.paid.iter_mut().zip(&base.paid).for_each(|(now, base)| now.1.copy_from_slice(&base.1));
        }
        restore_treasury(&mut self.now.treasury, &self.base.treasury);
        if core::mem::take(&mut self.taken) {
            self.now.supplies.iter_mut().zip(&self.base.supplies).for_each(|(now, base)| now.party = base.party);
            self.now.treasury.events.iter_mut().zip(&self.owners).for_each(|(now, owner)| now.party = *owner);
            self.shape.clone_from(&self.given);
        }
    }

    /// What the holder of a first refusal takes over rests on it: in its scenario the contract is with it.
    fn take_over(&mut self, scenario: &Scenario) {
        let refusals = self.base.refusals.iter().zip(&scenario.refusals).filter(|(_, taken)| **taken);
        for (refusal, _) in refusals {
            self.taken = true;
            let of = refusal.contract;
            let supplies = self.now.supplies.iter_mut().filter(|supply| supply.contract == of);
            supplies.for_each(|supply| supply.party = refusal.holder);
            // Energy is the site's, whoever holds the contract.
            let events = self.now.treasury.events.iter_mut().filter(|event| event.contract == Some(of) && event.kind != EventKind::Energy);
            events.for_each(|event| event.party = Some(refusal.holder));
            self.shape.hand_over(self.base, of, refusal.holder);
        }
    }

    fn move_markets(&mut self, scenario: &Scenario) {
        let steps = &self.base.steps;
        for (work, (now, base)) in self.now.works.iter_mut().zip(&self.base.works).enumerate() {
            let demand = &scenario.demand[work];
            match (&mut now.kind, &base.kind) {
                (WorkKind::Serving { tranches: now, .. }, WorkKind::Serving { tranches: base, .. }) => {
                    for (now, base) in now.iter_mut().zip(base) {
                        for (step, at) in steps.iter().enumerate() {
                            now.demand[step] = base.demand[step] * demand[at.month];
                            let listed = base.listed.get(step).copied().unwrap_or(base.price[step]);
                            now.price[step] = base.price[step] + listed * (scenario.price[at.month] - 1.0);
                        }
                    }
                }
                (WorkKind::Training { arrivals: now, due, .. }, WorkKind::Training { arrivals: base, due: base_due, .. }) => {
                    now.iter_mut().zip(base.iter().zip(demand)).for_each(|(now, (base, factor))| *now = base * factor);
                    scale_due(due, base_due, base, demand);
                }
                _ => {}
            }
        }
        for (now, base) in self.now.supplies.iter_mut().zip(&self.base.supplies).filter(|(_, base)| base.floating) {
            now.rate.iter_mut().zip(base.rate.iter().zip(steps)).for_each(|(now, (base, at))| *now = base * scenario.rent[at.month]);
        }
    }

    /// Charges of a billing period that float go with the mean of the rents in its months.
    fn move_tiers(&mut self, scenario: &Scenario) {
        let base = self.base;
        for (now, was) in self.now.tiered.iter_mut().zip(&base.tiered) {
            if !was.terms.first().is_some_and(|(supply, ..)| base.supplies[*supply].floating) {
                continue;
            }
            let (rent, hours) = was.terms.iter().fold((0.0, 0.0), |(rent, hours), (_, step, share)| {
                let Step { month, hours: long } = base.steps[*step];
                (rent + share * long * scenario.rent[month], hours + share * long)
            });
            let factor = if hours > 0.0 { rent / hours } else { 1.0 };
            now.tiers.iter_mut().zip(&was.tiers).for_each(|(now, was)| now.1 = was.1 * factor);
        }
    }

    /// Defaults, delays, outages and closed windows. What is committed is reckoned last, from the capacity that is left.
    fn strike(&mut self, scenario: &Scenario) {
        self.shape.touched.iter_mut().for_each(|touched| *touched = false);
        self.take_over(scenario);
        self.stop_venture_payments(scenario);
        for (party, delay) in scenario.delays.iter().enumerate() {
            if let Some(delay) = delay {
                self.delay(party, *delay);
            }
        }
        for (kind, outage) in scenario.shortages.iter().enumerate() {
            if let Some(outage) = outage {
                self.short_of_chips(kind, *outage);
            }
        }
        for (site, outage) in scenario.shortfalls.iter().enumerate() {
            if let Some(outage) = outage {
                self.short_of_power(site, *outage);
            }
        }
        for (party, month) in scenario.defaults.iter().enumerate() {
            if let Some(month) = month {
                self.default(party, *month);
            }
        }
        recommit(self.base, &mut self.now, &self.shape);
        // Money that came back keeps its event, whatever the event's likelihood.
        for (event, comes) in self.now.treasury.events.iter_mut().zip(&scenario.events) {
            if !comes {
                event.amounts.stop(0);
            }
        }
        for (window, open) in self.now.treasury.windows.iter_mut().zip(&scenario.windows) {
            if !open {
                window.most = 0.0;
            }
        }
    }

    fn delay(&mut self, party: usize, delay: Delay) {
        let shape = &mut self.shape;
        for (index, (now, base)) in self.now.limits.iter_mut().zip(&self.base.limits).enumerate() {
            if matches!(base.kind, LimitKind::Contract(_)) && is(shape.limit_party[index], party) {
                shape.touched[index] = true;
                now.most.rework(&base.most, |now, base| late(now, base, &shape.firsts, &self.base.steps, delay));
            }
        }
        for (expansion, of) in self.now.expansions.iter_mut().zip(&shape.expansion_party) {
            if is(*of, party) && delay.share >= 0.5 {
                expansion.lead += delay.months;
            }
        }
        let last = self.base.steps.len();
        for fit in self.now.fits.iter_mut().filter(|fit| shape.bare[fit.supply] && is(Some(self.now.supplies[fit.supply].party), party)) {
            if let Some(open) = fit.open.first_mut().filter(|open| open.0 > 0 && open.0 < last && delay.share >= 0.5) {
                let month = self.base.steps[open.0].month + delay.months;
                open.0 = shape.firsts[month.min(self.base.months.len())].min(open.1);
            }
        }
    }

    fn short_of_chips(&mut self, kind: usize, outage: Outage) {
        let shape = &mut self.shape;
        for (index, (now, base)) in self.now.limits.iter_mut().zip(&self.base.limits).enumerate() {
            if shape.limit_kind[index].is_some_and(|of| of.index() == kind) && !matches!(base.kind, LimitKind::Site(_)) {
                shape.touched[index] = true;
                now.most.rework(&base.most, |now, base| held(now, base, &shape.firsts, &self.base.steps, outage));
            }
        }
        for expansion in self.now.expansions.iter_mut().filter(|expansion| expansion.accelerator.index() == kind && outage.share >= 0.5) {
            expansion.held = Some((outage.from, outage.until()));
        }
    }

    fn short_of_power(&mut self, site: usize, outage: Outage) {
        for limit in self.now.limits.iter_mut().filter(|limit| matches!(limit.kind, LimitKind::Site(of) if of.index() == site)) {
            let months = self.base.months.len();
            let span = self.shape.firsts[outage.from.min(months)]..self.shape.firsts[outage.until().min(months)];
            for amounts in limit.most.parts_mut() {
                amounts[span.clone()].iter_mut().for_each(|amount| *amount *= 1.0 - outage.share);
            }
        }
    }

    /// A party fails in all its roles, from `month` on.
    fn default(&mut self, party: usize, month: usize) {
        let first = self.shape.firsts[month];
        let of = |party_id: PartyId| party_id.index() == party;
        for (index, limit) in self.now.limits.iter_mut().enumerate() {
            if matches!(limit.kind, LimitKind::Contract(_)) && is(self.shape.limit_party[index], party) {
                self.shape.touched[index] = true;
                limit.most.stop(first);
            }
            for (expansion, amounts) in &mut limit.expansions {
                if is(self.shape.expansion_party[*expansion], party) {
                    amounts[first..].fill(0.0);
                }
            }
        }
        for fit in self.now.fits.iter_mut().filter(|fit| of(self.now.supplies[fit.supply].party)) {
            fit.open.iter_mut().for_each(|open| *open = (open.0.min(first), open.1.min(first)));
        }
        for (index, expansion) in self.now.expansions.iter_mut().enumerate() {
            stop_expansion(expansion, month, is(self.shape.expansion_party[index], party), is(self.shape.expansion_vendor[index], party));
        }
        for (floor, _) in self.now.floors.iter_mut().zip(&self.shape.floor_party).filter(|(_, owner)| is(**owner, party)) {
            if floor.last >= month {
                floor.least.stop(0);
            }
        }
        self.settle_credits(party, month);
        stop_money(&mut self.now.treasury, party, month);
    }

    /// What was prepaid to a party that fails and is not credited yet comes back, if that was agreed; its credits end.
    fn settle_credits(&mut self, party: usize, month: usize) {
        for (index, credit) in self.now.credits.iter_mut().enumerate() {
            if !is(self.shape.credit_party[index], party) {
                continue;
            }
            let prepaid = |event: &&crate::Event| event.kind == EventKind::Prepayment && event.contract == Some(credit.contract);
            let payments = || self.base.treasury.events.iter().filter(prepaid).flat_map(|event| event.amounts.parts());
            let (paid, all) = payments()
                .fold((0.0, 0.0), |(paid, all), amounts| (paid + amounts[..month].iter().sum::<f64>(), all + amounts.iter().sum::<f64>()));
            // What was paid before the plan has no event here: then all that is still granted was paid.
            let share = if all == 0.0 { 1.0 } else { paid / all };
            let owed = credit.granted[month..].iter().sum::<f64>() * share;
            credit.granted[month..].fill(0.0);
            if let Some(event) = self.shape.refunds[index] {
                let amounts = &mut self.now.treasury.events[event].amounts;
                match credit.choice {
                    None => amounts.fixed[month] += owed,
                    Some(_) => amounts.by_choice[0].1[month] += owed,
                }
            }
        }
    }

    /// A joint venture can build what its partners have paid for: what a failed one would have paid is not built.
    fn stop_venture_payments(&mut self, scenario: &Scenario) {
        for (index, venture) in self.now.ventures.iter_mut().enumerate() {
            let mut short = false;
            for (party, paid) in &mut venture.paid {
                let fails = party.and_then(|party| scenario.defaults.get(party.index()).copied().flatten());
                if let Some(month) = fails {
                    let last = month.checked_sub(1).map_or(0.0, |month| paid[month]);
                    paid[month..].iter_mut().for_each(|paid| *paid = paid.min(last));
                    short = true;
                }
            }
            if !short {
                continue;
            }
            let base = &self.base.ventures[index];
            for (step, at) in self.base.steps.iter().enumerate() {
                let paid_in = |funds: &crate::VentureFunds| match at.month.checked_sub(funds.lead) {
                    Some(month) => funds.paid.iter().map(|(_, paid)| paid[month]).sum::<f64>(),
                    None => 0.0,
                };
                if paid_in(venture) >= paid_in(base) {
                    continue;
                }
                let mut left = (1.0 + venture.leverage) * paid_in(venture) / venture.cost * at.hours;
                for (limit, unfunded) in venture.limits.iter().zip(&base.unfunded) {
                    self.shape.touched[*limit] = true;
                    for (now, wanted) in self.now.limits[*limit].most.parts_mut().zip(unfunded.parts()) {
                        let built = wanted[step].min(left).max(0.0);
                        left -= built;
                        now[step] = now[step].min(built);
                    }
                }
            }
        }
    }
}

fn stop_expansion(expansion: &mut Expansion, month: usize, supplier: bool, vendor: bool) {
    if supplier || vendor {
        expansion.per_month[month..].fill(0.0);
    }
    if supplier {
        expansion.running[month..].fill(0.0);
    }
}

fn stop_money(treasury: &mut Treasury, party: usize, month: usize) {
    for event in treasury.events.iter_mut().filter(|event| is(event.party, party)) {
        match event.kind {
            EventKind::Revenue | EventKind::Raise | EventKind::Penalty | EventKind::Energy | EventKind::Stake => {
                event.amounts.stop(month);
            }
            // What is paid ahead is paid no more; what came back stays.
            EventKind::Prepayment => {
                event.amounts.parts_mut().for_each(|amounts| amounts[month..].iter_mut().for_each(|amount| *amount = amount.max(0.0)))
            }
            EventKind::Committed | EventKind::Cost => {}
        }
    }
    for window in treasury.windows.iter_mut().filter(|window| is(window.party, party)) {
        window.open.1 = window.open.1.min(month);
    }
    if let Some(debt) = treasury.debt.as_mut().filter(|debt| is(debt.lender, party)) {
        let owed = debt.owed;
        debt.limit[month..].iter_mut().for_each(|limit| *limit = limit.min(owed));
    }
}

fn restore_treasury(now: &mut Treasury, base: &Treasury) {
    for (now, base) in now.events.iter_mut().zip(&base.events) {
        now.amounts.restore(&base.amounts);
    }
    for event in &mut now.events[base.events.len()..] {
        event.amounts.stop(0);
    }
    for (now, base) in now.windows.iter_mut().zip(&base.windows) {
        (now.open, now.most) = (base.open, base.most);
    }
    if let (Some(now), Some(base)) = (&mut now.debt, &base.debt) {
        now.limit.copy_from_slice(&base.limit);
    }
}

/// What falls due is as much as arrived, first come first: each part moves with the demand of the month of its arrival.
fn scale_due(due: &mut [f64], base_due: &[f64], base_arrivals: &[f64], demand: &[f64]) {
    let (mut month, mut left) = (0, base_arrivals.first().copied().unwrap_or(0.0));
    for (now, base) in due.iter_mut().zip(base_due) {
        let mut wanted = *base;
        *now = 0.0;
        while wanted > 0.0 && month < base_arrivals.len() {
            let taken = wanted.min(left);
            *now += taken * demand[month];
            wanted -= taken;
            left -= taken;
            if left <= 0.0 {
                month += 1;
                left = base_arrivals.get(month).copied().unwrap_or(0.0);
            }
        }
    }
}
