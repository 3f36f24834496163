//! The ledgers of several replicas, put together from copies of their entries.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dispatch::{KeyId, Known, Record};
use ledger::{ChainEntry, Copied, Hash, Invoice, LedgerError, REPLICA, SpendingReader, Store, View, Whole, import_invoice, read_invoice};
use market::Tokens;

use crate::closing::{self, LAPTOP, MINUTE, laptop};
use crate::fixture::{TEXT, attempt, decided, fleet, held, in_units, open, seconds, settlement, start};

const TOKENS: Tokens = Tokens { input: 10, cached: 0, output: 5 };

/// Books `count` hosted attempts and one span of held time at a replica.
fn fill(directory: &Path, replica: u128, count: u128) -> Store {
    let (store, fleet) = (open(directory).0, fleet());
    for request in 0..count {
        let attempt = attempt(replica * 1_000 + request, 1);
        store.append(&decided(&fleet, attempt, true, start())).expect("appended");
        store.append(&Record::Settled(settlement(&fleet, attempt, true, TOKENS, seconds(1)))).expect("appended");
    }
    store.append(&Record::Held(held(&fleet, start(), Duration::from_secs(1), 1_000, &[]))).expect("appended");
    store.flush().expect("committed");
    store
}

/// The entries of two replicas, one after another, as they may have come in turn.
fn copies(first: &View, second: &View) -> Vec<Copied> {
    let entries = |replica, view: &View| -> Vec<(i64, ChainEntry)> {
        let last = view.synced_entries().expect("synced");
        view.entries(0, last, usize::MAX).expect("they are there").into_iter().map(|entry| (replica, entry)).collect()
    };
    let (mut first, mut second) = (entries(1, first).into_iter(), entries(2, second).into_iter());
    let mut turns = Vec::new();
    while first.len() + second.len() > 0 {
        turns.extend(first.next());
        turns.extend(second.next());
    }
    in_turn(turns)
}

/// A state directory as it lies there, once more.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).expect("copied");
        }
    }
}

/// Entries as they came one after another, each with the replica that brought it.
fn in_turn(turns: impl IntoIterator<Item = (i64, ChainEntry)>) -> Vec<Copied> {
    let copied = |((replica, entry), place)| Copied { replica, place, key: Some(format!("key-{replica}")), entry };
    turns.into_iter().zip(1..).map(copied).collect()
}

fn whole(folder: &Path, copies: &[Copied], pieces: usize) -> Whole {
    let mut whole = Whole::open(folder).expect("a folder");
    for piece in copies.chunks(pieces) {
        whole.add(piece).expect("it takes them");
    }
    whole
}

#[test]
fn the_books_of_all_are_the_sum_of_each_ones_however_they_come() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (first, second) = (fill(&at("first"), 1, 3), fill(&at("second"), 2, 4));
    let taken = in_units(Record::Settled(settlement(&fleet(), attempt(2_900, 1), true, TOKENS, seconds(1))));
    for record in [in_units(decided(&fleet(), attempt(2_900, 1), true, start())), taken] {
        second.append(&record).expect("appended");
    }
    second.flush().expect("committed");
    let copies = copies(&first, &second);
    let chain = |replica| {
        let entries = copies.iter().filter(|copied| copied.replica == replica);
        entries.fold(Hash::default(), |hash, copied| {
            assert_eq!(hash.then(&copied.entry.text), copied.entry.hash, "a copy proves itself");
            copied.entry.hash
        })
    };
    assert_ne!(chain(1), chain(2));
    let mut together = whole(&at("whole"), &copies, 4);
    let view = View::open(&at("whole")).expect("a ledger like any other");
    let shown: Vec<_> =
        view.attempts(99).expect("attempts").iter().map(|row| (row.attempt.request.0, row.key, row.settled.is_some())).collect();
    assert_eq!(shown.len(), 8);
    let taken = view.attempts_of(attempt(2_900, 1).request).expect("attempts");
    assert!(taken.iter().all(|row| row.settled.is_some_and(|settled| settled.in_units)) && taken.len() == 1, "{taken:?}");
    assert!(
        shown.iter().all(|(request, key, settled)| *settled && *key == KeyId(u32::try_from(request / 1_000).expect("small"))),
        "{shown:?}"
    );
    let books = |whole: &mut Whole| whole.books(&fleet(), start()).expect("books");
    let sum: i64 = [first.books(), second.books()].iter().flat_map(|books| totals(books)).sum();
    assert_eq!(totals(&books(&mut together)).iter().sum::<i64>(), sum);
    assert_eq!((together.place().expect("a place"), sum), (i64::try_from(copies.len()).expect("few"), 7 * 15 + 2 * 1_000));
}

