//! What is counted of each endpoint while requests run: atomics that every request reads and no one locks.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use dispatch::Health;
use market::Tokens;
use units::Instant;

use crate::limits::{BACKOFF_MAX, BACKOFF_MIN, FAILURES_MAX};
use crate::prefix::Remembered;

/// Requests outstanding and the time in which there was at least one, in one word: so every reading is consistent.
/// The upper 16 bits count requests; the lower 48 hold microseconds, modulo 2^48 (nine years).
#[derive(Debug, Default)]
pub(crate) struct Busy(AtomicU64);

const TIME: u64 = (1 << 48) - 1;

impl Busy {
    /// One request more, at `now` microseconds.
    pub fn enter(&self, now: u64) {
        self.change(|count, time| (count + 1, if count == 0 { time.wrapping_sub(now) } else { time }));
    }

    /// One request less.
    pub fn leave(&self, now: u64) {
        self.change(|count, time| (count.saturating_sub(1), if count == 1 { time.wrapping_add(now) } else { time }));
    }

    /// How many are outstanding.
    pub fn outstanding(&self) -> u32 {
        u32::try_from(self.0.load(Ordering::Relaxed) >> 48).expect("16 bits are left")
    }

    /// Microseconds in which at least one was outstanding, up to `now`.
    pub fn micros(&self, now: u64) -> u64 {
        let word = self.0.load(Ordering::Relaxed);
        (if word >> 48 > 0 { word.wrapping_add(now) } else { word }) & TIME
    }

    fn change(&self, change: impl Fn(u64, u64) -> (u64, u64)) {
        let next = |word: u64| {
            let (count, time) = change(word >> 48, word & TIME);
            Some(count << 48 | time & TIME)
        };
        // The closure always gives a word, so the update can't fail.
        _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }
}

/// The counters of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub busy: Busy,
    /// Calls begun.
    pub begun: AtomicU64,
    /// Attempts answered to the end.
    pub answered: AtomicU64,
    /// Attempts that the upstream failed.
    pub failed: AtomicU64,
    /// Attempts that the client gave up.
    pub abandoned: AtomicU64,
    pub input_tokens: AtomicU64,
    pub cached_tokens: AtomicU64,
    pub output_tokens: AtomicU64,
    /// The mean time that a request stays, in microseconds.
    pub service_us: AtomicU32,
    /// The mean time to the first content of a stream, in microseconds.
    pub ttft_us: AtomicU32,
    /// The mean time per output token after it, in microseconds.
    pub tpot_us: AtomicU32,
    /// Set by the meter from `begun`.
    pub arrivals_per_ks: AtomicU32,
    failures: AtomicU32,
    /// Zero when up, else the instant in microseconds from which a probe may go.
    down_until: AtomicI64,
    /// Prompts that it has read of late.
    pub remembered: Remembered,
    /// When the provisioned units will have worked off what they took, in microseconds.
    units_free_at: AtomicI64,
}

/// How much work provisioned units take at once when they have been idle: as `market` has it, what they handle in a minute.
const UNITS_BURST: Duration = Duration::from_secs(60);

impl Counters {
    pub fn health(&self, now: Instant) -> Health {
        match self.down_until.load(Ordering::Relaxed) {
            0 => Health::Up,
            until if now.micros() < until => Health::Down { until: Instant::from_micros(until) },
            _ => Health::Probing,
        }
    }

    /// The upstream answered: whatever it was, it is up.
    pub fn succeeded(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.down_until.store(0, Ordering::Relaxed);
    }

