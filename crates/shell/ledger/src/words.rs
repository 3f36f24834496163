//! How the words of `dispatch` and `fleet` stand in rows: stable, whatever happens to the enums' order.

use dispatch::{AttemptId, Known, Outcome, RequestId, Rule};
use fleet::{MeterKind, ServiceTier};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Value, ValueRef};
use units::Money;

/// A value of a closed set as its word in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word<T>(pub(crate) T);

/// A closed set whose members have words.
pub(crate) trait Words: Copy + PartialEq + 'static {
    const WORDS: &'static [(Self, &'static str)];
}

impl Words for Outcome {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Answered, "answered"),
        (Self::Failed, "failed"),
        (Self::Cut, "cut"),
        (Self::ClientGone, "client-gone"),
        (Self::Outrun, "outrun"),
        (Self::Interrupted, "interrupted"),
    ];
}

impl Words for Known {
    const WORDS: &'static [(Self, &'static str)] = &[(Self::Reported, "reported"), (Self::Counted, "counted"), (Self::Bounded, "bounded")];
}

impl Words for MeterKind {
    const WORDS: &'static [(Self, &'static str)] = &[
        (Self::AcceleratorTime, "accelerator-time"),
        (Self::InputTokens, "input-tokens"),
        (Self::CachedTokens, "cached-tokens"),
        (Self::OutputTokens, "output-tokens"),
        (Self::UnitTime, "unit-time"),
        (Self::Energy, "energy"),
        (Self::Egress, "egress"),
    ];
}

impl Words for Rule {
    const WORDS: &'static [(Self, &'static str)] =
        &[(Self::Policy, "policy"), (Self::StalePrices, "stale-prices"), (Self::FallBack, "fall-back")];
}

impl Words for ServiceTier {
    const WORDS: &'static [(Self, &'static str)] =
        &[(Self::Priority, "priority"), (Self::Default, "default"), (Self::Flex, "flex"), (Self::Batch, "batch")];
}

impl<T: Words> Word<T> {
    /// The word.
    pub(crate) fn word(self) -> &'static str {
        let word = T::WORDS.iter().find(|(value, _)| *value == self.0).map(|(_, word)| *word);
        word.expect("every member of the set has its word, as a test checks")
    }
}

impl<T: Words> ToSql for Word<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.word()))
    }
}

impl<T: Words> FromSql for Word<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        T::WORDS.iter().find(|(_, word)| *word == text).map(|(value, _)| Self(*value)).ok_or(FromSqlError::InvalidType)
    }
}

/// A request's id as it stands in a row: its bytes, so that rows are in the order of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Request(pub(crate) RequestId);

impl Request {
    pub(crate) fn bytes(self) -> [u8; 16] {
        self.0.0.to_be_bytes()
    }
}

impl ToSql for Request {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(Value::Blob(self.bytes().to_vec())))
    }
}

impl FromSql for Request {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?.try_into().map_err(|_| FromSqlError::InvalidType)?;
        Ok(Self(RequestId(u128::from_be_bytes(bytes))))
    }
}

/// Money in a row, whole: a number where it fits in 64 bits, else its digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nanos(pub(crate) Money);

impl ToSql for Nanos {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let nanos = self.0.nanos();
        Ok(ToSqlOutput::Owned(i64::try_from(nanos).map_or_else(|_| Value::Text(nanos.to_string()), Value::Integer)))
    }
}

impl FromSql for Nanos {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let nanos = match value {
            ValueRef::Integer(nanos) => i128::from(nanos),
            _ => value.as_str()?.parse().map_err(|_| FromSqlError::InvalidType)?,
        };
        Ok(Self(Money::from_nanos(nanos)))
    }
}

/// The attempt whose request and number stand in two columns from `column` on.
pub(crate) fn attempt_at(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<AttemptId> {
    let Request(request) = row.get(column)?;
    Ok(AttemptId { request, attempt: row.get(column + 1)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: ToSql + FromSql + PartialEq + std::fmt::Debug>(written: &T) {
        let value = written.to_sql().expect("it has a form");
        let ToSqlOutput::Owned(value) = value else { return check_ref(written, &value) };
        assert_eq!(T::column_result(ValueRef::from(&value)).as_ref(), Ok(written));
    }

    fn check_ref<T: FromSql + PartialEq + std::fmt::Debug>(written: &T, value: &ToSqlOutput<'_>) {
        let ToSqlOutput::Borrowed(value) = value else { unreachable!("what is not owned is borrowed") };
        assert_eq!(T::column_result(*value).as_ref(), Ok(written));
    }

    #[test]
    fn what_is_written_is_read_back() {
        ServiceTier::ALL.into_iter().for_each(|tier| check(&Word(tier)));
        [Rule::Policy, Rule::StalePrices, Rule::FallBack].into_iter().for_each(|rule| check(&Word(rule)));
        let beyond = i128::from(i64::MAX) + 1;
        [0, -5, i128::from(i64::MIN), beyond, i128::MAX].into_iter().for_each(|nanos| check(&Nanos(Money::from_nanos(nanos))));
    }
}
