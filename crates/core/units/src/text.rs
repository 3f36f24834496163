//! What goes wrong when a figure is read, and how a figure is split into number and unit.

use crate::decimal::Decimal;

/// Why a text is not the figure that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The text has no number where one must stand.
    #[error("`{text}` is not a number")]
    NotANumber {
        /// What stands there.
        text: String,
    },
    /// The unit is missing or is not one of those that fit.
    #[error("`{text}` is not {expected}")]
    WrongUnit {
        /// What stands there.
        text: String,
        /// What would fit, with an example: `a power, such as "4.5 GW"`.
        expected: &'static str,
    },
    /// The number is past what the type can hold.
    #[error("`{text}` is out of range")]
    OutOfRange {
        /// What stands there.
        text: String,
    },
}

impl UnitError {
    pub(crate) fn not_a_number(text: &str) -> Self {
        Self::NotANumber { text: text.to_owned() }
    }

    pub(crate) fn wrong_unit(text: &str, expected: &'static str) -> Self {
        Self::WrongUnit { text: text.to_owned(), expected }
    }

    pub(crate) fn out_of_range(text: &str) -> Self {
        Self::OutOfRange { text: text.to_owned() }
    }
}

/// Splits `"4.5 GW"` into the number and the trimmed unit; the space between them may be missing.
pub(crate) fn split_figure(text: &str) -> Result<(Decimal, &str), UnitError> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || "+-._".contains(c))).unwrap_or(text.len());
    let number = Decimal::parse(&text[..end]).map_err(|error| match error {
        UnitError::NotANumber { .. } => UnitError::not_a_number(text),
        other => other,
    })?;
    Ok((number, text[end..].trim()))
}

/// Looks a unit up in a table of (name, size in base units) and scales the number by it.
pub(crate) fn scale(text: &str, units: &[(&str, i128)], expected: &'static str) -> Result<i128, UnitError> {
    let (number, unit) = split_figure(text)?;
    let size = units.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size);
    let size = size.ok_or_else(|| UnitError::wrong_unit(text, expected))?;
    number.times(size).ok_or_else(|| UnitError::out_of_range(text))
}
