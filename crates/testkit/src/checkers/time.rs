//! I9: durations and spans, whatever the clocks did.

use std::collections::BTreeMap;
use std::time::Duration;

use dispatch::HeldTime;
use dispatch::audit::{HeldUntil, is_in_order};

use fleet::EndpointId;
use units::Instant;

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

/// I9: of each endpoint's held time no more than `most` lies between two spans: nobody has held it then, or nobody says so.
#[must_use]
pub fn check_unbroken(held: &[HeldTime], most: Duration) -> Vec<Breach> {
    let mut spans: Vec<&HeldTime> = held.iter().collect();
    spans.sort_by_key(|held| held.span.from);
    let mut until: BTreeMap<EndpointId, Instant> = BTreeMap::new();
    let mut breaches = Vec::new();
    for held in spans {
        let before = until.get(&held.endpoint).copied().unwrap_or(held.span.from);
        let gap = held.span.from.since(before);
        if gap > most {
            breaches
                .push(Breach::new(Invariant::I9, format!("{:?} is held by nobody for {gap:?} up to {}", held.endpoint, held.span.from)));
        }
        until.insert(held.endpoint, held.span.to.max(before));
    }
    breaches
}
