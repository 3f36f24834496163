//! What a power cut may leave of the journal past its booked part: cut, zeroed, pages missing, pages torn, bits flipped.
//!
//! Only that part may be damaged: the booked one was synced before, and a disk that loses it broke its word. More variants of each kind:
//! `BASELOAD_TORN_VARIANTS=10000`.

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dispatch::{AttemptId, Outcome, Record};
use ledger::{AttemptRow, Store, verify};
use market::Tokens;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::fixture::{TEXT, attempt, decided, fleet, seconds, settlement, start};

const SEGMENT: &str = "journal/00000000.bl";
const TAKEN: Tokens = Tokens { input: 7, cached: 0, output: 4 };
const PAGE: usize = 4096;
const SECTOR: usize = 512;
/// Attempts that are booked, each third of them still under way.
const BOOKED: u128 = 12;
/// Attempts that began later.
const LATER: u128 = 90;

/// A state directory as it was booked, with the journal that it had when the power went.
struct Scene {
    files: Vec<(PathBuf, Vec<u8>)>,
    journal: Vec<u8>,
    /// Where each record past the booked part lies, and what it says.
    records: Vec<(Range<usize>, Record)>,
    /// Attempts that were under way when it was booked.
    open: BTreeSet<AttemptId>,
}

/// Where files go that need not outlive the machine.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder")
}

fn settled(request: u128) -> Record {
    Record::Settled(settlement(&fleet(), attempt(request, 1), true, TAKEN, seconds(2)))
}

/// The records past the booked part: attempts begin and end among each other, and some never end.
fn later() -> Vec<Record> {
    let mut records: Vec<Record> = (0..BOOKED).step_by(3).map(settled).collect();
    for request in BOOKED..BOOKED + LATER {
        records.push(decided(&fleet(), attempt(request, 1), true, seconds(1)));
        let ends = request.checked_sub(3).filter(|ends| *ends >= BOOKED && ends % 4 != 0);
        records.extend(ends.map(settled));
    }
    records
}

fn scene() -> &'static Scene {
    static SCENE: OnceLock<Scene> = OnceLock::new();
    SCENE.get_or_init(|| {
        let directory = folder();
        let segment = directory.path().join(SEGMENT);
        let (store, _) = Store::open(directory.path(), TEXT, fleet(), start()).expect("opened");
        let mut open = BTreeSet::new();
        for request in 0..BOOKED {
            store.append(&decided(&fleet(), attempt(request, 1), true, seconds(1))).expect("appended");
            if request % 3 == 0 {
                open.insert(attempt(request, 1));
            } else {
                store.append(&settled(request)).expect("appended");
            }
        }
        store.flush().expect("booked");
        let files = ["ledger.db", "ledger.db-wal"].map(|name| (PathBuf::from(name), fs::read(directory.path().join(name)).expect("there")));
        let length = || usize::try_from(fs::metadata(&segment).expect("there").len()).expect("short");
        let mut records = Vec::new();
        for record in later() {
            let from = length();
            store.append(&record).expect("appended");
            records.push((from..length(), record));
        }
        let journal = fs::read(&segment).expect("read")[..length()].to_vec();
        Scene { files: files.into(), journal, records, open }
    })
}

impl Scene {
    /// Where what may be lost begins.
    fn booked(&self) -> usize {
        self.records[0].0.start
    }

    /// The state directory with this journal.
    fn lay(&self, directory: &Path, journal: &[u8]) {
        fs::create_dir_all(directory.join("journal")).expect("made");
        for (name, bytes) in &self.files {
            fs::write(directory.join(name), bytes).expect("written");
        }
        fs::write(directory.join(SEGMENT), journal).expect("written");
    }
}

