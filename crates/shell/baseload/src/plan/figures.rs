//! Figures as a CFO reads them: three digits that count, in the fleet file's units.

use jiff::tz::TimeZone;
use planner::{Plan, PlanMonth};
use units::{Money, Share};

/// A sum of money in short: `12.3 GUSD`.
pub fn money(sum: Money, currency: &str) -> String {
    format!("{}{currency}", scaled(units_of(sum)))
}

/// A number with three digits and the prefix of its thousand, and a space before what follows: `12.3 G`, `500 `.
pub fn scaled(value: f64) -> String {
    let size = value.abs();
    let prefixes = [(1e18, " E"), (1e15, " P"), (1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")];
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

/// What the sums of one screen are counted in, so that they compare at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// As a person reads it: `GUSD`.
    pub name: String,
    nanos: i128,
    tenths: bool,
}

impl Unit {
    /// The largest unit that the largest of these sums has ten of, with tenths as long as that takes no more than five digits.
    pub fn of(sums: impl IntoIterator<Item = Money>, currency: &str) -> Self {
        let most = sums.into_iter().map(|sum| sum.nanos().abs()).max().unwrap_or(0);
        let units = [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")].map(|(size, prefix)| (size * 1_000_000_000, prefix));
        let (nanos, prefix) = units.into_iter().find(|(nanos, _)| most >= 10 * nanos).unwrap_or((1_000_000_000, ""));
        Self { name: format!("{prefix}{currency}"), nanos, tenths: most < 1_000 * nanos }
    }

    /// A sum without the unit's name, rounded half to even; nothing is a dash.
    pub fn shown(&self, sum: Money) -> String {
        if sum == Money::ZERO {
            return "-".to_owned();
        }
        let per = if self.tenths { self.nanos / 10 } else { self.nanos };
        let count = units::round_half_even(sum.nanos(), per);
        let sign = if count < 0 { "-" } else { "" };
        let count = count.unsigned_abs();
        if self.tenths { format!("{sign}{}.{}", count / 10, count % 10) } else { format!("{sign}{count}") }
    }

    /// A sum with the unit's name: `135.0 GUSD`.
    pub fn whole(&self, sum: Money) -> String {
        let shown = if sum == Money::ZERO { "0".to_owned() } else { self.shown(sum) };
        format!("{shown} {}", self.name)
    }
}

/// A share in whole percent; nothing is a dash.
pub fn percent(share: Share) -> String {
    match units::round_half_even(i128::from(share.ppm()), 10_000) {
        _ if share == Share::NONE => "-".to_owned(),
        0 => "<1 %".to_owned(),
        percent => format!("{percent} %"),
    }
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
            (81_771e12, "81.8 P"),
            (2_313_591e12, "2.31 E"),
        ];
        for (value, expected) in cases {
            assert_eq!(scaled(value), expected, "{value}");
        }
        assert_eq!(money(Money::from_units(300_000_000_000), "USD"), "300 GUSD");
    }
    #[test]
    fn one_unit_fits_all_sums() {
        let check = |sums: &[i64], name: &str, expected: &[&str]| {
            let sums: Vec<Money> = sums.iter().map(|sum| Money::from_units(*sum)).collect();
            let unit = Unit::of(sums.iter().copied(), "EUR");
            let shown: Vec<String> = sums.iter().map(|sum| unit.shown(*sum)).collect();
            assert_eq!((unit.name.as_str(), shown), (name, expected.iter().map(|text| (*text).to_owned()).collect()));
        };
        check(&[300_000_000_000, -33_044_800_000, 72_600_000, 0, -1], "GEUR", &["300.0", "-33.0", "0.1", "-", "0.0"]);
        check(&[3_544_000_000, 89_500_001], "MEUR", &["3544", "90"]);
        check(&[1_682_000, 172_400], "kEUR", &["1682", "172"]);
        check(&[9], "EUR", &["9.0"]);
        assert_eq!(Unit::of([Money::from_units(12_000)], "EUR").whole(Money::from_units(1_500)), "1.5 kEUR");
    }

    #[test]
    fn a_little_is_not_nothing() {
        let cases = [(0, "-"), (4_999, "<1 %"), (5_001, "1 %"), (702_517, "70 %"), (1_000_000, "100 %")];
        for (ppm, expected) in cases {
            assert_eq!(percent(Share::from_ppm(ppm)), expected, "{ppm}");
        }
    }
}