fn totals(books: &ledger::Books) -> Vec<i64> {
    books.balances.iter().map(|(.., total)| total.held.count()).collect()
}

#[test]
fn periods_close_once_for_all_and_every_place_closes_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (first, second) = (fill(&at("first"), 1, 3), fill(&at("second"), 2, 4));
    let mut copies = copies(&first, &second);
    let (mut here, mut there) = (whole(&at("here"), &copies, 4), whole(&at("there"), &copies, 1));
    let later = seconds(3_600);
    let closed = here.closing(&fleet(), later).expect("it closes");
    assert!(closed.len() > 2 && closed.iter().all(|entry| entry.kind == "closing"), "{}", closed.len());
    assert_eq!(there.closing(&fleet(), later).expect("it closes"), closed, "word for word");
    assert_eq!(here.closing(&fleet(), later).expect("it closes"), closed, "nothing is closed before all have it");
    let place = here.place().expect("a place");
    let all: Vec<Copied> =
        closed.into_iter().zip(place + 1..).map(|(entry, place)| Copied { replica: 0, place, key: None, entry }).collect();
    here.add(&all).expect("it takes them");
    copies.extend(all);
    assert_eq!(here.closing(&fleet(), later).expect("it closes"), [], "once");
    let again = whole(&at("again"), &copies, 3);
    assert_eq!(again.place().expect("a place"), here.place().expect("a place"));
    let view = View::open(&at("again")).expect("a ledger like any other");
    let due: i128 = view.closings(None).expect("closings").iter().map(|closed| closed.due.nanos()).sum();
    assert_eq!(due, 7 * 15 + 2 * 1_000, "a nano a token and a millisecond");
}

/// What a whole closes by `now`, as if it had come back from the others.
fn close(whole: &mut Whole, now: units::Instant) {
    close_by(&fleet(), whole, now);
}

/// The same by another fleet; gives what came back too.
fn close_by(fleet: &Arc<fleet::Fleet>, whole: &mut Whole, now: units::Instant) -> Vec<Copied> {
    let closed = whole.closing(fleet, now).expect("it closes");
    add_next(whole, 0, closed)
}

/// Adds entries that a replica brings next, and gives them with their places.
fn add_next(whole: &mut Whole, replica: i64, entries: Vec<ChainEntry>) -> Vec<Copied> {
    let place = whole.place().expect("a place");
    let copied = |(entry, place)| Copied { replica, place, key: None, entry };
    let next: Vec<Copied> = entries.into_iter().zip(place + 1..).map(copied).collect();
    whole.add(&next).expect("it takes them");
    next
}

/// Puts copies together as who checks them does.
fn checking(folder: &Path, copies: &[Copied], pieces: usize) -> Whole {
    let mut whole = Whole::open(folder).expect("a folder").checking();
    whole.keep_fleet(laptop().version, LAPTOP).expect("kept");
    for piece in copies.chunks(pieces) {
        whole.add(piece).expect("it takes them");
    }
    assert_eq!(whole.passed_over().expect("read"), []);
    whole
}

