//! The fleet as a scenario leaves it, as the auditor reads section 8: another fleet file, exact to the microsecond of each month.

use std::collections::BTreeMap;

use fleet::{CapacityOf, CashEvent, Contract, ContractId, Fleet, Ramp, Site, SiteId, Status, Table, WorkloadKind};
use units::{Amount, Instant, Money, Span};

use super::dates::{PPM, area, between, length};
use super::limits::{delivers, held, watts};
use super::world::{add_delivered, world};
use crate::plan::Plan;
use crate::scenario::{Delay, Outage, Told};

/// What a scenario leaves.
pub(super) struct Turned {
    /// The file, as things turned out.
    pub fleet: Fleet,
    /// As the plan decided it, and as things turned out.
    pub world: Fleet,
    /// As the plan decided it, had all gone as expected, without what was ordered.
    pub expected: Fleet,
    /// The first month in which a contract without capacity may be used, where its party is late.
    pub opens: BTreeMap<ContractId, usize>,
    /// The month from which on nothing of a contract is there, its party having failed.
    pub ends: BTreeMap<ContractId, usize>,
}

/// States a scenario as a fleet, for the plan that was lived.
pub(super) fn turned(fleet: &Fleet, plan: &Plan, told: &Told) -> Turned {
    let fleet = &handed_over(fleet, told);
    let bare = Plan { added: Vec::new(), ..plan.clone() };
    let expected = world(fleet, &bare);
    let whole =
        expected.contracts.iter().map(|(_, name, terms)| (name.to_owned(), Contract { substitutions: Vec::new(), ..terms.clone() }));
    let whole = Fleet { contracts: Table::new(whole.collect()), ..expected.clone() };
    let turn = Turn { fleet, expected: &expected, whole: &whole, plan, told };
    let ends = turn.by_party(&told.defaults, |_, month| Some(*month));
    let opens = turn.by_party(&told.delays, |contract, delay| turn.opens(contract, *delay));
    let turned = turn.file();
    let rows = expected.contracts.iter().map(|(contract, name, terms)| (name.to_owned(), turn.contract(contract, name, terms)));
    let world = Fleet { contracts: Table::new(rows.collect()), ..turned.clone() };
    Turned { fleet: turned, world, expected: expected.clone(), opens, ends }
}

/// What the holder of a first refusal has taken over is with it.
fn handed_over(fleet: &Fleet, told: &Told) -> Fleet {
    let rows = fleet.contracts.iter().map(|(_, name, terms)| {
        let holder = told.taken.get(name).and_then(|party| fleet.parties.id(party));
        (name.to_owned(), Contract { party: holder.unwrap_or(terms.party), ..terms.clone() })
    });
    Fleet { contracts: Table::new(rows.collect()), ..fleet.clone() }
}

/// What things are turned with.
struct Turn<'a> {
    fleet: &'a Fleet,
    expected: &'a Fleet,
    /// The same, had nothing taken the place of anything: that comes off once, at the end.
    whole: &'a Fleet,
    plan: &'a Plan,
    told: &'a Told,
}

