//! Figures as a CFO reads them: three digits that count, in the fleet file's units.

use jiff::tz::TimeZone;
use planner::{Plan, PlanMonth};
use units::Money;

/// A sum of money in short: `12.3 GUSD`.
pub fn money(sum: Money, currency: &str) -> String {
    format!("{}{currency}", scaled(units_of(sum)))
}

/// A number with three digits and the prefix of its thousand, and a space before what follows: `12.3 G`, `500 `.
pub fn scaled(value: f64) -> String {
    let size = value.abs();
    let prefixes = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")];
    let (unit, prefix) = prefixes.into_iter().find(|(unit, _)| size >= unit * 0.9995).unwrap_or((1.0, " "));
    let digits = value / unit;
    let shown = match digits.abs() {
        size if size >= 99.95 => format!("{digits:.0}"),
        size if size >= 9.995 => format!("{digits:.1}"),
        _ => format!("{digits:.2}"),
    };
    let shown = if shown.contains('.') { shown.trim_end_matches('0').trim_end_matches('.') } else { &shown };
    let shown = if shown == "-0" { "0" } else { shown };
    format!("{shown}{prefix}")
}

/// Units of the currency, for charts and three digits.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown of it")]
pub fn units_of(sum: Money) -> f64 {
    sum.nanos() as f64 / 1e9
}

/// A count for charts.
#[expect(clippy::cast_precision_loss, reason = "a chart shows three digits of it")]
pub fn rough(count: i64) -> f64 {
    count as f64
}

/// A month as `2027-03`.
pub fn month(month: &PlanMonth, zone: &TimeZone) -> String {
    let civil = zone.to_datetime(month.span.from.into());
    format!("{:04}-{:02}", civil.year(), civil.month())
}

/// Every month of a plan.
pub fn months(plan: &Plan, zone: &TimeZone) -> Vec<String> {
    plan.months.iter().map(|at| month(at, zone)).collect()
}

/// Hours of a month.
pub fn hours(month: &PlanMonth) -> f64 {
    month.span.length().as_secs_f64() / 3600.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count() {
        let cases = [
            (0.0, "0 "),
            (1.0, "1 "),
            (999.96, "1 k"),
            (12_345.0, "12.3 k"),
            (-115e9, "-115 G"),
            (1.5e6, "1.5 M"),
            (0.004, "0 "),
            (-0.001, "0 "),
            (99.96, "100 "),
        ];
        for (value, expected) in cases {
            assert_eq!(scaled(value), expected, "{value}");
        }
        assert_eq!(money(Money::from_units(300_000_000_000), "USD"), "300 GUSD");
    }
}
