//! I12: caps.

use super::{Breach, Invariant};

/// How much there was of something that has a cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Of what.
    pub what: &'static str,
    /// The most that was seen.
    pub most: u64,
    /// The cap.
    pub cap: u64,
}

/// I12: memory, files, tasks, sockets, requests under way: each stays under its named cap.
#[must_use]
pub fn check_caps(readings: &[Reading]) -> Vec<Breach> {
    let over = readings.iter().filter(|reading| reading.most > reading.cap);
    over.map(|Reading { what, most, cap }| Breach::new(Invariant::I12, format!("{what}: {most} of at most {cap}"))).collect()
}