/// 1,000 input and 40 output tokens, at 15 and 60 dollars a million.
const BILL: &str =
    "BilledCost,BillingCurrency,BillingPeriodStart,BillingPeriodEnd,ProviderName,SkuMeter,ServiceName,ConsumedQuantity,ConsumedUnit
0.015,USD,2026-11-22T12:00:00Z,2026-11-22T12:05:00Z,northgrid,Input Tokens,smollm2-135m,1000,Tokens
0.0024,USD,2026-11-22T12:00:00Z,2026-11-22T12:05:00Z,northgrid,Output Tokens,smollm2-135m,40,Tokens
";

fn import(directory: &Path) -> Result<ledger::Reconciliation, LedgerError> {
    let lines = read_invoice(BILL.as_bytes()).expect("an invoice");
    let invoice = Invoice { name: "bill.csv", bytes: BILL.as_bytes(), lines: &lines, who: "ada" };
    import_invoice(directory, &laptop(), &invoice, closing::start() + 30 * MINUTE)
}

#[test]
fn an_invoice_that_two_imported_before_they_shared_is_there_once_and_stops_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let stores = ["first", "second"].map(|name| closing::open(&at(name)));
    let lost = [0, 1].map(|replica: usize| {
        let lost = closing::spill(&stores[replica], replica as u128, Known::Bounded, closing::TOKENS, closing::start() + MINUTE);
        stores[replica].flush().expect("committed");
        lost
    });
    let numbers = ["first", "second"].map(|name| import(&at(name)).expect("imported").number);
    assert_eq!(numbers, [1, 1]);
    let copies = copies(&stores[0], &stores[1]);
    for pieces in [1, 99] {
        let name = format!("whole-{pieces}");
        let whole = whole(&at(&name), &copies, pieces);
        assert_eq!((whole.passed_over().expect("read"), whole.place().expect("a place")), (Vec::new(), copies.len() as i64));
        let view = View::open(&at(&name)).expect("a ledger like any other");
        let said = lost.map(|lost| view.corrections_of(lost).expect("read").pop().and_then(|said| said.invoice));
        assert!(said[0].is_some() && said[0] == said[1], "both name the one that is there: {said:?}");
    }
}

#[test]
fn what_each_closed_alone_counts_once_and_the_next_closing_makes_up_the_difference() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (first, second) = (fill(&at("first"), 1, 3), fill(&at("second"), 2, 4));
    for store in [&first, &second] {
        store.close_periods(seconds(1_800)).expect("closed");
    }
    let mut whole = whole(&at("whole"), &copies(&first, &second), 4);
    assert_eq!(whole.passed_over().expect("read"), []);
    let view = View::open(&at("whole")).expect("a ledger like any other");
    let due = || view.closings(None).expect("closings").iter().map(|closed| closed.due.nanos()).sum::<i128>();
    assert_eq!(view.closings(None).expect("closings").len(), first.closings(None).expect("closings").len());
    assert!(due() < 7 * 15 + 2 * 1_000, "{}", due());
    let alone = view.closings(None).expect("closings").len();
    let known = second.synced_entries().expect("synced");
    close(&mut whole, seconds(3_600));
    assert_eq!(due(), 7 * 15 + 2 * 1_000);
    let numbers: Vec<i64> = view.closings(None).expect("closings").iter().map(|closed| closed.number).collect();
    let count = numbers.len();
    // What one closed alone may still be on its way, with the numbers that follow its first ones.
    let of_all: Vec<i64> = (1..).take(count - alone).collect();
    assert!(numbers.starts_with(&of_all) && numbers[of_all.len()..].iter().all(|number| *number > 1 << 40), "{numbers:?}");
    second.close_periods(seconds(3_600)).expect("closed");
    let on_its_way = second.entries(known, second.synced_entries().expect("synced"), usize::MAX).expect("they are there");
    assert!(!on_its_way.is_empty());
    add_next(&mut whole, 2, on_its_way);
    assert_eq!(whole.passed_over().expect("read"), []);
    close(&mut whole, seconds(3_600));
    assert_eq!((due(), view.closings(None).expect("closings").len()), (7 * 15 + 2 * 1_000, count), "once");
}

