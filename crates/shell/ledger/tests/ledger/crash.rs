//! A process that appends, killed again and again: what it was told is appended is there, once.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use dispatch::Record;
use market::Tokens;

use crate::fixture::{attempt, decided, fleet, held, open, seconds, settlement};

const DIRECTORY: &str = "LEDGER_CRASH_DIRECTORY";
const FIRST: &str = "LEDGER_CRASH_FIRST";
const KILLS: u64 = 20;

/// The process that is killed: appends for ever and writes a line for each record once it is appended.
#[test]
#[ignore = "runs as the child of the test below"]
fn appends_until_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let first: u128 = std::env::var(FIRST).expect("set by the parent").parse().expect("a number");
    let (store, _) = open(directory.as_ref());
    let fleet = fleet();
    let mut out = std::io::stdout().lock();
    for request in first.. {
        let tokens = Tokens { input: 2, cached: 0, output: 1 };
        store.append(&decided(&fleet, attempt(request, 1), true, seconds(1))).expect("appended");
        writeln!(out, "decided {request}").and_then(|()| out.flush()).expect("the parent reads until the end");
        store.append(&Record::Settled(settlement(&fleet, attempt(request, 1), true, tokens, seconds(2)))).expect("appended");
        writeln!(out, "settled {request}").and_then(|()| out.flush()).expect("the parent reads until the end");
    }
}

#[test]
fn nothing_appended_is_lost_when_the_process_is_killed() {
    let directory = tempfile::tempdir().expect("a folder");
    let (mut decided, mut settled) = (BTreeSet::new(), BTreeSet::new());
    for kill in 0..KILLS {
        let first = u128::from(kill) * 1_000_000;
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "crash::appends_until_killed", "--ignored", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .env(FIRST, first.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        // Kill at another point of the commit cycle each time; what it wrote before it died still counts.
        let until = usize::try_from(1 + kill * 97).expect("small");
        let mut seen = |line: String| match line.split_once(' ') {
            Some(("decided", request)) => decided.insert(attempt(request.parse().unwrap_or_default(), 1)),
            Some(("settled", request)) => settled.insert(attempt(request.parse().unwrap_or_default(), 1)),
            _ => false,
        };
        let counted = lines.by_ref().filter_map(|line| seen(line).then_some(())).take(until).count();
        assert_eq!(counted, until, "the child died by itself");
        child.kill().expect("killed");
        let whole = |line: &String| line.split_once(' ').is_some_and(|(_, request)| request.parse::<u128>().is_ok_and(|it| it >= first));
        lines.filter(whole).for_each(|line| {
            seen(line);
        });
        child.wait().expect("gone");
    }
    let (store, _) = open(directory.path());
    let rows = store.attempts(usize::MAX).expect("read");
    let found: BTreeSet<_> = rows.iter().map(|row| row.attempt).collect();
    assert_eq!(found.len(), rows.len(), "each attempt once");
    assert!(decided.is_subset(&found), "lost {:?}", decided.difference(&found).collect::<Vec<_>>());
    let answered = rows.iter().filter(|row| row.settled.is_some_and(|end| end.outcome == dispatch::Outcome::Answered));
    let answered: BTreeSet<_> = answered.map(|row| row.attempt).collect();
    assert!(settled.is_subset(&answered), "lost {:?}", settled.difference(&answered).collect::<Vec<_>>());
    assert!(rows.iter().all(|row| row.settled.is_some()), "what was in flight is settled");
    assert!(store.conflicts().expect("read").is_empty());
    let posted: i64 = store.books().balances.iter().map(|(.., total)| total.held.count()).sum();
    assert_eq!(posted, 3 * i64::try_from(answered.len()).expect("few"), "each settlement is posted once");
    drop(store);
    let verified = ledger::verify(directory.path(), None).expect("read");
    assert!(verified.holds(), "{verified:?}");
}

/// The process that runs out of space: appends until it is refused three times, then goes.
#[test]
#[ignore = "runs as the child of the test below"]
fn appends_until_refused() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let (store, _) = open(directory.as_ref());
    let fleet = fleet();
    let mut out = std::io::stdout().lock();
    let mut refused = 0;
    for (second, request) in (1..).zip(1..) {
        // The longer the record, the more of it may be written before the space ends.
        let shares = vec![(attempt(request, 1), 1); 40];
        let held = held(&fleet, seconds(second), std::time::Duration::from_secs(1), 1000, &shares);
        match store.append(&Record::Held(held)) {
            Ok(()) => writeln!(out, "held {request}").expect("the parent reads until the end"),
            Err(_) => refused += 1,
        }
        if refused == 3 {
            break;
        }
    }
}

#[test]
fn without_space_appends_are_refused_and_nothing_appended_is_lost() {
    let directory = tempfile::tempdir().expect("a folder");
    drop(open(directory.path()));
    // Past the limit a write fails as on a full disk, the first one after a part of it.
    let output = Command::new("sh")
        .args(["-c", r#"trap "" XFSZ; ulimit -f 800; exec "$0" "$@""#])
        .arg(std::env::current_exe().expect("this test"))
        .args(["--exact", "crash::appends_until_refused", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .output()
        .expect("started");
    let text = String::from_utf8_lossy(&output.stdout);
    let appended = text.lines().filter(|line| line.starts_with("held ") || line.contains(" held ")).count();
    assert!(output.status.success() && appended > 100, "{text} {}", String::from_utf8_lossy(&output.stderr));
    let (store, recovery) = open(directory.path());
    assert_eq!(recovery.torn_bytes, 0, "the part that was written was taken back");
    let used: i64 = store.books().balances.iter().map(|(.., total)| total.used.count()).sum();
    assert_eq!(used, 40 * i64::try_from(appended).expect("few"));
    drop(store);
    let verified = ledger::verify(directory.path(), None).expect("read");
    assert_eq!(verified.held, appended as u64);
    assert!(verified.findings.iter().all(|finding| matches!(finding, ledger::Finding::NoIntent { .. })), "{verified:?}");
}
