//! One ledger put together from the copied entries of several, always in the same order: so every place that does it gets the same rows,
//! and what is folded, shown or closed from them is the same too.
//!
//! Rows keep what they say. What names a row of the own ledger is moved: `number` of the replica, times [`APART`], is added. A contract's
//! period is closed here once for all replicas; those entries are a chain of their own, whose replica has number nought. What several replicas
//! booked each by itself counts once, the first time: an invoice by its bytes, a closing by its contract and time. So does an entry that is
//! another's, by its number and hash: one chain goes on under two names where a state directory was copied before it shared, or lost its name.
//!
//! An entry that can't be added is passed over and told: nothing that one replica writes may keep the others from what comes after it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dispatch::KeyId;
use fleet::{Fleet, FleetVersion};
use rusqlite::types::Value;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Transaction, TransactionBehavior, params, params_from_iter};
use units::Instant;

use crate::book::Booking;
use crate::books::{Books, Fold};
use crate::chain::{CLOSING, Hash, Kind, Table};
use crate::closing::{self, All, Folds};
use crate::copied::ChainEntry;
use crate::error::LedgerError;
use crate::fleets::Fleets;
use crate::focus::reconcile::{self, Invoice, Reckoned, Reconciliation};
use crate::register::Registers;
use crate::removed::{APART, Removed, removed};
use crate::verify::{self, Verification};
use crate::view::View;
use crate::{directory, schema};

/// The folder of a state directory that the ledger of all replicas is put together in.
pub const WHOLE: &str = "whole";

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

/// What entries were fetched from, and the last of them: whether the next ones follow is seen by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Which database, by its own name.
    pub origin: String,
    /// The place of the last entry among the entries of all; nought where there is none.
    pub place: i64,
    /// Its replica's number.
    pub replica: i64,
    /// Its number in that replica's chain.
    pub number: i64,
    /// Its hash.
    pub hash: Hash,
}

/// An entry that could not be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// The replica's number.
    pub replica: i64,
    /// Its number in that replica's chain.
    pub number: i64,
    /// Why not.
    pub why: String,
}

impl std::fmt::Display for PassedOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "entry {} of replica {} can't be added to the ledger of all and is passed over: {}", self.number, self.replica, self.why)
    }
}

