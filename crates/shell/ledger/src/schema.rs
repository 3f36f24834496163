//! The tables, and the steps from each version of them to the next.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::directory;
use crate::error::LedgerError;

/// How long one process waits for another's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// So much is in the write-ahead log (4 MB) before it goes into the database. Each time the disk is synced twice, and what a busy service
/// appends meanwhile waits in memory: with four times as much, four times as long.
const CHECKPOINT_PAGES: u32 = 1_000;

/// Step `n` brings a store from version `n` to `n + 1`. A step that was released is never edited.
const STEPS: &[&str] = &[
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
    include_str!("schema/0004.sql"),
    include_str!("schema/0005.sql"),
    include_str!("schema/0006.sql"),
    include_str!("schema/0007.sql"),
    include_str!("schema/0008.sql"),
    include_str!("schema/0009.sql"),
];
/// The oldest version whose entries can be brought forward: the step to it makes its tables anew.
const OLDEST: i64 = 3;

/// The database of a state directory.
pub(crate) fn database(directory: &Path) -> PathBuf {
    directory.join("ledger.db")
}

/// Opens a connection; every connection of ours has the same settings to begin with.
pub(crate) fn connect(directory: &Path) -> Result<Connection, LedgerError> {
    let connection = Connection::open(database(directory))?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Brings the tables to this program's version; refuses a store that is past it.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), LedgerError> {
    let known = i64::try_from(STEPS.len()).expect("a handful of steps");
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(LedgerError::Newer { found, known });
    }
    if (1..OLDEST).contains(&found) && !empty(&transaction)? {
        return Err(LedgerError::Older { found, oldest: OLDEST });
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    Ok(transaction.commit()?)
}

/// The same, where another process may run on the tables: it would know the older ones only, so they are brought forward once it has ended.
pub(crate) fn migrate_beside(directory: &Path, connection: &mut Connection) -> Result<(), LedgerError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let is_behind = usize::try_from(found).is_ok_and(|found| found < STEPS.len());
    let _lock = is_behind.then(|| directory::lock(directory)).transpose()?;
    migrate(connection)
}

/// Makes the tables anew, whatever is there: for what can be thrown away. Foreign keys must not be looked after.
pub(crate) fn make_anew(transaction: &Transaction<'_>) -> Result<(), LedgerError> {
    let tables: Vec<String> = {
        let mut select = transaction.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")?;
        select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for table in tables {
        transaction.execute_batch(&["DROP TABLE \"", &table, "\""].concat())?;
    }
    for step in STEPS {
        transaction.execute_batch(step)?;
    }
    Ok(transaction.pragma_update(None, "user_version", i64::try_from(STEPS.len()).expect("a handful of steps"))?)
}

/// Whether nothing was ever booked there.
fn empty(connection: &Connection) -> Result<bool, LedgerError> {
    let nothing = "SELECT NOT EXISTS (SELECT 1 FROM attempt) AND NOT EXISTS (SELECT 1 FROM settlement) AND NOT EXISTS (SELECT 1 FROM held)";
    Ok(connection.query_row(nothing, [], |row| row.get(0))?)
}
