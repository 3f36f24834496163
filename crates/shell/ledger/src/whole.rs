//! One ledger put together from the copied entries of several, always in the same order: so every place that does it gets the same rows,
//! and what is folded, shown or closed from them is the same too.
//!
//! Rows keep what they say. What names a row of the own ledger is moved: `number` of the replica, times [`APART`], is added. A contract's
//! period is closed here once for all replicas; those entries are a chain of their own, whose replica has number nought.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dispatch::KeyId;
use fleet::{Fleet, FleetVersion};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params, params_from_iter};
use units::Instant;

use crate::book::Booking;
use crate::books::{Books, Fold};
use crate::chain::{Kind, Table};
use crate::closing;
use crate::copied::ChainEntry;
use crate::error::{LedgerError, at};
use crate::register::Registers;
use crate::view::View;
use crate::{directory, schema};

/// The folder of a state directory that the ledger of all replicas is put together in.
pub const WHOLE: &str = "whole";

/// How far apart rows of two replicas are.
const APART: i64 = 1 << 40;

/// Columns that hold nano-units: a number where it fits, else its digits.
const NANOS: [&str; 11] = ["marginal", "energy", "scarcity", "cache_loss", "slo_miss", "list", "due", "rate", "money", "billed", "ours"];

/// A copied entry: whose it is, and where it stands among all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The replica's number; nought for what was closed for all.
    pub replica: i64,
    /// Where it stands among the entries of all.
    pub place: i64,
    /// The public part of the key that its attempt names, if it does.
    pub key: Option<String>,
    /// The entry.
    pub entry: ChainEntry,
}

/// The ledger of all replicas, in a folder that can be thrown away.
#[derive(Debug)]
pub struct Whole {
    folder: PathBuf,
    connection: Connection,
    fold: Option<Fold>,
}

impl Whole {
    /// Opens or makes the folder. One that another version of the tables made is made anew.
    ///
    /// # Errors
    /// When it can't be used.
    pub fn open(folder: &Path) -> Result<Self, LedgerError> {
        directory::make(folder)?;
        let mut connection = schema::connect(folder)?;
        if let Err(LedgerError::Newer { .. } | LedgerError::Older { .. }) = schema::migrate(&mut connection) {
            drop(connection);
            fs::remove_dir_all(folder).map_err(at(folder))?;
            directory::make(folder)?;
            connection = schema::connect(folder)?;
        }
        schema::migrate(&mut connection)?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS whole_fleet (origin INTEGER PRIMARY KEY, fleet INTEGER NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS whole_key (id INTEGER PRIMARY KEY, public TEXT NOT NULL UNIQUE) STRICT;
             CREATE TABLE IF NOT EXISTS whole_place (place INTEGER NOT NULL) STRICT;
             INSERT INTO whole_place SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM whole_place);",
        )?;
        Ok(Self { folder: folder.to_owned(), connection, fold: None })
    }

    /// The place of the last entry that is in it.
    ///
    /// # Errors
    /// When the database refused.
    pub fn place(&self) -> Result<i64, LedgerError> {
        Ok(self.connection.query_row("SELECT place FROM whole_place", [], |row| row.get(0))?)
    }

    /// Keeps the text of a fleet version that entries name.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn keep_fleet(&self, version: FleetVersion, text: &str) -> Result<(), LedgerError> {
        directory::keep_text(&self.folder, version, text)
    }

    /// Takes in entries, which must follow what is there in the order of their places.
    ///
    /// # Errors
    /// When one can't be read, or the database refused.
    pub fn add(&mut self, entries: &[Copied]) -> Result<(), LedgerError> {
        let Some(last) = entries.last() else { return Ok(()) };
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for copied in entries {
            add(&transaction, copied)?;
        }
        transaction.execute("UPDATE whole_place SET place = ?1", [last.place])?;
        Ok(transaction.commit()?)
    }

    /// The books of all replicas under a fleet.
    ///
    /// # Errors
    /// When the database refused.
    pub fn books(&mut self, fleet: &Arc<Fleet>, now: Instant) -> Result<Books, LedgerError> {
        let fold = self.fold.take().filter(|fold| fold.fleet.version == fleet.version);
        let mut fold = fold.unwrap_or_else(|| Fold::new(Arc::clone(fleet), now));
        fold.catch_up(&self.connection, newest(&self.connection)?)?;
        Ok(self.fold.insert(fold).books())
    }

    /// Closes every period that `now` allows, and gives the entries of it that are not copied yet; nothing is kept here until
    /// they come back as copies.
    ///
    /// # Errors
    /// When the database refused.
    pub fn closing(&mut self, fleet: &Arc<Fleet>, now: Instant) -> Result<Vec<ChainEntry>, LedgerError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let registers = Registers::read(&transaction)?;
        // Without its entry nothing can name it yet.
        if registers.row(fleet.version).is_err() {
            return Ok(Vec::new());
        }
        let before = transaction.query_row("SELECT coalesce(max(number), 0) FROM entry", [], |row| row.get(0))?;
        let mut fold = Fold::new(Arc::clone(fleet), now);
        fold.catch_up(&transaction, newest(&transaction)?)?;
        let mut booking = Booking::new(&transaction, &registers)?;
        closing::close(&mut booking, &fold, now)?;
        let entries = crate::copied::entries(&transaction, before, i64::MAX, closing::CLOSINGS_MAX)?;
        // What is closed is only so once all have it.
        drop(booking);
        transaction.rollback()?;
        Ok(entries)
    }
}

