//! Power, energy, memory and arithmetic speed.

use core::fmt;
use core::ops::Mul;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::text::{UnitError, scale};

macro_rules! physical {
    ($(#[$doc:meta])* $name:ident, $units:expr, $expected:literal, $shown:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(i64);

        impl $name {
            /// From a count of the base unit.
            #[must_use]
            pub const fn new(count: i64) -> Self {
                Self(count)
            }

            /// The count of the base unit.
            #[must_use]
            pub const fn count(self) -> i64 {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = UnitError;
            fn from_str(text: &str) -> Result<Self, UnitError> {
                let count = scale(text, $units, $expected)?;
                i64::try_from(count).ok().filter(|count| *count >= 0).map(Self).ok_or_else(|| UnitError::out_of_range(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let shown: &[(&str, i64)] = $shown;
                let (name, size) = shown.iter().rev().find(|(_, size)| self.0 >= *size).unwrap_or(&shown[0]);
                let milli = crate::round_half_even(i128::from(self.0) * 1000, i128::from(*size));
                crate::decimal::write_scaled(f, milli, 3, 0)?;
                write!(f, " {name}")
            }
        }
    };
}

physical!(
    /// Electric power in watts.
    Watts,
    &[("W", 1), ("kW", 1_000), ("MW", 1_000_000), ("GW", 1_000_000_000)],
    "a power, such as \"4.5 GW\" or \"700 W\"",
    &[("W", 1), ("kW", 1_000), ("MW", 1_000_000), ("GW", 1_000_000_000)]
);

physical!(
    /// Energy in joules.
    Joules,
    &[("J", 1), ("kWh", 3_600_000), ("MWh", 3_600_000_000)],
    "an energy, such as \"12 kWh\"",
    &[("J", 1), ("kWh", 3_600_000), ("MWh", 3_600_000_000)]
);

physical!(
    /// Memory or traffic in bytes; a rate of bytes when the context says per second.
    Bytes,
    &[("B", 1), ("MB", 1_000_000), ("MiB", 1 << 20), ("GB", 1_000_000_000), ("GiB", 1 << 30), ("TB", 1_000_000_000_000)],
    "a size, such as \"80 GB\" or \"16 GiB\"",
    &[("B", 1), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000)]
);

physical!(
    /// Arithmetic speed in millions of floating-point operations a second.
    Flops,
    &[("GFLOP/s", 1_000), ("TFLOP/s", 1_000_000), ("PFLOP/s", 1_000_000_000)],
    "an arithmetic speed, such as \"989 TFLOP/s\"",
    &[("GFLOP/s", 1_000), ("TFLOP/s", 1_000_000), ("PFLOP/s", 1_000_000_000)]
);

impl Mul<Duration> for Watts {
    type Output = Joules;
    fn mul(self, time: Duration) -> Joules {
        let joules = crate::round_half_even(i128::from(self.0) * i128::try_from(time.as_micros()).unwrap_or(i128::MAX >> 64), 1_000_000);
        Joules(i64::try_from(joules).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_reads_prints_and_becomes_energy() {
        let site: Watts = "4.5 GW".parse().expect("a power");
        assert_eq!(site.count(), 4_500_000_000);
        assert_eq!(site.to_string(), "4.5 GW");
        assert_eq!((Watts::new(700) * Duration::from_secs(3600)).to_string(), "2520000 J");
        assert!("4.5".parse::<Watts>().is_err());
        assert!("-1 W".parse::<Watts>().is_err());
    }
}
