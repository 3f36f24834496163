//! Exact numbers as invoices write them: they are rounded once, when all of them are added up.

use std::cmp::Ordering;
use std::ops::AddAssign;

use units::Scientific;

use super::NANOS;

/// So many of the finest part are a billionth.
const FINE: i128 = 1_000_000_000_000_000_000;
/// Digits after the point that are kept, and of a billionth.
const PLACES_MAX: i32 = 27;
const NANO_PLACES: i32 = 9;
/// No number of an invoice is larger, in billionths: a million of them add up within the width.
const NANOS_MAX: i128 = 1_000_000_000_000_000_000_000_000_000_000;

/// An exact decimal number with 27 digits after the point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exact {
    nanos: i128,
    /// What there is beyond whole billionths, of either sign.
    fine: i128,
}

impl Exact {
    /// Reads what [`Scientific::parse`] does; nothing for what is too large or too fine to be kept.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let number = Scientific::parse(text)?;
        let ten = |power: i32| 10_i128.checked_pow(u32::try_from(power).ok()?);
        let exact = if number.count == 0 || number.places <= NANO_PLACES {
            Self { nanos: number.in_units_of(NANO_PLACES)?, fine: 0 }
        } else if number.places <= PLACES_MAX {
            let size = ten(number.places - NANO_PLACES)?;
            Self { nanos: number.count / size, fine: number.count % size * ten(PLACES_MAX - number.places)? }
        } else {
            return None;
        };
        (exact.nanos.abs() < NANOS_MAX).then_some(exact)
    }

    /// So many times as much; nothing where that is too large.
    pub(super) fn times(self, factor: i64) -> Option<Self> {
        let (nanos, fine) = (self.nanos.checked_mul(factor.into())?, self.fine * i128::from(factor));
        let nanos = nanos.checked_add(fine / FINE)?;
        (nanos.abs() < NANOS_MAX).then_some(Self { nanos, fine: fine % FINE })
    }

    /// Rounded half to even to billionths.
    pub(super) fn to_nanos(self) -> i128 {
        self.to(1)
    }

    /// Rounded half to even to whole ones; nothing where that is too large.
    pub(super) fn to_whole(self) -> Option<i64> {
        i64::try_from(self.to(NANOS)).ok()
    }

    /// Rounded half to even to multiples of so many billionths.
    fn to(self, size: i128) -> i128 {
        let nanos = self.nanos + self.fine.div_euclid(FINE);
        let (floor, rest) = (nanos.div_euclid(size), (nanos.rem_euclid(size), self.fine.rem_euclid(FINE)));
        let half = if size == 1 { (0, FINE / 2) } else { (size / 2, 0) };
        let up = match rest.cmp(&half) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => floor % 2 != 0,
        };
        floor + i128::from(up)
    }
}

impl AddAssign for Exact {
    fn add_assign(&mut self, other: Self) {
        self.nanos += other.nanos;
        self.fine += other.fine;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What some numbers come to, in billionths and in whole ones.
    fn sum(texts: &[&str]) -> (i128, Option<i64>) {
        let mut sum = Exact::default();
        texts.iter().for_each(|text| sum += Exact::parse(text).expect("a number"));
        (sum.to_nanos(), sum.to_whole())
    }

    #[test]
    fn numbers_are_rounded_once_when_they_are_added_up() {
        for (texts, nanos, whole) in [
            (&["1.5"][..], 1_500_000_000, 2),
            (&["+.5"], 500_000_000, 0),
            (&["-0.000000001"], -1, 0),
            (&["7", "1.6e-7", "-2E+3"], -1_992_999_999_840, -1_993),
            (&["0.0000000005"], 0, 0),
            (&["0.0000000015"], 2, 0),
            (&["-0.0000000005"], 0, 0),
            (&["0.0000000005", "0.000000000000000000000000001"], 1, 0),
            (&["0.0000000004", "0.0000000004"], 1, 0),
            (&["0.30000000000000004", "0.2", "-0.00000000000000004"], 500_000_000, 0),
            (&["2.5", "0.000000000000000000000000001"], 2_500_000_000, 3),
            (&["2.5", "-0.000000000000000000000000001"], 2_500_000_000, 2),
            (&["0e99", "3.000"], 3_000_000_000, 3),
        ] {
            assert_eq!(sum(texts), (nanos, Some(whole)), "{texts:?}");
        }
        assert_eq!(sum(&["1e20"]).1, None, "more than any meter counts");
        for text in
            ["", "-", ".", "1,5", "1e", "1e-28", "1e22", "1e2147483648", "1e-2147483648", "1.2.3", "NaN", "0x10", "9".repeat(60).as_str()]
        {
            assert_eq!(Exact::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_multiple_is_exact() {
        let third = Exact::parse("0.333333333333333333333333333").expect("a number");
        assert_eq!(third.times(3_000_000).map(Exact::to_nanos), Some(1_000_000 * NANOS));
        assert_eq!(third.times(-3).map(Exact::to_whole), Some(Some(-1)));
        assert_eq!(Exact::parse("1e20").and_then(|number| number.times(1_000)), None);
    }
}
