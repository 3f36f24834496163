//! Exact decimals as programs write them, exponents included.

/// An exact decimal number, `count / 10^places`; below zero places it is a multiple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scientific {
    /// The digits that are left without the zeros behind the point, with their sign.
    pub count: i128,
    /// How many of them stand behind the point.
    pub places: i32,
}

impl Scientific {
    /// Reads `-12.5`, `+.5` and `1.6e-7`, and no other way to write a number; nothing for one of more digits than are kept.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (sign, digits) = match mantissa.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && part.is_empty() {
            return None;
        }
        let part = part.trim_end_matches('0');
        let count = whole.bytes().chain(part.bytes()).try_fold(0_i128, |count, byte| {
            let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
            count.checked_mul(10)?.checked_add(digit)
        })?;
        Some(Self { count: sign * count, places: i32::try_from(part.len()).ok()?.checked_sub(exponent)? })
    }

    /// The number in units of `10^-places`; nothing where it is no whole number of them, or too many.
    #[must_use]
    pub fn in_units_of(self, places: i32) -> Option<i128> {
        if self.count == 0 {
            return Some(0);
        }
        let shift = places.checked_sub(self.places)?;
        let size = 10_i128.checked_pow(shift.unsigned_abs())?;
        if shift >= 0 { self.count.checked_mul(size) } else { (self.count % size == 0).then_some(self.count / size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_programs_write_them_and_no_others() {
        for (text, count, places) in
            [("12.50", 125, 1), ("-2E+3", -2, -3), ("1.6e-7", 16, 8), ("+.5", 5, 1), ("7.", 7, 0), ("0e99", 0, -99), ("-0.0", 0, 0)]
        {
            assert_eq!(Scientific::parse(text), Some(Scientific { count, places }), "{text}");
        }
        for text in ["", "-", ".", "+-1", "e5", "1e", "1,5", "1_0", " 1", "1.2.3", "1e2147483648", "1e-2147483648e", "NaN", "0x10", "१"] {
            assert_eq!(Scientific::parse(text), None, "{text}");
        }
        assert_eq!(Scientific::parse(&"9".repeat(39)), None, "more digits than are kept");
        assert_eq!(Scientific::parse("1.0e-2147483648"), None, "more places than are counted");
    }

    #[test]
    fn what_is_no_whole_number_of_units_is_none_of_them() {
        let units = |text: &str, places| Scientific::parse(text).and_then(|number| number.in_units_of(places));
        assert_eq!([units("1.25", 2), units("1.25", 1), units("1.25", 4)], [Some(125), None, Some(12_500)]);
        assert_eq!([units("2500", -2), units("2550", -2), units("-2e3", -2)], [Some(25), None, Some(-20)]);
        assert_eq!([units("0e99", 9), units("1e30", 9), units("1e2147483647", 9)], [Some(0), None, None]);
        assert_eq!(units("1e29", 9), Some(10_i128.pow(38)));
    }
}
