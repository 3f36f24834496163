//! What choosing an endpoint is expected to cost.
//!
//! `total = marginal + energy + scarcity + cache loss + P(SLO miss) x value of a miss`, all in integer nano-units. Symbols:
//! `n` requests outstanding, `c` slots, `s` mean service time, `a = arrivals x s` the offered load.
//!
//! - **Scarcity**, on capacity that is paid for already: `P(full) x (replacement - marginal)`. Occupancy relaxes towards `a`
//!   with time constant `s` (the transient of the infinite-server queue, M/M/inf: mean `n e^(-t/s) + a (1 - e^(-t/s))`), so over
//!   this request's stay its mean is `m = a + (n + 1 - a)(1 - 1/e)`; `P(full)` is the upper tail `P(N >= c)` of a Poisson variable of
//!   mean `m`. Provisioned units run out instead: `m` is the requests expected in the minute over which units are stated, `c` how many
//!   such requests fit into what is left after this one and what the minute brings.
//! - **SLO miss**: waiting and prefill (or decoding) taken as exponential with the expected time `t`, so a target `d` is missed
//!   with probability `exp(-d / t)`.

use core::time::Duration;

use fleet::{Endpoint, Fleet};
use market::{Payer, TokenPrices, Tokens};
use units::Money;

use crate::decide::{Cost, Question, Rule};
use crate::eligible::Shared;
use crate::seen::Seen;

/// How far prices past their validity move from marginal towards list, in percent.
const STALE_MARGIN_PERCENT: i64 = 25;
/// The span over which provisioned units state what they handle.
const UNIT_WINDOW_SECONDS: i64 = 60;

/// Whether a request sent there would begin at once.
pub(crate) fn has_free_slot(fleet: &Fleet, seen: &Seen) -> bool {
    seen.outstanding < fleet.endpoints[seen.endpoint].slots.max(1)
}

/// The request's tokens with what this endpoint's cache is expected to hold.
pub(crate) fn tokens_at(question: &Question, seen: &Seen) -> Tokens {
    Tokens { cached: seen.cached_tokens.min(question.ask.tokens.input), ..question.ask.tokens }
}

/// What the endpoint's cache saves a request that has to wait for it, where nobody said what waiting costs; nothing elsewhere. It may not
/// speak for an endpoint while another has a free slot: else a prefix that all prompts share would send them all to where they wait.
pub(crate) fn saved_by_waiting(shared: &Shared<'_>, seen: &Seen, payer: Payer, rule: Rule) -> Money {
    let Some(price) = seen.price.as_ref().filter(|_| shared.class.is_none() && !has_free_slot(shared.fleet, seen)) else {
        return Money::ZERO;
    };
    let prices = if rule == Rule::Policy { payer.marginal } else { with_margin(payer) };
    let here = tokens_at(shared.question, seen);
    let unheld = Tokens { cached: 0, ..here };
    (prices.cost(unheld) + price.energy.cost(unheld)) - (prices.cost(here) + price.energy.cost(here))
}

/// What the tokens weigh on provisioned units, in input tokens.
pub(crate) fn weight(fleet: &Fleet, seen: &Seen, tokens: Tokens) -> i64 {
    let weights = fleet.models[fleet.endpoints[seen.endpoint].model].weights;
    let uncached = i128::from(tokens.input - tokens.cached.min(tokens.input));
    let ppm = uncached * i128::from(weights.input_ppm)
        + i128::from(tokens.cached) * i128::from(weights.cached_ppm)
        + i128::from(tokens.output) * i128::from(weights.output_ppm);
    i64::try_from(units::round_half_even(ppm, 1_000_000)).unwrap_or(i64::MAX)
}

