//! Integer quantities of what suppliers count.

use core::fmt;
use core::iter::Sum;
use core::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use serde::{Deserialize, Serialize};

/// The base unit in which a meter counts; quantities are whole numbers of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MeterUnit {
    /// One token.
    Token,
    /// One accelerator for one millisecond.
    AcceleratorMs,
    /// One provisioned unit for one millisecond.
    UnitMs,
    /// One joule (a watt-second).
    Joule,
    /// One byte.
    Byte,
}

impl MeterUnit {
    /// The unit that people read, with its size in base units.
    #[must_use]
    pub const fn shown(self) -> (&'static str, i64) {
        match self {
            Self::Token => ("tokens", 1),
            Self::AcceleratorMs => ("accelerator-hours", 3_600_000),
            Self::UnitMs => ("unit-hours", 3_600_000),
            Self::Joule => ("kWh", 3_600_000),
            Self::Byte => ("GB", 1_000_000_000),
        }
    }
}

/// A whole number of a meter's base unit; below zero only in corrections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Quantity(i64);

impl Quantity {
    /// None of it.
    pub const ZERO: Self = Self(0);

    /// A quantity of `count` base units.
    #[must_use]
    pub const fn new(count: i64) -> Self {
        Self(count)
    }

    /// How many base units.
    #[must_use]
    pub const fn count(self) -> i64 {
        self.0
    }

    /// The quantity printed in the unit that people read: `1.5 accelerator-hours`.
    #[must_use]
    pub fn shown(self, unit: MeterUnit) -> String {
        let (name, size) = unit.shown();
        if size == 1 {
            return format!("{} {name}", self.0);
        }
        let milli = crate::round_half_even(i128::from(self.0) * 1000, i128::from(size));
        format!("{}{}.{:03} {name}", if milli < 0 { "-" } else { "" }, milli.abs() / 1000, milli.abs() % 1000)
    }
}

impl Add for Quantity {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Quantity {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl SubAssign for Quantity {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Neg for Quantity {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(quantities: I) -> Self {
        quantities.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
