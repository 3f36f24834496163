//! What is counted for `/metrics` as attempts end: fixed in size by the fleet file, so that no request can make it grow.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dispatch::{Known, Outcome, Settlement};
use fleet::{ContractId, EndpointId, Fleet, Id, ServiceTier};

/// The outcomes, as their counters stand.
pub(crate) const OUTCOMES: [(Outcome, &str); 5] = [
    (Outcome::Answered, "answered"),
    (Outcome::Failed, "failed"),
    (Outcome::Cut, "cut"),
    (Outcome::ClientGone, "abandoned"),
    (Outcome::Outrun, "outrun"),
];
/// Upper bounds of the time to the first content, in seconds, as OpenTelemetry's conventions for generative AI advise.
pub(crate) const FIRST: [f64; 16] = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Of the time per output token after it.
pub(crate) const PER_TOKEN: [f64; 13] = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];
/// Of the time to the end.
pub(crate) const WHOLE: [f64; 14] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// How many times lay within each bound; the last place is for those beyond all of them.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static [f64],
    counts: Vec<AtomicU64>,
    sum_us: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        let counts = std::iter::repeat_with(AtomicU64::default).take(bounds.len() + 1).collect();
        Self { bounds, counts, sum_us: AtomicU64::new(0) }
    }

    fn add(&self, time: Duration) {
        let place = self.bounds.partition_point(|bound| *bound < time.as_secs_f64());
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Each bound with how many lay within it, all of them, and the sum in seconds.
    pub fn read(&self) -> (Vec<(f64, u64)>, u64, f64) {
        let mut sum = 0;
        let mut within = |count: &AtomicU64| {
            sum += count.load(Ordering::Relaxed);
            sum
        };
        let rows = self.bounds.iter().zip(&self.counts).map(|(bound, count)| (*bound, within(count))).collect();
        let all = self.counts.last().map_or(0, within);
        (rows, all, self.sum_us.load(Ordering::Relaxed) as f64 / 1e6)
    }
}

/// The times of one endpoint's answers.
#[derive(Debug)]
pub(crate) struct Times {
    pub first: Histogram,
    pub per_token: Histogram,
    pub whole: Histogram,
}

/// What one contract pays for on one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Paid {
    attempts: [[AtomicU64; OUTCOMES.len()]; ServiceTier::ALL.len()],
    pub input: AtomicU64,
    pub cached: AtomicU64,
    pub output: AtomicU64,
    /// Attempts of which no tokens are known.
    pub bounded: AtomicU64,
    /// At list prices, in nano-units of the fleet's currency.
    pub list_nanos: AtomicU64,
}

impl Paid {
    /// What an attempt took. A bound is what a bill may say at worst, and nothing that anybody saw.
    fn add(&self, settlement: &Settlement) {
        if settlement.known == Known::Bounded {
            self.bounded.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.input.fetch_add(settlement.tokens.input.into(), Ordering::Relaxed);
        self.cached.fetch_add(settlement.tokens.cached.into(), Ordering::Relaxed);
        self.output.fetch_add(settlement.tokens.output.into(), Ordering::Relaxed);
        self.list_nanos.fetch_add(u64::try_from(settlement.list.nanos()).unwrap_or(0), Ordering::Relaxed);
    }

    /// Attempts of each tier and outcome that there were.
    pub fn attempts(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let tiers = ServiceTier::ALL.iter().zip(&self.attempts);
        let all = tiers.flat_map(|(tier, counts)| OUTCOMES.iter().zip(counts).map(|((_, outcome), count)| (tier.word(), *outcome, count)));
        all.map(|(tier, outcome, count)| (tier, outcome, count.load(Ordering::Relaxed))).filter(|(.., count)| *count > 0)
    }
}

/// Everything that is counted as attempts end.
#[derive(Debug)]
pub(crate) struct Observed {
    /// By endpoint.
    times: Vec<Times>,
    paid: BTreeMap<(EndpointId, ContractId), Paid>,
}

impl Observed {
    /// Counters for every endpoint, and for every contract that may pay there.
    pub fn new(fleet: &Fleet) -> Self {
        let times = || Times { first: Histogram::new(&FIRST), per_token: Histogram::new(&PER_TOKEN), whole: Histogram::new(&WHOLE) };
        let pairs =
            fleet.endpoints.iter().flat_map(|(endpoint, ..)| fleet.contracts.iter().map(move |(contract, ..)| (endpoint, contract)));
        let covers = |(endpoint, contract): &(EndpointId, ContractId)| {
            let overflow =
                |id: &ContractId| if let Some(fleet::Overflow::To(to)) = fleet.contracts[*id].overflow { Some(to) } else { None };
            // As many steps as there are contracts: a fleet in which they go round is not valid.
            let after = |id: ContractId| std::iter::successors(Some(id), overflow).take(fleet.contracts.len());
            fleet.covering(*endpoint).into_iter().flat_map(after).any(|id| id == *contract)
        };
        Self {
            times: std::iter::repeat_with(times).take(fleet.endpoints.len()).collect(),
            paid: pairs.filter(covers).map(|pair| (pair, Paid::default())).collect(),
        }
    }

    /// Counts an attempt that has ended.
    pub fn ended(&self, tier: ServiceTier, streamed: bool, settlement: &Settlement) {
        if let Some(paid) = self.paid.get(&(settlement.endpoint, settlement.contract)) {
            let tier = ServiceTier::ALL.iter().position(|known| *known == tier);
            let outcome = OUTCOMES.iter().position(|(known, _)| *known == settlement.outcome);
            if let (Some(tier), Some(outcome)) = (tier, outcome) {
                paid.attempts[tier][outcome].fetch_add(1, Ordering::Relaxed);
            }
            paid.add(settlement);
        }
        let times = &self.times[settlement.endpoint.index()];
        if settlement.outcome == Outcome::Answered {
            times.whole.add(settlement.ended.since(settlement.started));
        }
        if let Some(first) = settlement.first_content.filter(|_| streamed) {
            times.first.add(first.since(settlement.started));
            let rest = settlement.ended.since(first).checked_div(settlement.tokens.output.saturating_sub(1));
            if let Some(per_token) = rest.filter(|_| settlement.outcome == Outcome::Answered) {
                times.per_token.add(per_token);
            }
        }
    }

    /// The times of one endpoint.
    pub fn times(&self, endpoint: EndpointId) -> &Times {
        &self.times[endpoint.index()]
    }

    /// What each contract pays for on each endpoint.
    pub fn paid(&self) -> impl Iterator<Item = (EndpointId, ContractId, &Paid)> {
        self.paid.iter().map(|((endpoint, contract), paid)| (*endpoint, *contract, paid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_each_time_once_within_its_bound_and_all_above() {
        let histogram = Histogram::new(&[0.5, 1.0]);
        for millis in [200, 500, 501, 1_000, 7_000] {
            histogram.add(Duration::from_millis(millis));
        }
        let (rows, all, sum) = histogram.read();
        assert_eq!((rows, all), (vec![(0.5, 2), (1.0, 4)], 5));
        assert!((sum - 9.201).abs() < 1e-9);
    }
}
