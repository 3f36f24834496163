//! The gateway's disk: what survives which death of its process.
//!
//! The store is the real one, with its own thread. It can't change what the gateway does, which only appends; and where this reads the
//! database it first waits until that has everything. So a run is the same whatever that thread does meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dispatch::{AttemptId, KeyId, Record, RequestId};
use fleet::EndpointId;
use ledger::{LedgerError, Recovery, Store};
use testkit::Dice;
use testkit::checkers::Lost;
use units::Instant;

use super::mischief::Mischief;
use super::run::{Life, Run, lock};
use super::scene;
use crate::journal::Journal;

/// What a power cut may take: the journal is synced once per commit window of 10 ms, and a disk takes its time for that.
const WINDOW: Duration = Duration::from_millis(500);
const SEGMENT: &str = "journal/00000000.bl";
const DATABASE: [&str; 3] = ["ledger.db", "ledger.db-wal", "ledger.db-shm"];

/// How a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Death {
    /// By signal: what was appended is there.
    Kill,
    /// With the machine: what was appended last may be gone, in part or with holes.
    PowerCut,
}

/// What the disk has room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Room {
    /// Everything.
    #[default]
    All,
    /// The ends of what is under way.
    Ends,
    /// Nothing.
    Nothing,
}

/// A record as it was appended.
struct Kept {
    at: Duration,
    life: u32,
    /// The journal's length with it.
    end: u64,
    record: Record,
}

#[derive(Default)]
struct Inner {
    life: u32,
    store: Option<Store>,
    room: Room,
    /// Attempts whose ends it has refused and not taken since.
    refused: BTreeSet<AttemptId>,
    /// The same of held time, behind which ends wait untold.
    refused_held: bool,
    /// When it last took one of them after all.
    taken_at: Option<Duration>,
    /// Appends until the process is killed by the last of them.
    kill_in: Option<u32>,
    kept: Vec<Kept>,
    /// The length of the journal when the database was last copied.
    copied: u64,
    lost: Lost,
    intents: BTreeMap<(RequestId, EndpointId), (AttemptId, Duration)>,
}

impl Inner {
    /// The attempts of the present life that have begun and not ended, by its journal.
    fn open(&self) -> BTreeSet<AttemptId> {
        let mut open = BTreeSet::new();
        for kept in self.kept.iter().filter(|kept| kept.life == self.life) {
            match &kept.record {
                Record::Decided { attempt, .. } => _ = open.insert(*attempt),
                Record::Settled(settled) => _ = open.remove(&settled.attempt),
                Record::Held(_) => {}
            }
        }
        open
    }
}

/// The gateway's disk.
pub(super) struct Disk {
    root: tempfile::TempDir,
    inner: Mutex<Inner>,
}

impl Disk {
    pub fn new() -> Self {
        // In memory where there is such a place: what is synced here need not survive this machine.
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self { root: root.expect("a folder"), inner: Mutex::default() }
    }

    /// The state directory of the present life, or of the last.
    pub fn directory(&self) -> PathBuf {
        self.directory_of(lock(&self.inner).life)
    }

    fn directory_of(&self, life: u32) -> PathBuf {
        self.root.path().join(format!("life-{life}"))
    }

    fn copy(&self) -> PathBuf {
        self.root.path().join("copy")
    }

    /// Opens the store for a process that begins.
    pub fn open(&self, run: &Run, now: Instant) -> Result<(Store, Recovery), LedgerError> {
        // Its process is gone by now, and what it left is in the present directory.
        if let Some(before) = lock(&self.inner).life.checked_sub(1).map(|life| self.directory_of(life)).filter(|before| before.exists()) {
            fs::remove_dir_all(before).expect("removed");
        }
        let opened = Store::open(&self.directory(), scene::FLEET, Arc::clone(&run.fleet), now)?;
        lock(&self.inner).store = Some(opened.0.clone());
        self.copy_database();
        Ok(opened)
    }

    /// The store of the present process, if one runs.
    pub fn store(&self) -> Option<Store> {
        lock(&self.inner).store.clone()
    }

    /// Lets go of the store: the process ends in good order.
    pub fn close(&self) {
        drop(lock(&self.inner).store.take());
    }

    pub fn leave(&self, room: Room) {
        lock(&self.inner).room = room;
    }

    /// The process is killed right after so many more appends.
    pub fn kill_in(&self, appends: u32) {
        lock(&self.inner).kill_in = Some(appends);
    }

    /// Keeps the database as it is once it has all that was appended: a process that dies later may leave it like this.
    pub fn copy_database(&self) {
        let Some(store) = self.store() else { return };
        store.flush().expect("the disk of the simulation takes what the database writes");
        let (from, to) = (self.directory(), self.copy());
        fs::create_dir_all(&to).expect("a folder");
        for name in &DATABASE[..2] {
            replace(&from.join(name), &to.join(name));
        }
        let mut inner = lock(&self.inner);
        inner.copied = journal_length(&from);
    }

