//! Exact decimals as bills and configs write them, exponents included.

use core::fmt;

use units::Scientific;

/// Digits after the point that are kept: those of a 64-bit float near a billionth, which bills print.
const SCALE: i32 = 24;
/// One, in units of 10^-24.
const ONE: i128 = 1_000_000_000_000_000_000_000_000;

/// An exact decimal number with 24 digits after the point, up to some 170 trillion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact(i128);

impl Exact {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// A whole number.
    pub(crate) fn of(number: i32) -> Self {
        Self(i128::from(number) * ONE)
    }

    /// Reads what [`Scientific::parse`] does, spaces around it aside; `None` for what is none, too large or too fine to be kept exactly.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Scientific::parse(text.trim())?.in_units_of(SCALE).map(Self)
    }

    /// The sum; `None` when it is too large.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference; `None` when it is too large.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The number times a whole one; `None` when it is too large.
    pub(crate) fn times(self, factor: i64) -> Option<Self> {
        self.0.checked_mul(i128::from(factor)).map(Self)
    }

    /// The product, rounded half to even to the last digit kept; `None` when it is too large.
    pub(crate) fn by(self, other: Self) -> Option<Self> {
        let negative = (self.0 < 0) != (other.0 < 0);
        let (a, b) = (self.0.unsigned_abs(), other.0.unsigned_abs());
        let one = ONE.unsigned_abs();
        // (a1 + a2/one) x (b1 + b2/one), the last product by halves of its digits so that nothing is lost but by one rounding.
        let (a1, a2, b1, b2) = (a / one, a % one, b / one, b % one);
        let whole = a1.checked_mul(b1)?.checked_mul(one)?;
        let cross = a1.checked_mul(b2)?.checked_add(a2.checked_mul(b1)?)?;
        let half = 1_000_000_000_000_u128;
        let (a3, a4, b3, b4) = (a2 / half, a2 % half, b2 / half, b2 % half);
        // a2 x b2 = a3 b3 x 10^24 + (a3 b4 + a4 b3) x 10^12 + a4 b4, over 10^24.
        let middle = a3 * b4 + a4 * b3 + a4 * b4 / half;
        let (rest, below) = (middle % half, a4 * b4 % half);
        let fine = a3 * b3 + middle / half;
        let over = (rest, below).cmp(&(half / 2, 0));
        let all = whole.checked_add(cross)?.checked_add(fine)?;
        let all = all.checked_add(u128::from(over.is_gt() || (over.is_eq() && all % 2 == 1)))?;
        let all = i128::try_from(all).ok()?;
        Some(Self(if negative { -all } else { all }))
    }

    /// The quotient with nine digits after the point, towards zero; `None` by zero or when it is too large.
    pub(crate) fn over(self, other: Self) -> Option<Self> {
        let negative = (self.0 < 0) != (other.0 < 0);
        let (mut rest, mut by) = (self.0.unsigned_abs(), other.0.unsigned_abs());
        // Only the last digits of a very large divisor go, far below the nine that are kept.
        while by > u128::MAX / 20 {
            (rest, by) = (rest / 10, by / 10);
        }
        let mut found = i128::try_from(rest.checked_div(by)?).ok()?;
        rest %= by;
        for _ in 0..9 {
            rest *= 10;
            found = found.checked_mul(10)?.checked_add(i128::try_from(rest / by).ok()?)?;
            rest %= by;
        }
        let scaled = found.checked_mul(ONE / 1_000_000_000)?;
        Some(Self(if negative { -scaled } else { scaled }))
    }

    /// Rounded half to even to nine digits after the point, which is what a fleet file's money keeps.
    pub(crate) fn to_nanos(self) -> Self {
        let nano = ONE / 1_000_000_000;
        Self(units::round_half_even(self.0, nano) * nano)
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// The number, when it is whole.
    pub(crate) fn whole(self) -> Option<i64> {
        (self.0 % ONE == 0).then(|| i64::try_from(self.0 / ONE).ok()).flatten()
    }
}

impl fmt::Display for Exact {
    /// Plain digits, as many after the point as are exact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.unsigned_abs();
        let (whole, part) = (size / ONE.unsigned_abs(), size % ONE.unsigned_abs());
        if self.0 < 0 {
            f.write_str("-")?;
        }
        write!(f, "{whole}")?;
        if part == 0 {
            return Ok(());
        }
        let digits = format!("{part:024}");
        write!(f, ".{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Exact;

    fn number(text: &str) -> Exact {
        Exact::parse(text).expect("a number")
    }

    #[test]
    fn numbers_read_and_print() {
        for (text, shown) in [
            ("12.50", "12.5"),
            ("1.6e-7", "0.00000016"),
            ("-2E+3", "-2000"),
            (".5", "0.5"),
            ("1e-24", "0.000000000000000000000001"),
            ("0e99", "0"),
        ] {
            assert_eq!(number(text).to_string(), shown);
        }
        for text in ["", "-", ".", "1,5", "1e", "1e-25", "1e15", "1.2.3", "NaN", "0x10", "9".repeat(60).as_str()] {
            assert_eq!(Exact::parse(text), None, "{text}");
        }
    }

    #[test]
    fn products_and_quotients_are_those_by_hand() {
        assert_eq!(number("1234567.89").by(number("0.000002")), Some(number("2.46913578")));
        assert_eq!(number("-3").by(number("1e-24")), Some(number("-3e-24")));
        // 0.5 x 10^-24 lies halfway: to even.
        assert_eq!(number("0.5").by(number("1e-24")), Some(Exact::ZERO));
        assert_eq!(number("1.5").by(number("1e-24")), Some(number("2e-24")));
        assert_eq!(number("10").over(number("4")), Some(number("2.5")));
        assert_eq!(number("-1").over(number("3")), Some(number("-0.333333333")));
        assert_eq!(number("100000000000000").over(number("170000000000000")), Some(number("0.588235294")));
        assert_eq!(number("1").over(Exact::ZERO), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_is_printed_reads_back(units in any::<i128>()) {
            let one = Exact(units / 2);
            prop_assert_eq!(Exact::parse(&one.to_string()), Some(one));
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.eE]{0,40}", other in "[-+0-9.eE]{0,40}") {
            if let (Some(a), Some(b)) = (Exact::parse(&text), Exact::parse(&other)) {
                let _all = (a.by(b), a.over(b), a.plus(b), a.minus(b), a.to_nanos(), a.times(1_000_000));
            }
        }
    }
}
