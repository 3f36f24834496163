//! How fast each meter is being used, learnt from the postings.

use std::collections::BTreeMap;

use fleet::{ContractId, Meter};
use market::{Flow, Forecast, Usage};
use units::{Instant, Quantity, Share};

/// After this time a posting counts for 1/e of a new one.
const MEMORY_SECONDS: f64 = 600.0;

/// Sums of one meter's postings, each weighted by its age.
#[derive(Clone, Copy, Debug)]
struct Recent {
    first: Instant,
    last: Instant,
    sum: f64,
    squares: f64,
}

/// The recent postings of all meters, fading.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flows {
    recent: BTreeMap<(ContractId, Meter), Recent>,
}

impl Flows {
    pub(crate) fn post(&mut self, usage: &Usage) {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let quantity = usage.held.count() as f64;
        let key = (usage.contract, usage.meter);
        let recent = self.recent.entry(key).or_insert(Recent { first: usage.at, last: usage.at, sum: 0.0, squares: 0.0 });
        let last = recent.last.max(usage.at);
        let fade = fade(recent.last, last);
        let weight = self::fade(usage.at, last);
        recent.sum = recent.sum * fade + quantity * weight;
        recent.squares = recent.squares * fade * fade + (quantity * weight).powi(2);
        recent.last = last;
    }

    /// Every flow as of `now`. The mean is over the time that has been watched, up to the memory; the error is that of
    /// a sum of independent postings of these sizes.
    pub(crate) fn forecast(&self, now: Instant) -> Forecast {
        let flow = |recent: &Recent| {
            let fade = fade(recent.last, now);
            let watched = MEMORY_SECONDS * (1.0 - self::fade(recent.first, now));
            let per_hour = recent.sum * fade / watched.max(1.0) * 3600.0;
            let error = if recent.sum > 0.0 { recent.squares.sqrt() / recent.sum } else { 0.0 };
            Flow { per_hour: Quantity::new(whole(per_hour)), error: Share::from_ppm(whole(error.min(1.0) * 1e6)) }
        };
        Forecast { flows: self.recent.iter().map(|(key, recent)| (*key, flow(recent))).collect() }
    }
}

fn fade(from: Instant, to: Instant) -> f64 {
    (-to.since(from).as_secs_f64() / MEMORY_SECONDS).exp()
}

#[expect(clippy::cast_possible_truncation, reason = "saturates, and an estimate that large means nothing")]
fn whole(value: f64) -> i64 {
    value.round() as i64
}
