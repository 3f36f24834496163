//! I12: caps.

pub use dispatch::audit::Reading;

use super::{Breach, Invariant};

/// I12: memory, files, tasks, sockets, requests under way: each stays under its named cap.
#[must_use]
pub fn check_caps(readings: &[Reading]) -> Vec<Breach> {
    dispatch::audit::over(readings).map(|what| Breach::new(Invariant::I12, what)).collect()
}
