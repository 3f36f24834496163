//! Keys are shown once, kept as hashes, and seen by every process.

use std::sync::Arc;
use std::time::Duration;

use fleet::Allowance;
use ledger::{
    By, Finding, KeyChange, KeyRow, KeyTerms, LedgerError, NAME_CHARS_MAX, Scope, Store, WHY_CHARS_MAX, hash_secret, split_key, verify,
};

use crate::fixture::{open, seconds, start};

#[test]
fn a_key_is_kept_without_its_secret() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    let random: [u8; 38] = std::array::from_fn(|index| u8::try_from(index * 7 % 251).expect("below 251"));
    let made = store.create_key(&KeyTerms { models: vec!["small".to_owned()], ..KeyTerms::named("ada") }, random, start()).expect("made");
    let (public, secret) = split_key(&made.text.0).expect("formed like a key");
    assert_eq!((public, hash_secret(secret)), (made.row.public.as_str(), made.row.hash));
    assert_eq!(*store.keys().expect("read"), *std::slice::from_ref(&made.row));
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
    assert_eq!(*store.keys().expect("read"), []);
    let made = other.create(&KeyTerms { expires: Some(seconds(60)), ..KeyTerms::named("ada") }, [7; 38], start()).expect("made");
    assert_eq!(*store.keys().expect("read"), *std::slice::from_ref(&made.row));
    assert!(made.row.valid(seconds(59)) && !made.row.valid(seconds(60)));
    let revoked = other.revoke("ada", seconds(5)).expect("revoked");
    assert_eq!(*store.keys().expect("read"), *std::slice::from_ref(&revoked));
    assert!(!revoked.valid(seconds(5)));
    let again = [store.keys().expect("read"), store.keys().expect("read")];
    assert!(Arc::ptr_eq(&again[0], &again[1]), "nothing is copied while nothing changes");
    assert!(matches!(store.revoke_key("ada", seconds(6)), Err(LedgerError::Missing { .. })));
    assert_eq!(store.revoke_key(&made.row.public, seconds(7)).expect("again").revoked, Some(seconds(5)), "the first time stays");
}

#[test]
fn tables_of_an_older_program_are_left_to_it_while_it_runs() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    let database = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
    // As the version before has them.
    database.execute_batch("DROP TABLE key_change; DROP TABLE in_units; PRAGMA user_version = 7").expect("changed");
    assert!(matches!(Store::open_keys(directory.path()), Err(LedgerError::Locked { .. })));
    assert!(matches!(ledger::View::open(directory.path()), Err(LedgerError::Locked { .. })));
    drop(store);
    Store::open_keys(directory.path()).expect("brought forward");
    assert_eq!(database.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)), Ok(9));
}

