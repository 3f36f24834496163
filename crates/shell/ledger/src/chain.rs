//! The chain: each committed entry has a hash over the one before it and itself.
//!
//! An entry is the text of its rows, a line each: the table's name and the columns in the order of [`Table`], separated by tabs,
//! as PostgreSQL's `COPY` writes them (`\N` for nothing, `\x..` for bytes). Its hash is SHA-256 over the hash before it and that text, so that
//! anyone can compute the chain again with `sqlite3` and `sha256sum`.

use std::fmt::Write as _;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, ToSql};
use sha2::{Digest, Sha256};

use crate::error::LedgerError;
use crate::words::Request;

/// A hash of the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hash(pub [u8; 32]);

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for Hash {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut hash = [0; 32];
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("a hash has 64 hexadecimal digits");
        }
        for (byte, place) in hash.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[place..place + 2], 16).map_err(|_| "a hash has 64 hexadecimal digits")?;
        }
        Ok(Self(hash))
    }
}

/// Where the chain ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// How many entries there are.
    pub number: i64,
    /// The hash of the last; zeros when there is none.
    pub hash: Hash,
    /// The newest posting that belongs to an entry.
    pub(crate) posting_to: i64,
}

/// What an entry can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Fleet,
    Opening,
    Ending,
    Attempt,
    Settlement,
    Held,
    Conflict,
    Correction,
    Invoice,
    Closing,
}

/// A table of entries, and its columns as the chain writes them.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) insert: &'static str,
    pub(crate) select: &'static str,
}

macro_rules! table {
    ($name:literal, $columns:literal, $values:literal) => {
        table!($name, $columns, $values, "")
    };
    ($name:literal, $columns:literal, $values:literal, $conflict:literal) => {
        Table {
            name: $name,
            insert: concat!("INSERT INTO ", $name, " (", $columns, ") VALUES (", $values, ")", $conflict),
            select: concat!("SELECT ", $columns, " FROM ", $name),
        }
    };
}

pub(crate) const FLEET: Table =
    table!("fleet", "version, name, first_used, register", "?1, ?2, ?3, ?4", " ON CONFLICT (version) DO NOTHING");
pub(crate) const OPENING: Table =
    table!("opening", "fleet, at_us, replayed, interrupted, torn_bytes, aside_records, aside_bytes", "?1, ?2, ?3, ?4, ?5, ?6, ?7");
pub(crate) const ENDING: Table = table!("ending", "opening, segment, offset", "?1, ?2, ?3", " ON CONFLICT (opening) DO NOTHING");
pub(crate) const ATTEMPT: Table = table!(
    "attempt",
    "request, attempt, key, model, endpoint, contract, fleet, decided, bound_input, bound_output, tier, rule, marginal, energy, scarcity, cache_loss, slo_miss, list_input, list_cached, list_output, segment, offset",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22",
    " ON CONFLICT (request, attempt) DO NOTHING"
);
pub(crate) const ADVICE: Table = table!(
    "advice",
    "attempt, endpoint, contract, prepaid, marginal, energy, scarcity, cache_loss, slo_miss, list_input, list_cached, list_output, marginal_input, marginal_cached, marginal_output, given_input, given_cached, given_output",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18"
);
pub(crate) const SETTLEMENT: Table = table!(
    "settlement",
    "request, attempt, endpoint, contract, fleet, outcome, known, input, cached, output, started, first_content, ended, list",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14",
    " ON CONFLICT (request, attempt) DO NOTHING"
);
pub(crate) const HELD: Table = table!("held", "endpoint, fleet, from_us, to_us, segment, offset", "?1, ?2, ?3, ?4, ?5, ?6");
pub(crate) const HELD_SHARE: Table = table!("held_share", "held, number, request, attempt, quantity", "?1, ?2, ?3, ?4, ?5");
pub(crate) const POSTING: Table = table!(
    "posting",
    "contract, meter, subject, at_us, held, used, fleet, request, attempt, correction, source",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11"
);
pub(crate) const CONFLICT: Table = table!("conflict", "request, attempt, entry", "?1, ?2, ?3");
pub(crate) const CORRECTION: Table = table!(
    "correction",
    "request, attempt, corrects, input, cached, output, list, invoice, why, who, at_us",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11"
);
pub(crate) const INVOICE: Table = table!("invoice", "name, digest, who, at_us", "?1, ?2, ?3, ?4", " ON CONFLICT (digest) DO NOTHING");
pub(crate) const INVOICE_LINE: Table = table!(
    "invoice_line",
    "invoice, number, contract, meter, subject, from_us, to_us, quantity, billed, our_quantity, ours",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11"
);
pub(crate) const CLOSING: Table = table!(
    "closing",
    "contract, period, from_us, to_us, fleet, at_us, currency, due, digest, posting_to",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10"
);
pub(crate) const CLOSING_LINE: Table = table!(
    "closing_line",
    "closing, number, clause, place, tier, meter, subject, quantity, rate, per, money",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11"
);

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::Fleet,
        Self::Opening,
        Self::Ending,
        Self::Attempt,
        Self::Settlement,
        Self::Held,
        Self::Conflict,
        Self::Correction,
        Self::Invoice,
        Self::Closing,
    ];

    /// The table of its own row, and that of what belongs to it, if there is one.
    pub(crate) const fn tables(self) -> (&'static Table, Option<&'static Table>) {
        match self {
            Self::Fleet => (&FLEET, None),
            Self::Opening => (&OPENING, None),
            Self::Ending => (&ENDING, None),
            Self::Attempt => (&ATTEMPT, Some(&ADVICE)),
            Self::Settlement => (&SETTLEMENT, None),
            Self::Held => (&HELD, Some(&HELD_SHARE)),
            Self::Conflict => (&CONFLICT, None),
            Self::Correction => (&CORRECTION, None),
            Self::Invoice => (&INVOICE, Some(&INVOICE_LINE)),
            Self::Closing => (&CLOSING, Some(&CLOSING_LINE)),
        }
    }

    const fn word(self) -> &'static str {
        self.tables().0.name
    }

    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// The end of the chain, and the entry that is being written.
