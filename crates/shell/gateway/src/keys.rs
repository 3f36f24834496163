//! Whose request it is: the key check.

use std::collections::HashMap;

use dispatch::{KeyId, KeyScope};
use fleet::{Fleet, ModelId, TeamId};
use hyper::HeaderMap;
use ledger::{KeyRow, Scope, Scopes};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use units::Instant;

use crate::admission::{Accounts, Counted};
use crate::envelope::Refused;

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
    /// The secret before the last rotation, and when it stops.
    previous: ([u8; 32], Instant),
    scopes: Scopes,
    models: Models,
    ends: Instant,
    /// When it was revoked or expires, whichever is first.
    ended: Option<Instant>,
    /// What its requests are counted against; `None` when its team is gone, and with it what it may spend.
    counted: Option<Counted>,
    /// Its team, when it has one that the fleet knows.
    pub team: Option<TeamId>,
}

impl Key {
    fn new(fleet: &Fleet, accounts: &Accounts, row: &KeyRow, now: Instant) -> Self {
        let models = match row.models.as_slice() {
            [] => Models::All,
            // A name that the fleet no longer has allows nothing, and never everything.
            names => Models::Only(names.iter().filter_map(|name| fleet.model(name)).collect()),
        };
        // What is revoked is so at once: whoever said it may have another clock.
        let ends = if row.revoked.is_some() { Instant::MIN } else { row.expires.unwrap_or(Instant::MAX) };
        let ended = row.revoked.into_iter().chain(row.expires).min();
        let previous = row.previous.map_or(([0; 32], Instant::MIN), |previous| (previous.hash, previous.until));
        let team = row.team.as_deref().and_then(|name| fleet.teams.id(name));
        Self { id: row.id, hash: row.hash, previous, scopes: row.scopes, models, ends, ended, counted: accounts.of(row, now), team }
    }

    /// What its requests are counted against.
    pub fn counted(&self) -> Result<&Counted, Refused> {
        self.counted.as_ref().ok_or_else(Refused::no_team)
    }

    /// From when on it is good no more.
    pub fn ends(&self) -> Instant {
        self.ends
    }

    /// Whether it may do what `scope` names.
    pub fn may(&self, scope: Scope) -> Result<&Self, Refused> {
        if self.scopes.allows(scope) { Ok(self) } else { Err(Refused::out_of_scope(scope.name())) }
    }

    /// Whether this is its secret, or was until an overlap that has not ended; both are compared, however the first turns out.
    fn is_secret(&self, hash: &[u8; 32], now: Instant) -> bool {
        let (previous, until) = &self.previous;
        is_same(&self.hash, hash) | (is_same(previous, hash) & (now < *until))
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

/// Every key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    by_public: HashMap<String, Key>,
    /// The public part of each.
    public: HashMap<KeyId, String>,
}

impl Keys {
    pub fn new(fleet: &Fleet, accounts: &Accounts, rows: &[KeyRow], now: Instant) -> Self {
        Self {
            by_public: rows.iter().map(|row| (row.public.clone(), Key::new(fleet, accounts, row, now))).collect(),
            public: rows.iter().map(|row| (row.id, row.public.clone())).collect(),
        }
    }

    /// The key of this number, if it is good at `now`: for what it asked for earlier.
    pub fn by_id(&self, id: KeyId, now: Instant) -> Option<&Key> {
        self.by_public.get(self.public(id)?).filter(|key| now < key.ends)
    }

    /// When the key of this number was revoked or expires; `None` where it is unknown, or is for ever.
    pub fn ended(&self, id: KeyId) -> Option<Instant> {
        self.by_public.get(self.public(id)?)?.ended
    }

    /// The public part of the key of this number.
    pub fn public(&self, id: KeyId) -> Option<&str> {
        self.public.get(&id).map(String::as_str)
    }

    /// The key that a request's head carries, if it is good at `now`. An unknown key takes as long as a wrong secret.
    pub fn check(&self, head: &HeaderMap, now: Instant) -> Option<&Key> {
        let (public, secret) = presented(head)?.strip_prefix("bl-")?.split_once('-')?;
        let hash = hashed(secret);
        let key = self.by_public.get(public);
        let same = match key {
            Some(key) => key.is_secret(&hash, now),
            None => is_same(&[0; 32], &hash) & is_same(&[0; 32], &hash),
        };
        key.filter(|key| same && now < key.ends)
    }

