//! How much work a supply's base units do, as exact ratios, and what a month holds of things that ramp.

use fleet::{CapacityOf, ContractId, Fleet, Ramp, WorkloadId, WorkloadKind};
use units::Span;

use crate::instance::On;

/// Work done per base unit of a supply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Speed {
    done: i128,
    per: i128,
}

impl Speed {
    fn new(done: i128, per: i128) -> Option<Self> {
        let divisor = gcd(done, per);
        (done > 0 && per > 0).then(|| Self { done: done / divisor, per: per / divisor })
    }

    fn faster(self, other: Self) -> Self {
        if other.done.saturating_mul(self.per) > self.done.saturating_mul(other.per) { other } else { self }
    }

    /// What a quantity does, rounded down.
    pub fn done(self, quantity: i64) -> i64 {
        scaled(quantity, self.done, self.per)
    }

    /// The largest quantity that surely does no more than this.
    pub fn quantity(self, done: i64) -> i64 {
        scaled(done, self.per, self.done)
    }
}

/// `count x numerator / denominator`, rounded down, exact for ratios of up to 95 bits; kept within `i64`.
fn scaled(count: i64, numerator: i128, denominator: i128) -> i64 {
    let (high, low) = (i128::from(count.max(0)) >> 32, i128::from(count.max(0)) & 0xFFFF_FFFF);
    let top = high * numerator;
    let rest = ((top % denominator) << 32) + low * numerator;
    let whole = (top / denominator).checked_mul(1 << 32).and_then(|whole| whole.checked_add(rest / denominator));
    whole.and_then(|whole| i64::try_from(whole).ok()).unwrap_or(i64::MAX)
}

fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// The exact speed of a workload on a supply: `docs/plan.md` section 6; `None` when it does not fit.
pub(super) fn speed(fleet: &Fleet, contract: ContractId, on: On, workload: WorkloadId) -> Option<Speed> {
    let ppm = |share: units::Share| i128::from(share.ppm());
    match (on, &fleet.workloads[workload].kind) {
        (On::Pool(pool), WorkloadKind::Serving { model, mix, .. }) => {
            let kind = fleet.pools[pool].accelerator;
            let profiles = fleet.profiles.iter().map(|(.., profile)| profile);
            let speeds = profiles.filter(|profile| profile.model == *model && profile.accelerator == kind).filter_map(|profile| {
                let (prefill, decode) = (i128::from(profile.prefill_per_second), i128::from(profile.decode_batch_per_second));
                let time = 10 * ppm(mix.input) * decode + ppm(mix.cached) * decode + 10 * ppm(mix.output) * prefill;
                Speed::new(prefill * decode * 10_000, i128::from(profile.accelerators) * time)
            });
            speeds.reduce(Speed::faster)
        }
        (On::Pool(pool), WorkloadKind::Training { accelerators, .. }) => {
            let kind = fleet.pools[pool].accelerator;
            let peak = |kind| i128::from(fleet.accelerators[kind].peak.count());
            accelerators.contains(&kind).then(|| Speed::new(peak(kind), peak(*accelerators.first()?)))?
        }
        (On::Tokens(endpoint), WorkloadKind::Serving { model, .. }) => {
            (fleet.endpoints[endpoint].model == *model).then(|| Speed::new(1, 1))?
        }
        (On::Units(endpoint), WorkloadKind::Serving { model, mix, .. }) if fleet.endpoints[endpoint].model == *model => {
            let mut clauses = fleet.contracts[contract].capacity.iter();
            let clause = clauses.find(|clause| clause.of == CapacityOf::Units(*model))?;
            let weights = fleet.models[*model].weights;
            let weight = ppm(mix.input) * i128::from(weights.input_ppm)
                + ppm(mix.cached) * i128::from(weights.cached_ppm)
                + ppm(mix.output) * i128::from(weights.output_ppm);
            Speed::new(i128::from(clause.tokens_per_unit_minute) * 50_000_000, 3 * weight)
        }
        _ => None,
    }
}

/// How long a span is, in microseconds.
pub(super) fn micros(span: Span) -> i128 {
    (i128::from(span.to.micros()) - i128::from(span.from.micros())).max(0)
}

/// The integral of a ramp over a span, in its amount times microseconds.
pub(super) fn integral(ramp: &Ramp<i64>, span: Span) -> i128 {
    ramp.pieces(span).map(|(piece, amount)| i128::from(amount) * micros(piece)).sum()
}

/// The integral of what a capacity clause has delivered over the part of `span` in which its contract is in force.
pub(super) fn delivered(fleet: &Fleet, contract: ContractId, of: CapacityOf, span: Span) -> i128 {
    let terms = &fleet.contracts[contract];
    let span = span.overlap(terms.term);
    if terms.status != fleet::Status::Signed || span.is_empty() {
        return 0;
    }
    market::pieces(fleet, contract, of, span).iter().map(|piece| i128::from(piece.delivered) * micros(piece.span)).sum()
}
