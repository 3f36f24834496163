//! What is expected of the rest of a period.

use std::collections::BTreeMap;

use core::time::Duration;

use fleet::{ContractId, Meter, SiteId};
use serde::{Deserialize, Serialize};
use units::{Instant, Quantity, Rate, Share};

/// How fast a contract's meter is expected to be used, and how wrong that may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Base units an hour.
    pub per_hour: Quantity,
    /// The standard deviation of what comes, as a share of what is expected.
    pub error: Share,
}

/// The flows of all contracts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// By contract and meter; what is missing is expected to stay at nothing.
    pub flows: BTreeMap<(ContractId, Meter), Flow>,
    /// What a joule at a site is worth to others, in the fleet's currency, beside its price: power that is scarce. What is missing is not scarce.
    pub power: BTreeMap<SiteId, Rate>,
}

impl Forecast {
    /// What was learnt, guided by a plan: where the plan has a pace for a meter it holds, since a plan knows the months to come and the last minutes don't;
    /// its error is what was learnt, or how far the learnt pace is from the planned one when that is more. Scarce power is the plan's.
    #[must_use]
    pub fn guided(mut self, plan: &Self) -> Self {
        for (key, planned) in &plan.flows {
            let learnt = self.flows.get(key).copied().unwrap_or_default();
            let off = i128::from(learnt.per_hour.count().abs_diff(planned.per_hour.count())) * 1_000_000;
            let off = off / i128::from(planned.per_hour.count().max(1));
            let off = i64::try_from(off).unwrap_or(ERROR_MAX_PPM).min(ERROR_MAX_PPM);
            // Nothing learnt yet says nothing about the plan.
            let off = if learnt.per_hour == Quantity::ZERO { 0 } else { off };
            let error = Share::from_ppm(learnt.error.ppm().max(planned.error.ppm()).max(off));
            self.flows.insert(*key, Flow { per_hour: planned.per_hour, error });
        }
        self.power.extend(&plan.power);
        self
    }
}

/// The largest error that a flow is given: three times what is expected.
const ERROR_MAX_PPM: i64 = 3_000_000;

/// Learns a [`Flow`] from postings: an exponentially weighted mean of use a second, and its variance.
///
/// With `a = 1 - exp(-dt / memory)` for the time `dt` since the last observation and `x` the use a second in it:
/// `mean += a (x - mean)` and `variance = (1 - a) (variance + a (x - mean)^2)`. Observations are taken as independent, so what comes
/// over the next `memory` has a variance of about `a x variance`, `a` smoothed likewise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlowMeter {
    memory: Duration,
    last: Instant,
    /// What came at the very instant of the last observation: it belongs to the time that follows.
    pending: Quantity,
    mean: f64,
    variance: f64,
    weight: f64,
}

impl FlowMeter {
    /// A meter that has seen nothing before `start` and whose observations fade by a factor e in each `memory`.
    #[must_use]
    pub fn new(start: Instant, memory: Duration) -> Self {
        Self { memory, last: start, pending: Quantity::ZERO, mean: 0.0, variance: 0.0, weight: 0.0 }
    }

    /// Takes in what was used since the last observation; time that does not pass only adds up.
    pub fn observe(&mut self, now: Instant, quantity: Quantity) {
        self.pending += quantity;
        let passed = now.since(self.last).as_secs_f64();
        if passed <= 0.0 {
            return;
        }
        let rate = rough(self.pending) / passed;
        let fresh = 1.0 - libm::exp(-passed / self.memory.as_secs_f64().max(1e-6));
        // The first observation is all that is known: it is the mean, with no variance.
        let fresh_or_all = if self.weight == 0.0 { 1.0 } else { fresh };
        let off = rate - self.mean;
        self.mean += fresh_or_all * off;
        self.variance = (1.0 - fresh_or_all) * (self.variance + fresh_or_all * off * off);
        self.weight += fresh_or_all * (fresh - self.weight);
        self.last = now;
        self.pending = Quantity::ZERO;
    }

    /// What is expected from `now` on, the silence since the last observation taken in.
    #[must_use]
    pub fn flow(&self, now: Instant) -> Flow {
        let mut seen = *self;
        seen.observe(now, Quantity::ZERO);
        let error = if seen.mean > 0.0 { libm::sqrt(seen.weight * seen.variance) / seen.mean } else { 0.0 };
        let ppm = rounded(error * 1e6).min(ERROR_MAX_PPM);
        Flow { per_hour: Quantity::new(rounded(seen.mean.max(0.0) * 3600.0)), error: Share::from_ppm(ppm) }
    }
}

/// A flow at a point of its distribution: `mean x exp(s z - s^2 / 2)` with `s^2 = ln(1 + error^2)`, the lognormal's quantile where the
/// standard normal's is `z`.
pub(crate) fn at_quantile(flow: Flow, z: f64) -> Quantity {
    let error = rough(Quantity::new(flow.error.ppm())) / 1e6;
    let variance = libm::log1p(error * error);
    let factor = libm::exp(libm::sqrt(variance) * z - variance / 2.0);
    Quantity::new(rounded(rough(flow.per_hour) * factor))
}

/// A quantity as a float, for estimates only.
#[expect(clippy::cast_precision_loss, reason = "an estimate needs no more than 53 bits")]
fn rough(quantity: Quantity) -> f64 {
    quantity.count() as f64
}

/// The one way out of floats: to the nearest whole number, halves to even, kept within `i64`; what is no number is nothing.
#[expect(clippy::cast_possible_truncation, reason = "the cast keeps what is past i64 at its ends, which is what is promised")]
pub(crate) fn rounded(estimate: f64) -> i64 {
    libm::rint(estimate) as i64
}
