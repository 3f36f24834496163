//! What all requests share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use dispatch::{AttemptId, Decision, PassedOver, Rule};
use fleet::{ContractId, EndpointId, Id, ModelId, ServiceTier};
use tokio::sync::{Notify, mpsc};
use units::Instant;

use crate::admission::{Accounts, Gate, Peers, Rooms};
use crate::audit::Audits;
use crate::batch::Desk;
use crate::buckets::Buckets;
use crate::clock::Clock;
use crate::counters::Counters;
use crate::envelope::Refused;
use crate::export::Spans;
use crate::journal::Journal;
use crate::keep::Keep;
use crate::learnt::Learnt;
use crate::limits::{Limits, RECENT_MAX};
use crate::logged::Log;
use crate::memory::Memory;
use crate::meter::Tally;
use crate::observed::Observed;
use crate::recorder::Recorder;
use crate::snapshot::Snapshot;
use crate::trace::Trace;
use crate::usage::Reports;
use crate::wires::Wires;

/// What all requests share: the snapshot that they read, the counters that they move, the recorder that they tell.
pub(crate) struct State {
    pub snapshot: ArcSwap<Snapshot>,
    /// By endpoint.
    counters: Vec<Counters>,
    /// What provisioned units take now.
    pub buckets: Buckets,
    /// What `/metrics` tells of attempts that have ended.
    pub observed: Observed,
    /// By model.
    learnt: Vec<Learnt>,
    pub recorder: Recorder,
    pub clock: Clock,
    pub started: Instant,
    pub limits: Limits,
    pub memory: Arc<Memory>,
    /// Whether callers say where their requests go.
    pub shadow: bool,
    pub wires: Wires,
    pub accounts: Arc<Accounts>,
    pub gate: Arc<Gate>,
    pub rooms: Rooms,
    pub peers: Arc<Peers>,
    pub recent: Recent,
    /// Files and batches; `None` without a state directory.
    pub desk: Option<Arc<Desk>>,
    /// Whose turn it is to ask what was used, and what contracts cost.
    pub reports: Reports,
    /// Live audits that run.
    pub audits: Audits,
    /// The ledger, to be read; `None` without a state directory.
    pub ledger: Option<Arc<ledger::View>>,
    /// Told when a request begins to wait for a lease.
    pub lease_wanted: Notify,
    /// Which held time is to be posted here.
    pub keep: Keep,
    /// When each part of what is shared with others last went well.
    pub shared_at: Mutex<BTreeMap<&'static str, Instant>>,
    /// Attempts on their way to the meter.
    pub tallies: mpsc::Sender<Arc<Tally>>,
    /// Who takes lines of what happens; nobody unless told to.
    pub log: OnceLock<Arc<dyn Log>>,
    /// Lines that it had no room for.
    pub lost_lines: AtomicU64,
    /// Where spans go; nowhere unless told to.
    pub spans: OnceLock<Spans>,
    /// Spans that there was no room for, or that the collector did not take.
    pub lost_spans: AtomicU64,
    sequence: AtomicU64,
    in_flight: AtomicUsize,
    /// Requests answered with an error of ours.
    pub refused: AtomicU64,
    /// Attempts whose share of held time has no name because the meter was behind.
    pub lost_tallies: AtomicU64,
}

impl State {
    pub fn new(
        snapshot: Snapshot,
        journal: Arc<dyn Journal>,
        clock: Clock,
        limits: Limits,
        wires: Wires,
        accounts: Arc<Accounts>,
        tallies: mpsc::Sender<Arc<Tally>>,
    ) -> Self {
        Self {
            counters: std::iter::repeat_with(Counters::default).take(snapshot.fleet.endpoints.len()).collect(),
            buckets: Buckets::new(&snapshot.fleet, limits.shared),
            observed: Observed::new(&snapshot.fleet),
            learnt: std::iter::repeat_with(Learnt::default).take(snapshot.fleet.models.len()).collect(),
            recorder: Recorder::new(journal),
            started: clock.now(),
            clock,
            gate: Arc::new(Gate::new(&limits)),
            rooms: Rooms::new(snapshot.fleet.models.len()),
            peers: Arc::default(),
            lease_wanted: Notify::new(),
            keep: Keep::new(limits.shared),
            shared_at: Mutex::default(),
            snapshot: ArcSwap::from_pointee(snapshot),
            memory: Arc::clone(accounts.room()),
            accounts,
            limits,
            shadow: false,
            wires,
            recent: Recent::default(),
            desk: None,
            reports: Reports::default(),
            audits: Audits::default(),
            ledger: None,
            tallies,
            log: OnceLock::new(),
            lost_lines: AtomicU64::new(0),
            spans: OnceLock::new(),
            lost_spans: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            lost_tallies: AtomicU64::new(0),
        }
    }