/// Closings of two replicas, of which the second closed its first periods alone: what all closed after that has amendments of what the first
/// took, and of what came late.
fn closed_for_all(folder: &Path) -> Vec<Copied> {
    let at = |name: &str| folder.join(name);
    let (first, second) = (closing::open(&at("first")), closing::open(&at("second")));
    let take = |store: &Store, request: u128, minute: u32| {
        closing::spill(store, request, Known::Reported, closing::TOKENS, closing::start() + minute * MINUTE);
        store.flush().expect("committed");
    };
    take(&first, 1, 1);
    take(&second, 2, 1);
    second.close_periods(closing::start() + 20 * MINUTE).expect("closed");
    let mut copies = copies(&first, &second);
    let mut here = whole(&at("here"), &copies, 4);
    copies.extend(close_by(&laptop(), &mut here, closing::start() + 25 * MINUTE));
    let known = first.synced_entries().expect("synced");
    take(&first, 3, 2);
    let late = first.entries(known, first.synced_entries().expect("synced"), usize::MAX).expect("they are there");
    copies.extend(add_next(&mut here, 1, late));
    copies.extend(close_by(&laptop(), &mut here, closing::start() + 30 * MINUTE));
    copies
}

#[test]
fn what_was_closed_for_all_is_computed_again_by_what_came_before_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let copies = closed_for_all(folder.path());
    for pieces in [1, 3, 99] {
        let found = checking(&at(&format!("whole-{pieces}")), &copies, pieces).verify().expect("read");
        assert!(found.holds(), "{found:?}");
        assert_eq!((found.attempts, found.settled, found.closings), (3, 3, 15), "five contracts, thrice");
    }
    // Each is paid by the token: 21 millidollars, which the first took too before the second closed, and once more late.
    let amendments = copies.iter().filter(|copied| copied.replica == 0 && copied.entry.text.contains("\tspill-on-demand\t"));
    let amendments: Vec<&Copied> = amendments.filter(|copied| copied.entry.text.contains("\tamendment\t")).collect();
    assert_eq!(amendments.iter().filter(|copied| copied.entry.text.contains("\t21000000\n")).count(), 2);
    let place = usize::try_from(amendments[0].place).expect("few") - 1;
    let planted = |name: &str, change: &dyn Fn(&str) -> String| {
        let mut copies = copies.clone();
        copies[place].entry.text = change(&copies[place].entry.text);
        // Its chain, made right.
        let mut hash = Hash::default();
        for copied in copies.iter_mut().filter(|copied| copied.replica == 0) {
            hash = hash.then(&copied.entry.text);
            copied.entry.hash = hash;
        }
        let found = checking(&at(name), &copies, 4).verify().expect("read");
        found.findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let due = planted("due", &|text| text.replacen("\t21000000\t", "\t1\t", 1));
    assert!(due.contains("of spill-on-demand: its lines don't add up to what is due"), "{due}");
    let line = planted("line", &|text| text.replace("\t21000000\n", "\t11000000\n").replacen("\t21000000\t", "\t11000000\t", 1));
    assert!(line.contains("of spill-on-demand: its digest is not that of its lines"), "{line}");
    assert!(line.contains("it comes to 0.021") && line.contains("0.011 was closed"), "{line}");
    let early = planted("early", &|text| {
        let mut words: Vec<&str> = text.split('\t').collect();
        // Closed when it ended.
        words[6] = words[4];
        words.join("\t")
    });
    assert!(early.contains("it was closed before its time"), "{early}");
}