/// The expected cost of sending the request there.
pub(crate) fn cost(shared: &Shared<'_>, seen: &Seen, payer: Payer, rule: Rule) -> Cost {
    let (fleet, question) = (shared.fleet, shared.question);
    let Some(price) = seen.price.as_ref() else { return Cost::default() };
    let prices = if rule == Rule::Policy { payer.marginal } else { with_margin(payer) };
    let here = tokens_at(question, seen);
    let best = Tokens { cached: question.ask.tokens.cached.max(here.cached).min(here.input), ..here };
    let marginal = prices.cost(best);
    let replacement = price.replacement.cost(here);
    let times = Times::expected(fleet, question, seen, here);
    let scarcity = match (replacement - marginal).at_least_zero() {
        // What displaces nothing of worth need not be known to be likely.
        worth if payer.prepaid && worth > Money::ZERO => share_of(worth, probability_full(fleet, seen, &payer, here, times.service)),
        _ => Money::ZERO,
    };
    Cost {
        marginal,
        energy: price.energy.cost(here),
        scarcity,
        cache_loss: prices.cost(here) - marginal,
        slo_miss: slo_miss(shared, times, replacement),
    }
}

fn with_margin(payer: Payer) -> TokenPrices {
    let move_on =
        |marginal: i64, list: i64| marginal.saturating_add(list.saturating_sub(marginal).saturating_mul(STALE_MARGIN_PERCENT) / 100);
    TokenPrices {
        input: move_on(payer.marginal.input, payer.list.input),
        cached: move_on(payer.marginal.cached, payer.list.cached),
        output: move_on(payer.marginal.output, payer.list.output),
    }
}

/// Times expected of the request at an endpoint, in seconds.
#[derive(Clone, Copy, Debug)]
struct Times {
    first_token: f64,
    per_token: f64,
    service: f64,
}

impl Times {
    /// From what was measured there, else from its profile, plus the wait for a slot.
    fn expected(fleet: &Fleet, question: &Question, seen: &Seen, tokens: Tokens) -> Self {
        let endpoint = &fleet.endpoints[seen.endpoint];
        let seconds = |micros: u32| f64::from(micros) / 1e6;
        let per_token = decode_time(fleet, endpoint, seen).unwrap_or_else(|| seconds(seen.tpot_us));
        let prefill = match endpoint.profile {
            Some(profile) => f64::from(tokens.input - tokens.cached) / f64::from(fleet.profiles[profile].prefill_per_second.max(1)),
            None => seconds(seen.ttft_us),
        };
        let service = match seen.service_us {
            0 => prefill + f64::from(question.ask.tokens.output) * per_token,
            micros => seconds(micros),
        };
        let slots = endpoint.slots.max(1);
        let ahead = (seen.outstanding + 1).saturating_sub(slots);
        Self { first_token: f64::from(ahead) * service / f64::from(slots) + prefill, per_token, service }
    }
}

/// Seconds per output token with this request in the batch: between the profile's lone and full-batch speeds, linearly.
fn decode_time(fleet: &Fleet, endpoint: &Endpoint, seen: &Seen) -> Option<f64> {
    let profile = &fleet.profiles[endpoint.profile?];
    let replicas = f64::from(endpoint.replicas.max(1));
    let slots = f64::from(profile.slots.max(1));
    let running = (f64::from(seen.outstanding + 1) / replicas).clamp(1.0, slots);
    let alone = 1.0 / f64::from(profile.decode_per_second.max(1));
    let full = slots / f64::from(profile.decode_batch_per_second.max(1));
    let filled = if slots > 1.0 { (running - 1.0) / (slots - 1.0) } else { 0.0 };
    Some(alone + (full - alone) * filled)
}

/// The chance that the capacity is full while this request is on it, or that its units run out within the minute.
fn probability_full(fleet: &Fleet, seen: &Seen, payer: &Payer, tokens: Tokens, service: f64) -> f64 {
    let arrivals = f64::from(seen.arrivals_per_ks) / 1e3;
    if payer.units_per_minute > 0 {
        let weight = weight(fleet, seen, tokens).max(1);
        let left = seen.payers().find(|(other, _)| other.contract == payer.contract).map_or(0, |(_, left)| left);
        let room = left.saturating_sub(weight).saturating_add(payer.units_per_minute);
        return poisson_tail(arrivals * UNIT_WINDOW_SECONDS as f64, room as f64 / weight as f64);
    }
    let offered = arrivals * service;
    let mean = offered + (f64::from(seen.outstanding + 1) - offered) * (1.0 - libm::exp(-1.0));
    poisson_tail(mean, f64::from(fleet.endpoints[seen.endpoint].slots.max(1)))
}

