//! API keys: shown once, stored hashed.

use dispatch::KeyId;
use units::Instant;

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
