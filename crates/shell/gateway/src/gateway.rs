//! The gateway as the program that runs it sees it.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use dispatch::Policy;
use fleet::{EndpointId, Fleet, Id};
use ledger::{KeyRow, Spending};
use market::PriceSheet;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use units::Instant;

use crate::admission::{Accounts, Allotment, Balance, RatePart};
use crate::batch::{Desk, Runner};
use crate::buckets::UnitsPart;
use crate::clock::Clock;
use crate::door::Door;
use crate::export::{self, ExportError};
use crate::journal::Journal;
use crate::keep::Used;
use crate::keys::Keys;
use crate::limits::{Limits, TALLIES_MAX};
use crate::logged::Log;
use crate::meter::{Reader, Tally};
use crate::server;
use crate::snapshot::Snapshot;
use crate::state::State;
use crate::status::{self, Live};
use crate::upstream::{Upstream, UpstreamError};
use crate::wires::Wires;

/// What a gateway begins with.
pub struct Config {
    /// The fleet.
    pub fleet: Arc<Fleet>,
    /// Where decisions, settlements and held time are written.
    pub journal: Arc<dyn Journal>,
    /// How endpoints are chosen.
    pub policy: Policy,
    /// Every key.
    pub keys: Arc<[KeyRow]>,
    /// Where requests go, as far as is known; others come with [`Gateway::set_upstream`].
    pub upstreams: BTreeMap<EndpointId, Upstream>,
    /// What time it is.
    pub clock: Clock,
    /// Its limits.
    pub limits: Limits,
    /// Whether each request goes where its caller says, and decisions only stand beside it.
    pub shadow: bool,
    /// The state directory, with a ledger in it: where files and batches are kept and usage is read. Without one there are none.
    pub directory: Option<PathBuf>,
}

