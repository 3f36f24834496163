//! API keys: shown once, stored hashed.

use dispatch::KeyId;
use fleet::Allowance;
use sha2::{Digest, Sha256};
use units::Instant;

use crate::scope::{Scope, Scopes};

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
    /// When it was last rotated.
    pub rotated: Option<Instant>,
    /// The secret before it was rotated, while that is still good.
    pub previous: Option<Previous>,
    /// What it may do.
    pub scopes: Scopes,
    /// Whom it belongs to: a team of the fleet file.
    pub team: Option<String>,
    /// What it may take.
    pub allowance: Allowance,
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
    /// Whether it may be used at `now`. One that is revoked may not, whatever this clock says: another's said it.
    #[must_use]
    pub fn valid(&self, now: Instant) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}

/// A secret that was rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Previous {
    /// SHA-256 of it.
    pub hash: [u8; 32],
    /// When it stops.
    pub until: Instant,
}

/// What a new key is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTerms {
    /// What a person calls it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// Names of models it may use; empty means all.
    pub models: Vec<String>,
    /// Whom it belongs to.
    pub team: Option<String>,
    /// What it may take.
    pub allowance: Allowance,
    /// When it stops.
    pub expires: Option<Instant>,
}

impl KeyTerms {
    /// A key for inference, with all models and without limits.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let (scopes, allowance) = (Scope::Inference.into(), Allowance::default());
        Self { name: name.to_owned(), scopes, models: Vec::new(), team: None, allowance, expires: None }
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

/// The public part that a text names a key by: alone or as `key list` shows it (`bl-<public>`, `bl-<public>-...`), or a whole key, of which the
/// secret says nothing here. `None` when it isn't formed like one.
pub(crate) fn public_part(text: &str) -> Option<&str> {
    let public = match text.strip_prefix("bl-") {
        Some(key) => key.split_once('-').map_or(key, |(public, _)| public),
        None => text,
    };
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (public.len() == PUBLIC_CHARS && public.bytes().all(is_hex)).then_some(public)
}

/// A text that was to name a key, as it may be shown: without what may be a secret, or a part of one.
pub(crate) fn without_secret(text: &str) -> String {
    let is_secret =
        |part: &str| part.len() >= SECRET_CHARS / 2 && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let mut parts: Vec<&str> = text.split('-').map(|part| if is_secret(part) { "..." } else { part }).collect();
    if let ["bl", _, _, ..] = parts.as_slice() {
        parts.truncate(2);
        parts.push("...");
    }
    parts.join("-")
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

/// Five bits a character, in lower case and without padding.
pub(crate) fn base32(bytes: &[u8]) -> String {
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

    #[test]
    fn what_may_be_a_secret_is_cut_off() {
        let secret = "a".repeat(52);
        for (text, shown) in [
            (format!("bl-0123456789ab-{secret}"), "bl-0123456789ab-..."),
            (format!("bl-0123456789a-{secret}"), "bl-0123456789a-..."),
            (format!(" bl-0123456789ab-{secret}"), " bl-0123456789ab-..."),
            ("bl-0123456789ab-aaaa-aaaa".to_owned(), "bl-0123456789ab-..."),
            (secret, "..."),
            ("bl-0123456789ab".to_owned(), "bl-0123456789ab"),
            ("the-night-shift".to_owned(), "the-night-shift"),
        ] {
            assert_eq!(without_secret(&text), shown);
        }
    }
}