impl Turn<'_> {
    fn months(&self) -> usize {
        self.plan.months.len()
    }

    fn span(&self, month: usize) -> Span {
        self.plan.months[month].span
    }

    /// The first instant of a month; of one past the plan, the plan's end.
    fn begins(&self, month: usize) -> Instant {
        self.plan.months.get(month).map_or(self.span(self.months() - 1).to, |month| month.span.from)
    }

    fn by_party<V>(&self, of: &BTreeMap<String, V>, value: impl Fn(ContractId, &V) -> Option<usize>) -> BTreeMap<ContractId, usize> {
        let rows = self.fleet.contracts.iter().filter_map(|(contract, _, terms)| {
            let struck = of.get(self.fleet.parties.name(terms.party))?;
            Some((contract, value(contract, struck)?))
        });
        rows.collect()
    }

    /// A contract that no capacity bounds starts later when its party is late by more than half.
    fn opens(&self, contract: ContractId, delay: Delay) -> Option<usize> {
        let terms = &self.expected.contracts[contract];
        let starts = self.plan.months.iter().position(|month| month.span.contains(terms.term.from))?;
        (terms.capacity.is_empty() && starts > 0 && delay.share >= 0.5).then_some(starts + delay.months)
    }

    /// The file's own rows: demand, power, pools and money.
    fn file(&self) -> Fleet {
        let mut fleet = self.fleet.clone();
        let sites = self.fleet.sites.iter().map(|(site, name, row)| (name.to_owned(), self.site(site, name, row)));
        fleet.sites = Table::new(sites.collect());
        let pools = self.fleet.pools.iter().map(|(_, name, row)| {
            let mut row = row.clone();
            if let Some(outage) = self.told.shortages.get(self.fleet.accelerators.name(row.accelerator)) {
                let means = self.means(&|span| area(&row.count, span));
                row.count = self.ramp(&|month| scaled(area(&row.count, self.span(month)), held_back(&means, month, *outage)));
            }
            (name.to_owned(), row)
        });
        fleet.pools = Table::new(pools.collect());
        let workloads = self.fleet.workloads.iter().map(|(_, name, row)| {
            let mut row = row.clone();
            if let (WorkloadKind::Serving { classes, .. }, Some(factors)) = (&mut row.kind, self.told.demand.get(name)) {
                for demand in classes.iter_mut().filter_map(|class| class.demand.as_mut()) {
                    *demand = self.ramp(&|month| scaled(area(demand, self.span(month)), factors[month]));
                }
            }
            (name.to_owned(), row)
        });
        fleet.workloads = Table::new(workloads.collect());
        self.money(&mut fleet);
        fleet
    }

    /// A ramp with so much in each month: amount times microseconds, exact.
    fn ramp(&self, of: &dyn Fn(usize) -> i128) -> Ramp<i64> {
        let spans: Vec<(Span, i128)> = (0..self.months()).map(|month| (self.span(month), of(month))).collect();
        exact(&[], &spans).unwrap_or_else(|| Ramp::constant(0))
    }

    /// The mean of something in each month.
    fn means(&self, of: &dyn Fn(Span) -> i128) -> Vec<f64> {
        (0..self.months()).map(|month| ratio(of(self.span(month)), length(self.span(month)))).collect()
    }

    /// A share of what a site has beyond idle power is not there.
    fn site(&self, site: SiteId, name: &str, row: &Site) -> Site {
        let Some(outage) = self.told.shortfalls.get(name) else { return row.clone() };
        let fleet = self.expected;
        let left = |month: usize| {
            let there = area(&row.power, self.span(month));
            if month < outage.from || outage.until() <= month {
                return there;
            }
            let idle = held(fleet, site, self.span(month)).into_iter().map(|(pool, time)| {
                let share = i128::from(fleet.accelerators[fleet.pools[pool].accelerator].idle.ppm());
                watts(fleet, pool) * (share * time / PPM) / PPM
            });
            there - scaled((there - idle.sum::<i128>()).max(0), outage.share)
        };
        Site { power: self.ramp(&left), ..row.clone() }
    }

    fn money(&self, fleet: &mut Fleet) {
        let names = &self.fleet.parties;
        let fails = |party: Option<fleet::PartyId>| party.and_then(|party| self.told.defaults.get(names.name(party))).copied();
        let finance = &mut fleet.finance;
        finance.revenue.retain(|event| event.terms.earned_by.is_some() || !self.told.lost.contains(&event.name));
        finance.raises.retain(|event| {
            let gone = if event.terms.cost.is_some() { &self.told.shut } else { &self.told.lost };
            !gone.contains(&event.name)
        });
        for event in finance.revenue.iter_mut().filter(|event| event.terms.earned_by.is_none()) {
            cut(event, fails(event.party).map(|month| self.begins(month)));
        }
        for event in &mut finance.raises {
            let until = fails(event.party).map(|month| self.begins(month));
            match until.filter(|_| event.terms.cost.is_some()) {
                Some(until) if event.span.from < until => event.span.to = event.span.to.min(until),
                Some(_) => event.amount.money = Money::ZERO,
                None => cut(event, until),
            }
        }
        if let Some(debt) = &mut finance.debt
            && let Some(month) = fails(debt.lender)
        {
            let (at, owed) = (self.begins(month), debt.owed);
            let before = debt.limit.steps().iter().copied().filter(|(from, _)| *from < at);
            let now = (at, debt.limit.at(at).unwrap_or(Money::ZERO).min(owed));
            let later = debt.limit.steps().iter().filter(|(from, _)| *from > at).map(|(from, limit)| (*from, (*limit).min(owed)));
            debt.limit = Ramp::new(before.chain([now]).chain(later).collect()).unwrap_or_else(|_| debt.limit.clone());
        }
        for (_, venture) in &mut fleet.ventures {
            for stake in &mut venture.stakes {
                // The lab pays no more into a venture that has failed; a partner that has failed pays nothing.
                let fails = fails(stake.party.or(Some(venture.party)));
                if let Some(at) = fails.map(|month| self.begins(month)) {
                    (stake.amount, stake.span) = until(stake.amount, stake.span, at);
                }
            }
        }
    }

    /// A contract with the capacity that comes, and what was ordered when it comes.
    fn contract(&self, contract: ContractId, name: &str, terms: &Contract) -> Contract {
        let mut terms = terms.clone();
        let party = self.fleet.parties.name(terms.party);
        let fails = self.told.defaults.get(party).copied();
        let clauses: Vec<CapacityOf> = terms.capacity.iter().map(|clause| clause.of).collect();
        for of in clauses {
            let kept = self.kept(contract, of);
            if kept.iter().all(|kept| (*kept - 1.0).abs() < f64::EPSILON) {
                continue;
            }
            let spans = (0..self.months()).map(|month| (self.span(month).overlap(terms.term), month));
            let spans: Vec<(Span, i128)> = spans
                .filter(|(span, _)| !span.is_empty())
                .map(|(span, month)| (span, scaled(delivers(self.whole, contract, of, span), kept[month])))
                .collect();
            if let (Some(ramp), Some(clause)) =
                (exact(&self.earlier(contract, of), &spans), terms.capacity.iter_mut().find(|clause| clause.of == of))
            {
                clause.ramp = ramp;
                terms.delivery = terms.delivery.filter(|delivery| delivery.of != of);
            }
        }
        for (clause, expansion) in terms.expansions.clone().iter().enumerate() {
            let arrives = |ordered: usize| self.arrives(ordered, party, expansion).filter(|month| fails.is_none_or(|fails| *month < fails));
            add_delivered(&mut terms, (name, clause), self.plan, &arrives);
            if let (Some(fails), Some(capacity)) =
                (fails, terms.capacity.iter_mut().find(|capacity| capacity.of == CapacityOf::Accelerators(expansion.accelerator)))
            {
                let kept =
                    capacity.ramp.steps().iter().copied().filter(|(at, _)| *at < self.begins(fails)).chain([(self.begins(fails), 0)]);
                capacity.ramp = Ramp::new(kept.collect()).unwrap_or_else(|_| capacity.ramp.clone());
            }
        }
        if let Some(fails) = fails {
            self.fail(&mut terms, self.begins(fails));
        }
        terms
    }

    /// What was there before the plan: a billing period may have begun then.
    fn earlier(&self, contract: ContractId, of: CapacityOf) -> Vec<(Instant, i64)> {
        let terms = &self.whole.contracts[contract];
        let begins = self.begins(0);
        let period = terms.period(terms.calendar.index(begins));
        let before = Span { from: period.from, to: begins }.overlap(terms.term);
        if before.is_empty() {
            return Vec::new();
        }
        market::pieces(self.whole, contract, of, before).into_iter().map(|piece| (piece.span.from, piece.delivered)).collect()
    }

    /// The month in which what is ordered comes.
    fn arrives(&self, ordered: usize, party: &str, expansion: &fleet::Expansion) -> Option<usize> {
        let late = self.told.delays.get(party).filter(|delay| delay.share >= 0.5).map_or(0, |delay| delay.months);
        let arrives = ordered.checked_add(usize::try_from(expansion.lead_months).ok()?)?.checked_add(late)?;
        let short = self.told.shortages.get(self.fleet.accelerators.name(expansion.accelerator)).filter(|outage| outage.share >= 0.5);
        Some(short.filter(|outage| outage.from <= arrives && arrives < outage.until()).map_or(arrives, |outage| outage.until()))
    }

    /// The share of a clause's capacity that is there, by month.
    fn kept(&self, contract: ContractId, of: CapacityOf) -> Vec<f64> {
        let terms = &self.expected.contracts[contract];
        let party = self.fleet.parties.name(terms.party);
        let means = self.means(&|span| delivers(self.expected, contract, of, span));
        let delay = self.told.delays.get(party);
        let outage = self.kind(terms, of).and_then(|kind| self.told.shortages.get(self.fleet.accelerators.name(kind)));
        let fails = self.told.defaults.get(party).copied().unwrap_or(usize::MAX);
        let kept = |month: usize| {
            if month >= fails {
                return 0.0;
            }
            let late = delay.map_or(1.0, |delay| {
                let earlier = means[month.saturating_sub(delay.months)];
                less(means[month], earlier, delay.share)
            });
            late * outage.map_or(1.0, |outage| held_back(&means, month, *outage))
        };
        (0..self.months()).map(kept).collect()
    }

    /// The kind of chip that a clause brings, where it is one.
    fn kind(&self, terms: &Contract, of: CapacityOf) -> Option<fleet::AcceleratorId> {
        match of {
            CapacityOf::Accelerators(kind) => Some(kind),
            CapacityOf::Units(_) => None,
            CapacityOf::Power(site) => {
                let mut kinds = terms.pools.iter().map(|pool| &self.fleet.pools[*pool]).filter(|pool| pool.site == site);
                let first = kinds.next()?.accelerator;
                kinds.all(|pool| pool.accelerator == first).then_some(first)
            }
        }
    }

    /// What a party that fails owes and is owed no more: floors whose windows are not over, and prepayments that were due later.
    fn fail(&self, terms: &mut Contract, at: Instant) {
        if terms.status != Status::Signed {
            return;
        }
        for floor in &mut terms.floors {
            let windows = terms.calendar.with_period(floor.per);
            let open = windows.span(windows.index(at)).overlap(terms.term).from;
            floor.least = super::world::until(&floor.least, open);
        }
        terms.prepayments.iter_mut().filter(|prepayment| prepayment.due >= at).for_each(|prepayment| prepayment.amount = Money::ZERO);
    }
}

