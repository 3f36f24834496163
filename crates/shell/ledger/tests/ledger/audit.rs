//! The live audit finds what was planted while the service runs, each look only what was added since the last.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dispatch::{AttemptId, HeldTime, KeyId, Known, Outcome, Record, Settlement, decide};
use fleet::{Fleet, Id, Meter};
use ledger::{Correct, Store, correct};
use market::{Tokens, Usage};
use testkit::crowd;
use units::{Instant, Quantity, Span};

use crate::fixture::attempt;

const SECOND: Duration = Duration::from_secs(1);
const TAKEN: Tokens = Tokens { input: 700, cached: 0, output: 100 };

/// A running service with decisions that were really taken.
struct Service {
    directory: tempfile::TempDir,
    store: Store,
    fleet: Arc<Fleet>,
    now: Instant,
}

impl Service {
    fn begin() -> Self {
        let (directory, fleet) = (tempfile::tempdir().expect("a folder"), Arc::new(crowd::fleet(4)));
        let now = crowd::question(&fleet).now;
        let store = Store::open(directory.path(), &crowd::text(4), Arc::clone(&fleet), now).expect("opened").0;
        Self { directory, store, fleet, now }
    }

    fn append(&self, record: &Record) {
        self.store.append(record).expect("appended");
    }

    /// An attempt as it was decided, with its settlement.
    fn attempt(&self, request: u128) -> (Record, Settlement) {
        let mut question = crowd::question(&self.fleet);
        // The odd ones are paid by the token.
        question.seen.retain(|seen| seen.endpoint.index() == 1);
        let decision = decide(&self.fleet, &question).expect("there is room");
        let attempt = attempt(request, 1);
        let settlement = Settlement {
            attempt,
            endpoint: decision.endpoint,
            in_units: false,
            contract: decision.contract,
            fleet: self.fleet.version,
            outcome: Outcome::Answered,
            tokens: TAKEN,
            known: Known::Reported,
            list: decision.list.cost(TAKEN),
            started: self.now,
            first_content: Some(self.now + SECOND),
            ended: self.now + 2 * SECOND,
        };
        (Record::Decided { attempt, key: KeyId(1), question: Box::new(question), decision: Box::new(decision) }, settlement)
    }

    fn settle(&self, request: u128) -> AttemptId {
        let (decided, settled) = self.attempt(request);
        self.append(&decided);
        self.append(&Record::Settled(settled));
        settled.attempt
    }

    /// So many accelerators of the first pool, held for a second from then on.
    fn held(&self, from: u32, count: i64) -> HeldTime {
        let from = self.now + from * SECOND;
        let (endpoint, contract) = (self.fleet.endpoints.id("p0").expect("there"), self.fleet.contracts.id("c0").expect("there"));
        let meter = Meter::AcceleratorTime(self.fleet.accelerators.id("a").expect("there"));
        let usage = Usage { contract, meter, at: from, held: Quantity::new(count * 1_000), used: Quantity::ZERO };
        HeldTime { endpoint, fleet: self.fleet.version, span: Span { from, to: from + SECOND }, usage: vec![usage], shares: Vec::new() }
    }

    /// Something of each kind.
    fn work(&self) {
        let settled = self.settle(1);
        self.settle(2);
        self.append(&Record::Held(self.held(0, 8)));
        self.append(&Record::Held(self.held(1, 8)));
        let month = Duration::from_secs(40 * 86_400);
        self.store.close_periods(self.now + month).expect("closed");
        let said = Correct { attempt: settled, tokens: Tokens::default(), why: "their log".to_owned(), who: "ada".to_owned() };
        correct(self.directory.path(), &said, self.now).expect("booked");
    }

    /// What a look finds.
    fn audit(&self) -> Vec<String> {
        self.audit_at(self.now)
    }

    fn audit_at(&self, now: Instant) -> Vec<String> {
        self.store.audit(now).expect("read").findings.iter().map(ToString::to_string).collect()
    }
}

/// Changes rows as no code of ours can.
fn plant(directory: &Path, change: &str) {
    let database = rusqlite::Connection::open(directory.join("ledger.db")).expect("opened");
    let triggers = "SELECT 'DROP TRIGGER ' || name FROM sqlite_schema WHERE type = 'trigger'";
    let mut select = database.prepare(triggers).expect("a query");
    let drops: Vec<String> = select.query_map([], |row| row.get(0)).expect("read").collect::<Result<_, _>>().expect("read");
    database.execute_batch(&format!("PRAGMA foreign_keys = off; {}; {change}", drops.join("; "))).expect("changed");
}

