//! What the hosts of one run share, and what they remember of it.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dispatch::{Actions, Decision, Event, Record, Refusal};
use fleet::Fleet;
use testkit::Dice;
use testkit::checkers::{Call, Told};
use tokio::sync::watch;
use units::Instant;

use super::coverage::Coverage;
use super::disk::Disk;
use super::mischief::Mischief;
use super::scene;
use crate::clock::Clock;

thread_local! {
    /// The run of this thread, if one is on.
    static RUN: RefCell<Option<Arc<Run>>> = const { RefCell::new(None) };
}

/// The run of this thread.
pub(super) fn current() -> Option<Arc<Run>> {
    RUN.with_borrow(Clone::clone)
}

/// A process of the gateway, from its start to its end.
#[derive(Debug, Default)]
pub(super) struct Life {
    over: AtomicBool,
}

impl Life {
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// It is killed: from here on it does nothing that anyone could notice.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// One run of the simulation.
pub(super) struct Run {
    pub seed: u64,
    pub fleet: Arc<Fleet>,
    pub mischief: Option<Mischief>,
    pub disk: Disk,
    /// Simulated time, as of the present step.
    now_us: AtomicU64,
    /// How far the clock that people set has been moved.
    skew_us: AtomicI64,
    life: Mutex<Arc<Life>>,
    random: AtomicU64,
    /// From now on nothing goes wrong any more.
    calm: AtomicBool,
    pub stop: watch::Sender<bool>,
    coverage: Mutex<Coverage>,
    pub calls: Mutex<Vec<Call>>,
    pub told: Mutex<Vec<Told>>,
    /// Everything that came out where people could read it.
    pub outputs: Mutex<Vec<String>>,
    /// What the live audit of any process found.
    pub audited: Mutex<Vec<String>>,
    trace: Mutex<Vec<String>>,
}

impl Run {
    /// Begins a run on this thread.
    pub fn begin(seed: u64, mischief: Option<Mischief>) -> Arc<Self> {
        align_tasks();
        let run = Arc::new(Self {
            seed,
            fleet: scene::fleet(),
            mischief,
            disk: Disk::new(),
            now_us: AtomicU64::new(0),
            skew_us: AtomicI64::new(0),
            life: Mutex::default(),
            random: AtomicU64::new(seed),
            calm: AtomicBool::new(false),
            stop: watch::Sender::new(false),
            coverage: Mutex::default(),
            calls: Mutex::default(),
            told: Mutex::default(),
            outputs: Mutex::default(),
            audited: Mutex::default(),
            trace: Mutex::default(),
        });
        RUN.set(Some(Arc::clone(&run)));
        run
    }

    /// Ends the run of this thread, and gives what it came across and all that happened, line by line.
    pub fn end(&self) -> (Coverage, Vec<String>) {
        RUN.set(None);
        (std::mem::take(&mut *lock(&self.coverage)), std::mem::take(&mut *lock(&self.trace)))
    }

    pub fn now(&self) -> Duration {
        Duration::from_micros(self.now_us.load(Ordering::Relaxed))
    }

    pub fn set_now(&self, now: Duration) {
        self.now_us.store(u64::try_from(now.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Somebody sets the clock.
    pub fn move_clock(&self, by_us: i64) {
        self.skew_us.fetch_add(by_us, Ordering::Relaxed);
    }

    /// The clock of a process that begins now.
    pub fn clock(self: &Arc<Self>) -> Clock {
        let (monotonic, wall) = (Arc::clone(self), Arc::clone(self));
        let since_1970 = move || {
            let start = scene::start().micros() + wall.skew_us.load(Ordering::Relaxed);
            Duration::from_micros(start.unsigned_abs()) + wall.now()
        };
        Clock::of(move || monotonic.now(), since_1970)
    }

    /// What the clock that people set says.
    pub fn wall(&self) -> Instant {
        Instant::from_micros(scene::start().micros() + self.skew_us.load(Ordering::Relaxed)) + self.now()
    }

    /// Has the present process look its books over.
    pub fn audit(&self) {
        let Some(store) = self.disk.store() else { return };
        let audited = store.audit(self.wall()).expect("the database is read");
        lock(&self.audited).extend(audited.findings.iter().map(ToString::to_string));
    }

    /// The process of the gateway that runs now.
    pub fn life(&self) -> Arc<Life> {
        Arc::clone(&lock(&self.life))
    }

    /// Another process of the gateway begins.
    pub fn next_life(&self) -> Arc<Life> {
        let life = Arc::new(Life::default());
        *lock(&self.life) = Arc::clone(&life);
        life
    }

    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub fn set_calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// Numbers of one host or task, which no other draws from.
    pub fn dice(&self, who: u64) -> Dice {
        Dice::new(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ who.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    /// Notes what happened: part of what two runs of one seed must agree on.
    pub fn note(&self, what: &str) {
        lock(&self.trace).push(format!("{:?} {what}", self.now()));
    }

    pub fn cover(&self, what: impl FnOnce(&mut Coverage)) {
        what(&mut lock(&self.coverage));
    }

    /// A record is in the journal.
    pub fn journaled(&self, record: &Record) {
        self.note(&format!("{record:?}"));
        self.cover(|coverage| coverage.record(record));
    }
}

/// Tokio numbers the tasks of a whole process, and drops those of a runtime in an order that hangs on their numbers modulo a small power
/// of two. So every run begins at a multiple of one: a process that is killed then lets go of its connections in the same order.
fn align_tasks() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without any driver");
    runtime.block_on(async {
        let number = || tokio::spawn(async {}).id().to_string().parse::<u64>().unwrap_or(0);
        while !number().is_multiple_of(TASKS_ALIGNED) {}
    });
}

const TASKS_ALIGNED: u64 = 64;

/// Nothing that can panic runs while one of these is held.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The random part of a request's id, where a run is on.
pub(crate) fn random() -> Option<u128> {
    let run = current()?;
    let step = run.random.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
    let mixed = (step ^ (step >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    Some(u128::from(mixed ^ (mixed >> 31)))
}

/// A request's life went a step on.
pub(crate) fn stepped(event: &Event, actions: &Actions) {
    if let Some(run) = current().filter(|run| !run.life().is_over()) {
        run.cover(|coverage| coverage.step(event, actions));
    }
}

/// A decision was taken, or refused.
pub(crate) fn decided(decided: &Result<Decision, Refusal>) {
    if let Some(run) = current().filter(|run| !run.life().is_over()) {
        run.cover(|coverage| coverage.decided(decided));
    }
}
