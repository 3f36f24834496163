//! Several `baseload up` on one PostgreSQL. It needs PostgreSQL (`tools/setup postgresql`), and fails without.

mod corrections;
mod cut;
mod fixture;
mod rates;

use std::time::Instant;

use fixture::{PRICE, Place, Replica, code};

/// A budget of a thousand requests over four replicas, of which one is cut off: what it spends after that is at most its lease, the others
/// spend everything else, and what it spent counts when it comes back. Beforehand: a lease is at most a sixteenth of what is left.
#[test]
fn a_budget_over_four_replicas_is_overspent_by_at_most_the_lease_of_one_that_is_cut_off() {
    const CAP: u64 = 1_000;
    let (place, budget) = (Place::new(), format!("{}.00 USD/year", CAP * PRICE / 1_000));
    let key = place.key("one", &["--budget", &budget, "--scope", "inference", "--scope", "read"]);
    let wire = cut::Wire::to(place.postgres.socket());
    let far = format!("postgres://postgres@{}/postgres", wire.address());
    let mut all: Vec<Replica> = ["one", "two", "three"].iter().map(|name| place.up(name, &place.postgres.address())).collect();
    all.push(place.up("four", &far));

    let mut answered = [0_u64; 4];
    for (replica, count) in all.iter().zip(&mut answered) {
        for _ in 0..50 {
            assert_eq!(code(&replica.chat(&key)), "200", "nothing is refused below the cap less what others hold: {}", place.errors());
            *count += 1;
        }
    }
    wire.cut();
    let refused = spend(&all[3], &key, &mut answered[3]);
    assert_eq!(refused, "no_lease", "one that is cut off spends what it holds and says so");
    let (granted, said) = place.last_heard();
    let lease = granted - said;
    assert!(lease <= (CAP - said) / 16, "a lease of {lease}");
    assert!(answered[3] <= granted, "it took {}, of {granted} that it may", answered[3]);

    // The others get everything else, and the lease once it has come back; each of the three may hold a rest that pays for no request.
    const RESTS: u64 = 3;
    let until = Instant::now() + fixture::PATIENCE;
    while answered[..3].iter().sum::<u64>() + RESTS < CAP - said {
        // All at once: a lease is at most a sixteenth of what is left, so each takes a while to get to the end of it.
        std::thread::scope(|threads| {
            for (replica, answered) in all.iter().zip(&mut answered).take(3) {
                threads.spawn(|| assert_eq!(spend(replica, &key, answered), "insufficient_quota"));
            }
        });
        assert!(Instant::now() < until, "its lease never came back: {answered:?}, {granted}, {said}");
    }
    let [cut_off, other] = [3, 0].map(|replica: usize| all[replica].shared_at(&key, "leases"));
    assert!(cut_off + 5 < other, "its metrics tell when it was last heard: {cut_off}, {other}");
    let total: u64 = answered.iter().sum();
    assert!((0..=RESTS).contains(&(CAP + answered[3] - said - total)), "overspent by what it took unheard, and by nothing else: {total}");
    assert!(total <= CAP + lease);

    wire.heal();
    let until = Instant::now() + fixture::PATIENCE;
    while code(&all[3].chat(&key)) != "insufficient_quota" {
        assert!(Instant::now() < until, "it never came back");
    }
    println(format_args!("{total} answered of {CAP}: {} of them unheard, of a lease of {lease}", answered[3] - said));
    drop(all);
    place.verify_copies(4, total);
}

/// Spends until it is refused, and says with which code.
fn spend(replica: &Replica, key: &str, answered: &mut u64) -> String {
    loop {
        match code(&replica.chat(key)).as_str() {
            "200" => *answered += 1,
            refused => return refused.to_owned(),
        }
    }
}

