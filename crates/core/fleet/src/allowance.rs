//! What an account (a key, a team, the fleet) may take: requests and tokens a minute, and money a calendar period.

use core::fmt;
use core::str::FromStr;

use jiff::civil::date;
use jiff::tz::TimeZone;
use units::{Amount, Decimal, Money, UnitError};

use crate::calendar::{Calendar, Period};
use crate::figure::{AmountPer, Figure, period_name};

/// So many in any minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PerMinute(i64);

impl PerMinute {
    /// The most that a minute may have: more is no limit.
    pub const MAX: i64 = 1_000_000_000_000;

    /// So many in any minute, from 1 to [`Self::MAX`].
    #[must_use]
    pub fn new(count: i64) -> Option<Self> {
        (1..=Self::MAX).contains(&count).then_some(Self(count))
    }

    /// How many.
    #[must_use]
    pub const fn count(self) -> i64 {
        self.0
    }
}

const PER_MINUTE: &str = "a rate, such as \"600/min\" or \"1M/min\"";
const FACTORS: [(&str, i128); 4] = [("", 1), ("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000)];

impl FromStr for PerMinute {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError::WrongUnit { text: text.to_owned(), expected: PER_MINUTE };
        let (count, per) = text.split_once('/').ok_or_else(wrong)?;
        let (count, factor) = (count.trim(), count.trim().trim_start_matches(|c: char| c.is_ascii_digit() || "+-._".contains(c)));
        let number = count.strip_suffix(factor).unwrap_or(count);
        let size = FACTORS.iter().find(|(name, _)| *name == factor.trim()).map(|(_, size)| *size);
        let size = size.filter(|_| matches!(per.trim(), "min" | "minute")).ok_or_else(wrong)?;
        let count = Decimal::parse(number).map_err(|_| wrong())?.whole_times(size);
        let count = count.and_then(|count| i64::try_from(count).ok()).and_then(Self::new);
        count.ok_or_else(|| UnitError::OutOfRange { text: text.to_owned() })
    }
}

impl fmt::Display for PerMinute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/min", self.0)
    }
}

/// Money that may be spent in each calendar period: a day, a week from Monday, a month, a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How much.
    pub amount: Amount,
    /// In each of which periods.
    pub per: Period,
}

impl Budget {
    /// Whole units of the currency that a period may have at most: balances are counted in nano-units of 64 bits.
    pub const UNITS_MAX: i64 = 9_000_000_000;

    /// The calendar of its periods in this time zone.
    #[must_use]
    pub fn calendar(&self, zone: &TimeZone) -> Calendar {
        // The first of this January was a Monday, so that weeks, months and years all begin there.
        Calendar::new(zone.clone(), date(2024, 1, 1).at(0, 0, 0, 0), self.per)
    }
}

const BUDGET: &str = "money per day, week, month or year, such as \"50 USD/month\"";
const PERIODS: [Period; 4] = [Period::Days(1), Period::Days(7), Period::Months(1), Period::Months(12)];

impl FromStr for Budget {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError::WrongUnit { text: text.to_owned(), expected: BUDGET };
        let AmountPer { amount, per } = AmountPer::read(text).map_err(|error| match error {
            UnitError::OutOfRange { .. } => error,
            UnitError::NotANumber { .. } | UnitError::WrongUnit { .. } => wrong(),
        })?;
        let per = per.filter(|per| PERIODS.contains(per)).ok_or_else(wrong)?;
        if amount.money < Money::ZERO || amount.money > Money::from_units(Self::UNITS_MAX) {
            return Err(UnitError::OutOfRange { text: text.to_owned() });
        }
        Ok(Self { amount, per })
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.amount, period_name(self.per))
    }
}

impl Figure for PerMinute {
    fn read(text: &str) -> Result<Self, UnitError> {
        text.parse()
    }
    fn size(&self) -> i128 {
        i128::from(self.0)
    }
}

impl Figure for Budget {
    fn read(text: &str) -> Result<Self, UnitError> {
        text.parse()
    }
    fn size(&self) -> i128 {
        self.amount.money.nanos()
    }
}

/// What an account may take; what is not stated has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// Inference calls.
    pub requests: Option<PerMinute>,
    /// Input and output tokens.
    pub tokens: Option<PerMinute>,
    /// Money, as the list costs of requests come to.
    pub budget: Option<Budget>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use units::Instant;

    #[test]
    fn rates_and_budgets_are_read_and_written_back() {
        for (text, count) in [("600/min", 600), ("1M/min", 1_000_000), ("1.5 k / minute", 1_500), ("2G/min", 2_000_000_000)] {
            assert_eq!(text.parse::<PerMinute>().map(PerMinute::count), Ok(count), "{text}");
        }
        for text in ["600", "600/s", "x/min", "0/min", "-1/min", "1.5/min", "1T/min", "1000000G/min", "/min", ""] {
            assert!(text.parse::<PerMinute>().is_err(), "{text}");
        }
        for text in ["50.00 USD/month", "1000000.00 EUR/year", "0.05 USD/day", "3.00 USD/week"] {
            assert_eq!(text.parse::<Budget>().map(|budget| budget.to_string()), Ok(text.to_owned()));
        }
        for text in ["50 USD", "50/month", "50 USD/hour", "50 USD/quarter", "-1 USD/day", "10 GUSD/day", "USD/month"] {
            assert!(text.parse::<Budget>().is_err(), "{text}");
        }
    }

    #[test]
    fn periods_are_those_of_the_calendar() {
        let at = Instant::from("2026-11-22T12:00:00Z".parse::<jiff::Timestamp>().expect("a time"));
        let paris = TimeZone::get("Europe/Paris").expect("bundled");
        for (per, want) in [
            ("day", "2026-11-21T23:00:00Z"),
            ("week", "2026-11-15T23:00:00Z"),
            ("month", "2026-10-31T23:00:00Z"),
            ("year", "2025-12-31T23:00:00Z"),
        ] {
            let budget: Budget = format!("1 USD/{per}").parse().expect("a budget");
            let calendar = budget.calendar(&paris);
            assert_eq!(calendar.span(calendar.index(at)).from.to_string(), want, "{per}");
        }
    }
}