    pub fn counters(&self, endpoint: EndpointId) -> &Counters {
        &self.counters[endpoint.index()]
    }

    pub fn learnt(&self, model: ModelId) -> &Learnt {
        &self.learnt[model.index()]
    }

    /// The present instant in microseconds since the gateway started.
    pub fn uptime_us(&self, now: Instant) -> u64 {
        u64::try_from(now.since(self.started).as_micros()).unwrap_or(u64::MAX)
    }

    /// Whether a request's spans go anywhere.
    pub fn is_traced(&self, trace: Trace) -> bool {
        trace.is_sampled() && self.spans.get().is_some()
    }

    /// Sends a span on its way, where there is one to send it to.
    pub fn trace(&self, span: impl FnOnce(&fleet::Fleet) -> serde_json::Value, trace: Trace) {
        let Some(spans) = self.spans.get().filter(|_| trace.is_sampled()) else { return };
        if spans.try_send(span(&self.snapshot.load().fleet)).is_err() {
            self.lost_spans.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many requests came before this one.
    pub fn next_sequence(&self) -> u64 {
        self.sequence.fetch_add(1, Ordering::Relaxed)
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Takes one of the places for requests that are here at all, under way or waiting: what bounds the bodies that are held.
    pub fn admit(self: &Arc<Self>) -> Result<Place, Refused> {
        let place = Place(Arc::clone(self));
        if self.in_flight.fetch_add(1, Ordering::Relaxed) < self.limits.present_max() { Ok(place) } else { Err(Refused::overloaded()) }
    }
}

/// A place among the requests that are here; given back when dropped.
pub(crate) struct Place(Arc<State>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A decision as people look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentDecision {
    /// When it was taken.
    pub at: Instant,
    /// For which attempt.
    pub attempt: AttemptId,
    /// For which model.
    pub model: ModelId,
    /// For which class of service.
    pub tier: ServiceTier,
    /// Where it sent the request.
    pub endpoint: EndpointId,
    /// Who pays.
    pub contract: ContractId,
    /// What it was expected to cost.
    pub cost: dispatch::Cost,
    /// Which rule chose.
    pub rule: Rule,
    /// Every other endpoint, and why not.
    pub passed_over: Vec<PassedOver>,
}

/// The last decisions, in a ring: each has a lock of its own, which is held for no longer than a pointer takes to move.
pub(crate) struct Recent {
    slots: [Slot; RECENT_MAX],
    next: AtomicUsize,
}

type Slot = Mutex<Option<Arc<RecentDecision>>>;

fn open(slot: &Slot) -> MutexGuard<'_, Option<Arc<RecentDecision>>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Recent {
    fn default() -> Self {
        Self { slots: std::array::from_fn(|_| Mutex::default()), next: AtomicUsize::new(0) }
    }
}

impl Recent {
    pub fn push(&self, at: Instant, attempt: AttemptId, model: ModelId, tier: ServiceTier, decision: Decision) {
        let slot = self.next.fetch_add(1, Ordering::Relaxed) % RECENT_MAX;
        let Decision { endpoint, contract, cost, rule, passed_over, .. } = decision;
        let decision = Arc::new(RecentDecision { at, attempt, model, tier, endpoint, contract, cost, rule, passed_over });
        let old = open(&self.slots[slot]).replace(decision);
        // Let go of with the lock open.
        drop(old);
    }

    /// Newest first.
    pub fn read(&self) -> Vec<Arc<RecentDecision>> {
        let next = self.next.load(Ordering::Relaxed);
        (1..=RECENT_MAX).filter_map(|back| open(&self.slots[next.wrapping_sub(back) % RECENT_MAX]).clone()).collect()
    }
}