#[test]
fn a_key_that_is_made_or_revoked_at_one_replica_is_so_at_all() {
    let place = Place::new();
    let (one, two) = (place.up("one", &place.postgres.address()), place.up("two", &place.postgres.address()));
    let key = place.key("two", &["--scope", "inference", "--scope", "read"]);
    let made = Instant::now();
    for replica in [&two, &one] {
        while code(&replica.chat(&key)) != "200" {
            assert!(made.elapsed() < fixture::PATIENCE, "it is never known: {}", place.errors());
        }
    }
    println(format_args!("known at both after {:?}", made.elapsed()));
    // Each tells of the requests of both.
    let public = key.split('-').nth(1).expect("a key has a public part");
    let sum = |told: &str| told.split(", ").filter_map(|part| part.rsplit_once(' ')?.1.parse::<u64>().ok()).sum::<u64>();
    let asked = Instant::now();
    for replica in [&two, &one] {
        while sum(&replica.usage(&key)) != 2 {
            assert!(asked.elapsed() < fixture::PATIENCE, "{} {}", replica.usage(&key), place.errors());
        }
        assert!(replica.usage(&key).split(", ").all(|part| part.contains(public)), "{}", replica.usage(&key));
    }
    place.run(&["key", "revoke", "me", "--state", "one"]);
    let revoked = Instant::now();
    for replica in [&one, &two] {
        while code(&replica.chat(&key)) != "invalid_api_key" {
            assert!(revoked.elapsed() < fixture::PATIENCE, "it is never revoked: {}", place.errors());
        }
    }
    println(format_args!("revoked at both after {:?}", revoked.elapsed()));
}

#[test]
fn a_bill_is_of_all_replicas_or_refused() {
    let place = Place::new();
    let address = place.postgres.address();
    let key = place.key("one", &[]);
    let (one, two) = (place.up("one", &address), place.up("two", &address));
    for replica in [&one, &two] {
        let until = Instant::now() + fixture::PATIENCE;
        while code(&replica.chat(&key)) != "200" {
            assert!(Instant::now() < until, "{}", place.errors());
        }
    }
    drop((one, two));
    for bill in [&["ledger", "export", "--format", "csv"][..], &["ledger", "show", "--closings"], &["ledger", "show", "--invoices"]] {
        let (code, said) = place.told(bill, "one", None);
        assert!(code == Some(2) && said.contains("one of several replicas"), "{said}");
        assert_eq!(place.told(bill, "one", Some(&address)).0, Some(0), "{bill:?}");
    }
    // Five tokens out of each.
    let (_, said) = place.told(&["ledger", "export", "--format", "csv"], "one", Some(&address));
    assert!(said.lines().any(|line| line.contains("output-tokens") && line.contains(",10,")), "{said}");
    assert_eq!(place.told(&["ledger", "show"], "one", None).1.lines().count(), 2, "its own attempts are its own to show");
    // An invoice is of all, and imported once.
    let bill = said.replace("output-tokens", "Output Tokens");
    place.write("bill.csv", &bill);
    let import = ["ledger", "import", "bill.csv", "--who", "ada"];
    let (code, told) = place.told(&import, "one", None);
    assert!(code == Some(2) && told.contains("one of several replicas"), "{told}");
    let dry = [import.as_slice(), &["--dry-run"]].concat();
    let (code, told) = place.told(&dry, "one", Some(&address));
    assert!(code == Some(0) && told.contains("invoice 1:") && told.contains("dry run"), "{told}");
    let (code, told) = place.told(&import, "one", Some(&address));
    assert!(code == Some(0) && told.contains("invoice 1:") && told.contains(" 0 differ"), "{told}");
    for shown in [["ledger", "show", "--invoices"].as_slice(), &["ledger", "show", "--invoice", "1"]] {
        let (code, told) = place.told(shown, "two", Some(&address));
        assert!(code == Some(0) && told.contains("    1 bill.csv, imported by ada at ") && told.contains("difference 0.00"), "{told}");
    }
    let (code, told) = place.told(&import, "two", Some(&address));
    assert!(code == Some(1) && told.contains("is invoice 1 already"), "{told}");
    assert_eq!(place.verified().0, Some(0), "{}", place.verified().1);
}

/// The lock on the places of entries, as `share` names it: an importer that was cut off may have it for minutes.
const ENTRIES: i64 = 0x6261_7365_0000_0003;

#[test]
fn a_revocation_does_not_wait_for_who_holds_up_the_copies() {
    let place = Place::new();
    let (one, two) = (place.up("one", &place.postgres.address()), place.up("two", &place.postgres.address()));
    let key = place.key("one", &[]);
    let begun = Instant::now();
    while code(&two.chat(&key)) != "200" {
        assert!(begun.elapsed() < fixture::PATIENCE, "it is never known: {}", place.errors());
    }
    let held = format!("BEGIN; SELECT pg_advisory_xact_lock({ENTRIES}); SELECT pg_sleep(600)");
    std::thread::scope(|scope| {
        let holder = scope.spawn(|| place.postgres.sql(&held));
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        while place.postgres.sql(waits).expect("it answers") == "0" {
            assert!(begun.elapsed() < fixture::PATIENCE, "nobody copies: {}", place.errors());
        }
        place.run(&["key", "revoke", "me", "--state", "one"]);
        for replica in [&one, &two] {
            while code(&replica.chat(&key)) != "invalid_api_key" {
                assert!(begun.elapsed() < fixture::PATIENCE, "it is never revoked: {}", place.errors());
            }
        }
        assert!(!holder.is_finished(), "the lock was held all the while");
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()";
        place.postgres.sql(end).expect("it answers");
    });
}

