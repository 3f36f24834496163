//! Time, as the auditor counts it.

use fleet::{Fleet, Ramp};
use jiff::{Timestamp, ToSpan};
use units::{Instant, Span};

/// A million: parts in a whole share, microseconds in a second.
pub(super) const PPM: i128 = 1_000_000;

/// How many microseconds lie between two instants; nothing when the second is not later.
pub(super) fn between(from: Instant, to: Instant) -> i128 {
    i128::from(to.micros()).saturating_sub(i128::from(from.micros())).max(0)
}

pub(super) fn length(span: Span) -> i128 {
    between(span.from, span.to)
}

pub(super) fn last_instant(span: Span) -> Instant {
    Instant::from_micros(span.to.micros() - 1)
}

/// Amount times microseconds: from each step of the ramp to the end, less what the step before had.
pub(super) fn area(ramp: &Ramp<i64>, span: Span) -> i128 {
    let mut before = 0;
    let mut area = 0;
    for (from, amount) in ramp.steps() {
        area += (i128::from(*amount) - before) * between((*from).max(span.from), span.to);
        before = i128::from(*amount);
    }
    area
}

/// So many calendar months later in the fleet's zone.
pub(super) fn later(fleet: &Fleet, at: Instant, months: i64) -> Instant {
    let zoned = Timestamp::from(at).to_zoned(crate::zone::zone(fleet));
    let months = 0.months().try_months(months).ok();
    let later = months.and_then(|months| zoned.checked_add(months).ok());
    later.map_or(if months_back(months.as_ref()) { Instant::MIN } else { Instant::MAX }, |zoned| Instant::from(zoned.timestamp()))
}

fn months_back(months: Option<&jiff::Span>) -> bool {
    months.is_some_and(|months| months.get_months() < 0)
}
