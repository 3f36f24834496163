//! Prices per meter, as the exact fractions that contracts state.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::money::{Amount, Currency, Money};
use crate::quantity::{MeterUnit, Quantity};
use crate::round_half_even;
use crate::share::Share;
use crate::text::{UnitError, split_figure};

/// Money per a number of base units: `2.10 USD` per `3,600,000 accelerator-ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rate {
    /// The price of `per` base units.
    pub money: Money,
    /// How many base units that price buys; above zero.
    pub per: i64,
}

impl Rate {
    /// Nothing, for any quantity.
    pub const FREE: Self = Self { money: Money::ZERO, per: 1 };

    /// What `used` costs, rounded half to even to a nano-unit: the only place where a price rounds.
    #[must_use]
    pub fn cost(self, used: Quantity) -> Money {
        let (count, per) = (i128::from(used.count()), i128::from(self.per));
        let whole = self.money.nanos().saturating_mul(count.div_euclid(per));
        let part = round_half_even(self.money.nanos().saturating_mul(count.rem_euclid(per)), per);
        Money::from_nanos(whole.saturating_add(part))
    }

    /// This rate raised by `share`, exactly to a nano-unit of the price.
    #[must_use]
    pub fn raised(self, share: Share) -> Self {
        Self { money: self.money + share.of(self.money), per: self.per }
    }
}

const RATE: &str = "a price per unit, such as \"2.10 USD/accelerator-hour\" or \"0.15 USD/1M tokens\"";

/// The units a price may be per: name, base unit, base units in one.
const PER: &[(&str, MeterUnit, i64)] = &[
    ("token", MeterUnit::Token, 1),
    ("1k tokens", MeterUnit::Token, 1_000),
    ("1M tokens", MeterUnit::Token, 1_000_000),
    ("Mtoken", MeterUnit::Token, 1_000_000),
    ("accelerator-hour", MeterUnit::AcceleratorMs, 3_600_000),
    ("accelerator-minute", MeterUnit::AcceleratorMs, 60_000),
    ("accelerator-second", MeterUnit::AcceleratorMs, 1_000),
    ("unit-hour", MeterUnit::UnitMs, 3_600_000),
    ("unit-minute", MeterUnit::UnitMs, 60_000),
    ("kWh", MeterUnit::Joule, 3_600_000),
    ("MWh", MeterUnit::Joule, 3_600_000_000),
    ("GB", MeterUnit::Byte, 1_000_000_000),
    ("TB", MeterUnit::Byte, 1_000_000_000_000),
];

/// A rate as it is written: with its currency and the base unit it is per.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitRate {
    /// The price.
    pub rate: Rate,
    /// In which currency.
    pub currency: Currency,
    /// Per which base unit.
    pub unit: MeterUnit,
}

impl FromStr for UnitRate {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError::wrong_unit(text, RATE);
        let (amount, per) = text.split_once('/').ok_or_else(wrong)?;
        let (number, unit) = split_figure(amount)?;
        let amount = Amount::from_parts(text, number, unit).map_err(|error| match error {
            UnitError::WrongUnit { .. } => wrong(),
            other => other,
        })?;
        let per = per.trim();
        let (_, unit, size) = PER.iter().find(|(name, ..)| *name == per).ok_or_else(wrong)?;
        if amount.money < Money::ZERO || amount.money > Money::from_units(1_000_000_000) {
            return Err(UnitError::out_of_range(text));
        }
        Ok(Self { rate: Rate { money: amount.money, per: *size }, currency: amount.currency, unit: *unit })
    }
}

impl fmt::Display for UnitRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = PER.iter().find(|(_, unit, size)| *unit == self.unit && *size == self.rate.per).map_or("unit", |(name, ..)| name);
        write!(f, "{} {}/{name}", self.rate.money, self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_cost_and_print() {
        let hour: UnitRate = "2.10 USD/accelerator-hour".parse().expect("a rate");
        assert_eq!(hour.rate.cost(Quantity::new(5_400_000)).to_string(), "3.15");
        let tokens: UnitRate = "0.15 USD/1M tokens".parse().expect("a rate");
        assert_eq!(tokens.rate.cost(Quantity::new(1)), Money::from_nanos(150));
        assert_eq!(tokens.to_string(), "0.15 USD/1M tokens");
        for bad in ["2.10 USD", "2.10/accelerator-hour", "2.10 USD/gpu", "-1 USD/token", "x USD/token"] {
            assert!(bad.parse::<UnitRate>().is_err(), "{bad}");
        }
    }

    #[test]
    fn costs_add_up_to_within_one_rounding() {
        let rate = Rate { money: Money::from_nanos(1), per: 3 };
        assert_eq!(rate.cost(Quantity::new(3)), Money::from_nanos(1));
        assert_eq!(rate.cost(Quantity::new(-3)), Money::from_nanos(-1));
    }
}
