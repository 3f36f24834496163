//! The months of the plan and their steps.

use core::ops::Range;

use fleet::{Calendar, Fleet, Period, Ramp};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use units::{Instant, Span};

use crate::instance::{Month, Step};

/// Months that a plan has at most when the file does not say how many.
const MONTHS_MAX: i64 = 120;

/// The zone in which months begin.
pub(crate) fn zone(fleet: &Fleet) -> TimeZone {
    fleet.time_zone.clone()
}

/// The months that are planned.
#[derive(Clone, Debug)]
pub(crate) struct Horizon {
    pub months: Vec<Month>,
    pub steps: Vec<Step>,
    /// Share of a month's hours and demand over its mean, by block.
    blocks: Vec<(f64, f64)>,
}

/// The calendar whose period 0 is the month that the plan begins with; none when nothing says when that is.
pub(crate) fn calendar(fleet: &Fleet) -> Option<Calendar> {
    let first = fleet.contracts.iter().filter(|(.., contract)| crate::survey::offers::takes_part(contract));
    let first = first.map(|(.., contract)| contract.term.from).min();
    let from = fleet.horizon.from.or(fleet.finance.cash.map(|(at, _)| at)).or(first)?;
    let zone = zone(fleet);
    let civil = jiff::Timestamp::from(from).to_zoned(zone.clone()).datetime();
    let anchor = DateTime::from(civil.date().first_of_month());
    Some(Calendar::new(zone, anchor, Period::Months(1)))
}

impl Horizon {
    /// As many months as the file says, else those up to `end`.
    pub fn new(fleet: &Fleet, calendar: &Calendar, end: Option<Instant>) -> Self {
        let last = end.map_or(0, |end| calendar.index(Instant::from_micros(end.micros() - 1)) + 1);
        let count = fleet.horizon.months.map_or(last.min(MONTHS_MAX), i64::from);
        let months: Vec<Month> = (0..count).map(|index| month(calendar, calendar.span(index))).collect();
        let ppm = |share: units::Share| share.ppm() as f64 / 1e6;
        let mut blocks: Vec<(f64, f64)> = fleet.horizon.blocks.iter().map(|block| (ppm(block.hours), ppm(block.demand))).collect();
        if blocks.is_empty() {
            blocks.push((1.0, 1.0));
        }
        let steps = months.iter().enumerate();
        let steps = steps.flat_map(|(index, month)| blocks.iter().map(move |(share, _)| Step { month: index, hours: month.hours * share }));
        Self { steps: steps.collect(), months, blocks }
    }

    /// Nothing at all.
    pub fn empty() -> Self {
        Self { months: Vec::new(), steps: Vec::new(), blocks: vec![(1.0, 1.0)] }
    }

    /// From the first month's beginning to the last one's end.
    pub fn span(&self) -> Span {
        let from = self.months.first().map_or(Instant::MIN, |month| month.span.from);
        Span { from, to: self.months.last().map_or(from, |month| month.span.to) }
    }

    pub fn last(&self) -> usize {
        self.months.len().saturating_sub(1)
    }

    /// The month that holds `at`; before the plan the first, after it the last.
    pub fn month(&self, at: Instant) -> usize {
        self.months.partition_point(|month| month.span.to <= at).min(self.last())
    }

    /// The months that share time with `span`.
    pub fn months_in(&self, span: Span) -> Range<usize> {
        let first = self.months.partition_point(|month| month.span.to <= span.from);
        let end = self.months.partition_point(|month| month.span.from < span.to);
        first..end.max(first)
    }

    /// The steps of a month.
    pub fn steps_of(&self, month: usize) -> Range<usize> {
        month * self.blocks.len()..(month + 1) * self.blocks.len()
    }

    /// How a step's demand compares with its month's mean.
    pub fn peak(&self, step: usize) -> f64 {
        self.blocks[step % self.blocks.len()].1
    }

    /// A value by month as one by step.
    pub fn by_step(&self, of_month: impl Fn(usize, &Step) -> f64) -> Vec<f64> {
        self.steps.iter().map(|step| of_month(step.month, step)).collect()
    }

    /// An amount that is even over `span`, by month; what lies outside the plan is left out.
    pub fn spread(&self, span: Span, amount: f64) -> Vec<f64> {
        let whole = micros(span);
        self.months.iter().map(|month| amount * share(micros(month.span.overlap(span)), whole)).collect()
    }

    /// The share of each month that lies in `span`.
    pub fn spread_share(&self, span: Span) -> Vec<f64> {
        self.months.iter().map(|month| share(micros(month.span.overlap(span)), micros(month.span))).collect()
    }

    /// The time average of a ramp over each month; before its first step it is nothing.
    pub fn means<T: Copy>(&self, ramp: &Ramp<T>, value: impl Fn(T) -> f64) -> Vec<f64> {
        let mut means = vec![0.0; self.months.len()];
        for (span, amount) in ramp.pieces(self.span()) {
            for month in self.months_in(span) {
                let whole = self.months[month].span;
                means[month] += value(amount) * share(micros(whole.overlap(span)), micros(whole));
            }
        }
        means
    }
}

/// How long a span is, in microseconds.
pub(crate) fn micros(span: Span) -> i64 {
    (span.to.micros() - span.from.micros()).max(0)
}

/// `part / whole`; nothing of nothing.
pub(crate) fn share(part: i64, whole: i64) -> f64 {
    if part == whole && whole > 0 { 1.0 } else { part as f64 / whole.max(1) as f64 }
}

fn month(calendar: &Calendar, span: Span) -> Month {
    let civil = jiff::Timestamp::from(span.from).to_zoned(calendar.zone().clone()).datetime();
    Month { span, hours: micros(span) as f64 / 3.6e9, year: civil.year(), number: civil.month() }
}
