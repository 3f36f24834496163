//! How fast each meter is being used, learnt from the postings.

use std::collections::BTreeMap;
use std::time::Duration;

use fleet::{ContractId, Meter};
use market::{FlowMeter, Forecast, Usage};
use units::Instant;

/// How fast what was learnt fades.
const MEMORY: Duration = Duration::from_secs(600);
/// Postings within one window are one observation: the time between two single postings says little about a rate.
const WINDOW_US: i64 = 5_000_000;

/// A meter for each flow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flows {
    meters: BTreeMap<(ContractId, Meter), FlowMeter>,
}

impl Flows {
    pub(crate) fn post(&mut self, usage: &Usage) {
        let window = Instant::from_micros(usage.at.micros().div_euclid(WINDOW_US) * WINDOW_US);
        let meter = self.meters.entry((usage.contract, usage.meter)).or_insert_with(|| FlowMeter::new(window, MEMORY));
        meter.observe(window, usage.held);
    }

    /// Every flow as of `now`.
    pub(crate) fn forecast(&self, now: Instant) -> Forecast {
        Forecast { flows: self.meters.iter().map(|(key, meter)| (*key, meter.flow(now))).collect() }
    }
}
