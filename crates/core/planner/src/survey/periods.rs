//! Spans of a calendar as months see them: those that end in one month together.

use core::ops::RangeInclusive;

use fleet::{Calendar, Period};
use units::{Instant, Span};

use crate::survey::months::Horizon;

/// Spans whose last instant lies in one month, or the one that the plan's end cuts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Their numbers.
    pub numbers: RangeInclusive<i64>,
    /// From the first one's beginning to the last one's end, within the term.
    pub span: Span,
    /// The month of their end; of one that is cut, the last.
    pub month: usize,
}

/// Every group of the spans of a calendar, clipped to `term`, that ends in the plan or is cut by its end, in order of time.
pub(crate) fn groups(horizon: &Horizon, calendar: &Calendar, term: Span) -> Vec<Group> {
    let shared = horizon.span().overlap(term);
    if shared.is_empty() {
        return Vec::new();
    }
    match calendar.period() {
        Period::Minutes(_) => by_month(horizon, calendar, term),
        _ => one_by_one(horizon, calendar, term, shared, true),
    }
}

/// The windows of a floor as [`groups`], but those of months and longer each by itself: what one has too much is not there for another.
pub(crate) fn windows(horizon: &Horizon, calendar: &Calendar, term: Span) -> Vec<Group> {
    let shared = horizon.span().overlap(term);
    match calendar.period() {
        Period::Minutes(_) | Period::Days(_) => groups(horizon, calendar, term),
        _ if shared.is_empty() => Vec::new(),
        _ => one_by_one(horizon, calendar, term, shared, false),
    }
}

/// Asks the calendar once for each span, and puts those together that end in one month where that is asked for.
fn one_by_one(horizon: &Horizon, calendar: &Calendar, term: Span, shared: Span, together: bool) -> Vec<Group> {
    let plan = horizon.span();
    let mut groups: Vec<Group> = Vec::new();
    let mut number = calendar.index(shared.from);
    let mut from = calendar.span(number).overlap(term).from;
    while from < shared.to {
        let to = if calendar.period() == Period::Term { term.to } else { calendar.boundary(number + 1).min(term.to) };
        let month = horizon.month(before(to));
        match groups.last_mut().filter(|last| together && last.month == month && to <= plan.to) {
            Some(last) => (last.numbers, last.span.to) = (*last.numbers.start()..=number, to),
            None => groups.push(Group { numbers: number..=number, span: Span { from, to }, month }),
        }
        (number, from) = (number + 1, to);
    }
    groups
}

/// Asks the calendar once for each month, because it has thousands of spans.
fn by_month(horizon: &Horizon, calendar: &Calendar, term: Span) -> Vec<Group> {
    let span_of = |number: i64| calendar.span(number).overlap(term);
    let mut groups: Vec<Group> = Vec::new();
    for (month, it) in horizon.months.iter().enumerate() {
        let numbers = market::periods_ending(calendar, term, it.span);
        if !numbers.is_empty() {
            let span = Span { from: span_of(*numbers.start()).from, to: span_of(*numbers.end()).to };
            groups.push(Group { numbers, span, month });
        }
    }
    let last = before(horizon.span().to);
    let number = calendar.index(last);
    if term.contains(last) && span_of(number).to > horizon.span().to {
        groups.push(Group { numbers: number..=number, span: span_of(number), month: horizon.last() });
    }
    groups
}

/// The last instant before `at`.
pub(crate) fn before(at: Instant) -> Instant {
    Instant::from_micros(at.micros() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    #[test]
    fn both_ways_of_asking_a_calendar_agree() {
        let at = |text: &str| Instant::from(text.parse::<jiff::Timestamp>().expect("a time"));
        let zone = TimeZone::get("Europe/Paris").expect("bundled");
        let months = Calendar::new(TimeZone::UTC, date(2026, 1, 1).at(0, 0, 0, 0), Period::Months(1));
        let fleet = fleet::parse("format = 1\nname = \"a\"\ncurrency = \"USD\"\n").fleet;
        let mut fleet = fleet.expect("a fleet");
        fleet.horizon.months = Some(5);
        let horizon = Horizon::new(&fleet, &months, None);
        let terms = [("2025-11-10T05:00:00Z", "2026-04-20T07:00:00Z"), ("2026-02-01T00:00:00Z", "2027-01-01T00:00:00Z")];
        for period in [Period::Days(1), Period::Days(7), Period::Months(1), Period::Months(3), Period::Months(12), Period::Minutes(1440)] {
            for (from, to) in terms {
                let calendar = Calendar::new(zone.clone(), date(2025, 12, 31).at(0, 0, 0, 0), period);
                let term = Span { from: at(from), to: at(to) };
                let shared = horizon.span().overlap(term);
                assert_eq!(one_by_one(&horizon, &calendar, term, shared, true), by_month(&horizon, &calendar, term), "{period:?} {from}");
            }
        }
    }
}
