//! Keys are shown once, kept as hashes, and seen by every process.

use ledger::{LedgerError, Store, hash_secret, split_key};

use crate::fixture::{open, seconds, start};

#[test]
fn a_key_is_kept_without_its_secret() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    let random: [u8; 38] = std::array::from_fn(|index| u8::try_from(index * 7 % 251).expect("below 251"));
    let made = store.create_key("ada", &["small".to_owned()], random, start(), None).expect("made");
    let (public, secret) = split_key(&made.text.0).expect("formed like a key");
    assert_eq!((public, hash_secret(secret)), (made.row.public.as_str(), made.row.hash));
    assert_eq!(store.keys().expect("read"), std::slice::from_ref(&made.row));
    assert!(!format!("{made:?}").contains(secret));
    drop(store);
    for file in directory.path().read_dir().expect("read") {
        let path = file.expect("read").path();
        let bytes = if path.is_file() { std::fs::read(&path).expect("read") } else { continue };
        let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        assert!(!holds(secret.as_bytes()) && !holds(&random[6..]), "{}", path.display());
    }
}

#[test]
fn another_process_makes_and_revokes_keys_while_one_runs() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    let other = Store::open_keys(directory.path()).expect("opened");
    assert_eq!(store.keys().expect("read"), []);
    let made = other.create("ada", &[], [7; 38], start(), Some(seconds(60))).expect("made");
    assert_eq!(store.keys().expect("read"), std::slice::from_ref(&made.row));
    assert!(made.row.valid(seconds(59)) && !made.row.valid(seconds(60)));
    let revoked = other.revoke("ada", seconds(5)).expect("revoked");
    assert_eq!(store.keys().expect("read"), std::slice::from_ref(&revoked));
    assert!(!revoked.valid(seconds(5)));
    assert!(matches!(store.revoke_key("ada", seconds(6)), Err(LedgerError::Missing { .. })));
    assert_eq!(store.revoke_key(&made.row.public, seconds(7)).expect("again").revoked, Some(seconds(5)), "the first time stays");
}

#[test]
fn a_name_that_two_keys_have_revokes_neither() {
    let directory = tempfile::tempdir().expect("a folder");
    let keys = Store::open_keys(directory.path()).expect("made");
    for byte in [1, 2] {
        keys.create("ada", &[], [byte; 38], start(), None).expect("made");
    }
    assert!(matches!(keys.revoke("ada", start()), Err(LedgerError::Ambiguous { count: 2, .. })));
    assert!(keys.list().expect("read").iter().all(|row| row.revoked.is_none()));
}
