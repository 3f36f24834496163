//! The lines of an entry as PostgreSQL's `COPY` writes them: the table's name and its columns with tabs between.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::chain::Table;
use crate::field::Field;

/// Adds the line of a row that was selected by its table's columns.
pub(crate) fn write_row(text: &mut Vec<u8>, table: &Table, row: &Row<'_>) -> rusqlite::Result<()> {
    text.extend_from_slice(table.name.as_bytes());
    for column in 0..row.as_ref().column_count() {
        text.push(b'\t');
        write_value(text, row.get_ref(column)?);
    }
    text.push(b'\n');
    Ok(())
}

/// Adds the line of a row that is being booked.
pub(crate) fn write_line(text: &mut Vec<u8>, table: &Table, row: &[Field<'_>]) {
    text.extend_from_slice(table.name.as_bytes());
    for field in row {
        text.push(b'\t');
        write_field(text, field);
    }
    text.push(b'\n');
}

/// Adds a line of some fields without a table's name.
pub(crate) fn write_fields(text: &mut Vec<u8>, fields: &[Field<'_>]) {
    for (number, field) in fields.iter().enumerate() {
        if number > 0 {
            text.push(b'\t');
        }
        write_field(text, field);
    }
    text.push(b'\n');
}

fn write_field(text: &mut Vec<u8>, field: &Field<'_>) {
    match field {
        Field::Number(number) => write_number(text, *number),
        Field::Request(bytes) => write_bytes(text, bytes),
        other => write_value(text, other.value()),
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Writes UTF-8, whatever the bytes of a text are.
fn write_value(text: &mut Vec<u8>, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => text.extend_from_slice(b"\\N"),
        ValueRef::Integer(number) => write_number(text, number),
        ValueRef::Real(number) => text.extend_from_slice(number.to_string().as_bytes()),
        ValueRef::Blob(bytes) => write_bytes(text, bytes),
        ValueRef::Text(bytes) if bytes.iter().fold(true, |plain, byte| plain & PLAIN[usize::from(*byte)]) => text.extend_from_slice(bytes),
        ValueRef::Text(bytes) => {
            for byte in String::from_utf8_lossy(bytes).bytes() {
                match escaped(byte) {
                    Some(letter) => text.extend([b'\\', letter]),
                    None => text.push(byte),
                }
            }
        }
    }
}

/// What stands after a backslash in place of that byte.
const fn escaped(byte: u8) -> Option<u8> {
    match byte {
        b'\\' => Some(b'\\'),
        b'\t' => Some(b't'),
        b'\n' => Some(b'n'),
        _ => None,
    }
}

/// Which bytes stand for themselves, in whatever text.
static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0_u8;
    while byte.is_ascii() {
        plain[byte as usize] = escaped(byte).is_none();
        byte += 1;
    }
    plain
};

fn write_bytes(text: &mut Vec<u8>, bytes: &[u8]) {
    text.extend_from_slice(b"\\x");
    // As many at a time as a request's id has: the text grows once for them.
    const AT_ONCE: usize = 16;
    for bytes in bytes.chunks(AT_ONCE) {
        let mut digits = [0; 2 * AT_ONCE];
        for (byte, pair) in bytes.iter().zip(digits.chunks_exact_mut(2)) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 0xf)];
        }
        text.extend_from_slice(&digits[..2 * bytes.len()]);
    }
}

/// The digits as `Display` writes them, without its way through a formatter: half of an entry's text are numbers.
fn write_number(text: &mut Vec<u8>, number: i64) {
    let mut digits = [0; 20];
    let (mut first, mut rest) = (digits.len(), number.unsigned_abs());
    while rest >= 100 {
        first -= 2;
        digits[first..first + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
        rest /= 100;
    }
    if rest >= 10 {
        first -= 2;
        digits[first..first + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
    } else {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
    }
    if number < 0 {
        // The most digits that a number below nought has are nineteen.
        first -= 1;
        digits[first] = b'-';
    }
    text.extend_from_slice(&digits[first..]);
}

/// The digits of numbers below a hundred: each division gives two.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0_u8;
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: ValueRef<'_>, expected: &str) {
        let mut text = b"before\t".to_vec();
        write_value(&mut text, value);
        assert_eq!(String::from_utf8(text).as_deref(), Ok(format!("before\t{expected}").as_str()));
    }

    #[test]
    fn values_are_written_as_copy_writes_them() {
        check(ValueRef::Null, "\\N");
        for number in [0, 7, -1, 10, 99, 100, 1_795_000_000_000_000, -1_000, i64::MAX, i64::MIN] {
            check(ValueRef::Integer(number), &number.to_string());
        }
        check(ValueRef::Real(0.5), "0.5");
        check(ValueRef::Blob(&[]), "\\x");
        check(ValueRef::Blob(&[0x00, 0x0f, 0xf0, 0xa5, 0xff]), "\\x000ff0a5ff");
        check(ValueRef::Text("plain, größer".as_bytes()), "plain, größer");
        check(ValueRef::Text(b"a\tb\nc\\d"), "a\\tb\\nc\\\\d");
        check(ValueRef::Text(b"\xff!"), "\u{fffd}!");
    }
}