/// Opens what the power cut left, and holds it to what is whole of it.
fn check(journal: &[u8]) {
    let (scene, directory) = (scene(), folder());
    scene.lay(directory.path(), journal);
    let whole: Vec<_> = scene.records.iter().take_while(|(at, _)| journal.get(at.clone()) == Some(&scene.journal[at.clone()])).collect();
    let (mut open, mut answered) = (scene.open.clone(), BTreeSet::new());
    for (_, record) in &whole {
        match record {
            Record::Decided { attempt, .. } => drop(open.insert(*attempt)),
            Record::Settled(settlement) => {
                open.remove(&settlement.attempt);
                answered.insert(settlement.attempt);
            }
            Record::Held(_) => {}
        }
    }
    let (store, recovery) = Store::open(directory.path(), TEXT, fleet(), start()).expect("opened");
    assert_eq!(recovery.replayed, whole.len(), "what is whole is booked, and nothing else");
    assert_eq!(BTreeSet::from_iter(recovery.interrupted.iter().copied()), open, "what was under way is settled as interrupted");
    assert_eq!(recovery.interrupted.len(), open.len(), "once");
    let behind = scene.records[whole.len()..].iter().filter(|(at, _)| journal.get(at.clone()) == Some(&scene.journal[at.clone()]));
    assert!(recovery.aside_records >= behind.count(), "what is whole behind a hole is set aside and counted: {recovery:?}");
    let rows = store.attempts(usize::MAX).expect("read");
    let booked = attempts(rows.iter().filter(|row| row.settled.is_some_and(|it| it.outcome == Outcome::Answered)));
    let before = (0..BOOKED).filter(|request| request % 3 != 0).map(|request| attempt(request, 1));
    assert_eq!(booked, before.chain(answered).collect(), "each answer that is whole, once");
    assert_eq!(attempts(rows.iter()).len(), rows.len(), "each attempt once");
    store.append(&decided(&fleet(), attempt(9_999, 1), true, seconds(9))).expect("it goes on");
    store.append(&settled(9_999)).expect("it goes on");
    drop(store);
    let verified = verify(directory.path(), None).expect("read");
    assert!(verified.holds(), "{verified:?}");
    let (_, again) = Store::open(directory.path(), TEXT, fleet(), start()).expect("opened");
    assert_eq!(again, ledger::Recovery::default(), "there is nothing left to recover");
}

fn attempts<'a>(rows: impl Iterator<Item = &'a AttemptRow>) -> BTreeSet<AttemptId> {
    rows.map(|row| row.attempt).collect()
}

/// How many variants of each kind are tried.
fn variants() -> ProptestConfig {
    let cases = std::env::var("BASELOAD_TORN_VARIANTS").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    ProptestConfig { cases, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() }
}

/// The pieces of `size` bytes of the disk that the unsynced part lies on, as far as they are of it.
fn pieces(size: usize) -> Vec<Range<usize>> {
    let (from, to) = (scene().booked(), scene().journal.len());
    (from / size..to.div_ceil(size)).map(|piece| (piece * size).max(from)..((piece + 1) * size).min(to)).collect()
}

#[test]
fn what_is_whole_is_all_booked() {
    check(&scene().journal);
}

proptest! {
    #![proptest_config(variants())]

    #[test]
    fn cut(at in any::<prop::sample::Index>()) {
        let scene = scene();
        check(&scene.journal[..scene.booked() + at.index(scene.journal.len() - scene.booked() + 1)]);
    }

    #[test]
    fn a_length_written_before_what_fills_it(at in any::<prop::sample::Index>(), more in 0..3 * PAGE) {
        let scene = scene();
        let mut journal = scene.journal.clone();
        journal[scene.booked() + at.index(scene.journal.len() - scene.booked())..].fill(0);
        journal.resize(journal.len() + more, 0);
        check(&journal);
    }

    #[test]
    fn pages_written_in_any_order(written in prop::collection::vec(any::<bool>(), 32), sectors in any::<bool>()) {
        let mut journal = scene().journal.clone();
        let pieces = pieces(if sectors { SECTOR } else { PAGE });
        for (piece, _) in pieces.into_iter().zip(written.iter().cycle()).filter(|(_, written)| !**written) {
            journal[piece].fill(0);
        }
        check(&journal);
    }

    #[test]
    fn a_page_torn_in_the_middle(at in any::<prop::sample::Index>(), kept in 0..PAGE / SECTOR, noise in any::<u8>()) {
        let mut journal = scene().journal.clone();
        let pieces = pieces(PAGE);
        let page = pieces[at.index(pieces.len())].clone();
        let torn = (page.start + kept * SECTOR).min(page.end)..page.end;
        journal[torn].fill(noise);
        check(&journal);
    }

    #[test]
    fn flipped_bits(flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u32), 1..4)) {
        let (scene, mut journal) = (scene(), scene().journal.clone());
        for (at, bit) in flips {
            journal[scene.booked() + at.index(scene.journal.len() - scene.booked())] ^= 1 << bit;
        }
        check(&journal);
    }
}