/// `P(N >= capacity)` of a Poisson variable of this mean: its terms summed outwards from the capacity, on the side where they fall.
fn poisson_tail(mean: f64, capacity: f64) -> f64 {
    /// Terms summed at most.
    const TERMS_MAX: u32 = 4096;
    /// A term that is so much smaller than its sum no longer shows in an amount.
    const NEGLIGIBLE: f64 = 1e-12;
    /// The logarithm of a probability far below half of the least share of an amount, a billionth.
    const NOTHING: f64 = -24.0;
    let least = libm::ceil(capacity);
    if mean <= 0.0 || least <= 0.0 {
        return if mean > 0.0 { 1.0 } else { 0.0 };
    }
    let above = least > mean;
    // Chernoff's bound, `P(N >= c) <= exp(c - mean) (mean / c)^c` above the mean: below it no digit of an amount is left.
    if above && least - mean + least * libm::log(mean / least) < NOTHING {
        return 0.0;
    }
    let from = if above { least } else { least - 1.0 };
    let (mut sum, mut term, mut k) = (0.0, 1.0, from);
    for _ in 0..TERMS_MAX {
        sum += term;
        if above {
            k += 1.0;
            term *= mean / k;
        } else {
            term *= k / mean;
            k -= 1.0;
        }
        if term <= sum * NEGLIGIBLE {
            break;
        }
    }
    let part = sum * libm::exp(from * libm::log(mean) - mean - libm::lgamma(from + 1.0));
    if above { part.min(1.0) } else { (1.0 - part).max(0.0) }
}

/// The chance of missing the class's targets, times what a miss costs: as stated, else the replacement cost.
fn slo_miss(shared: &Shared<'_>, times: Times, replacement: Money) -> Money {
    let Some(class) = shared.class else { return Money::ZERO };
    let met = |target: Duration, expected: f64| match expected > 0.0 {
        true => 1.0 - libm::exp(-target.as_secs_f64() / expected),
        false => 1.0,
    };
    let miss = 1.0 - met(class.ttft, times.first_token) * met(class.tpot, times.per_token);
    share_of(class.miss.unwrap_or(replacement), miss)
}

/// A probability's share of an amount: the one place where an estimate becomes money, in parts per billion.
#[expect(clippy::cast_possible_truncation, reason = "a probability times a billion fits")]
fn share_of(money: Money, probability: f64) -> Money {
    money.times_ratio(i128::from(libm::rint(probability.clamp(0.0, 1.0) * 1e9) as i64), 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_poisson_tail_agrees_with_its_table() {
        for (mean, capacity, want) in [
            (1.0, 1.0, 0.632_120_6),
            (2.0, 4.0, 0.142_876_5),
            (4.0, 4.0, 0.566_529_9),
            (0.0, 1.0, 0.0),
            (5.0, 0.0, 1.0),
            (2.0, 3.2, 0.142_876_5),
        ] {
            assert!((poisson_tail(mean, capacity) - want).abs() < 1e-6, "{mean} {capacity}: {}", poisson_tail(mean, capacity));
        }
    }

    #[test]
    fn the_poisson_tail_is_the_sum_of_its_terms_and_never_leaves_its_range() {
        for mean in [0.3, 1.0, 7.5, 40.0, 300.0] {
            let (mut term, mut below) = (libm::exp(-mean), 0.0);
            for capacity in 0..500 {
                let capacity = f64::from(capacity);
                let found = poisson_tail(mean, capacity);
                assert!((found - (1.0 - below)).abs() < 1e-9, "{mean} {capacity}: {found} is not {}", 1.0 - below);
                below += term;
                term *= mean / (capacity + 1.0);
            }
        }
        // Where the first terms are too small for a float, the tail is still on its side.
        assert!(poisson_tail(5_000.0, 6_000.0) < 1e-9 && poisson_tail(6_000.0, 5_000.0) > 1.0 - 1e-9);
    }
}