#[test]
fn what_is_planted_in_the_ledger_of_all_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let copies = closed_for_all(folder.path());
    let cases = [
        ("posting", "UPDATE posting SET held = 2, used = 2 WHERE id = 1", "2/2 "),
        (
            "posting",
            "INSERT INTO posting SELECT 99, contract, meter, subject, at_us, held, used, fleet, request, attempt, correction, source FROM posting WHERE id = 1",
            "posted",
        ),
        ("attempt", "DELETE FROM attempt WHERE id = 1", "is settled and was never decided"),
    ];
    for (number, (table, change, expected)) in cases.into_iter().enumerate() {
        let name = format!("whole-{number}");
        let whole = checking(&at(&name), &copies, 4);
        let database = rusqlite::Connection::open(at(&name).join("ledger.db")).expect("opened");
        let change = format!("PRAGMA foreign_keys = off; DROP TRIGGER {table}_stays; DROP TRIGGER {table}_kept; {change}");
        database.execute_batch(&change).expect("changed");
        let found = whole.verify().expect("read").findings;
        assert!(found.iter().any(|finding| finding.to_string().contains(expected)), "{change}: {found:?}");
    }
}

#[test]
fn one_chain_under_two_names_counts_once_and_so_does_what_each_did_after_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    drop(fill(&at("first"), 1, 3));
    copy(&at("first"), &at("second"));
    let go_on = |name: &str, request: u128, now: u64| {
        let (store, fleet) = (Store::open(&at(name), TEXT, fleet(), seconds(now)).expect("opened").0, fleet());
        store.append(&decided(&fleet, attempt(request, 1), true, start())).expect("appended");
        store.append(&Record::Settled(settlement(&fleet, attempt(request, 1), true, TOKENS, seconds(1)))).expect("appended");
        store.flush().expect("committed");
        store
    };
    let (first, second) = (go_on("first", 1_100, 5), go_on("second", 2_100, 6));
    for (name, copies) in [("one", copies(&first, &second)), ("other", copies(&second, &first))] {
        let mut whole = whole(&at(name), &copies, 4);
        assert_eq!(whole.passed_over().expect("read"), []);
        let view = View::open(&at(name)).expect("a ledger like any other");
        assert_eq!(view.attempts(99).expect("attempts").len(), 3 + 1 + 1);
        assert_eq!(totals(&whole.books(&fleet(), start()).expect("books")).iter().sum::<i64>(), 5 * 15 + 1_000);
        close(&mut whole, seconds(3_600));
        let due: i128 = view.closings(None).expect("closings").iter().map(|closed| closed.due.nanos()).sum();
        assert_eq!(due, 5 * 15 + 1_000, "and is billed once");
    }
}

/// As after a power cut that took the name: all that was copied under it comes again under another, and what comes then names it.
#[test]
fn a_directory_that_lost_its_name_brings_its_history_again_and_it_counts_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let store = closing::open(&at("one"));
    let lost = closing::spill(&store, 1, Known::Bounded, closing::TOKENS, closing::start() + MINUTE);
    store.flush().expect("committed");
    let correct = |input: u32, minute: u32| {
        let tokens = Tokens { input, cached: 0, output: 40 };
        let said = ledger::Correct { attempt: lost, tokens, why: String::new(), who: String::new() };
        ledger::correct(&at("one"), &said, closing::start() + minute * MINUTE).expect("booked");
        let last = store.synced_entries().expect("synced");
        store.entries(0, last, usize::MAX).expect("they are there")
    };
    let (before, all) = (correct(1_000, 2), correct(900, 3));
    let copies = in_turn(before.into_iter().map(|entry| (1, entry)).chain(all.into_iter().map(|entry| (2, entry))));
    for pieces in [1, 99] {
        let name = format!("whole-{pieces}");
        let mut whole = whole(&at(&name), &copies, pieces);
        assert_eq!(whole.passed_over().expect("read"), []);
        let said = View::open(&at(&name)).expect("a ledger like any other").corrections_of(lost).expect("read");
        assert_eq!(said.iter().map(|said| said.corrects).collect::<Vec<_>>(), [None, Some(said[0].number)]);
        assert_eq!(totals(&whole.books(&laptop(), closing::start() + 30 * MINUTE).expect("books")).iter().sum::<i64>(), 940);
    }
}

