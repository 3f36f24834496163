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

/// What comes later than this behind what came before says nothing of the present: it was held up, as where a replica was cut off.
const LATE: Duration = Duration::from_secs(60);

/// A meter for each flow, with the last window that it has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flows {
    meters: BTreeMap<(ContractId, Meter), (FlowMeter, Instant)>,
}

impl Flows {
    pub(crate) fn post(&mut self, usage: &Usage) {
        let window = Instant::from_micros(usage.at.micros().div_euclid(WINDOW_US) * WINDOW_US);
        let (meter, last) = self.meters.entry((usage.contract, usage.meter)).or_insert_with(|| (FlowMeter::new(window, MEMORY), window));
        if last.since(window) <= LATE {
            meter.observe(window, usage.held);
            *last = window.max(*last);
        }
    }

    /// Every flow as of `now`.
    pub(crate) fn forecast(&self, now: Instant) -> Forecast {
        Forecast { flows: self.meters.iter().map(|(key, (meter, _))| (*key, meter.flow(now))).collect(), ..Forecast::default() }
    }
}

#[cfg(test)]
mod tests {
    use fleet::Id;
    use units::Quantity;

    use super::*;

    #[test]
    fn steady_postings_give_their_rate_however_they_are_cut() {
        for pieces in [1_i64, 4, 50] {
            let (contract, meter) = (Id::from_index(0), Meter::OutputTokens(Id::from_index(0)));
            let mut flows = Flows::default();
            // 100 tokens a second for an hour.
            for piece in 0..3600 * pieces {
                let at = Instant::from_micros(piece * 1_000_000 / pieces);
                let quantity = Quantity::new(100 / pieces);
                flows.post(&Usage { contract, meter, at, held: quantity, used: quantity });
            }
            let flow = flows.forecast(Instant::from_micros(3_600_000_000)).flows[&(contract, meter)];
            let off = flow.per_hour.count() - 360_000;
            assert!(off.abs() < 3_600, "{pieces} pieces: {flow:?}");
        }
    }

    #[test]
    fn what_was_held_up_is_no_use_of_this_moment() {
        let (contract, meter) = (Id::from_index(0), Meter::OutputTokens(Id::from_index(0)));
        let mut flows = Flows::default();
        let mut post = |second: i64, quantity: i64| {
            let (at, quantity) = (Instant::from_micros(second * 1_000_000), Quantity::new(quantity));
            flows.post(&Usage { contract, meter, at, held: quantity, used: quantity });
            flows.forecast(Instant::from_micros(3_600_000_000)).flows[&(contract, meter)].per_hour.count()
        };
        let mut steady = 0;
        for second in 0..3_600 {
            steady = post(second, 100);
        }
        assert_eq!(post(3_000, 1_000_000), steady, "ten minutes late");
        assert!(post(3_590, 1_000_000) > steady, "what comes in turn counts");
    }
}