/// Why a gateway can't begin.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// An upstream wants TLS, and this machine's certificates can't be read.
    #[error("read this machine's TLS certificates")]
    Certificates(#[source] std::io::Error),
    /// The files and batches of the state directory can't be read.
    #[error("read the files and batches of {0}")]
    Kept(PathBuf, #[source] std::io::Error),
    /// The ledger of the state directory can't be read.
    #[error("read the ledger of {0}")]
    Ledger(PathBuf, #[source] ledger::LedgerError),
}

/// Requests in, decisions, upstreams, metering.
pub struct Gateway {
    state: Arc<State>,
    /// Taken by the first [`Gateway::serve`]: one meter reads for all.
    began: Mutex<Option<mpsc::Receiver<Arc<Tally>>>>,
}

impl Gateway {
    /// A gateway that serves nobody yet.
    ///
    /// # Errors
    /// When an upstream wants TLS and this machine's certificates can't be read, or what the state directory keeps can't be.
    pub fn new(config: Config) -> Result<Self, GatewayError> {
        let tls = config.upstreams.values().any(Upstream::is_tls);
        let wires = Wires::new(&config.limits, tls).map_err(GatewayError::Certificates)?;
        let (mut snapshot, now) = (Snapshot::new(Arc::clone(&config.fleet), config.policy), config.clock.now());
        let accounts = Arc::new(Accounts::new(Arc::clone(&config.fleet), &config.limits, now));
        snapshot.keys = Arc::new(Keys::new(&config.fleet, &accounts, &config.keys, now));
        for (endpoint, upstream) in config.upstreams {
            snapshot.upstreams[endpoint.index()] = Some(Arc::new(upstream));
        }
        let (tallies, began) = mpsc::channel(TALLIES_MAX);
        let mut state = State::new(snapshot, config.journal, config.clock, config.limits, wires, accounts, tallies);
        state.shadow = config.shadow;
        if let Some(directory) = config.directory {
            let desk = Desk::open(&directory).map_err(|error| GatewayError::Kept(directory.clone(), error))?;
            // What several share is told by the ledger of all.
            let folder = if state.limits.shared { directory.join(ledger::WHOLE) } else { directory };
            let view = ledger::View::open(&folder).map_err(|error| GatewayError::Ledger(folder, error))?;
            (state.desk, state.ledger) = (Some(Arc::new(desk)), Some(Arc::new(view)));
        }
        Ok(Self { state: Arc::new(state), began: Mutex::new(Some(began)) })
    }

    /// Serves until `shutdown`, lets requests under way end, and posts the last of the held time.
    pub async fn serve(&self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        self.serve_at(vec![Door::plain(listener)], shutdown).await;
    }

    /// The same at several listeners.
    pub async fn serve_at(&self, doors: Vec<Door>, shutdown: impl Future<Output = ()>) {
        let began = self.began.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (stop, stopped) = oneshot::channel::<()>();
        let meter = began.map(|began| {
            let reader = Reader::new(Arc::clone(&self.state), began);
            tokio::spawn(reader.run(async {
                // The sender gone says the same as its message.
                _ = stopped.await;
            }))
        });
        let (halt, mut halted) = watch::channel(false);
        let batches = self.state.desk.clone().map(|desk| {
            let runner = Runner::new(Arc::clone(&self.state), desk);
            tokio::spawn(Box::pin(runner.run(async move {
                // The sender gone says the same as its message.
                _ = halted.wait_for(|halt| *halt).await;
            })))
        });
        let shutdown = async {
            shutdown.await;
            halt.send_replace(true);
        };
        server::serve(Arc::clone(&self.state), doors, shutdown).await;
        if let Some(batches) = batches {
            // One that panicked has been reported by its panic; what it had under way was settled when it was dropped.
            _ = batches.await;
        }
        drop(stop);
        if let Some(meter) = meter {
            // A meter that panicked has been reported by its panic; there is nothing left to post.
            _ = meter.await;
        }
    }

    /// New prices, for all requests from now on. Prices of another fleet are not taken: their ids mean other endpoints.
    pub fn set_sheet(&self, sheet: PriceSheet) {
        if sheet.fleet != self.state.snapshot.load().fleet.version {
            return;
        }
        let sheet = Some(Arc::new(sheet));
        self.swap(|snapshot| snapshot.sheet.clone_from(&sheet));
    }

    /// Keys as they are now: made, revoked, expired.
    pub fn set_keys(&self, rows: &[KeyRow]) {
        let fleet = Arc::clone(&self.state.snapshot.load().fleet);
        let keys = Arc::new(Keys::new(&fleet, &self.state.accounts, rows, self.state.clock.now()));
        self.swap(|snapshot| snapshot.keys = Arc::clone(&keys));
    }

    /// From when on the ledger says what is spent of the present budgets; `None` when there is none.
    #[must_use]
    pub fn balances_from(&self) -> Option<Instant> {
        self.state.accounts.present_from(self.state.clock.now())
    }

    /// Every budget in its present period: of keys, of teams, of the fleet.
    #[must_use]
    pub fn balances(&self) -> Vec<Balance> {
        self.state.accounts.balances(self.state.clock.now())
    }

    /// Every budget in its present period, for who renews its lease: where [`Limits::shared`] says that others take of it too.
    #[must_use]
    pub fn allotments(&self) -> Vec<Allotment> {
        self.state.accounts.allotments(self.state.clock.now())
    }

    /// Every rate of requests and tokens that is shared, for who renews its lease.
    #[must_use]
    pub fn rate_parts(&self) -> Vec<RatePart> {
        self.state.accounts.rate_parts()
    }

    /// Waits until a request waits for a lease, so that whoever renews leases can do so at once. For one who waits at a time.
    pub async fn lease_wanted(&self) {
        self.state.lease_wanted.notified().await;
    }

    /// All provisioned units, for who renews this gateway's part of them.
    #[must_use]
    pub fn unit_parts(&self) -> Vec<UnitsPart> {
        self.state.buckets.parts()
    }

    /// Posts no held time before `from`: the books have it.
    pub fn hold_from(&self, from: Instant) {
        self.state.keep.begin(from);
    }

    /// Makes held time from `from` to `until` this gateway's to post, where [`Limits::shared`] says that others hold the same: to be renewed
    /// before it ends. `from` never comes before what was posted by another.
    pub fn keep_held(&self, from: Instant, until: Instant) {
        self.state.keep.set(from, until);
    }

    /// Notes that a part of what is shared with others went well just now; `/metrics` tells when each last did.
    pub fn note_shared(&self, part: &'static str) {
        self.state.shared_at.lock().unwrap_or_else(PoisonError::into_inner).insert(part, self.state.clock.now());
    }

    /// What this gateway used of held time that another posts, since this was last asked for: for whoever brings it to that one.
    #[must_use]
    pub fn take_used(&self) -> Vec<(EndpointId, Used)> {
        self.state.keep.take_used(self.state.clock.now())
    }

    /// Takes up what another gateway used of held time that this one posts, to be posted with the next.
    pub fn add_used(&self, endpoint: EndpointId, used: Used) {
        self.state.keep.add_elsewhere(endpoint, used);
    }

    /// Up to when this gateway has posted held time, all told.
    #[must_use]
    pub fn held_posted(&self) -> Instant {
        self.state.keep.posted()
    }

    /// Counts what the ledger says a key has spent: to be told of everything since [`Self::balances_from`], once, before it serves, and of
    /// what each correction changes, once, while it does.
    pub fn count_spent(&self, spending: Spending) {
        self.state.accounts.spent(spending, self.state.clock.now());
    }

    /// Tells `log` of each attempt and each refusal from now on; only the first that is named is told.
    pub fn set_log(&self, log: Arc<dyn Log>) {
        _ = self.state.log.set(log);
    }

    /// Sends a span of each attempt from now on to the collector with this base address, such as `http://127.0.0.1:4318`; only the first
    /// that is named gets any. It takes a runtime.
    ///
    /// # Errors
    /// When the address is none, is neither `http://` nor `https://` or has a secret in it; or this machine's certificates can't be read.
    pub fn export_traces(&self, base: &str) -> Result<(), ExportError> {
        let to = export::address(base)?;
        if self.state.spans.get().is_none() {
            // One that was named meanwhile stays, and this one ends at once.
            _ = self.state.spans.set(export::begin(&self.state, to)?);
        }
        Ok(())
    }

    /// A process that serves an endpoint has come to listen at an address of this machine, or has gone.
    ///
    /// # Errors
    /// When the address is not this machine's.
    pub fn set_upstream(&self, endpoint: EndpointId, address: Option<SocketAddr>) -> Result<(), UpstreamError> {
        let name = self.state.snapshot.load().fleet.endpoints[endpoint].upstream_model.clone();
        let upstream = address.map(|address| Upstream::moved_to(address, name.as_deref())).transpose()?.map(Arc::new);
        if upstream.is_some() {
            self.state.counters(endpoint).succeeded();
        }
        self.swap(|snapshot| snapshot.upstreams[endpoint.index()].clone_from(&upstream));
        Ok(())
    }

    /// The upstream of a hosted endpoint with another secret, for all requests from now on.
    pub fn replace_upstream(&self, endpoint: EndpointId, upstream: Upstream) {
        let upstream = Some(Arc::new(upstream));
        self.swap(|snapshot| snapshot.upstreams[endpoint.index()].clone_from(&upstream));
    }

    /// What it is made of, for a test that serves connections of its own; the meter's half only the first time.
    #[cfg(test)]
    pub(crate) fn parts(&self) -> (Arc<State>, Option<mpsc::Receiver<Arc<Tally>>>) {
        (Arc::clone(&self.state), self.began.lock().unwrap_or_else(PoisonError::into_inner).take())
    }

    /// What it knows of itself now.
    #[must_use]
    pub fn live(&self) -> Live {
        status::live(&self.state)
    }

    fn swap(&self, change: impl Fn(&mut Snapshot)) {
        self.state.snapshot.rcu(|old| {
            let mut new = Snapshot::clone(old);
            change(&mut new);
            new
        });
    }
}
