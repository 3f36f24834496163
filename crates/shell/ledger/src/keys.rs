//! The keys of a state directory, in the database.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dispatch::KeyId;
use fleet::{Allowance, PerMinute};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use units::Instant;

use crate::error::LedgerError;
use crate::key::{KeyRow, KeySecret, KeyTerms, NewKey, Previous, base32, hash_secret, public_part, without_secret};
use crate::keylog::{self, By, KeyDeed};
use crate::plain::check_name;
use crate::schema;
use crate::scope::Scopes;

/// The keys of a state directory; several processes may have it open at once.
#[derive(Debug)]
pub struct Keys {
    pub(crate) open: Mutex<Open>,
    by: By,
}

#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) connection: Connection,
    /// What was read last, and the count of changes it was read at.
    read: Option<(i64, Arc<[KeyRow]>)>,
}

impl Keys {
    /// Opens the keys of a state directory, which is made if there is none.
    ///
    /// # Errors
    /// When the directory can't be used, the database refused, or it is newer than this program, or older and in use.
    pub fn open(directory: &Path) -> Result<Self, LedgerError> {
        crate::directory::make(directory)?;
        let mut connection = schema::connect(directory)?;
        schema::migrate_beside(directory, &mut connection)?;
        // No journal is behind a revocation: it is on disk when it is committed.
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(Self { open: Mutex::new(Open { connection, read: None }), by: By::default() })
    }

    /// Opens the keys of a state directory that is there; a name with a slip in it makes none.
    ///
    /// # Errors
    /// When there is none, or as for [`Self::open`].
    pub fn open_existing(directory: &Path) -> Result<Self, LedgerError> {
        if !schema::database(directory).exists() {
            return Err(LedgerError::Missing { what: format!("a ledger in {}", directory.display()) });
        }
        Self::open(directory)
    }

    /// The same keys, changed by somebody for some reason, which the ledger keeps with each change.
    #[must_use]
    pub fn by(self, by: By) -> Self {
        Self { by, ..self }
    }

    /// Every key that was ever made, by number; read anew only when there was a change, else the same rows as before.
    ///
    /// # Errors
    /// When the database refused.
    pub fn list(&self) -> Result<Arc<[KeyRow]>, LedgerError> {
        let mut open = self.lock();
        let changes = changes(&open.connection)?;
        if let Some((at, rows)) = &open.read
            && *at == changes
        {
            return Ok(Arc::clone(rows));
        }
        let rows: Arc<[KeyRow]> = read(&open.connection)?.into();
        open.read = Some((changes, Arc::clone(&rows)));
        Ok(rows)
    }

    /// Makes a key from random bytes that the caller drew: six for the public part, the rest for the secret.
    ///
    /// # Errors
    /// When a name in its terms is none that can be kept, or the database refused.
    pub fn create(&self, terms: &KeyTerms, random: [u8; 38], now: Instant) -> Result<NewKey, LedgerError> {
        check(terms)?;
        let public: String = random[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let secret = base32(&random[6..]);
        let mut open = self.lock();
        let transaction = open.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let KeyTerms { name, scopes, models, team, allowance: Allowance { requests, tokens, budget }, expires } = terms;
        let per_minute = |rate: &Option<PerMinute>| rate.map(PerMinute::count);
        let budget = budget.map(|budget| budget.to_string());
        transaction.execute(
            "INSERT INTO api_key (name, public, hash, created, expires, team, requests, tokens, budget)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                name,
                public,
                hash_secret(&secret),
                now.micros(),
                expires.map(Instant::micros),
                team,
                per_minute(requests),
                per_minute(tokens),
                budget
            ],
        )?;
        let id: u32 = transaction.query_row("SELECT last_insert_rowid()", [], |row| row.get(0))?;
        for model in models {
            transaction.execute("INSERT OR IGNORE INTO api_key_model (api_key, model) VALUES (?1, ?2)", params![id, model])?;
        }
        for scope in scopes.iter() {
            transaction.execute("INSERT INTO api_key_scope (api_key, scope) VALUES (?1, ?2)", params![id, scope.name()])?;
        }
        let row = one(&transaction, id)?;
        keylog::book(&transaction, &row, (KeyDeed::Made, &keylog::told(terms)), &self.by, now)?;
        transaction.commit()?;
        Ok(NewKey { text: text(&public, &secret), row })
    }

