//! The calendar years that a plan covers.

use fleet::Fleet;
use jiff::civil::{self, Date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use units::{Amount, Currency, Instant, Money, Span};

use super::Range;

/// Months that a plan has at most.
const MONTHS_MAX: u32 = 120;

/// The years, each clipped to what the plan covers.
pub(super) struct Years {
    spans: Vec<(i16, Span)>,
    zone: TimeZone,
}

impl Years {
    /// From the plan's first month on, for its months: both as `docs/plan.md` says.
    pub(super) fn of(fleet: &Fleet) -> Self {
        let zone = fleet.time_zone.clone();
        let terms = || fleet.contracts.iter().map(|(.., contract)| contract.term);
        let counted = fleet.finance.cash.map(|(at, _)| at);
        let from = fleet.horizon.from.or(counted).or_else(|| terms().map(|term| term.from).min());
        let Some(from) = from else { return Self { spans: Vec::new(), zone } };
        let first = civil_in(&zone, from).date().first_of_month();
        let end = match fleet.horizon.months {
            Some(months) => after(first, months),
            None => {
                let last = terms().map(|term| term.to).max().unwrap_or(from).max(from);
                let last = civil_in(&zone, Instant::from_micros(last.micros() - 1)).date().first_of_month();
                after(last.max(first), 1).min(after(first, MONTHS_MAX))
            }
        };
        let horizon = Span { from: instant(&zone, first), to: instant(&zone, end) };
        let years = first.year()..=end.yesterday().map_or(first.year(), Date::year);
        let spans = years.map(|year| {
            let [from, to] = [year, year.saturating_add(1)].map(|year| instant(&zone, civil::date(year, 1, 1)));
            (year, Span { from, to }.overlap(horizon))
        });
        Self { spans: spans.collect(), zone }
    }

    /// Their numbers.
    pub(super) fn numbers(&self) -> impl Iterator<Item = i16> {
        self.spans.iter().map(|(year, _)| *year)
    }

    /// All that the plan covers.
    pub(super) fn horizon(&self) -> Span {
        let (first, last) = (self.spans.first(), self.spans.last());
        first
            .zip(last)
            .map_or(Span { from: Instant::MIN, to: Instant::MIN }, |((_, first), (_, last))| Span { from: first.from, to: last.to })
    }

    /// Nothing in each.
    pub(super) fn nothing(&self) -> Vec<Money> {
        vec![Money::ZERO; self.spans.len()]
    }

    /// Which of them `at` lies in.
    pub(super) fn index(&self, at: Instant) -> Option<usize> {
        self.spans.iter().position(|(_, span)| span.contains(at))
    }

    /// The parts of each year that lie in `span`.
    pub(super) fn parts(&self, span: Span) -> impl Iterator<Item = Span> {
        self.spans.iter().map(move |(_, year)| year.overlap(span))
    }

    /// The first instants of each year's months.
    pub(super) fn months(&self) -> impl Iterator<Item = Vec<Instant>> {
        let starts = move |span: Span| {
            let first = civil_in(&self.zone, span.from).date();
            (0..12).map(move |months| instant(&self.zone, after(first, months))).filter(move |at| span.contains(*at)).collect()
        };
        self.spans.iter().map(move |(_, span)| starts(*span))
    }

    /// The ends of a range that is spread like its amount.
    pub(super) fn range(&self, fleet: &Fleet, (low, high): (Amount, Amount), span: Span) -> Range {
        Range { low: self.spread(fleet, low, span), high: self.spread(fleet, high, span) }
    }

    /// An amount that is spread evenly over a span, by year, converted at the rate in force when each year's part begins.
    /// What lies outside the plan is left out; what lies inside adds up to the nano-unit.
    pub(super) fn spread(&self, fleet: &Fleet, amount: Amount, span: Span) -> Vec<Money> {
        let whole = micros(span).max(1);
        let until = |at: Instant| amount.money.times_ratio(micros(Span { from: span.from, to: at }), whole);
        let part = |part: Span| {
            if part.is_empty() { Money::ZERO } else { exchanged(fleet, until(part.to) - until(part.from), amount.currency, part.from) }
        };
        self.parts(span).map(part).collect()
    }
}

/// `money` in the fleet's currency at `at`; before the first dated rate at that one.
pub(super) fn exchanged(fleet: &Fleet, money: Money, currency: Currency, at: Instant) -> Money {
    let first = || fleet.exchange.get(&currency).and_then(|rates| rates.steps().first()).map(|(from, _)| *from);
    let at_first = || fleet.in_fleet_currency(money, currency, first()?);
    fleet
        .in_fleet_currency(money, currency, at)
        .or_else(at_first)
        .expect("each currency that a fleet uses has a rate, or it would not read")
}

pub(super) fn micros(span: Span) -> i128 {
    i128::from((span.to.micros() - span.from.micros()).max(0))
}

fn civil_in(zone: &TimeZone, at: Instant) -> civil::DateTime {
    zone.to_datetime(Timestamp::from(at))
}

fn after(first: Date, months: u32) -> Date {
    first.checked_add(i64::from(months).months()).unwrap_or(Date::MAX)
}

fn instant(zone: &TimeZone, date: Date) -> Instant {
    zone.to_ambiguous_timestamp(date.to_datetime(civil::Time::midnight())).compatible().map_or(Instant::MAX, Instant::from)
}
