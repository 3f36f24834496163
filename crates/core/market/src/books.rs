//! All that the clauses are computed from: the fleet, what is posted, and what is forecast beyond it.

use core::cell::RefCell;
use core::ops::RangeInclusive;
use std::collections::BTreeMap;

use fleet::{Calendar, Charge, Contract, ContractId, Fleet, Meter};
use units::{Instant, Quantity, Span};

use crate::balance::{Balances, Total};
use crate::capacity::{committed, micros};
use crate::floor::Tally;

/// Steps that a forecast's future is looked at in; with more periods than that, one stands for its neighbours.
const FUTURE_STEPS: i64 = 16;

/// A forecast at one of its points.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Projection<'a> {
    pub now: Instant,
    /// Base units an hour from now on.
    pub per_hour: &'a BTreeMap<(ContractId, Meter), Quantity>,
    /// One more lot in a billing period.
    pub lot: Option<(ContractId, i64, Meter, Quantity)>,
}

/// The fleet, what is posted, and what is forecast beyond it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Books<'a> {
    pub fleet: &'a Fleet,
    pub balances: &'a Balances,
    pub projection: Option<Projection<'a>>,
    pub seen: &'a Seen,
}

/// What is worked out once for all points of a forecast, because no forecast changes it: the past, and what is committed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    committed: RefCell<BTreeMap<(ContractId, Meter, i64), Quantity>>,
    /// By the floor's contract and position, the counted contract, and its first period in the window.
    charged: RefCell<BTreeMap<(ContractId, usize, ContractId, i64), i128>>,
    /// Least and counted, by the floor's contract and position, and the window.
    tallies: RefCell<BTreeMap<(ContractId, usize, i64), Tally>>,
}

/// The value of `key`, worked out the first time.
fn once<K: Ord + Copy, V: Copy>(values: &RefCell<BTreeMap<K, V>>, key: K, work_out: impl FnOnce() -> V) -> V {
    if let Some(value) = values.borrow().get(&key) {
        return *value;
    }
    // Nothing is borrowed here: what is worked out may look up and add other values.
    let value = work_out();
    values.borrow_mut().insert(key, value);
    value
}

/// `count` periods from `first` on, of which the first stands for all; without a forecast always one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub first: i64,
    pub count: i64,
}

impl Step {
    fn one(first: i64) -> Self {
        Self { first, count: 1 }
    }

    pub fn last(self) -> i64 {
        self.first + self.count - 1
    }
}

impl<'a> Books<'a> {
    pub fn new(fleet: &'a Fleet, balances: &'a Balances, seen: &'a Seen) -> Self {
        Self { fleet, balances, projection: None, seen }
    }

    /// The period of `contract` that a forecast begins in.
    pub fn present(&self, contract: ContractId) -> Option<i64> {
        self.projection.as_ref().map(|projection| self.terms(contract).calendar.index(projection.now))
    }

    /// The integral of delivered capacity over a period.
    pub fn committed(&self, contract: ContractId, meter: Meter, period: i64) -> Quantity {
        let span = self.terms(contract).period(period);
        once(&self.seen.committed, (contract, meter, period), || committed(self.fleet, contract, meter, span))
    }

    /// What a floor's counted contract charged from period `first` until the forecast begins.
    pub fn charged_before(&self, of: (ContractId, usize), contract: ContractId, first: i64, sum: impl FnOnce() -> i128) -> i128 {
        once(&self.seen.charged, (of.0, of.1, contract, first), sum)
    }

    /// A window's tally, kept when the window is over before the forecast begins.
    pub fn tally(&self, of: (ContractId, usize), window: i64, span: Span, work_out: impl FnOnce() -> Tally) -> Tally {
        match &self.projection {
            Some(projection) if span.to <= projection.now => once(&self.seen.tallies, (of.0, of.1, window), work_out),
            _ => work_out(),
        }
    }

    pub fn terms(&self, contract: ContractId) -> &'a Contract {
        &self.fleet.contracts[contract]
    }

    /// What is posted to a meter in a period, and what is forecast to be.
    pub fn total(&self, contract: ContractId, period: i64, meter: Meter) -> Total {
        let mut total = self.balances.total(contract, period, meter);
        let more = self.forecast(contract, period, meter);
        total.held += more;
        total.used += more;
        total
    }

    fn forecast(&self, contract: ContractId, period: i64, meter: Meter) -> Quantity {
        let Some(projection) = &self.projection else { return Quantity::ZERO };
        let lot = projection.lot.filter(|(of, at, on, _)| (*of, *at, *on) == (contract, period, meter));
        let lot = lot.map_or(Quantity::ZERO, |(.., lot)| lot);
        let Some(per_hour) = projection.per_hour.get(&(contract, meter)) else { return lot };
        let rest = self.terms(contract).period(period).overlap(Span { from: projection.now, to: Instant::MAX });
        let count = units::round_half_even(i128::from(per_hour.count()) * micros(rest), 3_600_000_000);
        lot + Quantity::new(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// The periods among `range` in which a rates clause may charge something, rising.
    pub fn charged(&self, contract: ContractId, range: RangeInclusive<i64>) -> Vec<Step> {
        let terms = self.terms(contract);
        let (known, future) = self.split(contract, range);
        let committed = terms.rates.iter().any(|clause| clause.charge == Charge::Committed);
        let present = self.present(contract).filter(|present| known.contains(present));
        let known: Vec<i64> = if committed {
            known.collect()
        } else {
            let posted = self.balances.posted(contract, known).filter(|period| Some(*period) != present);
            posted.chain(present).collect()
        };
        known.into_iter().map(Step::one).chain(future).collect()
    }

    /// The numbers of `range` one by one as far as the present; what lies in the future in at most [`FUTURE_STEPS`] steps.
    pub fn steps(&self, calendar: &Calendar, range: RangeInclusive<i64>) -> Vec<Step> {
        let (known, future) = self.split_by(calendar, range);
        known.map(Step::one).chain(future).collect()
    }

    /// The periods among `range` as far as the present, and steps for those in the future.
    pub fn split(&self, contract: ContractId, range: RangeInclusive<i64>) -> (RangeInclusive<i64>, Vec<Step>) {
        self.split_by(&self.terms(contract).calendar, range)
    }

    fn split_by(&self, calendar: &Calendar, range: RangeInclusive<i64>) -> (RangeInclusive<i64>, Vec<Step>) {
        let Some(projection) = &self.projection else { return (range, Vec::new()) };
        let (first, last) = (*range.start(), *range.end());
        let present = calendar.index(projection.now).min(last);
        let future = first.max(present + 1);
        let stride = ((last - future + 1 + FUTURE_STEPS - 1) / FUTURE_STEPS).max(1);
        let steps = (0..).map(|step| future + step * stride).take_while(|first| *first <= last);
        let steps = steps.map(|first| Step { first, count: stride.min(last - first + 1) }).collect();
        (first..=present, steps)
    }
}

/// The numbers of the calendar's spans, each clipped to `term`, whose last instant lies within `within`.
pub(crate) fn ending_in(calendar: &Calendar, term: Span, within: Span) -> RangeInclusive<i64> {
    let shared = within.overlap(term);
    if shared.is_empty() {
        return RangeInclusive::new(1, 0);
    }
    let last = calendar.index(before(shared.to));
    let reaches_out = calendar.span(last).overlap(term).to > within.to;
    calendar.index(shared.from)..=last - i64::from(reaches_out)
}

/// The last instant before `at`.
pub(crate) fn before(at: Instant) -> Instant {
    Instant::from_micros(at.micros() - 1)
}