#[test]
fn an_attempt_that_another_entry_has_settled_posts_nothing_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let first = fill(&at("first"), 1, 1);
    let entries = first.entries(0, first.synced_entries().expect("synced"), usize::MAX).expect("they are there");
    let of = |kind: &str| entries.iter().find(|entry| entry.kind == kind).expect("there is one").clone();
    // Another chain from the same beginning.
    let settled = of("settlement");
    let again = ChainEntry { number: 2, hash: of("fleet").hash.then(&settled.text), ..settled };
    let other = [(2, of("fleet")), (2, again)];
    let mut whole = whole(&at("whole"), &in_turn(entries.iter().map(|entry| (1, entry.clone())).chain(other)), 4);
    let passed = whole.passed_over().expect("read");
    assert!(passed.len() == 1 && passed[0].why.contains("another entry has it already"), "{passed:?}");
    assert_eq!((passed[0].replica, passed[0].number), (2, 2));
    assert_eq!(totals(&whole.books(&fleet(), start()).expect("books")).iter().sum::<i64>(), 15 + 1_000);
}

#[test]
fn what_cannot_be_added_is_told_and_keeps_nobody_from_what_comes_after() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (first, second) = (fill(&at("first"), 1, 3), fill(&at("second"), 2, 4));
    let good = copies(&first, &second);
    let settled = good.iter().position(|copied| copied.entry.kind == "settlement").expect("there is one");
    for (kind, text, expected) in [
        ("rumour", "rumour\t1\n", "find what entry"),
        ("settlement", "settlement\tnonsense\n", "find what entry"),
        ("settlement", "posting\ttokens\tinput-tokens\tsmall\t1\t1\t1\t9223372036854775807\t\\N\t\\N\t\\N\t\\N\n", "find what entry"),
        ("fleet", "fleet\t\\x00\t\\N\t1\t\\x00\n", "NOT NULL"),
    ] {
        let mut copies = good.clone();
        copies[settled].entry.kind = kind.to_owned();
        copies[settled].entry.text = text.to_owned();
        let name = format!("{kind}-{}", text.len());
        let whole = whole(&at(&name), &copies, 4);
        let passed = whole.passed_over().expect("read");
        assert!(passed.len() == 1 && passed[0].why.contains(expected), "{kind}: {passed:?}");
        assert_eq!((passed[0].replica, passed[0].number), (good[settled].replica, good[settled].entry.number));
        let view = View::open(&at(&name)).expect("a ledger like any other");
        assert_eq!(view.attempts(99).expect("read").iter().filter(|row| row.settled.is_some()).count(), 6, "all others");
        drop(whole);
        let again = Whole::open(&at(&name)).expect("it opens");
        assert_eq!(
            (again.place().expect("a place"), again.passed_over().expect("read")),
            (0, Vec::new()),
            "tried again by the next process"
        );
    }
}

#[test]
fn only_what_comes_for_a_closed_period_is_late() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (first, second) = (fill(&at("first"), 1, 3), fill(&at("second"), 2, 4));
    let mut whole = whole(&at("whole"), &copies(&first, &second), 4);
    close(&mut whole, seconds(3_600));
    let view = View::open(&at("whole")).expect("a ledger like any other");
    assert_eq!(view.late().expect("read"), BTreeMap::new());
    let known = second.synced_entries().expect("synced");
    let late = attempt(9, 1);
    second.append(&decided(&fleet(), late, true, start())).expect("appended");
    second.append(&Record::Settled(settlement(&fleet(), late, true, TOKENS, seconds(1)))).expect("appended");
    second.flush().expect("committed");
    let (place, last) = (whole.place().expect("a place"), second.synced_entries().expect("synced"));
    let entries = second.entries(known, last, usize::MAX).expect("they are there").into_iter();
    let copied = |(entry, place)| Copied { replica: 2, place, key: None, entry };
    whole.add(&entries.zip(place + 1..).map(copied).collect::<Vec<_>>()).expect("it takes them");
    assert_eq!(view.late().expect("read").into_iter().collect::<Vec<_>>(), [("tokens".to_owned(), 2)], "input and output");
    close(&mut whole, seconds(7_200));
    assert_eq!(view.late().expect("read"), BTreeMap::new(), "the next closing has it");
}

