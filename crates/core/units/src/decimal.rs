//! Exact decimals as people write them, and the one rounding rule.

use core::fmt;

use crate::text::UnitError;

/// Divides `numerator` by `denominator`, rounding half to even: the only rounding of money and quantities.
///
/// # Panics
/// When `denominator` is not positive: every caller divides by a unit's size.
#[must_use]
#[inline]
pub fn round_half_even(numerator: i128, denominator: i128) -> i128 {
    assert!(denominator > 0, "a unit has a positive size");
    // Most amounts fit half the width, in which division is several times faster.
    match (i64::try_from(numerator), i64::try_from(denominator)) {
        (Ok(numerator), Ok(denominator)) => i128::from(narrow(numerator, denominator)),
        _ => wide(numerator, denominator),
    }
}

#[inline]
fn narrow(numerator: i64, denominator: i64) -> i64 {
    let (floor, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
    let up = match rest.cmp(&(denominator - rest)) {
        core::cmp::Ordering::Less => false,
        core::cmp::Ordering::Greater => true,
        core::cmp::Ordering::Equal => floor % 2 != 0,
    };
    floor + i64::from(up)
}

#[cold]
fn wide(numerator: i128, denominator: i128) -> i128 {
    let floor = numerator.div_euclid(denominator);
    let rest = numerator.rem_euclid(denominator);
    let up = match rest.cmp(&(denominator - rest)) {
        core::cmp::Ordering::Less => false,
        core::cmp::Ordering::Greater => true,
        core::cmp::Ordering::Equal => floor % 2 != 0,
    };
    floor + i128::from(up)
}

/// Digits after the point that a written number may have.
const SCALE_MAX: u32 = 18;
/// Digits that a written number may have in all, so that scaling it by any unit stays within `i128`.
const DIGITS_MAX: usize = 24;

/// An exact decimal number, `digits / 10^scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    digits: i128,
    scale: u32,
}

impl Decimal {
    /// Reads `-1`, `2.10`, `1_000` or `300,5`-free plain decimals; no exponent, no thousands comma.
    ///
    /// # Errors
    /// When the text is no such number, or has more digits than any figure of this field needs.
    pub fn parse(text: &str) -> Result<Self, UnitError> {
        let (negative, body) = match text.strip_prefix('-') {
            Some(body) => (true, body),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, part) = body.split_once('.').unwrap_or((body, ""));
        let mut digits: i128 = 0;
        let mut count = 0;
        let mut scale = 0;
        for (index, c) in whole.chars().chain(part.chars()).enumerate() {
            match c {
                '_' if index > 0 => continue,
                '0'..='9' => {
                    digits = digits * 10 + i128::from(c as u8 - b'0');
                    count += usize::from(digits > 0);
                    scale += u32::from(index >= whole.chars().count());
                }
                _ => return Err(UnitError::not_a_number(text)),
            }
            if count > DIGITS_MAX || scale > SCALE_MAX {
                return Err(UnitError::out_of_range(text));
            }
        }
        if whole.is_empty() || !whole.starts_with(|c: char| c.is_ascii_digit()) || (body.contains('.') && part.is_empty()) {
            return Err(UnitError::not_a_number(text));
        }
        Ok(Self { digits: if negative { -digits } else { digits }, scale })
    }

    /// The number times `factor`, rounded half to even; `None` past `i128`.
    #[must_use]
    pub fn times(self, factor: i128) -> Option<i128> {
        let scaled = self.digits.checked_mul(factor)?;
        Some(round_half_even(scaled, 10_i128.pow(self.scale)))
    }

    /// The number times `factor`, where that is whole; `None` where it isn't, and past `i128`.
    #[must_use]
    pub fn whole_times(self, factor: i128) -> Option<i128> {
        let (scaled, size) = (self.digits.checked_mul(factor)?, 10_i128.pow(self.scale));
        (scaled % size == 0).then_some(scaled / size)
    }

    /// Whether the number is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.digits < 0
    }
}

/// Writes `units / 10^scale` with as few digits after the point as are exact, but at least `least`.
pub(crate) fn write_scaled(f: &mut fmt::Formatter<'_>, units: i128, scale: u32, least: usize) -> fmt::Result {
    let size = 10_i128.pow(scale);
    let (sign, units) = if units < 0 { ("-", units.unsigned_abs()) } else { ("", units.unsigned_abs()) };
    let size = size.unsigned_abs();
    let part = format!("{:0width$}", units % size, width = scale as usize);
    let kept = part.trim_end_matches('0').len().max(least.min(scale as usize));
    let whole = units / size;
    if kept == 0 { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{}", &part[..kept]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_to_the_even_neighbour() {
        for (n, d, want) in [(1, 2, 0), (3, 2, 2), (5, 2, 2), (-1, 2, 0), (-3, 2, -2), (7, 3, 2), (-7, 3, -2), (8, 3, 3)] {
            assert_eq!(round_half_even(n, d), want, "{n}/{d}");
            assert_eq!(wide(n, d), want, "{n}/{d} in full width");
        }
    }

    #[test]
    fn reads_what_people_write_and_nothing_else() {
        assert_eq!(Decimal::parse("2.10").expect("a number").times(100), Some(210));
        assert_eq!(Decimal::parse("1_000").expect("a number").times(1), Some(1000));
        assert_eq!(Decimal::parse("-0.5").expect("a number").times(10), Some(-5));
        for bad in ["", "-", ".5", "5.", "1e9", "1,5", "0x1", "_1", "1.2.3", "NaN", "9999999999999999999999999"] {
            assert!(Decimal::parse(bad).is_err(), "{bad}");
        }
    }
}