    /// The upstream failed; `at_once` when that alone shows that it is down.
    pub fn failed(&self, now: Instant, at_once: bool) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let over =
            if at_once || self.down_until.load(Ordering::Relaxed) != 0 { failures } else { failures.saturating_sub(FAILURES_MAX - 1) };
        if over > 0 {
            let wait = BACKOFF_MIN.saturating_mul(1 << (over - 1).min(10)).min(BACKOFF_MAX);
            self.stay_away(now + wait);
        }
    }

    /// Sends nothing before `until`.
    pub fn stay_away(&self, until: Instant) {
        self.down_until.fetch_max(until.micros(), Ordering::Relaxed);
    }

    /// Weighted tokens that units of this rate can take now.
    pub fn units_left(&self, units_per_second: i64, now: Instant) -> i64 {
        let ahead = self.units_free_at.load(Ordering::Relaxed).saturating_sub(now.micros()).max(0);
        let room = i64::try_from(UNITS_BURST.as_micros()).unwrap_or(i64::MAX) - ahead;
        i64::try_from(i128::from(room) * i128::from(units_per_second) / 1_000_000).unwrap_or(i64::MAX)
    }

    /// Takes weighted tokens from the units, or gives some back when `weighted` is below zero.
    pub fn take_units(&self, weighted: i64, units_per_second: i64, now: Instant) {
        if units_per_second <= 0 {
            return;
        }
        let micros = i64::try_from(i128::from(weighted) * 1_000_000 / i128::from(units_per_second)).unwrap_or(i64::MAX);
        let next = |free_at: i64| Some(free_at.max(now.micros()).saturating_add(micros));
        // The closure always gives a number, so the update can't fail.
        _ = self.units_free_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    /// Adds what an attempt took.
    pub fn add(&self, tokens: Tokens) {
        self.input_tokens.fetch_add(tokens.input.into(), Ordering::Relaxed);
        self.cached_tokens.fetch_add(tokens.cached.into(), Ordering::Relaxed);
        self.output_tokens.fetch_add(tokens.output.into(), Ordering::Relaxed);
    }

    /// Learns how long a request stayed.
    pub fn stayed(&self, time: Duration) {
        learn(&self.service_us, micros(time));
    }

    /// Learns how long a stream's first content took, and its tokens after it.
    pub fn streamed(&self, first: Duration, rest: Duration, tokens: u32) {
        learn(&self.ttft_us, micros(first));
        if let Some(per_token) = rest.checked_div(tokens.saturating_sub(1)) {
            learn(&self.tpot_us, micros(per_token));
        }
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX).max(1)
}

/// Moves a mean an eighth of the way to a sample; the first sample is taken whole. Zero means nothing is known.
pub(crate) fn learn(mean: &AtomicU32, sample: u32) {
    let next = |old: u32| {
        let moved = if old == 0 { i64::from(sample) } else { i64::from(old) + (i64::from(sample) - i64::from(old)) / 8 };
        Some(u32::try_from(moved).unwrap_or(u32::MAX).max(1))
    };
    // The closure always gives a number, so the update can't fail.
    _ = mean.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_upstream_goes_down_is_probed_and_comes_back() {
        let (counters, at) = (Counters::default(), |ms: i64| Instant::from_micros(1_000_000_000 + ms * 1_000));
        for _ in 1..FAILURES_MAX {
            counters.failed(at(0), false);
            assert_eq!(counters.health(at(0)), Health::Up);
        }
        counters.failed(at(0), false);
        assert_eq!(counters.health(at(0)), Health::Down { until: at(500) });
        assert_eq!(counters.health(at(500)), Health::Probing);
        counters.failed(at(500), false);
        assert!(matches!(counters.health(at(999)), Health::Down { .. }));
        counters.succeeded();
        assert_eq!(counters.health(at(999)), Health::Up);
        counters.failed(at(1_000), true);
        assert_eq!(counters.health(at(1_000)), Health::Down { until: at(1_500) });
    }

    #[test]
    fn units_fill_up_drain_and_take_back() {
        let (counters, at) = (Counters::default(), |s: i64| Instant::from_micros(1_000_000_000 + s * 1_000_000));
        assert_eq!(counters.units_left(100, at(0)), 6_000);
        counters.take_units(6_500, 100, at(0));
        assert_eq!(counters.units_left(100, at(0)), -500);
        assert_eq!(counters.units_left(100, at(5)), 0);
        counters.take_units(-500, 100, at(5));
        assert_eq!(counters.units_left(100, at(5)), 500);
        assert_eq!(counters.units_left(100, at(90)), 6_000);
    }

    proptest! {
        /// Busy time is the length of the union of the requests' spans.
        #[test]
        fn busy_time_is_the_union(spans in prop::collection::vec((0..300_u64, 1..60_u64), 0..30), read in 0..400_u64) {
            let mut events: Vec<(u64, bool)> = spans.iter().flat_map(|(from, long)| [(*from, true), (from + long, false)]).collect();
            // At one instant a request that begins comes before one that ends: it makes no difference to the union.
            events.sort_unstable_by_key(|(at, begins)| (*at, !begins));
            let busy = Busy::default();
            for (at, begins) in events.iter().filter(|(at, _)| *at <= read) {
                if *begins { busy.enter(*at) } else { busy.leave(*at) }
            }
            let union = (0..read).filter(|at| spans.iter().any(|(from, long)| (*from..from + long).contains(at))).count();
            prop_assert_eq!(busy.micros(read), union as u64);
        }
    }
}