#[test]
fn a_copy_of_a_directory_that_is_refused_displaces_nobody() {
    let place = Place::new();
    drop(place.up("one", &place.postgres.address()));
    place.copy("one", "copy");
    let one = place.up("one", &place.postgres.address());
    let key = place.key("one", &[]);
    let (begun, entries) = (Instant::now(), || place.postgres.sql("SELECT count(*) FROM baseload.entry WHERE kind = 'settlement'"));
    while entries().expect("it answers") == "0" {
        one.chat(&key);
        assert!(begun.elapsed() < fixture::PATIENCE, "nothing is copied: {}", place.errors());
    }
    let process = || place.postgres.sql("SELECT incarnation FROM baseload.replica").expect("it answers");
    let before = process();
    let (code, said) = place.refused("copy", &place.postgres.address());
    assert!(code == Some(1) && said.contains("another entry of this replica has that number"), "{said}");
    assert_eq!(process(), before);
}

#[test]
fn a_first_start_that_fails_makes_no_replica_of_a_directory() {
    let place = Place::new();
    place.key("one", &[]);
    let nowhere = place.postgres.address().replace("/postgres", "/nobody");
    let (code, said) = place.refused("one", &nowhere);
    assert!(code == Some(1) && said.contains("nobody"), "{said}");
    assert!(!place.has("one/replica"));
}

#[test]
fn who_may_make_no_tables_uses_those_that_are_there() {
    let place = Place::new();
    drop(place.up("one", &place.postgres.address()));
    for grant in [
        "CREATE ROLE least LOGIN",
        "GRANT USAGE ON SCHEMA baseload TO least",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA baseload TO least",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA baseload TO least",
    ] {
        place.postgres.sql(grant).expect("it takes it");
    }
    let two = place.up("two", &place.postgres.address().replace("postgres@", "least@"));
    let key = place.key("two", &[]);
    let begun = Instant::now();
    while code(&two.chat(&key)) != "200" {
        assert!(begun.elapsed() < fixture::PATIENCE, "{}", place.errors());
    }
}

#[test]
fn tables_of_a_newer_program_are_refused_with_a_code_and_left_alone() {
    let place = Place::new();
    drop(place.up("one", &place.postgres.address()));
    place.postgres.sql("INSERT INTO baseload.migration (version) VALUES (99)").expect("it takes it");
    let (code, said) = place.refused("one", &place.postgres.address());
    assert!(code == Some(1) && said.contains("BL0801") && said.contains("version 99"), "{said}");
    assert_eq!(place.postgres.sql("SELECT max(version) FROM baseload.migration").expect("it answers"), "99");
}

#[test]
fn over_tls_only_a_database_that_is_vouched_for_is_used_and_no_password_is_told() {
    let place = Place::with_tls();
    let address = place.postgres.tls_address();
    let key = place.key("one", &[]);
    let one = place.up("one", &address);
    assert_eq!(code(&one.chat(&key)), "200");
    drop(one);
    let said = "SELECT count(*) > 0 FROM baseload.entry WHERE kind = 'settlement'";
    assert_eq!(place.postgres.sql(said).expect("it answers"), "t", "what was booked came over TLS");

    let refused = |address: &str, why: &str| {
        let (code, said) = place.refused("two", address);
        assert!(code != Some(0) && said.contains(why) && !said.contains("s3cret"), "{said}");
    };
    let by_number = address.replace("localhost", "127.0.0.1");
    refused(&by_number, "certificate not valid for name");
    std::fs::write(place.vouched(), "").expect("a file");
    refused(&address, "SSL_CERT_FILE");
    std::fs::remove_file(place.vouched()).expect("it is there");
    refused(&address, "invalid peer certificate");

    let plain = Place::new();
    let wire = cut::Wire::to(plain.postgres.socket());
    let (code, said) = plain.refused("one", &format!("postgres://postgres:s3cret@{}/postgres?sslmode=require", wire.address()));
    assert!(code != Some(0) && said.contains("TLS") && !said.contains("s3cret"), "{said}");

    // Who lists this machine's processes reads their arguments.
    let (code, said) = plain.told(&["up", "fleet.toml", "--share", "postgres://postgres:s3cret@localhost/postgres"], "one", None);
    assert!(code != Some(0) && said.contains("set BASELOAD_SHARE") && !said.contains("s3cret"), "{said}");
}