    /// Lays out the directory as the death of the process leaves it, for the next one to find.
    pub fn die(&self, run: &Run, death: Death, dice: &mut Dice) {
        if death == Death::Kill && dice.chance(0.5) {
            self.copy_database();
        }
        let mut inner = lock(&self.inner);
        let (from, to) = (self.directory_of(inner.life), self.directory_of(inner.life + 1));
        drop(inner.store.take());
        inner.kill_in = None;
        inner.room = Room::All;
        // What only memory knew is gone with it: of those that the disk refused first, and of those that waited behind them, which may have been
        // on their way to the disk just then.
        let were_taken = inner.taken_at.is_some() && inner.taken_at == inner.kept.last().map(|kept| kept.at);
        let were_refused = std::mem::take(&mut inner.refused_held) | !std::mem::take(&mut inner.refused).is_empty();
        if were_refused || were_taken {
            let open = inner.open();
            inner.lost.extend(open);
        }
        copy_folder(&from, &to);
        for name in DATABASE {
            replace(&self.copy().join(name), &to.join(name));
        }
        if death == Death::PowerCut {
            self.cut(run, &mut inner, &to, dice);
        }
        inner.life += 1;
    }

    /// Takes away some of what was not synced yet: its end, or a piece in its midst as well.
    fn cut(&self, run: &Run, inner: &mut Inner, directory: &Path, dice: &mut Dice) {
        let path = directory.join(SEGMENT);
        let mut bytes = fs::read(&path).expect("the journal is there");
        let length = bytes.len() as u64;
        let (life, before) = (inner.life, run.now().saturating_sub(WINDOW));
        let synced = inner.kept.iter().filter(|kept| kept.life == life && kept.at < before).map(|kept| kept.end).max();
        let synced = synced.unwrap_or(0).max(inner.copied).min(length);
        let part = |dice: &mut Dice, from: u64| from + dice.count(0, usize::try_from(length - from).unwrap_or(0)) as u64;
        let mut whole = part(dice, synced);
        bytes.truncate(usize::try_from(whole).unwrap_or(0));
        if whole > synced && dice.chance(0.95) {
            // Early on, so that whole records lie behind it.
            let hole = synced + dice.count(0, usize::try_from((whole - synced - 1) / 2).unwrap_or(0)) as u64;
            let at = usize::try_from(hole).unwrap_or(0);
            let end = (at + dice.count(1, 64)).min(bytes.len());
            // Another byte than was there, whatever it was.
            bytes[at..end].iter_mut().for_each(|byte| *byte = !*byte);
            whole = hole;
        }
        fs::write(&path, &bytes).expect("written");
        let (kept, gone): (Vec<_>, Vec<_>) =
            std::mem::take(&mut inner.kept).into_iter().partition(|kept| kept.life != life || kept.end <= whole);
        inner.kept = kept;
        for gone in gone {
            match gone.record {
                Record::Decided { attempt, .. } => _ = inner.lost.insert(attempt),
                Record::Settled(settled) => _ = inner.lost.insert(settled.attempt),
                Record::Held(_) => {}
            }
        }
    }

    /// Attempts of which a power cut took some record.
    pub fn lost(&self) -> Lost {
        lock(&self.inner).lost.clone()
    }

    /// When each attempt's intent was appended.
    pub fn intents(&self) -> BTreeMap<(RequestId, EndpointId), (AttemptId, Duration)> {
        lock(&self.inner).intents.clone()
    }

    /// The records that were appended and survived, by life.
    pub fn records(&self) -> Vec<Vec<Record>> {
        let mut lives: BTreeMap<u32, Vec<Record>> = BTreeMap::new();
        for kept in &lock(&self.inner).kept {
            lives.entry(kept.life).or_default().push(kept.record.clone());
        }
        lives.into_values().collect()
    }

    /// The most attempts that were open at an endpoint at once, by the journal of each process, and the most requests with a key and in all,
    /// each of which may have a second attempt beside its first.
    pub fn open_at_once(&self) -> (BTreeMap<EndpointId, u64>, BTreeMap<KeyId, u64>, u64) {
        let (mut endpoints, mut keys, mut most) = (BTreeMap::new(), BTreeMap::new(), 0);
        let mut open: BTreeMap<(u32, AttemptId), (EndpointId, KeyId)> = BTreeMap::new();
        for kept in &lock(&self.inner).kept {
            match &kept.record {
                Record::Decided { attempt, key, decision, .. } => {
                    open.retain(|(life, _), _| *life == kept.life);
                    open.insert((kept.life, *attempt), (decision.endpoint, *key));
                    let at_endpoint = open.values().filter(|(endpoint, _)| *endpoint == decision.endpoint).count() as u64;
                    let requests = |of: &dyn Fn(KeyId) -> bool| {
                        let open = open.iter().filter(|(_, (_, key))| of(*key));
                        open.map(|((_, attempt), _)| attempt.request).collect::<BTreeSet<_>>().len() as u64
                    };
                    raise(endpoints.entry(decision.endpoint).or_default(), at_endpoint);
                    raise(keys.entry(*key).or_default(), requests(&|of| of == *key));
                    raise(&mut most, requests(&|_| true));
                }
                Record::Settled(settled) => drop(open.remove(&(kept.life, settled.attempt))),
                Record::Held(_) => {}
            }
        }
        (endpoints, keys, most)
    }