/// A ramp that has some steps, and then comes to exactly these amounts times microseconds, span by span: what a whole amount leaves over is one
/// more for so long.
fn exact(earlier: &[(Instant, i64)], spans: &[(Span, i128)]) -> Option<Ramp<i64>> {
    let mut steps = earlier.to_vec();
    for (span, amount) in spans {
        let long = length(*span).max(1);
        let (each, rest) = (amount.div_euclid(long), amount.rem_euclid(long));
        let each = i64::try_from(each).unwrap_or(i64::MAX - 1);
        if rest > 0 {
            steps.push((span.from, each + 1));
        }
        steps.push((Instant::from_micros(span.from.micros() + i64::try_from(rest).unwrap_or(0)), each));
    }
    Ramp::new(steps).ok()
}

/// The share of what there is that is left when a part of what rose is as it was `earlier`.
fn less(mean: f64, earlier: f64, share: f64) -> f64 {
    let kept = (1.0 - share) * mean + share * earlier;
    if mean > 0.0 && kept < mean { (kept / mean).max(0.0) } else { 1.0 }
}

/// The share that is left when what should rise in some months rises after them.
fn held_back(means: &[f64], month: usize, outage: Outage) -> f64 {
    if month < outage.from || outage.until() <= month {
        return 1.0;
    }
    less(means[month], means[outage.from.saturating_sub(1)], outage.share)
}

/// An amount of money over a span as it is when it ends early.
fn until(amount: Amount, span: Span, at: Instant) -> (Amount, Span) {
    if span.to <= at {
        return (amount, span);
    }
    if at <= span.from {
        return (Amount { money: Money::ZERO, ..amount }, span);
    }
    let money = amount.money.times_ratio(between(span.from, at), length(span).max(1));
    (Amount { money, ..amount }, Span { from: span.from, to: at })
}

fn cut(event: &mut CashEvent, at: Option<Instant>) {
    if let Some(at) = at {
        (event.amount, event.span) = until(event.amount, event.span, at);
    }
}

fn ratio(amount: i128, long: i128) -> f64 {
    amount as f64 / long.max(1) as f64
}

/// A share of an amount, rounded down: at a share of 1 all of it.
#[expect(clippy::cast_possible_truncation, reason = "amounts of capacity and demand are far below what an i128 holds")]
pub(super) fn scaled(amount: i128, share: f64) -> i128 {
    if (share - 1.0).abs() < f64::EPSILON { amount } else { libm::floor(amount as f64 * share) as i128 }
}
