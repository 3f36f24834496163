//! The one place of this crate that reads a clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time;

use units::Instant;

/// What time it is. It never steps back: it counts by a monotonic clock, and follows the wall clock forward when that has
/// run ahead, as after the machine has slept.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Instant + Send + Sync>);

/// How far the wall clock runs ahead before it is followed, in microseconds.
const AHEAD_MAX: i64 = 1_000_000;
/// How often it is looked at, in microseconds: a request reads the time again and again.
const LOOK: i64 = 10_000;

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        let anchor = time::Instant::now();
        let wall = || time::SystemTime::now().duration_since(time::UNIX_EPOCH).unwrap_or_default();
        Self::of(move || anchor.elapsed(), wall)
    }

    /// A clock of these readings: of a monotonic clock, and of one that people set.
    pub(crate) fn of(
        monotonic: impl Fn() -> time::Duration + Send + Sync + 'static,
        wall: impl Fn() -> time::Duration + Send + Sync + 'static,
    ) -> Self {
        let (offset, look_at) = (AtomicI64::new(i64::MIN), AtomicI64::new(i64::MIN));
        let micros = |time: time::Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        Self(Arc::new(move || {
            let now = micros(monotonic());
            if now < look_at.load(Ordering::Acquire) {
                return Instant::from_micros(now.saturating_add(offset.load(Ordering::Relaxed)));
            }
            let followed = follow(&offset, now, micros(wall()));
            // Whoever sees this sees the offset too.
            look_at.fetch_max(now.saturating_add(LOOK), Ordering::Release);
            Instant::from_micros(followed)
        }))
    }

    /// A clock that says what `read` says, for tests.
    pub fn from_fn(read: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Instant {
        (self.0)()
    }
}

/// The time by the monotonic clock, moved by an offset that only grows.
fn follow(offset: &AtomicI64, monotonic: i64, wall: i64) -> i64 {
    let now = monotonic.saturating_add(offset.load(Ordering::Relaxed));
    if wall <= now.saturating_add(AHEAD_MAX) {
        return now;
    }
    let ahead = wall - monotonic;
    monotonic + offset.fetch_max(ahead, Ordering::Relaxed).max(ahead)
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_steps_back_and_follows_a_clock_that_runs_ahead() {
        let offset = AtomicI64::new(i64::MIN);
        let second = 1_000_000;
        // What the monotonic clock says, what the wall says, and what time it is.
        let readings = [(0, 100, 100), (10, 110, 110), (20, 50, 120), (30, 60, 130), (40, 21_640, 21_640), (50, 21_650, 21_650)];
        for (monotonic, wall, want) in readings {
            assert_eq!(follow(&offset, monotonic * second, wall * second), want * second, "{monotonic} {wall}");
        }
    }
}
