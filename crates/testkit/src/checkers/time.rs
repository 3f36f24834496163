//! I9: durations and spans, whatever the clocks did.

use dispatch::HeldTime;
use dispatch::audit::{HeldUntil, is_in_order};

use super::{Booked, Breach, Invariant};

/// I9: no attempt ends before it begins or has content outside its time, and no endpoint's time is held twice.
#[must_use]
pub fn check_time(booked: &[Booked], held: &[HeldTime]) -> Vec<Breach> {
    let settled = booked.iter().filter_map(|row| row.settled).filter(|settled| !is_in_order(settled));
    let settled = settled.map(|settled| format!("attempt {} ends before it begins: {settled:?}", settled.attempt));
    let mut spans: Vec<&HeldTime> = held.iter().collect();
    spans.sort_by_key(|held| held.span.from);
    let mut until = HeldUntil::default();
    let spans = spans.into_iter().filter_map(|held| {
        let wrong = until.wrong_with(held.endpoint, held)?;
        Some(format!("{:?} {wrong}: {:?}", held.endpoint, held.span))
    });
    settled.chain(spans).map(|what| Breach::new(Invariant::I9, what)).collect()
}
