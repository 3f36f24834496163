//! Billing periods and windows by stepping civil dates one after the other.

use fleet::{Calendar, Period};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use units::{Instant, Span};

/// A billing period or a window, clipped to the term, with the length it has before clipping; in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its number: 0 begins at the anchor.
    pub number: i64,
    /// Its first microsecond.
    pub from: i64,
    /// The first microsecond after it.
    pub to: i64,
    /// How long it would be if the term did not clip it.
    pub whole: i64,
}

impl Stretch {
    /// Whether `at` lies in it.
    pub fn holds(self, at: Instant) -> bool {
        (self.from..self.to).contains(&at.micros())
    }

    /// The last microsecond in it.
    pub fn last(self) -> Instant {
        Instant::from_micros(self.to - 1)
    }
}

/// Walks from one boundary to the next.
struct Walker {
    zone: TimeZone,
    anchor: DateTime,
    period: Period,
    /// The boundary's date; for months the first of its month.
    date: Date,
    /// The boundary's microsecond.
    at: i64,
}

const IN_RANGE: &str = "generated dates lie within a few decades of now";

impl Walker {
    fn new(zone: &TimeZone, anchor: DateTime, period: Period) -> Self {
        let date = if matches!(period, Period::Months(_)) { anchor.date().first_of_month() } else { anchor.date() };
        let mut walker = Self { zone: zone.clone(), anchor, period, date, at: 0 };
        walker.at = walker.instant(anchor.date());
        walker
    }

    fn instant(&self, date: Date) -> i64 {
        date.to_datetime(self.anchor.time()).to_zoned(self.zone.clone()).expect(IN_RANGE).timestamp().as_microsecond()
    }

    fn step(&mut self, forward: bool) {
        let next_day = |date: Date| if forward { date.tomorrow() } else { date.yesterday() }.expect(IN_RANGE);
        match self.period {
            Period::Minutes(minutes) => self.at += i64::from(minutes) * if forward { 60_000_000 } else { -60_000_000 },
            Period::Days(days) => {
                (0..days).for_each(|_| self.date = next_day(self.date));
                self.at = self.instant(self.date);
            }
            Period::Months(months) => {
                for _ in 0..months {
                    let edge = if forward { self.date.last_of_month() } else { self.date };
                    self.date = next_day(edge).first_of_month();
                }
                let day = self.anchor.day().min(self.date.days_in_month());
                self.at = self.instant(Date::new(self.date.year(), self.date.month(), day).expect(IN_RANGE));
            }
            Period::Term => {}
        }
    }
}

/// All periods of length `period` from the calendar's anchor that share time with the term, clipped to it.
pub fn stretches(calendar: &Calendar, period: Period, term: Span) -> Vec<Stretch> {
    let (from, to) = (term.from.micros(), term.to.micros());
    if period == Period::Term {
        return vec![Stretch { number: 0, from, to, whole: to - from }];
    }
    let mut walker = Walker::new(calendar.zone(), calendar.anchor(), period);
    let mut number = 0;
    while walker.at > from {
        walker.step(false);
        number -= 1;
    }
    let mut found = Vec::new();
    while walker.at < to {
        let begin = walker.at;
        walker.step(true);
        if walker.at > from {
            found.push(Stretch { number, from: begin.max(from), to: walker.at.min(to), whole: walker.at - begin });
        }
        number += 1;
    }
    found
}

/// How many whole intervals of `every` lie between `start` and `until`, as calendar periods anchored at `start`.
pub fn whole_intervals(zone: &TimeZone, start: Instant, every: Period, until: i64) -> u32 {
    if every == Period::Term {
        return 0;
    }
    let anchor = Timestamp::from_microsecond(start.micros()).expect(IN_RANGE).to_zoned(zone.clone()).datetime();
    let mut walker = Walker::new(zone, anchor, every);
    let mut count = 0;
    loop {
        walker.step(true);
        if walker.at > until {
            return count;
        }
        count += 1;
    }
}
