//! The gateway's process: the real one from a connection inwards, and the meter beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use dispatch::audit::over;
use hyper_util::server::graceful::GracefulShutdown;
use ledger::SpendingReader;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::interval;
use turmoil::net::TcpListener;

use super::disk::Journaling;
use super::mischief::Mischief;
use super::run::{Life, Run, lock};
use super::scene;
use super::wire::Wire;
use crate::door::Behind;
use crate::gateway::{Config, Gateway};
use crate::limits::UPSTREAM_IDLE_MAX;
use crate::logged::Log;
use crate::meter::Reader;
use crate::server::{self, Guest};
use crate::state::State;
use crate::upstream::Upstream;
use crate::{audit, metrics, status};

/// Runs a process of the gateway from its opening of the books to their closing.
pub(super) async fn run(run: Arc<Run>) -> turmoil::Result {
    let life = run.next_life();
    let gateway = begin(&run, &life)?;
    let (state, began) = gateway.parts();
    let (halt, halted) = oneshot::channel::<()>();
    let meter = began.map(|began| {
        let reader = Reader::new(Arc::clone(&state), began);
        tokio::spawn(reader.run(async {
            // The sender gone says the same as its message.
            _ = halted.await;
        }))
    });
    serve(&run, &life, &state).await?;
    drop(halt);
    if let Some(meter) = meter {
        meter.await?;
    }
    let outputs = [metrics::render(&state), String::from_utf8_lossy(&status::render(&state)).into_owned()];
    lock(&run.outputs).extend(outputs);
    run.audit();
    lock(&run.audited).extend(over(&audit::readings(&state)));
    run.disk.close();
    Ok(())
}

/// As `baseload up` begins, in the same order.
fn begin(run: &Arc<Run>, life: &Arc<Life>) -> Result<Gateway, Box<dyn std::error::Error>> {
    let clock = run.clock();
    let (store, recovery) = run.disk.open(run, clock.now())?;
    run.cover(|coverage| {
        recovery.interrupted.iter().for_each(|_| coverage.outcome(dispatch::Outcome::Interrupted));
        let found = [
            (recovery.torn_bytes > 0, "recovered torn bytes"),
            (recovery.aside_records > 0, "recovered records behind a hole"),
            (!recovery.held.is_zero(), "recovered held time"),
        ];
        found.into_iter().filter(|(is_so, _)| *is_so).for_each(|(_, case)| coverage.count(case));
    });
    run.note(&format!("{recovery:?}"));
    let gateway = Gateway::new(Config {
        fleet: served(run),
        journal: Arc::new(Journaling { run: Arc::clone(run), life: Arc::clone(life) }),
        policy: scene::policy(run.seed),
        keys: scene::keys(run.mischief != Some(Mischief::NoBudgets)).into(),
        upstreams: BTreeMap::new(),
        clock: clock.clone(),
        limits: scene::limits(),
        shadow: false,
        directory: None,
    })?;
    for (name, port) in scene::UPSTREAMS.into_iter().chain(scene::NEVER).zip(1..) {
        gateway.set_upstream(scene::endpoint(&run.fleet, name), Some(([127, 0, 0, 1], port).into()))?;
    }
    // What picks behind an endpoint is said of its URL.
    let spill = scene::endpoint(&run.fleet, "spill");
    gateway.replace_upstream(spill, Upstream::of(&run.fleet.endpoints[spill], "small", None)?);
    gateway.set_log(Arc::new(Lines(Arc::clone(run))));
    SpendingReader::begin(&store, gateway.balances_from(), |spending| gateway.count_spent(spending))?;
    gateway.set_sheet(scene::sheet(&run.fleet, clock.now()));
    Ok(gateway)
}

/// The fleet as the gateway is told it.
fn served(run: &Run) -> Arc<fleet::Fleet> {
    if run.mischief != Some(Mischief::NoSlots) {
        return Arc::clone(&run.fleet);
    }
    let text = scene::FLEET.replace("slots = 2\nqueue = 1\n", "slots = 8\nqueue = 8\n");
    let mut fleet = fleet::parse(&text).fleet.expect("the same fleet with more room");
    fleet.version = run.fleet.version;
    Arc::new(fleet)
}

/// Serves connections until it is told to stop, then lets requests under way end: what the serving threads do, on this one.
async fn serve(run: &Arc<Run>, life: &Arc<Life>, state: &Arc<State>) -> turmoil::Result {
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    let mut stop = run.stop.subscribe();
    let (graceful, mut connections) = (GracefulShutdown::new(), JoinSet::new());
    let mut tidy = interval(UPSTREAM_IDLE_MAX / 4);
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => {
                let (stream, peer) = accepted?;
                let Some(visit) = state.peers.visit(peer.ip(), state.limits.peer_connections_max) else { continue };
                let guest = Guest { peer, behind: Behind::All, visit };
                let connection = graceful.watch(server::connection(state, Wire::new(stream, Arc::clone(life)), guest));
                connections.spawn(async move {
                    // A connection that breaks is its client's affair.
                    _ = connection.await;
                });
            }
            Some(_) = connections.join_next() => {}
            _ = tidy.tick() => state.wires.tidy(),
        }
    }
    drop(listener);
    _ = tokio::time::timeout(state.limits.drain_timeout, graceful.shutdown()).await;
    connections.shutdown().await;
    state.wires.close();
    Ok(())
}

/// Takes the log's lines as outputs of the run.
struct Lines(Arc<Run>);

impl Log for Lines {
    fn line(&self, line: String) -> bool {
        let said: Value = serde_json::from_str(&line).expect("each line is an object");
        if said["event"] == "refused" {
            self.0.cover(|coverage| coverage.refused(said["code"].as_str().unwrap_or_default()));
        }
        let says = self.0.mischief == Some(Mischief::Secrets);
        lock(&self.0.outputs).push(if says { format!("{line} {}", scene::SECRET) } else { line });
        true
    }
}
