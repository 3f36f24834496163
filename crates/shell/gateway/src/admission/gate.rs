//! Places under way: bounded in all, per key and per peer. Who finds none waits in line.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet::ServiceTier;
use tokio::sync::oneshot;

use crate::admission::lines::{Lines, Stand};
use crate::admission::peers::Visit;
use crate::envelope::Refused;
use crate::limits::Limits;

/// Who wants a place.
#[derive(Clone, Debug)]
struct Who {
    key: Arc<AtomicUsize>,
    /// None for work of our own.
    visit: Option<Arc<Visit>>,
}

#[derive(Debug)]
struct Waiter {
    who: Who,
    wake: oneshot::Sender<UnderWay>,
}

/// The places under way. Counters are sequentially consistent: who gives a place back and sees nobody waiting was seen by whoever waits.
#[derive(Debug)]
pub(crate) struct Gate {
    max: usize,
    key_max: usize,
    peer_max: usize,
    queue_max: usize,
    under_way: AtomicUsize,
    waiting: AtomicUsize,
    lines: Mutex<Lines<Waiter>>,
}

/// One place under way; given back when dropped.
#[derive(Debug)]
pub(crate) struct UnderWay {
    gate: Arc<Gate>,
    who: Who,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.gate.give_back(&self.who);
        self.gate.hand_out();
    }
}

impl Gate {
    pub fn new(limits: &Limits) -> Self {
        Self {
            max: limits.in_flight_max,
            key_max: limits.key_in_flight_max,
            peer_max: limits.peer_in_flight_max,
            queue_max: limits.queue_max,
            under_way: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            lines: Mutex::default(),
        }
    }

    /// Requests that have a place.
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Requests that wait for a place.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// A place, at once or after waiting in line for as long as the tier may.
    pub async fn enter(
        self: &Arc<Self>,
        tier: ServiceTier,
        key: &Arc<AtomicUsize>,
        visit: Option<&Arc<Visit>>,
        limits: &Limits,
    ) -> Result<UnderWay, Refused> {
        let who = Who { key: Arc::clone(key), visit: visit.cloned() };
        if self.waiting.load(Ordering::SeqCst) == 0 && self.take(&who) {
            return Ok(UnderWay { gate: Arc::clone(self), who });
        }
        let (wake, woken) = oneshot::channel();
        let standing = self.join(tier, Waiter { who: who.clone(), wake });
        // Also for the others: for a moment this one may have held what another was looking for.
        self.hand_out();
        let mut standing = match standing {
            Ok(standing) => standing,
            // What is free now is of no use to any of those who fill the line.
            Err(_) if self.take(&who) => return Ok(UnderWay { gate: Arc::clone(self), who }),
            Err(refused) => return Err(refused),
        };
        let place = tokio::time::timeout(limits.queue_timeout(tier), woken).await;
        // Whoever was handed a place, shed, or not, is in line no more.
        standing.leave();
        match place {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(Refused::shed(tier)),
        }
    }

    fn join(self: &Arc<Self>, tier: ServiceTier, waiter: Waiter) -> Result<Standing, Refused> {
        let mut lines = self.lines();
        let joined = lines.join(tier, waiter, self.queue_max);
        self.waiting.store(lines.len(), Ordering::SeqCst);
        drop(lines);
        // Whoever had to make room hears of it when its waker is dropped here.
        let (stand, _shed) = joined.map_err(|_| Refused::shed(tier))?;
        Ok(Standing { gate: Arc::clone(self), stand: Some(stand) })
    }

    /// Gives free places to those who wait, in their order. They are woken once the line is unlocked: one that has gone gives its place back.
    fn hand_out(self: &Arc<Self>) {
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut handed = Vec::new();
        let mut lines = self.lines();
        loop {
            let next = lines.iter().find(|(_, waiter)| self.take(&waiter.who)).map(|(stand, _)| stand);
            let Some(stand) = next else { break };
            handed.extend(lines.leave(stand));
        }
        self.waiting.store(lines.len(), Ordering::SeqCst);
        drop(lines);
        for Waiter { who, wake } in handed {
            // What is not received comes back, and its place with it.
            _ = wake.send(UnderWay { gate: Arc::clone(self), who });
        }
    }

    /// Counts one in everywhere, or nowhere.
    fn take(&self, who: &Who) -> bool {
        let peer = who.visit.as_deref().map(Visit::under_way);
        let counters = [Some((&self.under_way, self.max)), Some((&*who.key, self.key_max)), peer.map(|peer| (peer, self.peer_max))];
        let counters = counters.into_iter().flatten();
        for (index, (counter, max)) in counters.clone().enumerate() {
            let enter = |count: usize| (count < max).then_some(count + 1);
            if counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, enter).is_err() {
                counters.take(index).for_each(|(counter, _)| {
                    counter.fetch_sub(1, Ordering::SeqCst);
                });
                return false;
            }
        }
        true
    }

    fn give_back(&self, who: &Who) {
        let peer = who.visit.as_deref().map(Visit::under_way);
        for counter in [Some(&self.under_way), Some(&*who.key), peer].into_iter().flatten() {
            counter.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines<Waiter>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leaves the line when the client goes away.
struct Standing {
    gate: Arc<Gate>,
    stand: Option<Stand>,
}

impl Standing {
    fn leave(&mut self) {
        let Some(stand) = self.stand.take() else { return };
        let mut lines = self.gate.lines();
        let gone = lines.leave(stand);
        self.gate.waiting.store(lines.len(), Ordering::SeqCst);
        drop(lines);
        drop(gone);
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.leave();
    }
}
