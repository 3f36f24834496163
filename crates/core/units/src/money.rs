//! Exact money, and the currencies it is in.

use core::fmt;
use core::iter::Sum;
use core::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::decimal::{Decimal, write_scaled};
use crate::text::{UnitError, split_figure};

/// Nano-units in one unit of any currency.
pub(crate) const NANOS: i128 = 1_000_000_000;

/// Exact money in nano-units of one currency, which the contract or an [`Amount`] names. Never a float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Money(i128);

impl Money {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// Money from a count of nano-units.
    #[must_use]
    pub const fn from_nanos(nanos: i128) -> Self {
        Self(nanos)
    }

    /// Money from whole units of the currency.
    #[must_use]
    pub const fn from_units(units: i64) -> Self {
        Self(units as i128 * NANOS)
    }

    /// The count of nano-units.
    #[must_use]
    pub const fn nanos(self) -> i128 {
        self.0
    }

    /// The larger of this and zero.
    #[must_use]
    pub fn at_least_zero(self) -> Self {
        self.max(Self::ZERO)
    }

    /// This times `numerator / denominator`, rounded half to even.
    ///
    /// # Panics
    /// When `denominator` is not positive, or the product is past `i128`.
    #[must_use]
    pub fn times_ratio(self, numerator: i128, denominator: i128) -> Self {
        if let Some(product) = self.0.checked_mul(numerator) {
            return Self(crate::round_half_even(product, denominator));
        }
        let divisor = i128::try_from(gcd(numerator.unsigned_abs(), denominator.unsigned_abs()).max(1)).unwrap_or(1);
        let product = self.0.checked_mul(numerator / divisor);
        Self(crate::round_half_even(product.expect("amounts and ratios are bounded where they are read"), denominator / divisor))
    }
}

/// The greatest common divisor, by Euclid.
pub(crate) const fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, self.0, 9, 2)
    }
}

/// A currency by its three-letter code (ISO 4217).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Currency([u8; 3]);

impl Currency {
    /// The United States dollar.
    pub const USD: Self = Self(*b"USD");

    /// The three letters.
    #[must_use]
    pub fn code(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl FromStr for Currency {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        match text.as_bytes() {
            [a, b, c] if text.bytes().all(|l| l.is_ascii_uppercase()) => Ok(Self([*a, *b, *c])),
            _ => Err(UnitError::wrong_unit(text, "a currency code of three capital letters, such as USD")),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

const AMOUNT: &str = "an amount of money, such as \"30 GUSD\" or \"12.50 EUR\"";

/// Money with its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Amount {
    /// How much.
    pub money: Money,
    /// Of which currency.
    pub currency: Currency,
}

impl Amount {
    /// Whole units that an amount may have at most: a thousand times the largest contract of the field.
    pub const UNITS_MAX: i128 = 1_000_000_000_000_000;

    /// Reads the number and the unit of `"30 GUSD"` given apart: the unit is a currency code, perhaps with k, M or G before it.
    pub(crate) fn from_parts(text: &str, number: Decimal, unit: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError::wrong_unit(text, AMOUNT);
        let (factor, code) = match (unit.len(), unit.as_bytes().first()) {
            (4, Some(b'k')) => (1_000, &unit[1..]),
            (4, Some(b'M')) => (1_000_000, &unit[1..]),
            (4, Some(b'G')) => (1_000_000_000, &unit[1..]),
            (3, _) => (1, unit),
            _ => return Err(wrong()),
        };
        let currency = code.parse().map_err(|_| wrong())?;
        let nanos = number.times(factor * NANOS).filter(|nanos| nanos.abs() <= Self::UNITS_MAX * NANOS);
        let nanos = nanos.ok_or_else(|| UnitError::out_of_range(text))?;
        Ok(Self { money: Money(nanos), currency })
    }
}

impl FromStr for Amount {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (number, unit) = split_figure(text)?;
        Self::from_parts(text, number, unit)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.money, self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_exactly_also_where_the_product_alone_would_not_fit() {
        let large = Money::from_units(i64::MAX);
        assert_eq!(large.times_ratio(1 << 80, 1 << 80), large);
        assert_eq!(Money::from_nanos(5).times_ratio(1, 2), Money::from_nanos(2));
        assert_eq!(Money::from_nanos(-7).times_ratio(3, 2), Money::from_nanos(-10));
    }

    #[test]
    fn amounts_read_and_print() {
        let cases = [("30 GUSD", "30000000000.00 USD"), ("0.000000001 USD", "0.000000001 USD"), ("-2.5 kEUR", "-2500.00 EUR")];
        for (text, want) in cases {
            assert_eq!(text.parse::<Amount>().expect("an amount").to_string(), want);
        }
        for bad in ["30", "30 dollars", "30 gusd", "GUSD", "30 TUSD", "9000000 GUSD", "1 €"] {
            assert!(bad.parse::<Amount>().is_err(), "{bad}");
        }
    }
}