pub(crate) struct Chain {
    head: Head,
    text: String,
}

/// Which row an entry is.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    Row(i64),
    Attempt(dispatch::AttemptId),
}

impl Chain {
    /// The chain as the connection's transaction sees it.
    pub(crate) fn read(connection: &Connection) -> Result<Self, LedgerError> {
        Ok(Self { head: head(connection)?, text: String::new() })
    }

    /// Inserts a row and adds its line to the entry; `false` when it is there already.
    pub(crate) fn insert(&mut self, connection: &Connection, table: &Table, values: &[&dyn ToSql]) -> Result<bool, LedgerError> {
        if connection.prepare_cached(table.insert)?.execute(values)? == 0 {
            return Ok(false);
        }
        self.text.push_str(table.name);
        for value in values {
            self.text.push('\t');
            match value.to_sql()? {
                ToSqlOutput::Borrowed(value) => write_value(&mut self.text, value),
                ToSqlOutput::Owned(value) => write_value(&mut self.text, ValueRef::from(&value)),
                _ => return Err(rusqlite::Error::InvalidQuery.into()),
            }
        }
        self.text.push('\n');
        Ok(true)
    }

    /// The newest posting that belongs to an entry.
    pub(crate) fn posting_to(&self) -> i64 {
        self.head.posting_to
    }

    /// Links what was inserted since the entry before into the chain.
    pub(crate) fn link(&mut self, connection: &Connection, kind: Kind, of: Of) -> Result<(), LedgerError> {
        let posting_to = connection.prepare_cached("SELECT coalesce(max(id), 0) FROM posting")?.query_row([], |row| row.get(0))?;
        let head = Head { number: self.head.number + 1, hash: next(self.head.hash, &self.text), posting_to };
        let (row, attempt) = match of {
            Of::Row(row) => (Some(row), None),
            Of::Attempt(attempt) => (None, Some(attempt)),
        };
        let mut insert = connection.prepare_cached(
            "INSERT INTO entry (number, kind, row, request, attempt, posting_to, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        let (request, attempt) = (attempt.map(|attempt| Request(attempt.request)), attempt.map(|attempt| attempt.attempt));
        insert.execute(rusqlite::params![head.number, kind.word(), row, request, attempt, posting_to, head.hash.0])?;
        (self.head, self.text) = (head, String::new());
        Ok(())
    }
}

/// The end of the chain.
pub(crate) fn head(connection: &Connection) -> Result<Head, LedgerError> {
    let mut last = connection.prepare_cached("SELECT number, hash, posting_to FROM entry ORDER BY number DESC LIMIT 1")?;
    let head = last.query_row([], |row| Ok(Head { number: row.get(0)?, hash: Hash(row.get(1)?), posting_to: row.get(2)? }));
    Ok(head.optional()?.unwrap_or_default())
}

/// The hash of an entry with that text after one with that hash.
pub(crate) fn next(before: Hash, text: &str) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(before.0);
    hasher.update(text.as_bytes());
    Hash(hasher.finalize().into())
}

/// Adds the line of a row that was selected by its table's columns.
pub(crate) fn write_row(text: &mut String, table: &Table, row: &Row<'_>) -> rusqlite::Result<()> {
    text.push_str(table.name);
    for column in 0..row.as_ref().column_count() {
        text.push('\t');
        write_value(text, row.get_ref(column)?);
    }
    text.push('\n');
    Ok(())
}

/// Adds the line of some values.
pub(crate) fn write_values(text: &mut String, values: &[Value]) {
    for (number, value) in values.iter().enumerate() {
        if number > 0 {
            text.push('\t');
        }
        write_value(text, ValueRef::from(value));
    }
    text.push('\n');
}

fn write_value(text: &mut String, value: ValueRef<'_>) {
    let written = match value {
        ValueRef::Null => write!(text, "\\N"),
        ValueRef::Integer(number) => write!(text, "{number}"),
        ValueRef::Real(number) => write!(text, "{number}"),
        ValueRef::Blob(bytes) => {
            text.push_str("\\x");
            bytes.iter().try_for_each(|byte| write!(text, "{byte:02x}"))
        }
        ValueRef::Text(bytes) => {
            for character in String::from_utf8_lossy(bytes).chars() {
                match character {
                    '\\' => text.push_str("\\\\"),
                    '\t' => text.push_str("\\t"),
                    '\n' => text.push_str("\\n"),
                    other => text.push(other),
                }
            }
            Ok(())
        }
    };
    written.expect("a string takes whatever is written to it");
}
