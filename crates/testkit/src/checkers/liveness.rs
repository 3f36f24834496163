//! I13: what was accepted ends.

use std::time::Duration;

use super::{Booked, Breach, Invariant, Told};

/// I13: every request has its end within `patience` of being made, or of `calm` (when the last fault stopped) if that was later; and
/// once all are over no attempt is open.
#[must_use]
pub fn check_live(told: &[Told], booked: &[Booked], calm: Duration, patience: Duration) -> Vec<Breach> {
    let late = |told: &&Told| told.over.is_none_or(|over| over > told.asked.max(calm) + patience);
    let late = told.iter().filter(late);
    let late = late.map(|told| format!("a request made at {:?} ended at {:?}: {:?}", told.asked, told.over, told.request));
    let open = booked.iter().filter(|row| row.settled.is_none()).map(|row| format!("attempt {} was never settled", row.attempt));
    late.chain(open).map(|what| Breach::new(Invariant::I13, what)).collect()
}
