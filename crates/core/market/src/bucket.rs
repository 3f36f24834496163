//! What provisioned units handle now, as a leaky bucket.

use serde::{Deserialize, Serialize};
use units::Instant;

/// What waits in a contract's provisioned units, in millionths of a weighted token; it holds what they handle in one minute, because
/// that is the span over which suppliers state a unit's tokens, and drains as fast as they handle it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitBucket {
    level: i64,
    at: Instant,
}

impl UnitBucket {
    /// How much fits at `now`, of units that handle `per_minute`; a time before the last offer is that of the last offer.
    #[must_use]
    pub fn room(&self, now: Instant, per_minute: i64) -> i64 {
        per_minute.saturating_sub(self.drained(now, per_minute)).max(0)
    }

    /// Puts in as much of `weight` as fits at `now`, and says how much that was.
    pub fn offer(&mut self, now: Instant, weight: i64, per_minute: i64) -> i64 {
        let taken = weight.max(0).min(self.room(now, per_minute));
        self.level = self.drained(now, per_minute) + taken;
        self.at = self.at.max(now);
        taken
    }

    fn drained(&self, now: Instant, per_minute: i64) -> i64 {
        let minute = 60_000_000;
        let out = i128::from(per_minute.max(0)) * i128::try_from(now.since(self.at).as_micros()).unwrap_or(i128::MAX >> 64) / minute;
        self.level.saturating_sub(i64::try_from(out).unwrap_or(i64::MAX)).max(0)
    }
}