    /// Gives a key a new secret from random bytes that the caller drew; the old one is good until `overlap` has passed. One that was still
    /// good from an earlier rotation ends at once: a key has two secrets at most.
    ///
    /// # Errors
    /// When no key in use is called so, or more than one, or the database refused.
    pub fn rotate(&self, which: &str, random: [u8; 32], overlap: Duration, now: Instant) -> Result<NewKey, LedgerError> {
        let secret = base32(&random);
        let mut open = self.lock();
        let transaction = open.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let row = one(&transaction, find(&transaction, which)?)?;
        if !row.valid(now) {
            return Err(missing(which));
        }
        // Later than the one before, whatever the clock says.
        let rotated = row.rotated.map_or(now, |before| now.max(before + Duration::from_micros(1)));
        transaction.execute(
            "UPDATE api_key SET previous = hash, previous_until = ?2, hash = ?3, rotated = ?4 WHERE id = ?1",
            params![row.id.0, (now + overlap).micros(), hash_secret(&secret), rotated.micros()],
        )?;
        let row = one(&transaction, row.id.0)?;
        let terms = format!("the secret before is good until {}", now + overlap);
        keylog::book(&transaction, &row, (KeyDeed::Rotated, &terms), &self.by, now)?;
        transaction.commit()?;
        Ok(NewKey { text: text(&row.public, &secret), row })
    }

