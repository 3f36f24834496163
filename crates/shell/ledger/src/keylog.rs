//! What was done to keys: an entry of the chain for each change, in the transaction that makes it.

use fleet::Allowance;
use rusqlite::Connection;
use units::Instant;

use crate::chain::{Chain, KEY_CHANGE, Kind, Of};
use crate::error::LedgerError;
use crate::field::fields;
use crate::insert::Rows;
use crate::key::{KeyRow, KeyTerms};
use crate::keys::Keys;
use crate::plain::check_by;
use crate::scope::Scope;
use crate::words::{Word, Words};

/// Who changes keys, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// Who.
    pub who: String,
    /// Why; empty when nobody said.
    pub why: String,
}

impl Default for By {
    fn default() -> Self {
        Self { who: "unknown".to_owned(), why: String::new() }
    }
}

/// What can be done to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyDeed {
    /// It was made.
    Made,
    /// It got a new secret.
    Rotated,
    /// It was revoked.
    Revoked,
}

impl Words for KeyDeed {
    const WORDS: &'static [(Self, &'static str)] = &[(Self::Made, "made"), (Self::Rotated, "rotated"), (Self::Revoked, "revoked")];
}

impl KeyDeed {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        Word(self).word()
    }
}

/// One change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// The key's public part.
    pub public: String,
    /// What it was called.
    pub name: String,
    /// What was done.
    pub deed: KeyDeed,
    /// What the key is from then on, in words; what it was before stands in the change before.
    pub terms: String,
    /// Who did it, and why.
    pub by: By,
    /// When.
    pub at: Instant,
}

impl Keys {
    /// Every change of a key that was made here, in order.
    ///
    /// # Errors
    /// When the database refused.
    pub fn log(&self) -> Result<Vec<KeyChange>, LedgerError> {
        let open = self.lock();
        let mut select = open.connection.prepare_cached("SELECT public, name, what, terms, who, why, at_us FROM key_change ORDER BY id")?;
        let changes = select.query_map([], |row| {
            let Word(deed) = row.get(2)?;
            Ok(KeyChange {
                public: row.get(0)?,
                name: row.get(1)?,
                deed,
                terms: row.get(3)?,
                by: By { who: row.get(4)?, why: row.get(5)? },
                at: Instant::from_micros(row.get(6)?),
            })
        })?;
        Ok(changes.collect::<Result<_, _>>()?)
    }
}

/// Books a change of `row` into the chain of the transaction that makes it.
pub(crate) fn book(
    transaction: &Connection,
    row: &KeyRow,
    (deed, terms): (KeyDeed, &str),
    by: &By,
    now: Instant,
) -> Result<(), LedgerError> {
    check_by(&by.who, &by.why)?;
    let mut chain = Chain::read(transaction, Rows::Single)?;
    let KeyRow { public, name, .. } = row;
    let values = fields![public.as_str(), name.as_str(), Word(deed), terms, by.who.as_str(), by.why.as_str(), now.micros()];
    let number = chain.insert_new(&KEY_CHANGE, &values)?;
    chain.link(Kind::KeyChange, Of::Row(number))
}

/// What a key is to be, in words.
pub(crate) fn told(terms: &KeyTerms) -> String {
    let KeyTerms { name: _, scopes, models, team, allowance: Allowance { requests, tokens, budget }, expires } = terms;
    let scopes: Vec<&str> = scopes.iter().map(Scope::name).collect();
    let parts = [
        Some(format!("may {}", scopes.join(", "))),
        (!models.is_empty()).then(|| format!("models {}", models.join(", "))),
        team.as_ref().map(|team| format!("team {team}")),
        requests.map(|rate| format!("requests {rate}")),
        tokens.map(|rate| format!("tokens {rate}")),
        budget.map(|budget| format!("budget {budget}")),
        expires.map(|at| format!("until {at}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}