    /// Appends as the disk lets it; true when that was the process's last deed.
    fn append(&self, run: &Run, record: &Record) -> Result<bool, LedgerError> {
        let mut inner = lock(&self.inner);
        let Some(store) = inner.store.clone() else { return Err(LedgerError::Stopped) };
        let begins = matches!(record, Record::Decided { .. });
        match (inner.room, begins) {
            (Room::Ends | Room::Nothing, true) => {
                run.cover(|coverage| coverage.count("refused on a full disk"));
                return Err(LedgerError::Full);
            }
            (Room::Nothing, false) => {
                run.cover(|coverage| coverage.count("end refused by a disk"));
                match record {
                    Record::Settled(settled) => _ = inner.refused.insert(settled.attempt),
                    Record::Held(_) => inner.refused_held = true,
                    Record::Decided { .. } => {}
                }
                return Err(LedgerError::Full);
            }
            (Room::Ends, false) => run.cover(|coverage| coverage.count("settled on a full disk")),
            (Room::All, _) => {}
        }
        store.append(record)?;
        let again = match record {
            Record::Settled(settled) => inner.refused.remove(&settled.attempt),
            Record::Held(_) => std::mem::take(&mut inner.refused_held),
            Record::Decided { .. } => false,
        };
        if again {
            inner.taken_at = Some(run.now());
            run.cover(|coverage| coverage.count("end told again"));
        }
        let (at, life, end) = (run.now(), inner.life, journal_length(&self.directory_of(inner.life)));
        inner.kept.push(Kept { at, life, end, record: record.clone() });
        inner.kill_in = inner.kill_in.map(|left| left.saturating_sub(1));
        Ok(inner.kill_in.take_if(|left| *left == 0).is_some())
    }
}

/// The journal as the gateway has it: of one process, and no more once that is dead.
pub(super) struct Journaling {
    pub run: Arc<Run>,
    pub life: Arc<Life>,
}

impl Journal for Journaling {
    fn append(&self, record: &Record) -> Result<(), LedgerError> {
        if self.life.is_over() {
            return Err(LedgerError::Stopped);
        }
        let (run, mischief) = (&self.run, self.run.mischief);
        let (intent, mut record) = (intent(record, run.now()), record.clone());
        match &mut record {
            Record::Decided { attempt, decision, .. } => {
                if mischief == Some(Mischief::NoIntents) && attempt.request.0.is_multiple_of(2) {
                    return Ok(());
                }
                if mischief == Some(Mischief::AnotherEndpoint) {
                    decision.endpoint = scene::endpoint(&run.fleet, "foreign");
                }
            }
            Record::Settled(settled) => match mischief {
                Some(Mischief::NoIntents) if settled.attempt.request.0.is_multiple_of(2) => return Ok(()),
                Some(Mischief::NoSettlements) => return Ok(()),
                Some(Mischief::ATokenMore) => settled.tokens.output += 1,
                Some(Mischief::BackInTime) => settled.ended = settled.started - Duration::from_secs(1),
                Some(Mischief::AnotherEndpoint) => settled.endpoint = scene::endpoint(&run.fleet, "foreign"),
                _ => {}
            },
            Record::Held(_) if mischief == Some(Mischief::HeldTwice) => _ = run.disk.append(run, &record)?,
            Record::Held(_) => {}
        }
        let is_last = run.disk.append(run, &record)?;
        lock(&run.disk.inner).intents.extend(intent);
        run.journaled(&record);
        if is_last {
            self.life.end();
        }
        Ok(())
    }
}

fn raise(most: &mut u64, to: u64) {
    *most = (*most).max(to);
}

/// Which call a record is the intent of, and when.
fn intent(record: &Record, at: Duration) -> Option<((RequestId, EndpointId), (AttemptId, Duration))> {
    match record {
        Record::Decided { attempt, decision, .. } => Some(((attempt.request, decision.endpoint), (*attempt, at))),
        Record::Settled(_) | Record::Held(_) => None,
    }
}

fn journal_length(directory: &Path) -> u64 {
    fs::metadata(directory.join(SEGMENT)).map_or(0, |found| found.len())
}

/// Copies a file, or takes it away where there is none.
fn replace(from: &Path, to: &Path) {
    if from.exists() {
        fs::copy(from, to).expect("copied");
    } else if to.exists() {
        fs::remove_file(to).expect("removed");
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for found in from.read_dir().expect("it is there") {
        let found = found.expect("it is read");
        let target = to.join(found.file_name());
        if found.path().is_dir() { copy_folder(&found.path(), &target) } else { _ = fs::copy(found.path(), target).expect("copied") }
    }
}