/// For who reads a test's output.
fn println(text: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    // Nobody may be reading.
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// The checker itself: an entry that is missing or changed is found.
#[test]
fn what_is_planted_in_the_copies_is_found() {
    let place = Place::new();
    let key = place.key("one", &[]);
    let one = place.up("one", &place.postgres.address());
    for _ in 0..3 {
        assert_eq!(code(&one.chat(&key)), "200");
    }
    drop(one);
    place.verify_copies(1, 3);
    let plant = |sql: &str| {
        let all = format!("ALTER TABLE baseload.entry DISABLE TRIGGER ALL; {sql}; ALTER TABLE baseload.entry ENABLE TRIGGER ALL");
        place.postgres.sql(&all).expect("it takes it");
        place.verified().0
    };
    assert!(place.postgres.sql("DELETE FROM baseload.entry").is_err(), "entries are never deleted");
    assert_eq!(plant("UPDATE baseload.entry SET text = text || decode('78', 'hex') WHERE number = 3"), Some(3));
    assert_eq!(plant("UPDATE baseload.entry SET text = substr(text, 1, length(text) - 1) WHERE number = 3"), Some(0), "put right");
    assert_eq!(plant("UPDATE baseload.entry SET row = row + 1 WHERE kind = 'opening'"), Some(3), "another row, which no hash has");
    assert_eq!(plant("UPDATE baseload.entry SET row = row - 1 WHERE kind = 'opening'"), Some(0), "put right");
    assert_eq!(plant("DELETE FROM baseload.entry WHERE number = 4"), Some(3), "a gap");
}

/// What several replicas hold together is posted once: whoever is left takes over where the one before ended, and nothing overlaps.
#[test]
fn held_time_is_posted_once_for_all_replicas() {
    let place = Place::new();
    place.provision();
    let (one, two) = (place.up("one", &place.postgres.address()), place.up("two", &place.postgres.address()));
    drop(one);
    // Its own turn comes within a second.
    let kept = "SELECT replica.number FROM baseload.keeper JOIN baseload.replica ON replica.id = keeper.replica WHERE keeper.returns > 0";
    let until = Instant::now() + fixture::PATIENCE;
    while place.postgres.sql(kept).expect("it answers") != "2" {
        assert!(Instant::now() < until, "nobody takes over");
    }
    drop(two);
    let held = place.held();
    for pair in held.windows(2) {
        assert_eq!(pair[0].to, pair[1].from, "neither gap nor overlap: {held:?}");
    }
    assert!(held.iter().all(|row| row.held == (row.to - row.from) / 1_000 * 1_000), "a thousand units all the time: {held:?}");
    assert!(held.len() >= 2 && held[0].by != held[held.len() - 1].by, "both posted some: {held:?} {}", place.errors());
}

/// One replica posts the units; what the other's requests used of them is in its postings all the same, to the token.
#[test]
fn units_that_any_replica_used_are_used_in_the_books_of_who_posts_them() {
    // Twelve tokens, of 100 a minute that a unit handles.
    const UNIT_MS: i64 = 12 * 60_000 / 100;
    let place = Place::new();
    place.provision();
    let key = place.key("one", &[]);
    let (one, two) = (place.up("one", &place.postgres.address()), place.up("two", &place.postgres.address()));
    let until = Instant::now() + fixture::PATIENCE;
    for replica in [&one, &two, &two] {
        // The key has to come round, and a part of the units.
        while code(&replica.chat_with(&key, "held")) != "200" {
            assert!(Instant::now() < until, "{}", place.errors());
        }
    }
    let used = |by: &str| place.held().iter().filter(|row| by.is_empty() || row.by == by).map(|row| row.used).sum::<i64>();
    while used("") < 3 * UNIT_MS {
        assert!(Instant::now() < until, "{:?} {}", place.held(), place.errors());
    }
    let first = place.held()[0].by.clone();
    drop((one, two));
    assert_eq!((used(""), used(&first)), (3 * UNIT_MS, 3 * UNIT_MS), "each once, and all by one: {:?}", place.held());
    place.verify_copies(2, 3);
}
