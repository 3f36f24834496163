//! An endpoint as a decision sees it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use dispatch::{Health, Seen};
use fleet::EndpointId;
use market::{EndpointPrice, PAYERS_MAX};
use units::Instant;

use crate::snapshot::Snapshot;
use crate::state::State;

/// What is known of an endpoint, whatever the request.
pub(crate) fn observed(state: &State, snapshot: &Snapshot, endpoint: EndpointId, now: Instant) -> Seen {
    let counters = state.counters(endpoint);
    let price = snapshot.sheet.as_deref().and_then(|sheet| sheet.price(endpoint)).copied();
    let health = match snapshot.upstream(endpoint) {
        Some(_) => counters.health(now),
        None => Health::Down { until: now + Duration::from_secs(1) },
    };
    Seen {
        endpoint,
        health,
        outstanding: counters.busy.outstanding(),
        service_us: counters.service_us.load(Ordering::Relaxed),
        ttft_us: counters.ttft_us.load(Ordering::Relaxed),
        tpot_us: counters.tpot_us.load(Ordering::Relaxed),
        arrivals_per_ks: counters.arrivals_per_ks.load(Ordering::Relaxed),
        cached_tokens: 0,
        units_left: price.map_or([0; PAYERS_MAX], |price| units_left(state, snapshot, &price, now)),
        tried: false,
        expressible: true,
        price,
    }
}

/// Weighted tokens that the units of each of an endpoint's payers take now; zero for one that has none.
fn units_left(state: &State, snapshot: &Snapshot, price: &EndpointPrice, now: Instant) -> [i64; PAYERS_MAX] {
    let model = snapshot.fleet.endpoints[price.endpoint].model;
    price.payers.map(|payer| match payer {
        Some(payer) if payer.units_per_minute > 0 => {
            state.buckets.of(payer.contract, model).map_or(0, |bucket| bucket.room(now, payer.units_per_minute))
        }
        _ => 0,
    })
}