#[test]
fn who_did_what_to_a_key_and_why_is_in_the_chain() {
    let directory = tempfile::tempdir().expect("a folder");
    let (store, _) = open(directory.path());
    let by = |who: &str, why: &str| Store::open_keys(directory.path()).expect("opened").by(By { who: who.to_owned(), why: why.to_owned() });
    let terms = KeyTerms {
        models: vec!["small".to_owned()],
        team: Some("chat".to_owned()),
        allowance: Allowance { requests: "600/min".parse().ok(), tokens: None, budget: "5 USD/day".parse().ok() },
        ..KeyTerms::named("ada")
    };
    let made = by("eve", "a new hire").create(&terms, [7; 38], start()).expect("made").row;
    by("bob", "").rotate("ada", [8; 32], Duration::from_secs(60), seconds(5)).expect("rotated");
    by("eve", "she left").revoke("ada", seconds(9)).expect("revoked");
    // It was revoked already.
    by("eve", "again").revoke(&made.public, seconds(10)).expect("there is one");
    let log = by("", "").log().expect("read");
    let told: Vec<_> = log
        .iter()
        .map(|KeyChange { deed, terms, by, at, .. }| (deed.word(), terms.as_str(), by.who.as_str(), by.why.as_str(), *at))
        .collect();
    let until = format!("the secret before is good until {}", seconds(65));
    assert_eq!(
        told,
        [
            ("made", "may inference; models small; team chat; requests 600/min; budget 5.00 USD/day", "eve", "a new hire", start()),
            ("rotated", until.as_str(), "bob", "", seconds(5)),
            ("revoked", "may nothing", "eve", "she left", seconds(9)),
        ]
    );
    assert!(log.iter().all(|change| change.public == made.public && change.name == "ada"));
    drop(store);
    assert!(verify(directory.path(), None).expect("read").holds());
    let database = rusqlite::Connection::open(directory.path().join("ledger.db")).expect("opened");
    database.execute("UPDATE key_change SET who = 'mallory'", []).expect_err("it is never changed");
    database.execute_batch("DROP TRIGGER key_change_stays; UPDATE key_change SET who = 'mallory' WHERE what = 'revoked'").expect("planted");
    let found = verify(directory.path(), None).expect("read");
    assert!(found.findings.iter().any(|finding| matches!(finding, Finding::Chain { .. })), "{:?}", found.findings);
}

#[test]
fn a_copy_that_was_on_its_way_takes_back_no_revocation_and_no_later_secret() {
    let directory = tempfile::tempdir().expect("a folder");
    let keys = Store::open_keys(directory.path()).expect("made");
    let made = keys.create(&KeyTerms::named("ada"), [7; 38], start()).expect("made").row;
    let rotated = keys.rotate("ada", [8; 32], Duration::ZERO, seconds(5)).expect("rotated").row;
    let revoked = keys.revoke("ada", seconds(9)).expect("revoked");
    keys.adopt(&KeyRow { name: "ada of old".to_owned(), ..made }).expect("adopted");
    assert_eq!(*keys.list().expect("read"), [KeyRow { name: "ada of old".to_owned(), ..revoked.clone() }]);
    let later = KeyRow { rotated: Some(seconds(20)), hash: [9; 32], previous: None, revoked: Some(seconds(3)), ..rotated };
    keys.adopt(&later).expect("adopted");
    assert_eq!(*keys.list().expect("read"), [later], "a later secret, and an earlier revocation");
}

#[test]
fn a_name_that_two_keys_have_revokes_neither() {
    let directory = tempfile::tempdir().expect("a folder");
    let keys = Store::open_keys(directory.path()).expect("made");
    for byte in [1, 2] {
        keys.create(&KeyTerms::named("ada"), [byte; 38], start()).expect("made");
    }
    let refused = keys.revoke("ada", start()).expect_err("there are two").to_string();
    assert_eq!(refused, "tell which ada is meant: name one of bl-010101010101, bl-020202020202 instead");
    assert!(keys.list().expect("read").iter().all(|row| row.revoked.is_none()));
}

#[test]
fn a_key_is_named_as_it_is_shown_and_its_secret_is_kept_out_of_what_is_said() {
    let directory = tempfile::tempdir().expect("a folder");
    let keys = Store::open_keys(directory.path()).expect("made");
    let made = keys.create(&KeyTerms::named("ada"), [1; 38], start()).expect("made");
    let (public, secret) = split_key(&made.text.0).expect("formed like a key");
    assert_eq!(public, "010101010101");
    for (which, byte) in [("010101010101", 2), ("bl-010101010101", 3), ("bl-010101010101-...", 4), (made.text.0.as_str(), 5), ("ada", 6)] {
        let rotated = keys.rotate(which, [byte; 32], Duration::ZERO, seconds(u64::from(byte))).expect("rotated");
        assert_eq!(rotated.row.public, public, "{which}");
    }
    for strange in [format!("bl-020202020202-{secret}"), format!("bl-0101-{secret}"), secret.to_owned()] {
        let refused = keys.revoke(&strange, seconds(9)).expect_err("nobody");
        assert!(matches!(refused, LedgerError::Missing { .. }) && !format!("{refused} {refused:?}").contains(secret), "{refused:?}");
    }
    assert_eq!(keys.revoke(&made.text.0, seconds(9)).expect("revoked").revoked, Some(seconds(9)));
    let log = keys.log().expect("read");
    assert!(log.len() == 7 && !format!("{log:?}").contains(secret));
}

