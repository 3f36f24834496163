//! The chain: each committed entry has a hash over the one before it and itself.
//!
//! An entry is the text of its rows, a line each: the table's name and the columns in the order of [`Table`], separated by tabs,
//! as PostgreSQL's `COPY` writes them (`\N` for nothing, `\x..` for bytes). Its hash is SHA-256 over the hash before it and that text, so that
//! anyone can compute the chain again with `sqlite3` and `sha256sum`.

use rusqlite::{Connection, OptionalExtension, ToSql, params_from_iter};
use sha2::{Digest, Sha256};

use crate::error::LedgerError;
use crate::field::{Field, fields};
use crate::insert::{Insert, Rows};
use crate::line::write_line;

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
    KeyChange,
}

/// A table of entries, and its columns as the chain writes them.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static str,
    pub(crate) insert: &'static str,
    pub(crate) select: &'static str,
    /// Whether SQLite numbers its rows.
    pub(crate) numbered: bool,
}

impl Table {
    const fn unnumbered(self) -> Self {
        Self { numbered: false, ..self }
    }
}

macro_rules! table {
    ($name:literal, $columns:literal, $values:literal) => {
        table!($name, $columns, $values, "")
    };
    ($name:literal, $columns:literal, $values:literal, $conflict:literal) => {
        Table {
            name: $name,
            columns: $columns,
            insert: concat!("INSERT INTO ", $name, " (", $columns, ") VALUES (", $values, ")", $conflict),
            select: concat!("SELECT ", $columns, " FROM ", $name),
            numbered: true,
        }
    };
}

pub(crate) static FLEET: Table =
    table!("fleet", "version, name, first_used, register", "?1, ?2, ?3, ?4", " ON CONFLICT (version) DO NOTHING");
pub(crate) static OPENING: Table =
    table!("opening", "fleet, at_us, replayed, interrupted, torn_bytes, aside_records, aside_bytes", "?1, ?2, ?3, ?4, ?5, ?6, ?7");
pub(crate) static ENDING: Table = table!("ending", "opening, segment, offset", "?1, ?2, ?3", " ON CONFLICT (opening) DO NOTHING");
pub(crate) static ATTEMPT: Table = table!(
    "attempt",
    "request, attempt, key, model, endpoint, contract, fleet, decided, bound_input, bound_output, tier, rule, marginal, energy, scarcity, cache_loss, slo_miss, list_input, list_cached, list_output, segment, offset",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22",
    " ON CONFLICT (request, attempt) DO NOTHING"
);
pub(crate) static ADVICE: Table = table!(
    "advice",
    "attempt, endpoint, contract, prepaid, marginal, energy, scarcity, cache_loss, slo_miss, list_input, list_cached, list_output, marginal_input, marginal_cached, marginal_output, given_input, given_cached, given_output",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18"
).unnumbered();
/// Attempts that units of their contract take, which prices the tokens as well; hardly one has a row.
pub(crate) static IN_UNITS: Table = table!("in_units", "attempt", "?1").unnumbered();
pub(crate) static SETTLEMENT: Table = table!(
    "settlement",
    "request, attempt, endpoint, contract, fleet, outcome, known, input, cached, output, started, first_content, ended, list",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14",
    " ON CONFLICT (request, attempt) DO NOTHING"
)
.unnumbered();
pub(crate) static HELD: Table = table!("held", "endpoint, fleet, from_us, to_us, segment, offset", "?1, ?2, ?3, ?4, ?5, ?6");
pub(crate) static HELD_SHARE: Table = table!("held_share", "held, number, request, attempt, quantity", "?1, ?2, ?3, ?4, ?5").unnumbered();
pub(crate) static POSTING: Table = table!(
    "posting",
    "contract, meter, subject, at_us, held, used, fleet, request, attempt, correction, source",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11"
);
pub(crate) static CONFLICT: Table = table!("conflict", "request, attempt, entry", "?1, ?2, ?3");
pub(crate) static CORRECTION: Table = table!(
    "correction",
    "request, attempt, corrects, input, cached, output, list, invoice, why, who, at_us",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11"
);
pub(crate) static INVOICE: Table = table!("invoice", "name, digest, who, at_us", "?1, ?2, ?3, ?4", " ON CONFLICT (digest) DO NOTHING");
pub(crate) static INVOICE_LINE: Table = table!(
    "invoice_line",
    "invoice, number, contract, meter, subject, from_us, to_us, quantity, billed, our_quantity, ours",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11"
)
.unnumbered();
pub(crate) static CLOSING: Table = table!(
    "closing",
    "contract, period, from_us, to_us, fleet, at_us, currency, due, digest, posting_to",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10"
);
pub(crate) static CLOSING_LINE: Table = table!(
    "closing_line",
    "closing, number, clause, place, tier, meter, subject, quantity, rate, per, money",
    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11"
)
.unnumbered();

pub(crate) static KEY_CHANGE: Table = table!("key_change", "public, name, what, terms, who, why, at_us", "?1, ?2, ?3, ?4, ?5, ?6, ?7");

/// The chain's own table, without the entries' numbers: those are the rows'.
static ENTRY: Table = table!("entry", "kind, row, request, attempt, posting_to, hash", "?1, ?2, ?3, ?4, ?5, ?6");

impl Kind {
    pub(crate) const ALL: [Self; 11] = [
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
        Self::KeyChange,
    ];

