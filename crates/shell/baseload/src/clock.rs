//! What time it is, for commands that are no service.

use units::Instant;

/// The present instant.
pub fn now() -> Instant {
    gateway::Clock::system().now()
}