    /// The key that a request's head carries, if it is good at `now` and may do what `scope` names.
    pub fn admit(&self, head: &HeaderMap, now: Instant, scope: Scope) -> Result<&Key, Refused> {
        self.check(head, now).ok_or_else(Refused::bad_key)?.may(scope)
    }
}

fn hashed(secret: &str) -> [u8; 32] {
    #[cfg(test)]
    tests::WORK.with_borrow_mut(|work| work.push("hash"));
    Sha256::digest(secret.as_bytes()).into()
}

/// Whether two hashes are the same, in a time that does not say where they differ.
fn is_same(own: &[u8; 32], hash: &[u8; 32]) -> bool {
    #[cfg(test)]
    tests::WORK.with_borrow_mut(|work| work.push("compare"));
    own.ct_eq(hash).into()
}

/// Whether a head carries any key, good or bad: who shows one is judged by it.
pub(crate) fn is_presented(head: &HeaderMap) -> bool {
    PLACES.iter().any(|name| head.contains_key(*name))
}

/// Where clients put keys.
const PLACES: [&str; 3] = ["authorization", "api-key", "x-api-key"];

/// The text of the key as OpenAI's, Azure's and Anthropic's clients send it; two of one header are none.
fn presented(head: &HeaderMap) -> Option<&str> {
    for name in PLACES {
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
    use std::cell::RefCell;

    use super::*;
    use crate::fixture;
    use hyper::header::HeaderValue;
    use ledger::Previous;
    use proptest::prelude::*;

    thread_local! {
        /// What the checks of this thread did.
        pub(super) static WORK: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    fn row(public: &str, secret: &str) -> KeyRow {
        KeyRow {
            id: KeyId(7),
            name: "test".to_owned(),
            public: public.to_owned(),
            hash: Sha256::digest(secret.as_bytes()).into(),
            rotated: None,
            previous: None,
            scopes: Scope::Inference.into(),
            team: None,
            allowance: fleet::Allowance::default(),
            models: Vec::new(),
            created: Instant::default(),
            expires: None,
            revoked: None,
        }
    }

    fn keys(rows: &[KeyRow]) -> Keys {
        let fleet = fixture::fleet();
        let accounts = Accounts::new(std::sync::Arc::new(fleet.clone()), &crate::Limits::default(), Instant::default());
        Keys::new(&fleet, &accounts, rows, Instant::default())
    }

    fn check(rows: &[KeyRow], header: (&'static str, &str), now: i64) -> Option<u32> {
        let keys = keys(rows);
        let mut head = HeaderMap::new();
        head.insert(header.0, HeaderValue::from_str(header.1).expect("a header value"));
        keys.check(&head, Instant::from_micros(now)).map(|key| key.id.0)
    }

    #[test]
    fn a_key_is_good_with_its_secret_while_it_lasts() {
        let rows = [
            row("pub", "s3-cret"),
            KeyRow { expires: Some(Instant::from_micros(50)), ..row("old", "s3-cret") },
            KeyRow { revoked: Some(Instant::from_micros(50)), ..row("gone", "s3-cret") },
        ];
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
        for now in [9, 49, 50] {
            assert_eq!(check(&rows, ("x-api-key", "bl-gone-s3-cret"), now), None, "revoked by a clock that is ahead of this one");
        }
    }

    /// By what is done and not by how long it takes, which no test can tell on a busy machine.
    #[test]
    fn every_bad_key_takes_the_same_work() {
        let until = Instant::from_micros(50);
        let previous = Previous { hash: Sha256::digest(b"old").into(), until };
        let rows = [
            row("pub", "s3-cret"),
            KeyRow { previous: Some(previous), ..row("new", "s3-cret") },
            KeyRow { expires: Some(until), ..row("old", "s3-cret") },
            KeyRow { revoked: Some(until), ..row("gone", "s3-cret") },
        ];
        let work = |text: &str| {
            WORK.take();
            let found = check(&rows, ("api-key", text), 50);
            (found, WORK.take())
        };
        let good = work("bl-pub-s3-cret");
        assert_eq!(good, (Some(7), vec!["hash", "compare", "compare"]));
        for bad in ["bl-nobody-s3-cret", "bl-pub-wrong", "bl-pub-", "bl-new-old", "bl-old-s3-cret", "bl-gone-s3-cret", "bl-gone-wrong"] {
            assert_eq!(work(bad), (None, good.1.clone()), "{bad}");
        }
    }

    #[test]
    fn names_that_the_fleet_lacks_allow_nothing() {
        let fleet = fixture::fleet();
        let accounts = Accounts::new(std::sync::Arc::new(fleet.clone()), &crate::Limits::default(), Instant::default());
        let key = Key::new(&fleet, &accounts, &KeyRow { models: vec!["gone".to_owned()], ..row("pub", "s") }, Instant::default());
        assert!(fleet.models.iter().all(|(model, ..)| !key.allows(model)));
    }

    #[test]
    fn a_rotated_secret_is_good_until_its_overlap_ends() {
        let previous = Previous { hash: Sha256::digest(b"old").into(), until: Instant::from_micros(50) };
        let rows = [KeyRow { previous: Some(previous), ..row("pub", "new") }];
        let good = |secret: &str, now| check(&rows, ("api-key", &format!("bl-pub-{secret}")), now).is_some();
        assert!(good("new", 49) && good("old", 49) && good("new", 50) && !good("old", 50) && !good("older", 49));
    }

    #[test]
    fn a_key_whose_team_is_gone_has_no_accounts() {
        let rows = [KeyRow { team: Some("gone".to_owned()), ..row("pub", "s") }];
        let (keys, mut head) = (keys(&rows), HeaderMap::new());
        head.insert("api-key", HeaderValue::from_static("bl-pub-s"));
        let key = keys.admit(&head, Instant::default(), Scope::Inference).expect("the key itself is good");
        assert_eq!(key.counted().map(|_| ()), Err(Refused::no_team()));
        assert_eq!(key.may(Scope::Read).map(|key| key.id), Err(Refused::out_of_scope("read")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn no_header_panics_or_lets_anyone_in(value in prop::collection::vec(any::<u8>(), 0..200), name in 0..3_usize) {
            let keys = keys(&[row("pub", "s3-cret")]);
            let mut head = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                head.insert(["authorization", "api-key", "x-api-key"][name], value);
            }
            prop_assert!(keys.check(&head, Instant::default()).is_none());
        }

        #[test]
        fn no_key_that_differs_in_a_byte_is_the_key(at in any::<prop::sample::Index>(), byte in 0x21..0x7f_u8) {
            let good = b"bl-pub-s3-cret-with-more-to-it";
            let rows = [row("pub", "s3-cret-with-more-to-it")];
            let mut text = good.to_vec();
            let place = at.index(text.len());
            text[place] = byte;
            let text = String::from_utf8(text).expect("it is ASCII");
            prop_assert_eq!(check(&rows, ("api-key", &text), 9).is_some(), text.as_bytes() == good);
        }
    }
}