#[test]
fn what_is_no_plain_line_is_kept_nowhere() {
    let directory = tempfile::tempdir().expect("a folder");
    let by = |who: &str, why: &str| Store::open_keys(directory.path()).expect("made").by(By { who: who.to_owned(), why: why.to_owned() });
    let long = "a".repeat(NAME_CHARS_MAX + 1);
    for bad in ["", "ada\n2026-11-22T12:00:00Z  revoked  bob", "\u{1b}[2J", long.as_str()] {
        let named = KeyTerms::named(bad);
        let of = KeyTerms { models: vec![bad.to_owned()], ..KeyTerms::named("ada") };
        let belonging = KeyTerms { team: Some(bad.to_owned()), ..KeyTerms::named("ada") };
        for terms in [named, of, belonging] {
            let refused = by("eve", "").create(&terms, [1; 38], start()).expect_err("refused");
            assert!(matches!(refused, LedgerError::NotPlain { .. }), "{refused:?}");
        }
    }
    for (who, why) in [("e\nve", ""), (long.as_str(), ""), ("eve", "\u{1b}[2J"), ("eve", "a".repeat(WHY_CHARS_MAX + 1).as_str())] {
        let refused = by(who, why).create(&KeyTerms::named("ada"), [1; 38], start()).expect_err("refused");
        assert!(matches!(refused, LedgerError::NotPlain { .. }), "{refused:?}");
    }
    assert!(by("", "").list().expect("read").is_empty() && by("", "").log().expect("read").is_empty());
    by(&"a".repeat(NAME_CHARS_MAX), &"b".repeat(WHY_CHARS_MAX)).create(&KeyTerms::named(&long[1..]), [1; 38], start()).expect("made");
}

#[test]
fn what_a_key_is_to_be_is_what_is_read() {
    let directory = tempfile::tempdir().expect("a folder");
    let keys = Store::open_keys(directory.path()).expect("made");
    let plain = keys.create(&KeyTerms::named("plain"), [1; 38], start()).expect("made").row;
    assert_eq!(plain.scopes.iter().collect::<Vec<_>>(), [Scope::Inference], "deny by default");
    let terms = KeyTerms {
        name: "whole".to_owned(),
        scopes: [Scope::Operate, Scope::Read].into_iter().collect(),
        models: vec!["small".to_owned()],
        team: Some("chat".to_owned()),
        allowance: fleet::Allowance {
            requests: "600/min".parse().ok(),
            tokens: "1M/min".parse().ok(),
            budget: "12.5 EUR/week".parse().ok(),
        },
        expires: Some(seconds(60)),
    };
    let made = keys.create(&terms, [2; 38], start()).expect("made").row;
    let read = Store::open_keys(directory.path()).expect("open").list().expect("read");
    assert_eq!(*read, [plain, made.clone()]);
    assert_eq!((made.team, made.allowance, made.scopes), (terms.team, terms.allowance, terms.scopes));
}

