//! Dates, in the zone of what they stand in.

use jiff::civil;
use jiff::tz::TimeZone;
use toml::de::DeValue;
use toml::value::{Datetime, Offset};
use units::Instant;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::reader::Reader;
use crate::reader::entry::kind_of;

impl Reader<'_> {
    /// An instant; a date without an offset is in this reader's zone.
    pub(crate) fn date(&self, name: &str) -> Option<Instant> {
        let (civil, instant) = self.civil(name)?;
        let instant = instant.or_else(|| self.zone.to_ambiguous_timestamp(civil).compatible().ok().map(Instant::from));
        if instant.is_none() {
            let message = format!("`{name}` is too far away");
            self.add(Diagnostic::error(codes::DATE, &self.span(name), message, "write a date from the year 1 to 9999"));
        }
        instant
    }

    /// A civil time, with the instant when it has an offset.
    pub(crate) fn civil(&self, name: &str) -> Option<(civil::DateTime, Option<Instant>)> {
        let entry = self.entry(name)?;
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
