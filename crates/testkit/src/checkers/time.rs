//! I9: durations and spans, whatever the clocks did.

use std::collections::BTreeMap;

use dispatch::HeldTime;
use fleet::EndpointId;
use units::Span;

use super::{Booked, Breach, Invariant};

/// I9: no attempt ends before it begins or has content outside its time, and no endpoint's time is held twice.
#[must_use]
pub fn check_time(booked: &[Booked], held: &[HeldTime]) -> Vec<Breach> {
    let mut found = Vec::new();
    for (row, settled) in booked.iter().filter_map(|row| Some((row, row.settled?))) {
        let content = settled.first_content.unwrap_or(settled.started);
        if settled.ended < settled.started || content < settled.started || content > settled.ended {
            found.push(format!("attempt {} ends before it begins: {settled:?}", row.attempt));
        }
    }
    let mut spans: BTreeMap<EndpointId, Vec<Span>> = BTreeMap::new();
    for held in held {
        if held.span.to <= held.span.from {
            found.push(format!("{:?} is held over nothing or less: {:?}", held.endpoint, held.span));
        }
        // A note that nothing is held there any more may lie in a span that is made up for later.
        if !held.usage.is_empty() {
            spans.entry(held.endpoint).or_default().push(held.span);
        }
    }
    for (endpoint, spans) in &mut spans {
        spans.sort_unstable_by_key(|span| span.from);
        let twice = spans.windows(2).find(|pair| pair[1].from < pair[0].to);
        found.extend(twice.map(|pair| format!("{endpoint:?} is held twice: {pair:?}")));
    }
    found.into_iter().map(|what| Breach::new(Invariant::I9, what)).collect()
}
