//! The time zone whose calendar months a plan has.

use fleet::Fleet;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use units::Instant;

/// The fleet's time zone.
pub(crate) fn zone(fleet: &Fleet) -> TimeZone {
    fleet.time_zone.clone()
}

/// The same day and hour so many months later (earlier, below zero) in the fleet's time zone.
pub(crate) fn months_later(fleet: &Fleet, at: Instant, months: i64) -> Instant {
    let zone = zone(fleet);
    let civil = Timestamp::from(at).to_zoned(zone.clone()).datetime();
    let later = 0.months().try_months(months).ok().and_then(|months| civil.checked_add(months).ok());
    let out = if months < 0 { Instant::MIN } else { Instant::MAX };
    later.map_or(out, |civil| zone.to_ambiguous_timestamp(civil).compatible().map_or(out, Instant::from))
}
