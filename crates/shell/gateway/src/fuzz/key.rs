//! Heads that show a key.

use std::sync::Arc;

use dispatch::KeyId;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use ledger::{KeyRow, Scope, hash_secret, split_key};
use units::Instant;

use crate::admission::Accounts;
use crate::keys::Keys;

const KEY: &str = "bl-abcdefghijkl-secret";
const PARTS: (&str, &str) = ("abcdefghijkl", "secret");
const NAMES: [&str; 4] = ["authorization", "api-key", "x-api-key", "x-other"];
const FLEET: &str = "format = 1\nname = \"f\"\ncurrency = \"USD\"\n";

/// Nobody comes in but with the key itself, shown once, where keys are shown.
///
/// Each line is a field: a digit for its name, then its value.
pub fn auth(bytes: &[u8]) {
    let mut head = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some((name, value)) = line.split_first() else { continue };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            head.append(HeaderName::from_static(NAMES[usize::from(*name) % NAMES.len()]), value);
        }
    }
    let found = KEYS.with(|keys| keys.check(&head, Instant::default()).is_some());
    assert_eq!(found, shows_key(&head), "only who shows the key comes in");
    let text = String::from_utf8_lossy(bytes);
    if let Some((public, secret)) = split_key(&text) {
        assert_eq!(format!("bl-{public}-{secret}"), text.trim(), "a key is its parts");
    }
}

/// The first place that shows anything decides, and it must show one value.
fn shows_key(head: &HeaderMap) -> bool {
    for name in &NAMES[..3] {
        let values: Vec<&HeaderValue> = head.get_all(*name).iter().collect();
        if values.is_empty() {
            continue;
        }
        let Ok([text]) = <[&HeaderValue; 1]>::try_from(values).map(|[value]| [value.to_str().unwrap_or_default().trim()]) else {
            return false;
        };
        let bearer = text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
        return if *name == "authorization" { bearer && text[7..].trim() == KEY } else { text == KEY };
    }
    false
}

thread_local! {
    static KEYS: Keys = keys();
}

/// The one key that there is.
fn keys() -> Keys {
    let (public, secret) = PARTS;
    let row = KeyRow {
        id: KeyId(1),
        name: "fuzz".to_owned(),
        public: public.to_owned(),
        hash: hash_secret(secret),
        rotated: None,
        previous: None,
        scopes: Scope::Inference.into(),
        team: None,
        allowance: fleet::Allowance::default(),
        models: Vec::new(),
        created: Instant::default(),
        expires: None,
        revoked: None,
    };
    let fleet = fleet::parse(FLEET).fleet.map(Arc::new).expect("it is valid");
    let accounts = Accounts::new(Arc::clone(&fleet), &crate::Limits::default(), Instant::default());
    Keys::new(&fleet, &accounts, &[row], Instant::default())
}
