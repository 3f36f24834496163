//! API keys: shown once, stored hashed.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dispatch::KeyId;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use sha2::{Digest, Sha256};
use units::Instant;

use crate::error::LedgerError;
use crate::schema;

/// A key as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Its number.
    pub id: KeyId,
    /// What a person calls it.
    pub name: String,
    /// The public part, which is no secret.
    pub public: String,
    /// SHA-256 of the secret part.
    pub hash: [u8; 32],
    /// Names of models it may use; empty means all.
    pub models: Vec<String>,
    /// When it was made.
    pub created: Instant,
    /// When it stops.
    pub expires: Option<Instant>,
    /// When it was revoked.
    pub revoked: Option<Instant>,
}

impl KeyRow {
    /// Whether it may be used at `now`.
    #[must_use]
    pub fn valid(&self, now: Instant) -> bool {
        self.revoked.is_none_or(|revoked| now < revoked) && self.expires.is_none_or(|expires| now < expires)
    }
}

/// The secret part of a key, as text; prints as `[redacted]`.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySecret(pub String);

impl std::fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A key just made: the only time that its text is known.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What was stored.
    pub row: KeyRow,
    /// The whole text `bl-<public>-<secret>`.
    pub text: KeySecret,
}

/// The public and the secret part of a key's text; `None` when it isn't formed like one.
#[must_use]
pub fn split_key(text: &str) -> Option<(&str, &str)> {
    let (public, secret) = text.strip_prefix("bl-")?.split_once('-')?;
    let formed = public.len() == PUBLIC_CHARS && secret.len() == SECRET_CHARS;
    (formed && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')).then_some((public, secret))
}

/// What is stored of a secret: SHA-256 of its text. It is random and long, so no slow hash is needed.
#[must_use]
pub fn hash_secret(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Six bytes in hexadecimal.
const PUBLIC_CHARS: usize = 12;
/// Thirty-two bytes, five bits a character.
const SECRET_CHARS: usize = 52;

/// The keys of a state directory; several processes may have it open at once.
#[derive(Debug)]
pub struct Keys {
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    /// What was read last, and the count of changes it was read at.
    read: Option<(i64, Vec<KeyRow>)>,
}

impl Keys {
    /// Opens the keys of a state directory, which is made if there is none.
    ///
    /// # Errors
    /// When the directory can't be used, the database refused, or it is newer than this program.
    pub fn open(directory: &Path) -> Result<Self, LedgerError> {
        crate::directory::make(directory)?;
        let mut connection = schema::connect(directory)?;
        schema::migrate(&mut connection)?;
        Ok(Self { open: Mutex::new(Open { connection, read: None }) })
    }

    /// Every key that was ever made, by number; read anew only when there was a change.
    ///
    /// # Errors
    /// When the database refused.
    pub fn list(&self) -> Result<Vec<KeyRow>, LedgerError> {
        let mut open = self.lock();
        let changes = changes(&open.connection)?;
        if let Some((at, rows)) = &open.read
            && *at == changes
        {
            return Ok(rows.clone());
        }
        let rows = read(&open.connection)?;
        open.read = Some((changes, rows.clone()));
        Ok(rows)
    }

    /// Makes a key from random bytes that the caller drew: six for the public part, the rest for the secret.
    ///
    /// # Errors
    /// When the database refused.
    pub fn create(
        &self,
        name: &str,
        models: &[String],
        random: [u8; 38],
        now: Instant,
        expires: Option<Instant>,
    ) -> Result<NewKey, LedgerError> {
        let public: String = random[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let secret = base32(&random[6..]);
        let hash = hash_secret(&secret);
        let mut open = self.lock();
        let transaction = open.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(
            "INSERT INTO api_key (name, public, hash, created, expires) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![name, public, hash, now.micros(), expires.map(Instant::micros)],
        )?;
        let id: u32 = transaction.query_row("SELECT last_insert_rowid()", [], |row| row.get(0))?;
        for model in models {
            transaction.execute("INSERT OR IGNORE INTO api_key_model (api_key, model) VALUES (?1, ?2)", params![id, model])?;
        }
        transaction.commit()?;
        let text = KeySecret(format!("bl-{public}-{secret}"));
        let mut models = models.to_vec();
        models.sort();
        models.dedup();
        Ok(NewKey {
            row: KeyRow { id: KeyId(id), name: name.to_owned(), public, hash, models, created: now, expires, revoked: None },
            text,
        })
    }

    /// Revokes a key by its public part, or by its name where only one unrevoked key has it.
    ///
    /// # Errors
    /// When there is none or more than one of that name, or the database refused.
    pub fn revoke(&self, which: &str, now: Instant) -> Result<KeyRow, LedgerError> {
        let mut open = self.lock();
        let transaction = open.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let by_public = "SELECT id FROM api_key WHERE public = ?1";
        let id: u32 = match transaction.query_row(by_public, [which], |row| row.get(0)).optional()? {
            Some(id) => id,
            None => only_named(&transaction, which)?,
        };
        transaction.execute("UPDATE api_key SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL", params![id, now.micros()])?;
        let row = read(&transaction)?.into_iter().find(|row| row.id.0 == id);
        transaction.commit()?;
        row.ok_or_else(|| missing(which))
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn only_named(connection: &Connection, name: &str) -> Result<u32, LedgerError> {
    let mut select = connection.prepare("SELECT id FROM api_key WHERE name = ?1 AND revoked IS NULL")?;
    let ids = select.query_map([name], |row| row.get(0))?.collect::<Result<Vec<u32>, _>>()?;
    match ids.as_slice() {
        [id] => Ok(*id),
        [] => Err(missing(name)),
        _ => Err(LedgerError::Ambiguous { name: name.to_owned(), count: ids.len() }),
    }
}

fn missing(which: &str) -> LedgerError {
    LedgerError::Missing { what: format!("a key in use that is called {which}") }
}

fn changes(connection: &Connection) -> Result<i64, LedgerError> {
    Ok(connection.prepare_cached("SELECT changes FROM api_key_changes")?.query_row([], |row| row.get(0))?)
}

fn read(connection: &Connection) -> Result<Vec<KeyRow>, LedgerError> {
    let mut models = connection.prepare_cached("SELECT model FROM api_key_model WHERE api_key = ?1 ORDER BY model")?;
    let mut select = connection.prepare_cached("SELECT id, name, public, hash, created, expires, revoked FROM api_key ORDER BY id")?;
    let mut rows = select.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        let id: u32 = row.get(0)?;
        let instant = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Instant::from_micros));
        keys.push(KeyRow {
            id: KeyId(id),
            name: row.get(1)?,
            public: row.get(2)?,
            hash: row.get(3)?,
            models: models.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?,
            created: Instant::from_micros(row.get(4)?),
            expires: instant(5)?,
            revoked: instant(6)?,
        });
    }
    Ok(keys)
}

/// Five bits a character, in lower case and without padding.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bit = |index: usize| bytes.get(index / 8).is_some_and(|byte| byte >> (7 - index % 8) & 1 == 1);
    let character = |start: usize| (start..start + 5).fold(0, |value, index| value << 1 | usize::from(bit(index)));
    (0..bytes.len() * 8).step_by(5).map(|start| char::from(ALPHABET[character(start)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_the_known_one() {
        for (bytes, text) in [("", ""), ("f", "my"), ("fo", "mzxq"), ("foob", "mzxw6yq"), ("foobar", "mzxw6ytboi")] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        assert_eq!(base32(&[0xff; 32]).len(), SECRET_CHARS);
    }

    #[test]
    fn only_what_is_formed_like_a_key_is_split() {
        let secret = "a".repeat(52);
        let good = format!("bl-0123456789ab-{secret}");
        assert_eq!(split_key(&good), Some(("0123456789ab", secret.as_str())));
        for bad in ["", "bl-", "bl-0123456789ab-", "sk-0123456789ab-x", &good[..67], &good.to_uppercase(), &format!("{good}a")] {
            assert_eq!(split_key(bad), None, "{bad}");
        }
    }
}