    /// Revokes a key by its public part, however that is written, or by its name where only one unrevoked key has it.
    ///
    /// # Errors
    /// When there is none or more than one of that name, or the database refused.
    pub fn revoke(&self, which: &str, now: Instant) -> Result<KeyRow, LedgerError> {
        let mut open = self.lock();
        let transaction = open.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let id = find(&transaction, which)?;
        let revoked =
            transaction.execute("UPDATE api_key SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL", params![id, now.micros()])?;
        let row = one(&transaction, id)?;
        // One that was revoked before stays as it is.
        if revoked > 0 {
            keylog::book(&transaction, &row, (KeyDeed::Revoked, "may nothing"), &self.by, now)?;
        }
        transaction.commit()?;
        Ok(row)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refuses names that would not be one line where keys are listed.
fn check(KeyTerms { name, models, team, .. }: &KeyTerms) -> Result<(), LedgerError> {
    let names = [("the name of a key", name)].into_iter();
    let names = names.chain(models.iter().map(|model| ("the name of a key's model", model)));
    let mut names = names.chain(team.iter().map(|team| ("the name of a key's team", team)));
    names.try_for_each(|(what, name)| check_name(name).map_err(|source| LedgerError::NotPlain { what, source }))
}

fn text(public: &str, secret: &str) -> KeySecret {
    KeySecret(format!("bl-{public}-{secret}"))
}

/// The number of the key with this public part, or else of the only unrevoked one with this name.
fn find(connection: &Connection, which: &str) -> Result<u32, LedgerError> {
    let by_public = "SELECT id FROM api_key WHERE public = ?1";
    match connection.query_row(by_public, [public_part(which)], |row| row.get(0)).optional()? {
        Some(id) => Ok(id),
        None => only_named(connection, which),
    }
}

fn only_named(connection: &Connection, name: &str) -> Result<u32, LedgerError> {
    let mut select = connection.prepare("SELECT id, public FROM api_key WHERE name = ?1 AND revoked IS NULL ORDER BY id")?;
    let found = select.query_map([name], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<(u32, String)>, _>>()?;
    match found.as_slice() {
        [(id, _)] => Ok(*id),
        [] => Err(missing(name)),
        _ => {
            let keys = found.iter().map(|(_, public)| format!("bl-{public}")).collect();
            Err(LedgerError::Ambiguous { name: without_secret(name), keys })
        }
    }
}

fn missing(which: &str) -> LedgerError {
    LedgerError::Missing {
        what: format!("a key in use that is called {}: `key list` has their names and public parts", without_secret(which)),
    }
}

fn one(connection: &Connection, id: u32) -> Result<KeyRow, LedgerError> {
    let row = read(connection)?.into_iter().find(|row| row.id.0 == id);
    row.ok_or_else(|| LedgerError::Missing { what: format!("key number {id}") })
}

fn changes(connection: &Connection) -> Result<i64, LedgerError> {
    Ok(connection.prepare_cached("SELECT changes FROM api_key_changes")?.query_row([], |row| row.get(0))?)
}

fn read(connection: &Connection) -> Result<Vec<KeyRow>, LedgerError> {
    let mut models = connection.prepare_cached("SELECT model FROM api_key_model WHERE api_key = ?1 ORDER BY model")?;
    let mut scopes = connection.prepare_cached("SELECT scope FROM api_key_scope WHERE api_key = ?1")?;
    let mut select = connection.prepare_cached(
        "SELECT id, name, public, hash, created, expires, revoked, team, previous, previous_until, requests, tokens, budget, rotated
         FROM api_key ORDER BY id",
    )?;
    let mut rows = select.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, name): (u32, String) = (row.get(0)?, row.get(1)?);
        let instant = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Instant::from_micros));
        // What this program can't read must not turn into no limit, nor into more scopes.
        let unreadable = || LedgerError::UnreadableKey { name: name.clone() };
        let per_minute = |column| {
            let count: Option<i64> = row.get(column)?;
            count.map(|count| PerMinute::new(count).ok_or_else(unreadable)).transpose()
        };
        let budget = row.get::<_, Option<String>>(12)?.map(|text| text.parse().map_err(|_| unreadable())).transpose()?;
        let named = scopes.query_map([id], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        let named: Scopes = named.iter().map(|name| name.parse()).collect::<Result<_, _>>().map_err(|_| unreadable())?;
        let previous = row.get::<_, Option<[u8; 32]>>(8)?.zip(instant(9)?).map(|(hash, until)| Previous { hash, until });
        keys.push(KeyRow {
            id: KeyId(id),
            public: row.get(2)?,
            hash: row.get(3)?,
            rotated: instant(13)?,
            previous,
            scopes: named,
            team: row.get(7)?,
            allowance: Allowance { requests: per_minute(10)?, tokens: per_minute(11)?, budget },
            models: models.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?,
            created: Instant::from_micros(row.get(4)?),
            expires: instant(5)?,
            revoked: instant(6)?,
            name,
        });
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_reads_makes_no_directory() {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path().join("tyop");
        assert!(matches!(Keys::open_existing(&directory), Err(LedgerError::Missing { .. })));
        assert!(!directory.exists());
        Keys::open(&directory).expect("made");
        Keys::open_existing(&directory).expect("it is there");
    }

    #[test]
    fn a_rate_that_cannot_be_read_is_not_no_limit() {
        let directory = tempfile::tempdir().expect("a folder");
        let keys = Keys::open(directory.path()).expect("made");
        let terms = KeyTerms::named("app");
        keys.create(&terms, [7; 38], Instant::default()).expect("made");
        keys.lock().connection.execute("UPDATE api_key SET requests = ?1", [PerMinute::MAX + 1]).expect("changed");
        assert!(matches!(keys.list(), Err(LedgerError::UnreadableKey { name }) if name == "app"));
    }

    #[test]
    fn what_is_said_of_a_key_is_on_disk_when_it_is_said() {
        let directory = tempfile::tempdir().expect("a folder");
        let keys = Keys::open(directory.path()).expect("made");
        let synchronous: i64 = keys.lock().connection.pragma_query_value(None, "synchronous", |row| row.get(0)).expect("it answers");
        assert_eq!(synchronous, 2, "FULL");
    }
}