fn has(found: &[String], expected: &str) {
    assert!(found.iter().any(|found| found.contains(expected)), "{expected}: {found:?}");
}

#[test]
fn each_look_is_at_what_was_added_and_nothing_is_found_in_sound_books() {
    let service = Service::begin();
    service.work();
    let first = service.store.audit(service.now).expect("read");
    assert!(first.holds() && first.entries > 8, "{first:?}");
    // Four records of two attempts, and two spans.
    assert_eq!((first.records, first.replayed, first.settled), (6, 2, 2));
    let again = service.store.audit(service.now).expect("read");
    assert_eq!((again.holds(), again.records, again.entries), (true, 0, 0), "{again:?}");
    service.settle(3);
    service.append(&Record::Held(service.held(2, 8)));
    let last = service.store.audit(service.now).expect("read");
    assert_eq!((last.holds(), last.records, last.replayed, last.settled, last.entries), (true, 3, 1, 1, 3), "{last:?}");
}

#[test]
fn rows_that_are_planted_beside_a_running_service_are_found() {
    let cases = [
        // I1.
        ("UPDATE posting SET used = held + 1 WHERE source = 1", "not between nothing and what was held"),
        ("UPDATE posting SET used = 3 WHERE source = 1", "shares don't add up"),
        // I2.
        ("UPDATE correction SET output = 7", "correction 1: its postings are not what it changes"),
        ("DELETE FROM attempt WHERE id = 2", "is settled and was never decided"),
        // I5 and I9.
        ("UPDATE closing SET due = 1 WHERE id = 1", "its lines don't add up to what is due"),
        ("UPDATE closing SET at_us = to_us WHERE id = 1", "it was closed before its time"),
        // I9.
        ("UPDATE held SET to_us = from_us - 1 WHERE id = 1", "its span ends before it begins"),
        // I13.
        ("DELETE FROM settlement", "was never settled"),
        // I14.
        ("UPDATE settlement SET output = 5", "is not what is booked"),
        ("UPDATE held SET from_us = from_us + 1 WHERE id = 2", "is not what is booked"),
    ];
    for (change, expected) in cases {
        let service = Service::begin();
        service.settle(9);
        assert_eq!(service.audit(), [""; 0]);
        service.work();
        service.store.flush().expect("committed");
        plant(service.directory.path(), change);
        has(&service.audit(), expected);
        has(&service.audit(), expected);
    }
}

#[test]
fn records_that_are_wrong_by_themselves_are_found() {
    let found = |plant: &dyn Fn(&Service)| {
        let service = Service::begin();
        service.work();
        assert_eq!(service.audit(), [""; 0]);
        plant(&service);
        service.audit()
    };
    // I8.
    let decided = found(&|service| {
        let (mut decided, settled) = service.attempt(3);
        if let Record::Decided { decision, .. } = &mut decided {
            decision.cost.scarcity = units::Money::from_nanos(1);
        }
        service.append(&decided);
        service.append(&Record::Settled(settled));
    });
    assert_eq!(decided, [format!("the decision of attempt {} is another when it is taken again", attempt(3, 1))]);
    // I9.
    let settled = found(&|service| {
        let (decided, settled) = service.attempt(3);
        service.append(&decided);
        service.append(&Record::Settled(Settlement { ended: service.now, ..settled }));
    });
    has(&settled, "ends before it begins, or has content outside its time");
    has(&found(&|service| service.append(&Record::Held(service.held(1, 8)))), " is held twice");
    // I4.
    has(&found(&|service| service.append(&Record::Held(service.held(2, 9)))), "pool p0 holds 9 of 8 at ");
}

#[test]
fn an_attempt_that_stays_open_is_found_after_a_day() {
    let service = Service::begin();
    service.append(&service.attempt(1).0);
    let day = Duration::from_secs(24 * 3_600);
    assert_eq!(service.audit_at(service.now + day), [""; 0]);
    has(&service.audit_at(service.now + day + SECOND), "and is still open");
    service.append(&Record::Settled(service.attempt(1).1));
    assert_eq!(service.audit_at(service.now + day + SECOND), [""; 0]);
}
