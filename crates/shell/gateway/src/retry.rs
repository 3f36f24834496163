//! When an upstream that is busy says to come back.

use std::time::Duration;

use hyper::header::{DATE, HeaderMap, RETRY_AFTER};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use serde_json::Value;
use units::Instant;

/// When an upstream says to come back, in milliseconds from `now`: `retry-after-ms`, else `retry-after` in seconds or as a date; zero when
/// it says nothing that can be read. A date is taken against the answer's own `date`, as its clock need not be ours.
pub(crate) fn retry_after_ms(head: &HeaderMap, now: Instant) -> u32 {
    let text = |name: &str| head.get(name)?.to_str().ok().map(str::trim);
    let number = |name: &str, per_second: f64| seconds(text(name)?, per_second);
    let until = || {
        let from = text(DATE.as_str()).and_then(date).unwrap_or_else(|| now.into());
        Duration::try_from(date(text(RETRY_AFTER.as_str())?)? - from).ok()
    };
    let wait = number("retry-after-ms", 1_000.0).or_else(|| number(RETRY_AFTER.as_str(), 1.0)).or_else(until);
    wait.map_or(0, millis)
}

/// When the body of an error says to come back, in milliseconds; zero when it doesn't. Google says it there and in no header.
pub(crate) fn said_ms(body: &[u8]) -> u32 {
    let said = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let error = if said.is_array() { &said[0]["error"] } else { &said["error"] };
    let details = error["details"].as_array().into_iter().flatten();
    let of_retries = details.filter(|detail| detail["@type"] == "type.googleapis.com/google.rpc.RetryInfo");
    let wait = of_retries.filter_map(|detail| seconds(detail["retryDelay"].as_str()?.strip_suffix('s')?, 1.0)).max();
    wait.map_or(0, millis)
}

/// A time as a number of which a second has so many.
fn seconds(number: &str, per_second: f64) -> Option<Duration> {
    let seconds = number.parse::<f64>().ok()? / per_second;
    // What is too long for a duration is still a wait; what is below zero or no number is none.
    (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

fn millis(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis()).unwrap_or(u32::MAX)
}

/// A date in any of the three forms that HTTP knows.
fn date(text: &str) -> Option<Timestamp> {
    let obsolete = || {
        let utc = |date: DateTime| date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
        let forms = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
        forms.into_iter().find_map(|form| DateTime::strptime(form, text).ok()).and_then(utc)
    };
    rfc2822::parse(text).ok().map(|zoned| zoned.timestamp()).or_else(obsolete)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_say_when_is_read() {
        let now = Instant::from("2026-11-22T12:00:00Z".parse::<Timestamp>().expect("a time"));
        let check = |fields: &[(&'static str, &str)], want: u32| {
            let mut head = HeaderMap::new();
            for (name, value) in fields {
                head.insert(*name, value.parse().expect("a header's value"));
            }
            assert_eq!(retry_after_ms(&head, now), want, "{fields:?}");
        };
        check(&[], 0);
        check(&[("retry-after", "7")], 7_000);
        check(&[("retry-after", " 0.5 ")], 500);
        check(&[("retry-after-ms", "250"), ("retry-after", "7")], 250);
        check(&[("retry-after-ms", "soon"), ("retry-after", "7")], 7_000);
        check(&[("retry-after", "Sun, 22 Nov 2026 12:00:30 GMT")], 30_000);
        check(&[("retry-after", "Sunday, 22-Nov-26 12:00:30 GMT")], 30_000);
        check(&[("retry-after", "Sun Nov 22 12:00:30 2026")], 30_000);
        check(&[("retry-after", "Sun, 22 Nov 2026 09:00:05 GMT"), ("date", "Sun, 22 Nov 2026 09:00:00 GMT")], 5_000);
        for nothing in ["Sun, 22 Nov 2026 11:00:00 GMT", "-5", "NaN", "later", "", "99999999999999999999"] {
            check(&[("retry-after", nothing)], if nothing.starts_with('9') { u32::MAX } else { 0 });
        }
    }

    #[test]
    fn google_says_it_in_the_body() {
        let check = |body: &str, want: u32| assert_eq!(said_ms(body.as_bytes()), want, "{body}");
        let said = |delay: &str| {
            let info = format!(r#"{{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":{delay}}}"#);
            format!(r#"{{"error":{{"code":429,"details":[{{"@type":"type.googleapis.com/google.rpc.QuotaFailure"}},{info}]}}}}"#)
        };
        check(&said("\"45.8s\""), 45_800);
        check(&format!("[{}]", said("\"7s\"")), 7_000);
        for nothing in ["\"7\"", "7", "\"-1s\"", "\"NaNs\"", "\"s\"", "null"] {
            check(&said(nothing), 0);
        }
        for nothing in ["", "<html>", "[]", "{}", r#"{"error":{"details":{}}}"#, r#"{"error":{"details":[{"retryDelay":"7s"}]}}"#] {
            check(nothing, 0);
        }
    }
}
