//! I4 and I6: what is held and placed. Nothing places jobs yet: for I4 the replicas' held time is looked at, and I6 stands ready.

use dispatch::HeldTime;
use dispatch::audit::held_beyond;
use fleet::Fleet;
use units::Span;

use super::{Breach, Invariant};

/// A placement of a job's gang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gang {
    /// Which job.
    pub job: u64,
    /// Which of its placements: each fences off the one before.
    pub generation: u64,
    /// Accelerators that it needs, all or none.
    pub needs: u32,
    /// Accelerators that it has.
    pub has: u32,
    /// While it was live.
    pub live: Span,
}

/// I4: at every instant no more accelerators are held than a pool has, and they take no more power than their site may.
#[must_use]
pub fn check_held(fleet: &Fleet, held: &[HeldTime]) -> Vec<Breach> {
    held_beyond(fleet, held).into_iter().map(|what| Breach::new(Invariant::I4, what)).collect()
}

/// I6: every gang has all that it needs or nothing, and no job has two placements that are live at once or out of their order.
#[must_use]
pub fn check_gangs(gangs: &[Gang]) -> Vec<Breach> {
    let mut found = Vec::new();
    for gang in gangs.iter().filter(|gang| gang.has != 0 && gang.has != gang.needs) {
        found.push(format!("job {} has {} of {} accelerators", gang.job, gang.has, gang.needs));
    }
    let mut ordered: Vec<&Gang> = gangs.iter().filter(|gang| gang.has > 0).collect();
    ordered.sort_unstable_by_key(|gang| (gang.job, gang.generation));
    for pair in ordered.windows(2).filter(|pair| pair[0].job == pair[1].job) {
        if pair[1].generation == pair[0].generation || pair[1].live.from < pair[0].live.to {
            found.push(format!("job {} is placed twice at {}", pair[1].job, pair[1].live.from));
        }
    }
    found.into_iter().map(|what| Breach::new(Invariant::I6, what)).collect()
}
