//! The threads that serve: each has its own connections, in and out, from their beginning to their end, so that no request waits for
//! another thread to wake.

use std::net::TcpStream;
use std::sync::Arc;
use std::thread::JoinHandle;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::cork::{self, Corked, Leads};
use crate::limits::{OPERATION_CONNECTIONS_MAX, UPSTREAM_IDLE_MAX};
use crate::server::{self, Guest};
use crate::state::State;
use crate::tls::Certificate;
use crate::wires::Wires;

/// A connection that has come in, with its place among those open.
pub(crate) struct Arrival {
    pub stream: TcpStream,
    pub certificate: Option<Arc<Certificate>>,
    pub guest: Guest,
    pub place: Option<OwnedSemaphorePermit>,
}

/// The serving threads, each with the way to it.
pub(crate) struct Workers {
    ways: Vec<mpsc::Sender<Arrival>>,
    threads: Vec<JoinHandle<()>>,
    next: usize,
}

impl Workers {
    /// Starts as many as the limits say, as far as the machine lets us.
    pub fn start(state: &Arc<State>) -> Self {
        let (mut ways, mut threads) = (Vec::new(), Vec::new());
        for lane in 0..state.wires.lanes() {
            // No more can be under way to a worker than there are places for connections.
            let (way, arrivals) = mpsc::channel(state.limits.connections_max.saturating_add(OPERATION_CONNECTIONS_MAX));
            let state = Arc::clone(state);
            let thread = std::thread::Builder::new().name(format!("serve-{lane}")).spawn(move || run(&state, lane, arrivals));
            if let Ok(thread) = thread {
                ways.push(way);
                threads.push(thread);
            }
        }
        Self { ways, threads, next: 0 }
    }

    /// Gives a connection to the next worker that takes one. Where none does it is dropped, which tells its client.
    pub fn take(&mut self, mut arrival: Arrival) {
        for _ in 0..self.ways.len() {
            self.next = (self.next + 1) % self.ways.len();
            match self.ways[self.next].try_send(arrival) {
                Ok(()) => return,
                Err(TrySendError::Closed(back) | TrySendError::Full(back)) => arrival = back,
            }
        }
    }

    /// Lets every worker end what it has under way, and waits for them.
    pub async fn stop(self) {
        drop(self.ways);
        for thread in self.threads {
            // A worker that panicked has been reported by its panic; its requests were settled as they were dropped.
            _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

/// Serves what arrives until nothing more can, then lets requests under way end.
fn run(state: &Arc<State>, lane: usize, mut arrivals: mpsc::Receiver<Arrival>) {
    Wires::enter(lane);
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        tokio::spawn(cork::turns(Arc::clone(&state.recorder.journal)));
        let (graceful, mut connections) = (GracefulShutdown::new(), JoinSet::new());
        let mut tidy = interval(UPSTREAM_IDLE_MAX / 4);
        tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                arrival = arrivals.recv() => match arrival {
                    Some(arrival) => take(state, arrival, &graceful, &mut connections),
                    None => break,
                },
                // Ended ones are let go of as they end.
                Some(_) = connections.join_next() => {}
                _ = tidy.tick() => state.wires.tidy(),
            }
        }
        // What is still under way after that is dropped, and so settled, before the meter reads for the last time.
        _ = tokio::time::timeout(state.limits.drain_timeout, graceful.shutdown()).await;
        connections.shutdown().await;
        state.wires.close();
        cork::end();
    });
}

fn take(state: &Arc<State>, arrival: Arrival, graceful: &GracefulShutdown, connections: &mut JoinSet<()>) {
    let Arrival { stream, certificate, guest, place } = arrival;
    // A connection that can't be watched is closed, as if it had broken.
    let Ok(stream) = taken_over(stream) else { return };
    let (state, watcher) = (Arc::clone(state), graceful.watcher());
    connections.spawn(async move {
        let _place = place;
        // A connection that breaks is its client's affair; the requests on it were settled when they were dropped.
        match certificate {
            None => _ = watcher.watch(server::connection(&state, stream, guest)).await,
            Some(certificate) => {
                let shaken = tokio::time::timeout(state.limits.header_timeout, Box::pin(certificate.shake(stream))).await;
                if let Ok(Ok(stream)) = shaken {
                    _ = watcher.watch(server::connection(&state, stream, guest)).await;
                }
            }
        }
    });
}

/// The connection in this thread's hands. Small events leave at once: else they would wait for the other side's delayed acknowledgement.
fn taken_over(stream: TcpStream) -> std::io::Result<Corked> {
    stream.set_nodelay(true)?;
    tokio::net::TcpStream::from_std(stream).map(|stream| Corked::new(stream, Leads::Back))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_events_leave_at_once_to_clients() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("this machine has a free port");
        let client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
        let (accepted, _) = listener.accept().await.expect("a client");
        let accepted = accepted.into_std().expect("not in use");
        assert!(!accepted.nodelay().expect("an open socket"), "the kernel's own default");
        assert!(taken_over(accepted).expect("an open socket").nodelay());
        drop(client);
    }
}
