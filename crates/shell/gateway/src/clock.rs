//! The one place of this crate that reads a clock.

use std::sync::Arc;
use std::time;

use units::Instant;

/// What time it is. Never steps back: the wall clock is read once, and a monotonic one counts from there.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Instant + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        let wall = time::SystemTime::now().duration_since(time::UNIX_EPOCH).unwrap_or_default();
        let (start, anchor) = (Instant::default() + wall, time::Instant::now());
        Self(Arc::new(move || start + anchor.elapsed()))
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

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}