/// Tables of the copies' own.
const TABLES: &str = "
    -- Rows of replicas that are another row here: fleets by their versions, and what two of them have as the same entry.
    CREATE TABLE whole_row (kind TEXT NOT NULL, origin INTEGER NOT NULL, row INTEGER NOT NULL, PRIMARY KEY (kind, origin)) STRICT, WITHOUT ROWID;
    -- Whose each entry was first.
    CREATE TABLE whole_entry (number INTEGER NOT NULL, hash BLOB NOT NULL, replica INTEGER NOT NULL, PRIMARY KEY (number, hash)) STRICT, WITHOUT ROWID;
    CREATE TABLE whole_key (id INTEGER PRIMARY KEY, public TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE whole_passed (replica INTEGER NOT NULL, number INTEGER NOT NULL, why TEXT NOT NULL) STRICT;
    -- Of which database, and the last entry that was fetched from it.
    CREATE TABLE whole_last (origin TEXT NOT NULL, place INTEGER NOT NULL, replica INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL) STRICT;
    -- An invoice that two replicas imported is one here, and what the second one cleared names the first.
    DROP TRIGGER correction_stays;";

/// The ledger of all replicas, in a folder that can be thrown away.
#[derive(Debug)]
pub struct Whole {
    folder: PathBuf,
    connection: Connection,
    fold: Option<Fold>,
    /// Contracts that a fleet lacks, after so many openings.
    removed: (Option<FleetVersion>, i64, Vec<Removed>),
    folds: Folds,
    fleets: Arc<Fleets>,
    /// What is wrong with closings so far, where they are checked.
    checked: Option<Verification>,
}

impl Whole {
    /// Opens or makes the folder. One that another version of the tables made is begun anew, and so is one that had to pass over entries:
    /// this program may know better.
    ///
    /// # Errors
    /// When it can't be used.
    pub fn open(folder: &Path) -> Result<Self, LedgerError> {
        directory::make(folder)?;
        let mut connection = schema::connect(folder)?;
        // Rows come in the order of the copies: a correction before the invoice that it names.
        connection.pragma_update(None, "foreign_keys", false)?;
        let known = match schema::migrate(&mut connection) {
            Err(LedgerError::Newer { .. } | LedgerError::Older { .. }) => false,
            done => done.and_then(|()| Ok(connection.table_exists(None, "whole_entry")?))?,
        };
        let (fleets, removed) = (Fleets::of(folder), (None, 0, Vec::new()));
        let folds = Folds::new(&fleets);
        let mut whole = Self { folder: folder.to_owned(), connection, fold: None, removed, folds, fleets, checked: None };
        if !known || !whole.passed_over()?.is_empty() {
            whole.begin_anew("")?;
        }
        Ok(whole)
    }

    /// Forgets every entry, to fetch those of the database that has this name; whoever reads meanwhile sees all of them or none.
    ///
    /// # Errors
    /// When the database refused.
    pub fn begin_anew(&mut self, origin: &str) -> Result<(), LedgerError> {
        self.fleets = Fleets::of(&self.folder);
        (self.fold, self.removed, self.folds) = (None, (None, 0, Vec::new()), Folds::new(&self.fleets));
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        schema::make_anew(&transaction)?;
        transaction.execute_batch(TABLES)?;
        let Fetched { place, replica, number, hash, .. } = Fetched::default();
        transaction.execute("INSERT INTO whole_last VALUES (?1, ?2, ?3, ?4, ?5)", params![origin, place, replica, number, hash.0])?;
        Ok(transaction.commit()?)
    }

    /// The entries that could not be added.
    ///
    /// # Errors
    /// When the database refused.
    pub fn passed_over(&self) -> Result<Vec<PassedOver>, LedgerError> {
        let mut select = self.connection.prepare_cached("SELECT replica, number, why FROM whole_passed")?;
        let rows = select.query_map([], |row| Ok(PassedOver { replica: row.get(0)?, number: row.get(1)?, why: row.get(2)? }))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The place of the last entry that is in it.
    ///
    /// # Errors
    /// When the database refused.
    pub fn place(&self) -> Result<i64, LedgerError> {
        Ok(self.fetched()?.place)
    }

    /// What its entries were fetched from, and the last of them.
    ///
    /// # Errors
    /// When the database refused.
    pub fn fetched(&self) -> Result<Fetched, LedgerError> {
        let mut last = self.connection.prepare_cached("SELECT origin, place, replica, number, hash FROM whole_last")?;
        Ok(last.query_row([], |row| {
            Ok(Fetched { origin: row.get(0)?, place: row.get(1)?, replica: row.get(2)?, number: row.get(3)?, hash: Hash(row.get(4)?) })
        })?)
    }

    /// Keeps the text of a fleet version that entries name.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn keep_fleet(&self, version: FleetVersion, text: &str) -> Result<(), LedgerError> {
        directory::keep_text(&self.folder, version, text)
    }

    /// Has each closing that is of all checked when it comes: by what came before it, which is all that it knew.
    #[must_use]
    pub fn checking(self) -> Self {
        Self { checked: Some(Verification::default()), ..self }
    }

    /// Checks what is there from first principles, with what was found of closings.
    ///
    /// # Errors
    /// When the database refused.
    pub fn verify(&self) -> Result<Verification, LedgerError> {
        let mut verification = self.checked.clone().unwrap_or_default();
        verify::check_whole(&self.folder, &self.connection, &mut verification)?;
        Ok(verification)
    }

    /// Takes in entries, which must follow what is there in the order of their places. What can't be added is passed over.
    ///
    /// # Errors
    /// When the database refused.
    pub fn add(&mut self, entries: &[Copied]) -> Result<(), LedgerError> {
        let Some(mut found) = self.checked.take() else { return self.take_in(entries) };
        let closes = |copied: &Copied| copied.replica == 0 && copied.entry.kind == CLOSING.name;
        for entries in entries.chunk_by(|_, next| !closes(next)) {
            if let Some(closing) = entries.first().filter(|first| closes(first)) {
                self.check(closing, &mut found)?;
            }
            self.take_in(entries)?;
        }
        self.checked = Some(found);
        Ok(())
    }

    /// Checks a closing that comes next. What it says is read from its rows, which are not kept yet.
    fn check(&mut self, copied: &Copied, found: &mut Verification) -> Result<(), LedgerError> {
        let Some(row) = copied.entry.row else { return Ok(()) };
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let said = match add(&transaction, copied) {
            // It is passed over, and told then.
            Err(error) if is_of_the_entry(&error) => return Ok(()),
            added => added.and_then(|()| closing::past(&transaction, row.saturating_sub(1)))?,
        };
        transaction.rollback()?;
        let Some(closed) = said.iter().find(|closed| closed.number == row) else { return Ok(()) };
        verify::closings::check_next((&self.connection, &mut self.folds), closed, found)
    }

    fn take_in(&mut self, entries: &[Copied]) -> Result<(), LedgerError> {
        let Some(last) = entries.last() else { return Ok(()) };
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for copied in entries {
            transaction.prepare_cached("SAVEPOINT copied")?.execute([])?;
            match add(&transaction, copied) {
                Err(error) if is_of_the_entry(&error) => {
                    transaction.prepare_cached("ROLLBACK TO copied")?.execute([])?;
                    let mut pass = transaction.prepare_cached("INSERT INTO whole_passed (replica, number, why) VALUES (?1, ?2, ?3)")?;
                    pass.execute(params![copied.replica, copied.entry.number, why(&error)])?;
                }
                added => added?,
            }
            transaction.prepare_cached("RELEASE copied")?.execute([])?;
        }
        let ChainEntry { number, hash, .. } = &last.entry;
        transaction.execute(
            "UPDATE whole_last SET place = ?1, replica = ?2, number = ?3, hash = ?4",
            params![last.place, last.replica, number, hash.0],
        )?;
        Ok(transaction.commit()?)
    }

    /// The books of all replicas under a fleet.
    ///
    /// # Errors
    /// When the database refused.
    pub fn books(&mut self, fleet: &Arc<Fleet>, now: Instant) -> Result<Books, LedgerError> {
        Ok(self.fold(fleet, now)?.books())
    }

    /// The fold of all that is there, caught up: from what was folded before.
    fn fold(&mut self, fleet: &Arc<Fleet>, now: Instant) -> Result<&Fold, LedgerError> {
        let fold = self.fold.take().filter(|fold| fold.fleet.version == fleet.version);
        let mut fold = fold.unwrap_or_else(|| Fold::new(Arc::clone(fleet), &self.fleets, now));
        fold.catch_up(&self.connection, newest(&self.connection)?)?;
        Ok(self.fold.insert(fold))
    }

    /// Finds the contracts that this fleet lacks and others had: anew once another process has begun.
    fn find_removed(&mut self, fleet: &Fleet, now: Instant) -> Result<(), LedgerError> {
        let openings = self.connection.query_row("SELECT count(*) FROM opening", [], |row| row.get(0))?;
        if (self.removed.0, self.removed.1) != (Some(fleet.version), openings) {
            let registers = Registers::read(&self.connection)?;
            self.removed = (Some(fleet.version), openings, removed(&self.connection, &registers, &self.fleets, fleet, now)?);
        }
        Ok(())
    }

    /// Reckons an invoice up with what is there: what takes long, done before anybody has to wait for it.
    ///
    /// # Errors
    /// When it was imported before, or the database refused.
    pub fn reckon(&self, fleet: &Arc<Fleet>, invoice: &Invoice<'_>, now: Instant) -> Result<Reckoned, LedgerError> {
        reconcile::refuse_known(&self.connection, invoice)?;
        let registers = Registers::read(&self.connection)?;
        Reckoned::new(&self.connection, &registers, &self.fleets, fleet, invoice.lines, now)
    }

    /// Sets an invoice beside what all took, and gives the entries of it and of what it clears; nothing is kept here until they come back
    /// as copies.
    ///
    /// # Errors
    /// When it was imported before, or the database refused.
    pub fn import(
        &mut self,
        reckoned: Reckoned,
        invoice: &Invoice<'_>,
        now: Instant,
    ) -> Result<(Reconciliation, Vec<ChainEntry>), LedgerError> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let registers = Registers::read(&transaction)?;
        let before = transaction.query_row("SELECT coalesce(max(number), 0) FROM entry", [], |row| row.get(0))?;
        let posted = newest(&transaction)?;
        let mut booking = Booking::of_all(&transaction, &registers, posted)?;
        let found = reconcile::book(&mut booking, reckoned, invoice, now)?;
        let entries = crate::copied::entries_behind(&transaction, (before, posted), i64::MAX, usize::MAX)?;
        drop(booking);
        transaction.rollback()?;
        Ok((found, entries))
    }

    /// Closes every period that `now` allows, and gives the entries of it that are not copied yet; nothing is kept here until
    /// they come back as copies.
    ///
    /// # Errors
    /// When the database refused.
    pub fn closing(&mut self, fleet: &Arc<Fleet>, now: Instant) -> Result<Vec<ChainEntry>, LedgerError> {
        // Asked every second, and mostly for nothing.
        self.find_removed(fleet, now)?;
        self.folds.prepare(&self.connection, fleet, &self.removed.2, now)?;
        if !closing::any(&self.connection, fleet, now)? && !self.folds.any() {
            return Ok(Vec::new());
        }
        let to = self.fold(fleet, now)?.posting_to;
        self.folds.catch_up(&self.connection, to)?;
        let Some(fold) = &self.fold else { return Ok(Vec::new()) };
        let mut all = All { fold, removed: &self.removed.2, folds: &mut self.folds };
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let registers = Registers::read(&transaction)?;
        // Without its entry nothing can name it yet.
        if registers.row(fleet.version).is_err() {
            return Ok(Vec::new());
        }
        let before = transaction.query_row("SELECT coalesce(max(number), 0) FROM entry", [], |row| row.get(0))?;
        // Its numbers are none that a replica's own closing may come with later.
        let posted = newest(&transaction)?;
        let mut booking = Booking::of_all(&transaction, &registers, posted)?;
        closing::close(&mut booking, &mut all, now)?;
        let entries = crate::copied::entries_behind(&transaction, (before, posted), i64::MAX, closing::CLOSINGS_MAX)?;
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
        if !is_whole(&open.connection)? {
            return Ok(BTreeMap::new());
        }
        let mut select = open.connection.prepare_cached("SELECT id, public FROM whole_key")?;
        let rows = select.query_map([], |row| Ok((KeyId(row.get(0)?), row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Whether a ledger is put together of several.
pub(crate) fn is_whole(connection: &Connection) -> Result<bool, LedgerError> {
    Ok(connection.table_exists(None, "whole_last")?)
}

/// The newest posting that is booked; in a ledger that is put together of several its own chain names fewer.
pub(crate) fn newest(connection: &Connection) -> Result<i64, LedgerError> {
    Ok(connection.query_row("SELECT coalesce(max(id), 0) FROM posting", [], |row| row.get(0))?)
}

fn unreadable(copied: &Copied) -> LedgerError {
    LedgerError::Missing { what: format!("what entry {} of replica {} says", copied.entry.number, copied.replica) }
}

/// Whether an entry was refused for what it says, and not for the state of the disk or for another process.
fn is_of_the_entry(error: &LedgerError) -> bool {
    match error {
        LedgerError::Missing { .. } | LedgerError::Twice { .. } => true,
        LedgerError::Database(error) => error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation),
        _ => false,
    }
}

/// An error with what it comes from.
fn why(error: &LedgerError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

fn add(transaction: &Transaction<'_>, copied: &Copied) -> Result<(), LedgerError> {
    let kind = Kind::of(&copied.entry.kind).ok_or_else(|| unreadable(copied))?;
    let (own, parts) = kind.tables();
    if copied.replica != 0 && is_copy(transaction, copied, kind)? {
        return Ok(());
    }
    for line in copied.entry.text.split_terminator('\n') {
        let mut words = line.split('\t');
        let name = words.next().unwrap_or_default();
        let mut known = [own, &crate::chain::POSTING].into_iter().chain(parts.iter().copied());
        let table = known.find(|table| table.name == name).ok_or_else(|| unreadable(copied))?;
        let columns: Vec<&str> = columns(table).collect();
        let mut values = Vec::with_capacity(columns.len());
        for (column, word) in columns.iter().zip(words) {
            let value = read(word, NANOS.contains(column)).ok_or_else(|| unreadable(copied))?;
            values.push(moved(transaction, copied, table.name, column, value)?);
        }
        if values.len() != columns.len() {
            return Err(unreadable(copied));
        }
        if is_known(transaction, copied, table, &values)? {
            // Nor what belongs to it.
            return Ok(());
        }
        insert(transaction, copied, (table, kind), values)?;
    }
    if copied.replica == 0 { link(transaction, copied) } else { Ok(()) }
}

/// Whether this entry is another replica's too, which is the same up to there: then its rows are those of the first.
fn is_copy(transaction: &Transaction<'_>, copied: &Copied, kind: Kind) -> Result<bool, LedgerError> {
    let ChainEntry { number, row, hash, .. } = &copied.entry;
    let mut add =
        transaction.prepare_cached("INSERT INTO whole_entry (number, hash, replica) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
    if add.execute(params![number, hash.0, copied.replica])? == 1 {
        return Ok(false);
    }
    // What comes after the copy names these.
    if let (Kind::Fleet | Kind::Opening | Kind::Correction, Some(row)) = (kind, *row) {
        let mut find = transaction.prepare_cached("SELECT replica FROM whole_entry WHERE number = ?1 AND hash = ?2")?;
        let replica = find.query_row(params![number, hash.0], |row| row.get(0))?;
        let (origin, first) = far(copied.replica, row).zip(far(replica, row)).ok_or_else(|| unreadable(copied))?;
        name(transaction, kind, origin, here(transaction, kind, first)?.unwrap_or(first))?;
    }
    Ok(true)
}

/// Which row here a row of a replica is, where it is another's.
fn here(transaction: &Transaction<'_>, kind: Kind, origin: i64) -> Result<Option<i64>, LedgerError> {
    let mut find = transaction.prepare_cached("SELECT row FROM whole_row WHERE kind = ?1 AND origin = ?2")?;
    Ok(find.query_row(params![kind.tables().0.name, origin], |row| row.get(0)).optional()?)
}

/// Says which row here a row of a replica is.
fn name(transaction: &Transaction<'_>, kind: Kind, origin: i64, row: i64) -> Result<(), LedgerError> {
    let mut add = transaction.prepare_cached("INSERT INTO whole_row (kind, origin, row) VALUES (?1, ?2, ?3)")?;
    add.execute(params![kind.tables().0.name, origin, row])?;
    Ok(())
}

/// Whether another replica brought the same: this invoice, or a closing of the contract that shares time with this one.
fn is_known(transaction: &Transaction<'_>, copied: &Copied, table: &Table, values: &[Value]) -> Result<bool, LedgerError> {
    let value = |name: &str| columns(table).position(|column| column == name).and_then(|place| values.get(place));
    match table.name {
        "invoice" => {
            let mut find = transaction.prepare_cached("SELECT id FROM invoice WHERE digest = ?1")?;
            let Some(known) = find.query_row([value("digest")], |row| row.get::<_, i64>(0)).optional()? else { return Ok(false) };
            let own = copied.entry.row.and_then(|row| far(copied.replica, row));
            transaction.execute("UPDATE correction SET invoice = ?1 WHERE invoice = ?2", params![known, own])?;
            Ok(true)
        }
        "closing" if copied.replica != 0 => {
            let find = "SELECT EXISTS (SELECT 1 FROM closing WHERE contract = ?1 AND from_us < CAST(?3 AS INTEGER) AND to_us > CAST(?2 AS INTEGER))";
            let of = [value("contract"), value("from_us"), value("to_us")];
            Ok(transaction.prepare_cached(find)?.query_row(of, |row| row.get(0))?)
        }
        _ => Ok(false),
    }
}

/// What a row of the replica's own ledger is called here; nothing where no ledger has as many.
fn far(replica: i64, row: i64) -> Option<i64> {
    replica.checked_mul(APART)?.checked_add(row)
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
    let far = || far(copied.replica, number).ok_or_else(|| unreadable(copied));
    Ok(Value::Integer(match (table, column) {
        ("attempt", "key") => key(transaction, copied.key.as_deref())?,
        ("attempt" | "settlement" | "held" | "posting" | "opening" | "closing", "fleet") => {
            here(transaction, Kind::Fleet, far()?)?.ok_or_else(|| unreadable(copied))?
        }
        ("ending", "opening") => here(transaction, Kind::Opening, far()?)?.map_or_else(far, Ok)?,
        ("correction", "corrects") => here(transaction, Kind::Correction, far()?)?.map_or_else(far, Ok)?,
        ("attempt" | "held" | "ending", "segment")
        | ("held_share", "held")
        | ("posting", "correction" | "source")
        | ("correction", "invoice")
        | ("invoice_line", "invoice")
        | ("closing_line", "closing") => far()?,
        // Postings have numbers of their own here. One that is of all knew all that came before it; one of a replica what that had alone, so
        // all that was posted is looked at again by the next one.
        ("closing", "posting_to") if copied.replica == 0 => newest(transaction)?,
        ("closing", "posting_to") => 0,
        // It stands right behind its attempt.
        ("advice" | "in_units", "attempt") => transaction.last_insert_rowid(),
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
    let own = kind.tables().0;
    let is_own = table.name == own.name;
    // Attempts are numbered in the order in which they came: only what stands behind them in their entry names them by that.
    let row = copied.entry.row.filter(|_| is_own && !matches!(kind, Kind::Attempt | Kind::Ending));
    let row = row.map(|row| far(copied.replica, row).ok_or_else(|| unreadable(copied))).transpose()?;
    if let (Kind::Fleet, Some(row)) = (kind, row) {
        let version = values.first().cloned().unwrap_or(Value::Null);
        let mut find = transaction.prepare_cached("SELECT id FROM fleet WHERE version = ?1")?;
        let known: Option<i64> = find.query_row([&version], |row| row.get(0)).optional()?;
        name(transaction, kind, row, known.unwrap_or(row))?;
        if known.is_some() {
            return Ok(());
        }
    }
    let Some(row) = row else {
        let inserted = transaction.prepare_cached(table.insert)?.execute(params_from_iter(values))?;
        // What belongs to one that is there already would be there twice.
        return if is_own && inserted == 0 { Err(LedgerError::Twice { table: own.name }) } else { Ok(()) };
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