    /// The table of its own row, and those of what belongs to it, in the order of an entry's lines.
    pub(crate) const fn tables(self) -> (&'static Table, &'static [&'static Table]) {
        match self {
            Self::Fleet => (&FLEET, &[]),
            Self::Opening => (&OPENING, &[]),
            Self::Ending => (&ENDING, &[]),
            Self::Attempt => (&ATTEMPT, const { &[&ADVICE, &IN_UNITS] }),
            Self::Settlement => (&SETTLEMENT, &[]),
            Self::Held => (&HELD, const { &[&HELD_SHARE] }),
            Self::Conflict => (&CONFLICT, &[]),
            Self::Correction => (&CORRECTION, &[]),
            Self::Invoice => (&INVOICE, const { &[&INVOICE_LINE] }),
            Self::Closing => (&CLOSING, const { &[&CLOSING_LINE] }),
            Self::KeyChange => (&KEY_CHANGE, &[]),
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
pub(crate) struct Chain<'a> {
    connection: &'a Connection,
    head: Head,
    text: Vec<u8>,
    rows: Rows,
    /// Rows that entries name by their numbers have numbers below it.
    below: i64,
    /// What was needed so far: to look a statement up by its text each time takes as long as to fill it in.
    inserts: Vec<Insert<'a>>,
    links: Insert<'a>,
}

/// Which row an entry is.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    Row(i64),
    Attempt(dispatch::AttemptId),
}

impl<'a> Chain<'a> {
    /// The chain as the connection's transaction sees it. What goes in by groups is all there after [`Self::flush`].
    pub(crate) fn read(connection: &'a Connection, rows: Rows) -> Result<Self, LedgerError> {
        let links = Insert::new(connection, &ENTRY, rows)?;
        Ok(Self { connection, head: head(connection)?, text: Vec::new(), rows, below: i64::MAX, inserts: Vec::new(), links })
    }

    /// The chain of entries that are of all, in a ledger that is put together of several: behind `posting_to` postings of others, and with
    /// numbers `below` those of every replica's rows.
    pub(crate) fn of_all(connection: &'a Connection, posting_to: i64, below: i64) -> Result<Self, LedgerError> {
        let chain = Self::read(connection, Rows::Single)?;
        Ok(Self { head: Head { posting_to, ..chain.head }, below, ..chain })
    }

    /// The number of the next row of a table.
    pub(crate) fn next_number(&self, table: &Table) -> Result<i64, LedgerError> {
        let select = ["SELECT coalesce(max(id), 0) + 1 FROM ", table.name, " WHERE id < ?1"].concat();
        Ok(self.connection.prepare_cached(&select)?.query_row([self.below], |row| row.get(0))?)
    }

    /// Inserts a row that can't be there already under [`Self::next_number`], and gives that.
    pub(crate) fn insert_next(&mut self, table: &'static Table, row: &[Field<'_>]) -> Result<i64, LedgerError> {
        let number = self.next_number(table)?;
        let places: Vec<&str> = row.iter().map(|_| "?").collect();
        let insert = ["INSERT INTO ", table.name, " (", table.columns, ", id) VALUES (", &places.join(", "), ", ?)"].concat();
        let values = row.iter().map(|field| field as &dyn ToSql).chain([&number as &dyn ToSql]);
        self.connection.prepare_cached(&insert)?.execute(params_from_iter(values))?;
        write_line(&mut self.text, table, row);
        Ok(number)
    }

    /// Inserts a row and adds its line to the entry; gives the row's number, and nothing when it is there already.
    pub(crate) fn insert(&mut self, table: &'static Table, row: &[Field<'_>]) -> Result<Option<i64>, LedgerError> {
        let insert = match self.inserts.iter().position(|insert| std::ptr::eq(insert.table, table)) {
            Some(place) => &mut self.inserts[place],
            None => self.inserts.push_mut(Insert::new(self.connection, table, self.rows)?),
        };
        let number = insert.add(self.connection, row)?;
        if let Some(number) = number {
            write_line(&mut self.text, table, row);
            if std::ptr::eq(table, &POSTING) {
                self.head.posting_to = number;
            }
        }
        Ok(number)
    }

    /// Inserts a row that can't be there already.
    pub(crate) fn insert_new(&mut self, table: &'static Table, row: &[Field<'_>]) -> Result<i64, LedgerError> {
        Ok(self.insert(table, row)?.ok_or(rusqlite::Error::StatementChangedRows(0))?)
    }

    /// The newest posting that belongs to an entry.
    pub(crate) fn posting_to(&self) -> i64 {
        self.head.posting_to
    }

    /// Links what was inserted since the entry before into the chain.
    pub(crate) fn link(&mut self, kind: Kind, of: Of) -> Result<(), LedgerError> {
        self.head = Head { number: self.head.number + 1, hash: next(self.head.hash, &self.text), ..self.head };
        self.text.clear();
        let (row, attempt) = match of {
            Of::Row(row) => (Some(row), None),
            Of::Attempt(attempt) => (None, Some(attempt)),
        };
        let (request, attempt) = (attempt.map(|attempt| attempt.request), attempt.map(|attempt| attempt.attempt));
        let Head { number, hash, posting_to } = self.head;
        let added = self.links.add(self.connection, &fields![kind.word(), row, request, attempt, posting_to, &hash.0[..]])?;
        if added != Some(number) {
            return Err(LedgerError::Misnumbered { table: ENTRY.name, number });
        }
        Ok(())
    }

    /// Inserts what still waits for its group.
    pub(crate) fn flush(&mut self) -> Result<(), LedgerError> {
        for insert in self.inserts.iter_mut().chain([&mut self.links]) {
            insert.flush(self.connection)?;
        }
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
pub(crate) fn next(before: Hash, text: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(before.0);
    hasher.update(text);
    Hash(hasher.finalize().into())
}
