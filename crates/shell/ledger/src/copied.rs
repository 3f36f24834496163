//! The chain's entries as copies of them are made elsewhere, and keys as they come from there.

use std::fs::File;

use fleet::{Allowance, PerMinute};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use units::Instant;

use crate::chain::{self, Hash};
use crate::error::{LedgerError, at};
use crate::key::KeyRow;
use crate::keys::Keys;
use crate::schema;
use crate::verify::chain::{LINK, link_at, text};
use crate::view::View;

/// One entry of the chain, word for word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainEntry {
    /// Its number.
    pub number: i64,
    /// What it is: the name of its table.
    pub kind: String,
    /// The row that it is; a settlement has none.
    pub row: Option<i64>,
    /// Its lines.
    pub text: String,
    /// Its hash.
    pub hash: Hash,
}

impl Hash {
    /// The hash of an entry with that text after one with this hash; the first comes after zeros.
    #[must_use]
    pub fn then(self, text: &str) -> Self {
        chain::next(self, text.as_bytes())
    }
}

impl View {
    /// The number of the last entry that no power cut takes back.
    ///
    /// # Errors
    /// When the database or the disk refused.
    pub fn synced_entries(&self) -> Result<i64, LedgerError> {
        let open = self.lock()?;
        let number = open.connection.query_row("SELECT coalesce(max(number), 0) FROM entry", [], |row| row.get(0))?;
        drop(open);
        // What was committed is in this file, or in the database behind it, which is synced before this is written over.
        let log = schema::database(&self.directory).with_extension("db-wal");
        match File::open(&log) {
            Ok(file) => file.sync_data().map_err(at(&log))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(&log)(error)),
        }
        Ok(number)
    }

    /// Entries past number `after`, in order, at most `limit` of them and none past `last`.
    ///
    /// # Errors
    /// When the database refused, or a row of an entry is gone.
    pub fn entries(&self, after: i64, last: i64, limit: usize) -> Result<Vec<ChainEntry>, LedgerError> {
        entries(&self.lock()?.connection, after, last, limit)
    }
}

pub(crate) fn entries(connection: &Connection, after: i64, last: i64, limit: usize) -> Result<Vec<ChainEntry>, LedgerError> {
    let mut before = connection.prepare_cached("SELECT posting_to FROM entry WHERE number = ?1")?;
    let posting_to = before.query_row([after], |row| row.get(0)).optional()?.unwrap_or(0);
    entries_behind(connection, (after, posting_to), last, limit)
}

/// Entries past number `after`, whose postings are those past `posting_to`.
pub(crate) fn entries_behind(
    connection: &Connection,
    (after, mut posting_to): (i64, i64),
    last: i64,
    limit: usize,
) -> Result<Vec<ChainEntry>, LedgerError> {
    let mut select = connection.prepare_cached(LINK)?;
    let mut rows = select.query([after])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let link = link_at(row)?;
        if link.number > last || entries.len() >= limit {
            break;
        }
        let lost = || LedgerError::Missing { what: format!("the row of entry {}", link.number) };
        let text = text(connection, &link, posting_to)?.ok_or_else(lost)?;
        posting_to = link.posting_to;
        entries.push(ChainEntry { number: link.number, kind: link.kind, row: link.row, text, hash: link.hash });
    }
    Ok(entries)
}

impl Keys {
    /// Takes in a key as it stands elsewhere: a new one gets a number here, one that is known changes.
    ///
    /// # Errors
    /// When the database refused.
    pub fn adopt(&self, row: &KeyRow) -> Result<(), LedgerError> {
        let mut open = self.lock();
        let transaction = open.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let KeyRow { name, public, hash, rotated, previous, scopes, team, allowance, models, created, expires, revoked, .. } = row;
        let Allowance { requests, tokens, budget } = allowance;
        let per_minute = |rate: &Option<PerMinute>| rate.map(PerMinute::count);
        transaction.execute(
            "INSERT INTO api_key (name, public, hash, created, expires, team, requests, tokens, budget, previous, previous_until, revoked, rotated)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
             ON CONFLICT (public) DO UPDATE SET name = excluded.name, expires = excluded.expires, team = excluded.team,
                 requests = excluded.requests, tokens = excluded.tokens, budget = excluded.budget,
                 -- What was said here while the copy was on its way stays said: a revocation, and a later rotation.
                 revoked = coalesce(min(revoked, excluded.revoked), revoked, excluded.revoked),
                 hash = iif(coalesce(rotated, 0) > coalesce(excluded.rotated, 0), hash, excluded.hash),
                 previous = iif(coalesce(rotated, 0) > coalesce(excluded.rotated, 0), previous, excluded.previous),
                 previous_until = iif(coalesce(rotated, 0) > coalesce(excluded.rotated, 0), previous_until, excluded.previous_until),
                 rotated = nullif(max(coalesce(rotated, 0), coalesce(excluded.rotated, 0)), 0)",
            params![
                name,
                public,
                hash,
                created.micros(),
                expires.map(Instant::micros),
                team,
                per_minute(requests),
                per_minute(tokens),
                budget.map(|budget| budget.to_string()),
                previous.map(|previous| previous.hash),
                previous.map(|previous| previous.until.micros()),
                revoked.map(Instant::micros),
                rotated.map(Instant::micros)
            ],
        )?;
        let id: i64 = transaction.query_row("SELECT id FROM api_key WHERE public = ?1", [public], |row| row.get(0))?;
        transaction.execute("DELETE FROM api_key_model WHERE api_key = ?1", [id])?;
        for model in models {
            transaction.execute("INSERT OR IGNORE INTO api_key_model (api_key, model) VALUES (?1, ?2)", params![id, model])?;
        }
        transaction.execute("DELETE FROM api_key_scope WHERE api_key = ?1", [id])?;
        for scope in scopes.iter() {
            transaction.execute("INSERT INTO api_key_scope (api_key, scope) VALUES (?1, ?2)", params![id, scope.name()])?;
        }
        Ok(transaction.commit()?)
    }
}
