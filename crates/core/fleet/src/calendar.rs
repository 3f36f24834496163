//! The calendar of a contract: its time zone, the anchor of its periods, half-open instants.

use std::sync::{Arc, OnceLock};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};
use units::{Instant, Span};

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// So many minutes of real time.
    Minutes(u32),
    /// So many civil days: 23 to 25 hours each where clocks change.
    Days(u32),
    /// So many months, each clamped to the month's last day when the anchor's day is missing.
    Months(u32),
    /// The whole term.
    Term,
}

/// Boundaries that a calendar remembers once it was asked for one of them: twenty years of months.
const REMEMBERED: usize = 240;

/// Where periods begin: `anchor` in `zone`, then every `period`.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    anchor: DateTime,
    period: Period,
    /// The first boundaries, where they are worth remembering: prices ask for the same few a thousand times.
    remembered: Option<Arc<OnceLock<Vec<Instant>>>>,
}

impl PartialEq for Calendar {
    fn eq(&self, other: &Self) -> bool {
        (&self.zone, self.anchor, self.period) == (&other.zone, other.anchor, other.period)
    }
}

impl Eq for Calendar {}

impl Calendar {
    /// A calendar whose periods begin at `anchor` in `zone`.
    #[must_use]
    pub fn new(zone: TimeZone, anchor: DateTime, period: Period) -> Self {
        Self { zone, anchor, period, remembered: None }
    }

    /// The same calendar, remembering its boundaries: for one that lives long.
    #[must_use]
    pub fn remembering(self) -> Self {
        Self { remembered: Some(Arc::default()), ..self }
    }

    /// The same anchor and zone with another period.
    #[must_use]
    pub fn with_period(&self, period: Period) -> Self {
        let remembered = self.remembered.clone().filter(|_| period == self.period);
        Self { period, remembered, zone: self.zone.clone(), anchor: self.anchor }
    }

    /// The time zone.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The civil time, in the zone, at which period number 0 begins.
    #[must_use]
    pub fn anchor(&self) -> DateTime {
        self.anchor
    }

    /// How long its periods are.
    #[must_use]
    pub fn period(&self) -> Period {
        self.period
    }

    /// The instant of a civil time in this calendar's zone; in a gap the later, in a fold the earlier.
    #[must_use]
    pub fn instant(&self, civil: DateTime) -> Instant {
        self.zone.to_ambiguous_timestamp(civil).compatible().map_or(Instant::MAX, Instant::from)
    }

    /// Where period number `index` begins (number 0 begins at the anchor); [`Period::Term`] has none.
    #[must_use]
    pub fn boundary(&self, index: i64) -> Instant {
        let remembered = self.remembered.as_ref().zip(usize::try_from(index).ok().filter(|index| *index < REMEMBERED));
        match remembered {
            Some((all, index)) => all.get_or_init(|| (0..).take(REMEMBERED).map(|index| self.begins(index)).collect())[index],
            None => self.begins(index),
        }
    }

    fn begins(&self, index: i64) -> Instant {
        let out_of_range = if index < 0 { Instant::MIN } else { Instant::MAX };
        let civil = |step: jiff::Span| self.anchor.checked_add(step).map_or(out_of_range, |civil| self.instant(civil));
        match self.period {
            Period::Minutes(minutes) => {
                let step = SignedDuration::from_mins(index.saturating_mul(i64::from(minutes)).clamp(-600_000_000_000, 600_000_000_000));
                let anchor = jiff::Timestamp::from(self.instant(self.anchor));
                anchor.checked_add(step).map_or(out_of_range, Instant::from)
            }
            Period::Days(days) => {
                index.checked_mul(i64::from(days)).and_then(|days| 0.days().try_days(days).ok()).map_or(out_of_range, civil)
            }
            Period::Months(months) => {
                index.checked_mul(i64::from(months)).and_then(|months| 0.months().try_months(months).ok()).map_or(out_of_range, civil)
            }
            Period::Term => out_of_range,
        }
    }

    /// The number of the period that `at` lies in; zero for [`Period::Term`].
    #[must_use]
    pub fn index(&self, at: Instant) -> i64 {
        let day = 86_400_000_000_i64;
        let length = match self.period {
            Period::Minutes(minutes) => i64::from(minutes) * 60_000_000,
            Period::Days(days) => i64::from(days) * day,
            Period::Months(months) => i64::from(months) * 2_629_746_000_000,
            Period::Term => return 0,
        };
        let mut index = (at.micros() - self.boundary(0).micros()).div_euclid(length.max(1));
        while index > i64::MIN / 2 && self.boundary(index) > at && self.boundary(index) > Instant::MIN {
            index -= 1;
        }
        while self.boundary(index + 1) <= at && self.boundary(index + 1) < Instant::MAX {
            index += 1;
        }
        index
    }

    /// The whole span of period number `index`, before it is clipped to any term.
    #[must_use]
    pub fn span(&self, index: i64) -> Span {
        match self.period {
            Period::Term => Span::ALWAYS,
            _ => Span { from: self.boundary(index), to: self.boundary(index + 1) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn calendar(zone: &str, period: Period) -> Calendar {
        Calendar::new(TimeZone::get(zone).expect("bundled"), date(2024, 1, 31).at(0, 0, 0, 0), period)
    }

    #[test]
    fn what_is_remembered_is_what_is_worked_out() {
        for period in [Period::Minutes(5), Period::Days(1), Period::Months(1), Period::Months(3), Period::Term] {
            let plain = calendar("Europe/Berlin", period);
            let remembering = plain.clone().remembering();
            for index in [-2, -1, 0, 1, 7, REMEMBERED as i64 - 1, REMEMBERED as i64, REMEMBERED as i64 + 1] {
                assert_eq!(remembering.boundary(index), plain.boundary(index), "{period:?} {index}");
                assert_eq!(remembering.index(plain.boundary(index)), plain.index(plain.boundary(index)), "{period:?} {index}");
            }
            assert_eq!(remembering.with_period(Period::Months(2)).boundary(3), plain.with_period(Period::Months(2)).boundary(3));
        }
    }

    #[test]
    fn months_clamp_to_their_last_day_and_keep_the_anchor() {
        let months = calendar("UTC", Period::Months(1));
        let days: Vec<String> = (0..4).map(|k| months.boundary(k).to_string()).collect();
        assert_eq!(days, ["2024-01-31T00:00:00Z", "2024-02-29T00:00:00Z", "2024-03-31T00:00:00Z", "2024-04-30T00:00:00Z"]);
    }

    #[test]
    fn every_instant_lies_in_the_period_it_is_numbered_with() {
        for period in [Period::Minutes(5), Period::Days(1), Period::Days(7), Period::Months(1), Period::Months(12)] {
            let calendar = calendar("Europe/Paris", period);
            for step in -400_i64..400 {
                let at = Instant::from_micros(1_711_846_800_000_000 + step * 17_999_000_000);
                let index = calendar.index(at);
                assert!(calendar.span(index).contains(at), "{period:?} {at} {index}");
            }
        }
    }

    #[test]
    fn days_follow_the_clock_change() {
        let days = Calendar::new(TimeZone::get("Europe/Paris").expect("bundled"), date(2024, 3, 30).at(0, 0, 0, 0), Period::Days(1));
        assert_eq!(days.span(1).length().as_secs(), 23 * 3600);
    }
}