/// One of them lost an answer each: 500 input tokens, and up to 40 and 80 output tokens. The bill has 1,000 and 40.
#[test]
fn an_invoice_is_set_beside_what_all_took_and_clears_what_any_of_them_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let lose = |name: &str, request: u128, output: u32| {
        let store = closing::open(&at(name));
        let tokens = Tokens { input: 500, cached: 0, output };
        closing::spill(&store, request, Known::Bounded, tokens, closing::start() + MINUTE);
        store.flush().expect("committed");
        // A correction of its own, of what no invoice is of: its number is the first at this replica.
        closing::spill(&store, request + 10, Known::Reported, TOKENS, closing::start() + 7 * MINUTE);
        store.flush().expect("committed");
        let said = ledger::Correct { attempt: attempt(request + 10, 1), tokens: TOKENS, why: String::new(), who: String::new() };
        ledger::correct(&at(name), &said, closing::start() + 8 * MINUTE).expect("booked");
        store
    };
    let (first, second) = (lose("first", 1, 40), lose("second", 2, 80));
    let mut copies = copies(&first, &second);
    let (mut here, mut there) = (whole(&at("here"), &copies, 3), whole(&at("there"), &copies, 1));
    for whole in [&here, &there] {
        whole.keep_fleet(laptop().version, LAPTOP).expect("kept");
    }
    let lines = read_invoice(BILL.as_bytes()).expect("an invoice");
    let (invoice, now) = (Invoice { name: "bill.csv", bytes: BILL.as_bytes(), lines: &lines, who: "ada" }, closing::start() + 30 * MINUTE);
    let import = |whole: &mut Whole| {
        let reckoned = whole.reckon(&laptop(), &invoice, now)?;
        whole.import(reckoned, &invoice, now)
    };
    let (found, entries) = import(&mut here).expect("imported");
    assert!(found.agrees() && found.cleared.len() == 2, "{found:?}");
    assert_eq!(import(&mut there).expect("imported").1, entries, "word for word, and nothing is kept before all have it");
    let place = here.place().expect("a place");
    let all: Vec<Copied> =
        entries.into_iter().zip(place + 1..).map(|(entry, place)| Copied { replica: 0, place, key: None, entry }).collect();
    let chain = all.iter().fold(Hash::default(), |hash, copied| hash.then(&copied.entry.text));
    assert_eq!(chain, all.last().expect("there are some").entry.hash, "a copy proves itself");
    here.add(&all).expect("it takes them");
    copies.extend(all);
    assert_eq!(here.passed_over().expect("read"), []);
    assert!(matches!(import(&mut here), Err(LedgerError::Imported { number: 1 })));
    let view = View::open(&at("here")).expect("a ledger like any other");
    assert_eq!(view.unreconciled_total().expect("read"), ledger::Unreconciled::default());
    let taken = |request: u128| view.attempts_of(attempt(request, 1).request).expect("read")[0].taken().expect("cleared").0.output;
    // By their bounds, one to two.
    assert_eq!((taken(1), taken(2)), (13, 27));
    // Each replica's budgets get back what its own attempt was counted too much by, once.
    for (store, less) in [(&first, 40 - 13), (&second, 80 - 27)] {
        let mut reader = SpendingReader::begin(store, None, |_| unreachable!("nothing has a budget")).expect("read");
        let mut told = Vec::new();
        for _ in 0..2 {
            reader.catch_up_for_all(store, &view, |spending| told.push((spending.decided, spending.list.nanos()))).expect("read");
        }
        // At 60 dollars a million of output tokens.
        assert_eq!(told, [(closing::start() + MINUTE, -60_000 * less)]);
    }
    // What closes from then on has it, wherever it is put together.
    let mut again = whole(&at("again"), &copies, 2);
    assert_eq!(here.books(&laptop(), now).expect("books").balances, again.books(&laptop(), now).expect("books").balances);
    let checked = checking(&at("checked"), &copies, 3).verify().expect("read");
    assert!(checked.holds() && checked.corrections == 4, "{checked:?}");
    let closed = again.closing(&laptop(), now).expect("it closes");
    assert!(closed.iter().any(|entry| entry.text.contains("spill-on-demand") && entry.text.contains("17400000")), "{closed:?}");
    drop((first, second));
    for name in ["first", "second"] {
        assert!(ledger::verify(&at(name), None).expect("read").holds(), "{name}");
    }
}