#[test]
fn a_rotated_key_has_two_secrets_until_the_overlap_ends() {
    let directory = tempfile::tempdir().expect("a folder");
    let keys = Store::open_keys(directory.path()).expect("made");
    let first = keys.create(&KeyTerms::named("ada"), [1; 38], start()).expect("made");
    let second = keys.rotate("ada", [2; 32], Duration::from_secs(60), seconds(5)).expect("rotated");
    let hash = |key: &ledger::NewKey| hash_secret(split_key(&key.text.0).expect("formed like a key").1);
    assert_eq!((second.row.id, &second.row.public), (first.row.id, &first.row.public), "it is the same key");
    assert_eq!(second.row.hash, hash(&second));
    assert_eq!(second.row.previous.map(|previous| (previous.hash, previous.until)), Some((hash(&first), seconds(65))));
    let third = keys.rotate(&first.row.public, [3; 32], Duration::ZERO, seconds(6)).expect("rotated");
    assert_eq!(third.row.previous.map(|previous| previous.hash), Some(hash(&second)), "the first has gone");
    assert_eq!(*keys.list().expect("read"), [third.row]);
    keys.revoke("ada", seconds(7)).expect("revoked");
    assert!(matches!(keys.rotate(&first.row.public, [4; 32], Duration::ZERO, seconds(8)), Err(LedgerError::Missing { .. })));
}

/// CVE-2026-42208: the text of a key reached an SQL statement of another gateway's key check.
#[test]
fn cve_2026_42208_no_name_is_read_as_sql() {
    let directory = tempfile::tempdir().expect("a folder");
    let keys = Store::open_keys(directory.path()).expect("made");
    let attacks = ["x'); DROP TABLE api_key; --", "' OR '1'='1", "\"; DELETE FROM api_key_scope; --", "%", "_", "\u{2019}"];
    for (index, attack) in attacks.into_iter().enumerate() {
        assert!(matches!(keys.revoke(attack, start()), Err(LedgerError::Missing { .. })), "{attack}: nothing is called so yet");
        let terms = KeyTerms { models: vec![attack.to_owned()], team: Some(attack.to_owned()), ..KeyTerms::named(attack) };
        let byte = u8::try_from(index + 1).expect("few");
        let made = keys.create(&terms, [byte; 38], start()).expect("made").row;
        assert_eq!(
            (made.name.as_str(), made.models.as_slice(), made.team.as_deref()),
            (attack, [attack.to_owned()].as_slice(), Some(attack))
        );
    }
    let rows = keys.list().expect("read");
    assert_eq!(rows.len(), attacks.len());
    assert!(rows.iter().all(|row| row.revoked.is_none() && row.scopes.iter().eq([Scope::Inference])));
    keys.revoke(attacks[0], start()).expect("revoked by its own name only");
    assert_eq!(keys.list().expect("read").iter().filter(|row| row.revoked.is_some()).count(), 1);
}

/// CVE-2025-45809: the key that was to be blocked reached an SQL statement of another gateway.
#[test]
fn cve_2025_45809_who_is_revoked_or_rotated_is_not_read_as_sql() {
    let directory = tempfile::tempdir().expect("a folder");
    let keys = Store::open_keys(directory.path()).expect("made");
    for (byte, name) in [(1, "ada"), (2, "bob")] {
        keys.create(&KeyTerms::named(name), [byte; 38], start()).expect("made");
    }
    let before = keys.list().expect("read");
    for attack in [
        "ada' OR '1'='1",
        "x' OR 1=1 --",
        "ada'; UPDATE api_key SET revoked = 1; --",
        "x' UNION SELECT id FROM api_key --",
        "%",
        "a_a",
        "ada\0",
    ] {
        assert!(matches!(keys.revoke(attack, seconds(1)), Err(LedgerError::Missing { .. })), "{attack} is nobody");
        assert!(matches!(keys.rotate(attack, [3; 32], Duration::ZERO, seconds(1)), Err(LedgerError::Missing { .. })), "{attack} is nobody");
        assert_eq!(keys.list().expect("read"), before, "{attack}");
    }
    keys.revoke("ada", seconds(2)).expect("revoked");
    let revoked: Vec<String> = keys.list().expect("read").iter().filter(|row| row.revoked.is_some()).map(|row| row.name.clone()).collect();
    assert_eq!(revoked, ["ada"]);
}
