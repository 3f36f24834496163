//! Shares of a whole, in parts per million.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::decimal::write_scaled;
use crate::money::Money;
use crate::text::{UnitError, scale};

/// A share in parts per million: `25 %` is 250,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Share(i64);

impl Share {
    /// Nothing of it.
    pub const NONE: Self = Self(0);
    /// All of it.
    pub const ALL: Self = Self(1_000_000);

    /// A share from parts per million.
    #[must_use]
    pub const fn from_ppm(ppm: i64) -> Self {
        Self(ppm)
    }

    /// The parts per million.
    #[must_use]
    pub const fn ppm(self) -> i64 {
        self.0
    }

    /// This share of an amount, rounded half to even.
    #[must_use]
    pub fn of(self, money: Money) -> Money {
        money.times_ratio(i128::from(self.0), 1_000_000)
    }
}

impl FromStr for Share {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        let ppm = scale(text, &[("%", 10_000)], "a share, such as \"25 %\"")?;
        let ppm = i64::try_from(ppm).ok().filter(|ppm| ppm.abs() <= 1_000_000_000);
        ppm.map(Self).ok_or_else(|| UnitError::out_of_range(text))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_scaled(f, i128::from(self.0), 4, 0)?;
        f.write_str(" %")
    }
}