impl View {
    /// The public parts of keys by their numbers, in a ledger that is put together of several: each replica has numbers of its own.
    ///
    /// # Errors
    /// When the database refused.
    pub fn keys_of_all(&self) -> Result<BTreeMap<KeyId, String>, LedgerError> {
        let open = self.lock()?;
        if !open.connection.table_exists(None, "whole_key")? {
            return Ok(BTreeMap::new());
        }
        let mut select = open.connection.prepare_cached("SELECT id, public FROM whole_key")?;
        let rows = select.query_map([], |row| Ok((KeyId(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn newest(connection: &Connection) -> Result<i64, LedgerError> {
    Ok(connection.query_row("SELECT coalesce(max(id), 0) FROM posting", [], |row| row.get(0))?)
}

fn unreadable(copied: &Copied) -> LedgerError {
    LedgerError::Missing { what: format!("what entry {} of replica {} says", copied.entry.number, copied.replica) }
}

fn add(transaction: &Transaction<'_>, copied: &Copied) -> Result<(), LedgerError> {
    let kind = Kind::of(&copied.entry.kind).ok_or_else(|| unreadable(copied))?;
    let (own, parts) = kind.tables();
    for line in copied.entry.text.split_terminator('\n') {
        let mut words = line.split('\t');
        let name = words.next().unwrap_or_default();
        let known = [Some(own), parts, Some(&crate::chain::POSTING)];
        let table = known.into_iter().flatten().find(|table| table.name == name).ok_or_else(|| unreadable(copied))?;
        let columns: Vec<&str> = columns(table).collect();
        let mut values = Vec::with_capacity(columns.len());
        for (column, word) in columns.iter().zip(words) {
            let value = read(word, NANOS.contains(column)).ok_or_else(|| unreadable(copied))?;
            values.push(moved(transaction, copied, table.name, column, value)?);
        }
        if values.len() != columns.len() {
            return Err(unreadable(copied));
        }
        insert(transaction, copied, (table, kind), values)?;
    }
    if copied.replica == 0 { link(transaction, copied) } else { Ok(()) }
}

/// The columns of a table as the chain writes them.
fn columns(table: &Table) -> impl Iterator<Item = &'static str> {
    let between = table.select.trim_start_matches("SELECT ").split(" FROM ").next().unwrap_or_default();
    between.split(", ")
}

/// A value as the chain writes it.
fn read(word: &str, is_nanos: bool) -> Option<Value> {
    if word == "\\N" {
        return Some(Value::Null);
    }
    if let Some(hex) = word.strip_prefix("\\x") {
        let byte = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        return (0..hex.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>().map(Value::Blob);
    }
    if let Some(number) = word.parse().ok().filter(|_| is_nanos) {
        return Some(Value::Integer(number));
    }
    let (mut text, mut rest) = (String::with_capacity(word.len()), word.chars());
    while let Some(character) = rest.next() {
        text.push(match character {
            '\\' => match rest.next()? {
                't' => '\t',
                'n' => '\n',
                other => other,
            },
            other => other,
        });
    }
    Some(Value::Text(text))
}

/// A value that names a row of the replica's own ledger, as it names it here.
fn moved(transaction: &Transaction<'_>, copied: &Copied, table: &str, column: &str, value: Value) -> Result<Value, LedgerError> {
    let number = match &value {
        Value::Text(text) => text.parse::<i64>().ok(),
        _ => None,
    };
    let Some(number) = number else { return Ok(value) };
    let far = number + copied.replica * APART;
    Ok(Value::Integer(match (table, column) {
        ("attempt", "key") => key(transaction, copied.key.as_deref())?,
        ("attempt" | "settlement" | "held" | "posting" | "opening" | "closing", "fleet") => {
            let mut find = transaction.prepare_cached("SELECT fleet FROM whole_fleet WHERE origin = ?1")?;
            find.query_row([far], |row| row.get(0)).optional()?.ok_or_else(|| unreadable(copied))?
        }
        ("attempt" | "held" | "ending", "segment")
        | ("ending", "opening")
        | ("held_share", "held")
        | ("posting", "correction" | "source")
        | ("correction", "corrects" | "invoice")
        | ("invoice_line", "invoice")
        | ("closing_line", "closing") => far,
        // It stands right behind its attempt.
        ("advice", "attempt") => transaction.last_insert_rowid(),
        _ => return Ok(value),
    }))
}

/// What a key is called here.
fn key(transaction: &Transaction<'_>, public: Option<&str>) -> Result<i64, LedgerError> {
    let Some(public) = public else { return Ok(0) };
    transaction.prepare_cached("INSERT INTO whole_key (public) VALUES (?1) ON CONFLICT DO NOTHING")?.execute([public])?;
    Ok(transaction.prepare_cached("SELECT id FROM whole_key WHERE public = ?1")?.query_row([public], |row| row.get(0))?)
}

fn insert(
    transaction: &Transaction<'_>,
    copied: &Copied,
    (table, kind): (&Table, Kind),
    mut values: Vec<Value>,
) -> Result<(), LedgerError> {
    let is_own = table.name == kind.tables().0.name;
    // Attempts are numbered in the order in which they came: only what stands behind them in their entry names them by that.
    let row = copied.entry.row.filter(|_| is_own && !matches!(kind, Kind::Attempt | Kind::Ending)).map(|row| row + copied.replica * APART);
    if let (Kind::Fleet, Some(row)) = (kind, row) {
        let version = values.first().cloned().unwrap_or(Value::Null);
        let mut find = transaction.prepare_cached("SELECT id FROM fleet WHERE version = ?1")?;
        let known: Option<i64> = find.query_row([&version], |row| row.get(0)).optional()?;
        transaction.execute("INSERT INTO whole_fleet (origin, fleet) VALUES (?1, ?2)", [row, known.unwrap_or(row)])?;
        if known.is_some() {
            return Ok(());
        }
    }
    let Some(row) = row else {
        transaction.prepare_cached(table.insert)?.execute(params_from_iter(values))?;
        return Ok(());
    };
    values.push(Value::Integer(row));
    let names: Vec<&str> = columns(table).chain(["id"]).collect();
    let places: Vec<&str> = names.iter().map(|_| "?").collect();
    let insert = ["INSERT INTO ", table.name, " (", &names.join(", "), ") VALUES (", &places.join(", "), ")"].concat();
    transaction.prepare_cached(&insert)?.execute(params_from_iter(values))?;
    Ok(())
}

/// Puts an entry that is of all into the chain, as it was.
fn link(transaction: &Transaction<'_>, copied: &Copied) -> Result<(), LedgerError> {
    let ChainEntry { number, kind, row, hash, .. } = &copied.entry;
    transaction.execute(
        "INSERT INTO entry (number, kind, row, posting_to, hash) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![number, kind, row, newest(transaction)?, hash.0],
    )?;
    Ok(())
}
