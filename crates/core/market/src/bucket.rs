//! What provisioned units handle now, as a leaky bucket.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use units::Instant;

/// What waits in a contract's provisioned units. It holds what they handle in one minute, because that is the span over which suppliers
/// state a unit's tokens, and drains as fast as they handle it.
///
/// It is kept as the instant at which it will be empty: one word, so that a gateway can count in it without a lock ([`Self::word`]).
/// Weights are in whatever the rate is in, such as weighted tokens; what they come to in time is rounded up to a nanosecond, so
/// rounding never lets more in than there is room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnitBucket {
    /// In nanoseconds since the epoch.
    empty_at: i64,
}

/// The span over which suppliers state a unit's tokens, in nanoseconds.
const MINUTE: i64 = 60_000_000_000;

impl UnitBucket {
    /// The bucket as one word.
    #[must_use]
    pub const fn word(self) -> i64 {
        self.empty_at
    }

    /// The bucket that [`Self::word`] gave.
    #[must_use]
    pub const fn of_word(word: i64) -> Self {
        Self { empty_at: word }
    }

    /// How much fits at `now`, of units that handle `per_minute`; below zero when it holds more than fits, as after answers that took
    /// more than was expected of them.
    #[must_use]
    pub fn room(self, now: Instant, per_minute: i64) -> i64 {
        let ahead = self.empty_at.saturating_sub(nanos(now)).max(0);
        let room = (i128::from(MINUTE) - i128::from(ahead)) * i128::from(per_minute.max(0));
        narrow(room.div_euclid(i128::from(MINUTE)))
    }

    /// Puts in as much of `weight` as fits at `now`, and says how much that was.
    pub fn offer(&mut self, now: Instant, weight: i64, per_minute: i64) -> i64 {
        let taken = weight.min(self.room(now, per_minute)).max(0);
        *self = self.with(now, taken, per_minute);
        taken
    }

    /// The bucket with `weight` more in it, whether it fits or not; below zero it takes out what did not come after all.
    #[must_use]
    pub fn with(self, now: Instant, weight: i64, per_minute: i64) -> Self {
        if per_minute <= 0 {
            return self;
        }
        Self { empty_at: self.empty_at.max(nanos(now)).saturating_add(time(weight, per_minute)) }
    }

    /// The bucket of a part of the units, in millionths, when that part becomes another: what waits goes on waiting, and what the part gains
    /// counts as used up by whoever had it. So all parts together never let more in than the units handle.
    #[must_use]
    pub fn moved(self, now: Instant, before: i64, after: i64) -> Self {
        if after <= 0 {
            return self;
        }
        let waits = i128::from(self.empty_at.saturating_sub(nanos(now)).max(0)) * i128::from(before.max(0));
        let gained = i128::from((after - before.max(0)).max(0)) * i128::from(MINUTE);
        let time = narrow(-(-(waits + gained)).div_euclid(i128::from(after)));
        Self { empty_at: nanos(now).saturating_add(time) }
    }

    /// The bucket after the supplier refused `weight` at `now`. It is full then, but that `weight` fits once `again` has passed, where the
    /// supplier says that (zero: it doesn't): a bucket that is fuller than the supplier's own would hold back what is paid for.
    #[must_use]
    pub fn refused(self, now: Instant, weight: i64, per_minute: i64, again: Duration) -> Self {
        let again = i64::try_from(again.as_nanos()).unwrap_or(i64::MAX);
        let fits = if again > 0 && per_minute > 0 { time(weight.max(0), per_minute).saturating_sub(again).clamp(0, MINUTE) } else { 0 };
        Self { empty_at: self.empty_at.max(nanos(now).saturating_add(MINUTE - fits)) }
    }
}

/// How long units that handle `per_minute` take for `weight`, rounded up.
fn time(weight: i64, per_minute: i64) -> i64 {
    narrow(-(-i128::from(weight) * i128::from(MINUTE)).div_euclid(i128::from(per_minute)))
}

fn nanos(at: Instant) -> i64 {
    at.micros().saturating_mul(1_000)
}

fn narrow(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX })
}
