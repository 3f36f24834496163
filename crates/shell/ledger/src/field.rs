//! One value of a row that is being booked.

use dispatch::RequestId;
use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use crate::words::{Nanos, Request, Word, Words};

/// A value on its way into a row and into the chain's text. It owns nothing that a busy service has: half a dozen rows a request are made of these.
#[derive(Clone, Debug)]
pub(crate) enum Field<'a> {
    Null,
    Number(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Request([u8; 16]),
    /// Money beyond 64 bits.
    Digits(String),
}

impl Field<'_> {
    pub(crate) fn value(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Number(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
            Self::Request(bytes) => ValueRef::Blob(bytes),
            Self::Digits(digits) => ValueRef::Text(digits.as_bytes()),
        }
    }

    /// Puts it where another value was, into the room that one had; `false` when that was the same.
    pub(crate) fn replace(&self, held: &mut Value) -> bool {
        match (self, held) {
            (Self::Null, Value::Null) => false,
            (Self::Number(new), Value::Integer(held)) => std::mem::replace(held, *new) != *new,
            (Self::Text(new), Value::Text(held)) => {
                let changed = held != new;
                if changed {
                    held.clear();
                    held.push_str(new);
                }
                changed
            }
            (Self::Request(new), Value::Blob(held)) => overwrite(held, new),
            (Self::Bytes(new), Value::Blob(held)) => overwrite(held, new),
            (_, held) => {
                *held = match self {
                    Self::Null => Value::Null,
                    Self::Number(number) => Value::Integer(*number),
                    Self::Text(text) => Value::Text((*text).to_owned()),
                    Self::Bytes(bytes) => Value::Blob(bytes.to_vec()),
                    Self::Request(bytes) => Value::Blob(bytes.to_vec()),
                    Self::Digits(digits) => Value::Text(digits.clone()),
                };
                true
            }
        }
    }
}

fn overwrite(held: &mut Vec<u8>, new: &[u8]) -> bool {
    let changed = held != new;
    if changed {
        held.clear();
        held.extend_from_slice(new);
    }
    changed
}

impl ToSql for Field<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.value()))
    }
}

impl From<i64> for Field<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Field<'_> {
    fn from(number: u32) -> Self {
        Self::Number(i64::from(number))
    }
}

impl From<u8> for Field<'_> {
    fn from(number: u8) -> Self {
        Self::Number(i64::from(number))
    }
}

impl From<bool> for Field<'_> {
    fn from(value: bool) -> Self {
        Self::Number(i64::from(value))
    }
}

impl<'a> From<&'a str> for Field<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Field<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<RequestId> for Field<'_> {
    fn from(request: RequestId) -> Self {
        Self::Request(Request(request).bytes())
    }
}

impl<T: Words> From<Word<T>> for Field<'_> {
    fn from(word: Word<T>) -> Self {
        Self::Text(word.word())
    }
}

impl From<Nanos> for Field<'_> {
    fn from(Nanos(money): Nanos) -> Self {
        let nanos = money.nanos();
        i64::try_from(nanos).map_or_else(|_| Self::Digits(nanos.to_string()), Self::Number)
    }
}

impl<'a, T: Into<Field<'a>>> From<Option<T>> for Field<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The fields of a row, in the order of its table's columns.
macro_rules! fields {
    ($($value:expr),* $(,)?) => {
        [$($crate::field::Field::from($value)),*]
    };
}
pub(crate) use fields;

#[cfg(test)]
mod tests {
    use units::Money;

    use super::*;

    #[test]
    fn what_is_held_is_what_was_put_there_last() {
        let (long, short) = ("a long text", "text");
        let beyond = Field::from(Nanos(Money::from_nanos(i128::MAX)));
        let fields = [
            Field::Null,
            Field::Null,
            Field::from(7_i64),
            Field::from(7_u8),
            Field::from(-7_i64),
            Field::from(short),
            Field::from(long),
            Field::from(short),
            Field::from(short),
            Field::from(&b"text"[..]),
            Field::from(RequestId(7)),
            Field::from(RequestId(7)),
            Field::from(RequestId(8)),
            beyond.clone(),
            beyond,
            Field::from(None::<i64>),
            Field::from(Some(7_i64)),
        ];
        let mut held = Value::Null;
        let mut changes = String::new();
        for field in &fields {
            changes.push(if field.replace(&mut held) { 'x' } else { '.' });
            assert_eq!(ValueRef::from(&held), field.value());
        }
        assert_eq!(changes, "..x.xxxx.xx.xxxxx", "the digits of money beyond 64 bits are put anew each time");
    }

    #[test]
    fn money_stands_in_a_field_as_it_does_in_a_row() {
        let beyond = i128::from(i64::MAX) + 1;
        for nanos in [0, -5, i128::from(i64::MIN), i128::from(i64::MAX), beyond, i128::MIN] {
            let money = Nanos(Money::from_nanos(nanos));
            let ToSqlOutput::Owned(value) = money.to_sql().expect("it has a form") else { unreachable!("money is owned") };
            assert_eq!(Field::from(money).value(), ValueRef::from(&value));
        }
    }
}