#[test]
fn the_fleet_of_all_is_the_one_that_any_was_opened_with_last() {
    let hourly = closing::by_the_hour();
    for texts in [[LAPTOP, hourly.as_str()], [hourly.as_str(), LAPTOP]] {
        for second_is_first in [false, true] {
            let folder = tempfile::tempdir().expect("a folder");
            let at = |name: &str| folder.path().join(name);
            let open = |name: &str, place: usize| {
                let fleet = fleet::parse(texts[place]).fleet.expect("it is sound");
                let now = closing::start() + u32::try_from(place).expect("few") * MINUTE;
                Store::open(&at(name), texts[place], Arc::new(fleet), now).expect("opened").0
            };
            let (first, second) = if second_is_first { (open("a", 1), open("b", 0)) } else { (open("a", 0), open("b", 1)) };
            let whole = whole(&at("whole"), &copies(&first, &second), 4);
            for text in texts {
                whole.keep_fleet(fleet::parse(text).fleet.expect("it is sound").version, text).expect("kept");
            }
            let found = View::open(&at("whole")).expect("a ledger like any other").fleet().expect("it is there");
            assert_eq!(found.version, fleet::parse(texts[1]).fleet.expect("it is sound").version);
        }
    }
}

#[test]
fn one_of_several_replicas_closes_nothing_alone_and_takes_no_invoice() {
    let directory = tempfile::tempdir().expect("a folder");
    drop(closing::open(directory.path()));
    std::fs::write(directory.path().join(REPLICA), "0123456789abcdef\n").expect("a file");
    let store = closing::open(directory.path());
    store.close_periods(closing::start() + 60 * MINUTE).expect("it looks");
    assert_eq!(store.closings(None).expect("read"), []);
    assert!(matches!(import(directory.path()), Err(LedgerError::OneOfSeveral { .. })));
    drop(store);
    std::fs::remove_file(directory.path().join(REPLICA)).expect("it is there");
    let store = closing::open(directory.path());
    store.close_periods(closing::start() + 60 * MINUTE).expect("closed");
    assert!(!store.closings(None).expect("read").is_empty());
}

/// It is asked each second, by the thread that agrees on keys: where nothing is to be closed it takes no lock and folds nothing.
#[test]
fn where_nothing_is_to_be_closed_nobody_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let (first, second) = (fill(&at("first"), 1, 3), fill(&at("second"), 2, 4));
    let mut whole = whole(&at("whole"), &copies(&first, &second), 4);
    close(&mut whole, seconds(3_600));
    let other = rusqlite::Connection::open(at("whole").join("ledger.db")).expect("opened");
    other.execute_batch("BEGIN IMMEDIATE").expect("nobody writes");
    assert_eq!(whole.closing(&fleet(), seconds(3_600)).expect("it looks"), []);
    drop(other);
    // What was folded before goes on from there.
    let all = whole.books(&fleet(), start()).expect("books");
    assert!(!whole.closing(&fleet(), seconds(7_200)).expect("it closes").is_empty());
    assert_eq!(totals(&whole.books(&fleet(), start()).expect("books")), totals(&all));
}
