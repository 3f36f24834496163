//! Dates, in the zone of what they stand in.

use std::collections::BTreeMap;

use jiff::civil;
use jiff::tz::TimeZone;
use toml::de::DeValue;
use toml::value::{Datetime, Offset};
use units::{Instant, Span};

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys::example;
use crate::reader::entry::kind_of;
use crate::reader::{Entry, Reader};

impl Reader<'_> {
    /// An instant; a date without an offset is in this reader's zone.
    pub(crate) fn date(&self, name: &str) -> Option<Instant> {
        self.date_of(&self.entry(name)?)
    }

    /// A list of instants in rising order; one that is written twice, or a list without any, is reported.
    pub(crate) fn dates(&self, name: &str) -> Vec<Instant> {
        let Some(entry) = self.entry(name) else { return Vec::new() };
        let Some(elements) = entry.elements() else {
            self.wrong_type(&entry, "a list of dates", &example(self.shape(name)));
            return Vec::new();
        };
        if elements.is_empty() {
            let hint = format!("write at least one date, or leave `{name}` out");
            self.add(Diagnostic::error(codes::RAMP_EMPTY, &entry.span, format!("`{name}` has no entry"), hint));
        }
        if self.too_many(&entry, elements.len()) {
            return Vec::new();
        }
        let mut first = BTreeMap::new();
        for (at, element) in elements.iter().filter_map(|element| self.date_of(element).map(|at| (at, element))) {
            if let Some(earlier) = first.get(&at) {
                let problem = Diagnostic::error(codes::TWICE, &element.span, format!("`{name}` has this date twice"), "leave one out");
                self.add(problem.related(earlier, "first here"));
            } else {
                first.insert(at, element.span.clone());
            }
        }
        first.into_keys().collect()
    }

    fn date_of(&self, entry: &Entry<'_>) -> Option<Instant> {
        let (civil, instant) = self.civil_of(entry)?;
        let instant = instant.or_else(|| self.zone.to_ambiguous_timestamp(civil).compatible().ok().map(Instant::from));
        if instant.is_none() {
            let message = format!("`{}` is too far away", entry.name());
            self.add(Diagnostic::error(codes::DATE, &entry.span, message, "write a date from the year 1 to 9999"));
        }
        instant
    }

    /// The span between two dates, both of which must be there.
    pub(crate) fn span_between(&self, from: &str, to: &str) -> Option<Span> {
        let (start, end) = (self.date(from), self.date(to));
        self.check_span(Span { from: start?, to: end? }, from, to)
    }

    /// A span that stands behind the keys `from` and `to`, unless it is empty.
    pub(crate) fn check_span(&self, span: Span, from: &str, to: &str) -> Option<Span> {
        if span.is_empty() {
            let message = format!("`{to}` is not after `{from}`");
            let hint = format!("`{to}` is the first instant that no longer belongs to it: put it after `{from}`");
            self.add(Diagnostic::error(codes::ENDS_FIRST, &self.span(to), message, hint).related(&self.span(from), "it starts here"));
            return None;
        }
        Some(span)
    }

    /// A civil time, with the instant when it has an offset.
    fn civil_of(&self, entry: &Entry<'_>) -> Option<(civil::DateTime, Option<Instant>)> {
        let DeValue::Datetime(written) = entry.value else {
            let message = format!("`{}` should be a date, not {}", entry.name(), kind_of(entry.value));
            let hint = format!("write it without quotes, as in `{} = 2026-01-01`", entry.name());
            self.add(Diagnostic::error(codes::DATE, &entry.span, message, hint));
            return None;
        };
        let read = from_toml(written);
        if read.is_none() {
            let message = format!("`{}` is no date with a day", entry.name());
            let hint = format!("write a date, as in `{} = 2026-01-01`, or a date and time", entry.name());
            self.add(Diagnostic::error(codes::DATE, &entry.span, message, hint));
        }
        read
    }

    /// The civil time in `zone` of a date that [`Self::date`] has already checked.
    pub(crate) fn civil_in(&self, name: &str, zone: &TimeZone) -> Option<civil::DateTime> {
        let DeValue::Datetime(written) = self.entry(name)?.value else { return None };
        let (civil, instant) = from_toml(written)?;
        Some(instant.map_or(civil, |instant| zone.to_datetime(instant.into())))
    }
}

fn from_toml(written: &Datetime) -> Option<(civil::DateTime, Option<Instant>)> {
    let date = written.date?;
    let [month, day] = [date.month, date.day].map(|part| i8::try_from(part).ok());
    let date = civil::Date::new(i16::try_from(date.year).ok()?, month?, day?).ok()?;
    let time = match written.time {
        None => civil::Time::midnight(),
        Some(time) => {
            let [hour, minute, second] = [time.hour, time.minute, time.second.unwrap_or(0)].map(|part| i8::try_from(part).ok());
            civil::Time::new(hour?, minute?, second?.min(59), i32::try_from(time.nanosecond.unwrap_or(0)).ok()?).ok()?
        }
    };
    let civil = date.to_datetime(time);
    let minutes = match written.offset {
        None => return Some((civil, None)),
        Some(Offset::Z) => 0,
        Some(Offset::Custom { minutes }) => minutes,
    };
    let utc = TimeZone::UTC.to_timestamp(civil).ok()?;
    let instant = utc.checked_sub(jiff::SignedDuration::from_mins(i64::from(minutes))).ok()?;
    Some((civil, Some(Instant::from(instant))))
}
