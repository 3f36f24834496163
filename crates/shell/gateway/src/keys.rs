//! Whose request it is: the key check.

use std::collections::HashMap;

use dispatch::{KeyId, KeyScope};
use fleet::{Fleet, ModelId};
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use ledger::KeyRow;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use units::Instant;

/// Which models a key may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Models {
    All,
    Only(Vec<ModelId>),
}

/// A key as requests are checked against it.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub id: KeyId,
    hash: [u8; 32],
    models: Models,
    ends: Instant,
}

impl Key {
    fn new(fleet: &Fleet, row: &KeyRow) -> Self {
        let models = match row.models.as_slice() {
            [] => Models::All,
            // A name that the fleet no longer has allows nothing, and never everything.
            names => Models::Only(names.iter().filter_map(|name| fleet.model(name)).collect()),
        };
        let ends = [row.expires, row.revoked].into_iter().flatten().min().unwrap_or(Instant::MAX);
        Self { id: row.id, hash: row.hash, models, ends }
    }

    /// Whether it may use `model`.
    pub fn allows(&self, model: ModelId) -> bool {
        match &self.models {
            Models::All => true,
            Models::Only(models) => models.contains(&model),
        }
    }

    /// Its scope as a decision records it; a list too long to record shrinks to the model that was asked for and allowed.
    pub fn scope(&self, asked: ModelId) -> KeyScope {
        let mut scope = KeyScope::default();
        if let Models::Only(models) = &self.models
            && scope.models.try_extend_from_slice(models).is_err()
        {
            scope.models.push(asked);
        }
        scope
    }
}

/// Every key, by its public part.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys(HashMap<String, Key>);

impl Keys {
    pub fn new(fleet: &Fleet, rows: &[KeyRow]) -> Self {
        Self(rows.iter().map(|row| (row.public.clone(), Key::new(fleet, row))).collect())
    }

    /// The key of this number, if it is good at `now`: for what it asked for earlier.
    pub fn by_id(&self, id: KeyId, now: Instant) -> Option<&Key> {
        self.0.values().find(|key| key.id == id && now < key.ends)
    }

    /// The public part of the key of this number.
    pub fn public(&self, id: KeyId) -> Option<&str> {
        self.0.iter().find(|(_, key)| key.id == id).map(|(public, _)| public.as_str())
    }

    /// The key that a request's head carries, if it is good at `now`. An unknown key takes as long as a wrong secret.
    pub fn check(&self, head: &HeaderMap, now: Instant) -> Option<&Key> {
        let (public, secret) = presented(head)?.strip_prefix("bl-")?.split_once('-')?;
        let hash: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        let key = self.0.get(public);
        let known = key.map_or([0; 32], |key| key.hash);
        let same = bool::from(known.ct_eq(&hash));
        key.filter(|key| same && now < key.ends)
    }
}

/// The text of the key as OpenAI's, Azure's and Anthropic's clients send it; two of one header are none.
fn presented(head: &HeaderMap) -> Option<&str> {
    for name in [AUTHORIZATION.as_str(), "api-key", "x-api-key"] {
        let mut values = head.get_all(name).iter();
        let Some(value) = values.next() else { continue };
        let text = if values.next().is_none() { value.to_str().ok()? } else { return None };
        return match name {
            "authorization" => {
                let (scheme, key) = text.trim().split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
            }
            _ => Some(text.trim()),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    fn row(public: &str, secret: &str) -> KeyRow {
        KeyRow {
            id: KeyId(7),
            name: "test".to_owned(),
            public: public.to_owned(),
            hash: Sha256::digest(secret.as_bytes()).into(),
            models: Vec::new(),
            created: Instant::default(),
            expires: None,
            revoked: None,
        }
    }

    fn check(rows: &[KeyRow], header: (&'static str, &str), now: i64) -> Option<u32> {
        let keys = Keys::new(&fixture::fleet(), rows);
        let mut head = HeaderMap::new();
        head.insert(header.0, HeaderValue::from_str(header.1).expect("a header value"));
        keys.check(&head, Instant::from_micros(now)).map(|key| key.id.0)
    }

    #[test]
    fn a_key_is_good_with_its_secret_while_it_lasts() {
        let rows = [row("pub", "s3-cret"), KeyRow { revoked: Some(Instant::from_micros(50)), ..row("old", "s3-cret") }];
        let good = ["Bearer bl-pub-s3-cret", "bearer bl-pub-s3-cret", "Bearer   bl-pub-s3-cret "];
        for text in good {
            assert_eq!(check(&rows, ("authorization", text), 9), Some(7), "{text}");
        }
        assert_eq!(check(&rows, ("api-key", "bl-pub-s3-cret"), 9), Some(7));
        assert_eq!(check(&rows, ("x-api-key", "bl-pub-s3-cret"), 9), Some(7));
        assert_eq!(check(&rows, ("x-api-key", "bl-old-s3-cret"), 49), Some(7));
        let bad =
            ["Bearer bl-pub-s3-cre", "Bearer bl-pub-", "Bearer bl-other-s3-cret", "Basic bl-pub-s3-cret", "bl-pub-s3-cret", "Bearer", ""];
        for text in bad {
            assert_eq!(check(&rows, ("authorization", text), 9), None, "{text}");
        }
        assert_eq!(check(&rows, ("x-api-key", "bl-old-s3-cret"), 50), None);
    }

    #[test]
    fn names_that_the_fleet_lacks_allow_nothing() {
        let fleet = fixture::fleet();
        let key = Key::new(&fleet, &KeyRow { models: vec!["gone".to_owned()], ..row("pub", "s") });
        assert!(fleet.models.iter().all(|(model, ..)| !key.allows(model)));
    }

    proptest! {
        #[test]
        fn no_header_panics_or_lets_anyone_in(value in prop::collection::vec(any::<u8>(), 0..200), name in 0..3_usize) {
            let keys = Keys::new(&fixture::fleet(), &[row("pub", "s3-cret")]);
            let mut head = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                head.insert(["authorization", "api-key", "x-api-key"][name], value);
            }
            prop_assert!(keys.check(&head, Instant::default()).is_none());
        }
    }
}
