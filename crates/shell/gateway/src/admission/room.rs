//! Requests that wait for room on the endpoints of their model.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet::{Id, ModelId, ServiceTier};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::admission::lines::{Lines, Stand};
use crate::envelope::Refused;
use crate::limits::{Limits, QUEUE_GLANCE};

/// Those who wait for one model.
#[derive(Debug, Default)]
struct Room {
    waiting: AtomicUsize,
    lines: Mutex<Lines<Arc<Notify>>>,
}

impl Room {
    fn lines(&self) -> MutexGuard<'_, Lines<Arc<Notify>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those who wait, by model.
#[derive(Debug)]
pub(crate) struct Rooms(Vec<Arc<Room>>);

impl Rooms {
    pub fn new(models: usize) -> Self {
        Self(std::iter::repeat_with(Arc::default).take(models).collect())
    }

    fn room(&self, model: ModelId) -> &Arc<Room> {
        &self.0[model.index()]
    }

    /// An attempt has ended: whoever is first in line may find room now.
    pub fn opened(&self, model: ModelId) {
        let room = self.room(model);
        if room.waiting.load(Ordering::SeqCst) > 0
            && let Some((_, first)) = room.lines().iter().next()
        {
            first.notify_one();
        }
    }

    /// Whether anyone of this tier or a higher one waits already.
    pub fn is_ahead(&self, model: ModelId, tier: ServiceTier) -> bool {
        let room = self.room(model);
        room.waiting.load(Ordering::SeqCst) > 0 && room.lines().is_ahead(tier)
    }

    /// Requests that wait, over all models.
    pub fn waiting(&self) -> usize {
        self.0.iter().map(|room| room.waiting.load(Ordering::Relaxed)).sum()
    }

    /// Joins the line of a model.
    pub fn join(&self, model: ModelId, tier: ServiceTier, limits: &Limits) -> Result<Waiting, Refused> {
        let (room, turn) = (Arc::clone(self.room(model)), Arc::new(Notify::new()));
        let mut lines = room.lines();
        let joined = lines.join(tier, Arc::clone(&turn), limits.queue_max);
        room.waiting.store(lines.len(), Ordering::SeqCst);
        drop(lines);
        let (stand, shed) = joined.map_err(|_| Refused::shed(tier))?;
        if let Some(shed) = shed {
            shed.notify_one();
        }
        Ok(Waiting { room, stand, tier, turn, until: Instant::now() + limits.queue_timeout(tier) })
    }
}

/// A place in line for an endpoint with room; given up when dropped.
#[derive(Debug)]
pub(crate) struct Waiting {
    room: Arc<Room>,
    stand: Stand,
    tier: ServiceTier,
    turn: Arc<Notify>,
    until: Instant,
}

impl Waiting {
    /// Waits until there may be room: an attempt ended, or so much time has passed that an endpoint may be back or units may have drained.
    /// Only the first in line looks by itself, and passes on what it can't use, so that nobody comes before a higher tier.
    pub async fn turn(&self) -> Result<(), Refused> {
        loop {
            let glance = self.until.min(Instant::now() + QUEUE_GLANCE);
            let is_told = tokio::time::timeout_at(glance, self.turn.notified()).await.is_ok();
            let lines = self.room.lines();
            if Instant::now() >= self.until || !lines.has(self.stand) {
                return Err(Refused::shed(self.tier));
            }
            if is_told || is_first(&lines, self.stand) {
                return Ok(());
            }
        }
    }

    /// Whether nobody is before it.
    pub fn is_first(&self) -> bool {
        is_first(&self.room.lines(), self.stand)
    }

    /// There was nothing for this one: the next in line may fit where it does not.
    pub fn pass(&self) {
        if let Some(next) = self.room.lines().after(self.stand) {
            next.notify_one();
        }
    }
}

fn is_first(lines: &Lines<Arc<Notify>>, stand: Stand) -> bool {
    lines.iter().next().is_some_and(|(first, _)| first == stand)
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut lines = self.room.lines();
        lines.leave(self.stand);
        self.room.waiting.store(lines.len(), Ordering::SeqCst);
        // Where there was room for one there may be room for two.
        if let Some((_, first)) = lines.iter().next() {
            first.notify_one();
        }
    }
}
