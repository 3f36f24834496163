//! What is counted of each endpoint while requests run: atomics that every request reads and no one locks.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use dispatch::Health;
use market::Tokens;
use units::Instant;

use crate::limits::{BACKOFF_MAX, BACKOFF_MIN, FAILURES_MAX, HUNG_MIN, HUNG_TIMES, OUTRUNS_MAX};
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
    /// Attempts in a row that others beside them outran before they had any content.
    outruns: AtomicU32,
    /// Zero when up, else the instant in microseconds from which a probe may go.
    down_until: AtomicI64,
    /// When it was last found to be down, in microseconds.
    down_at: AtomicI64,
    /// Until when it said that it is busy, in microseconds.
    busy_until: AtomicI64,
    /// The same where it takes no more of what is ours (429).
    pushed_back_until: AtomicI64,
    /// Prompts that it has read of late.
    pub remembered: Remembered,
}

impl Counters {
    pub fn health(&self, now: Instant) -> Health {
        let (down, busy) = (self.down_until.load(Ordering::Relaxed), self.busy_until.load(Ordering::Relaxed));
        match down.max(busy) {
            until if now.micros() < until => Health::Down { until: Instant::from_micros(until) },
            _ if down != 0 => Health::Probing,
            _ => Health::Up,
        }
    }

    /// Whether a request that chose it may go there: always while it is up, and when it has failed only the one that takes the probe. If
    /// nothing is heard of that probe, as when its client leaves, the next one may go once the endpoint would have been left alone again.
    pub fn enter(&self, now: Instant) -> bool {
        match self.down_until.load(Ordering::Relaxed) {
            0 => true,
            until if now.micros() < until => false,
            until => {
                let again = now + backoff(self.failures.load(Ordering::Relaxed));
                self.down_until.compare_exchange(until, again.micros(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
            }
        }
    }

    /// The upstream began to answer: it is up. Whether it also ends what it begins is still to be seen.
    pub fn began(&self) {
        self.outruns.store(0, Ordering::Relaxed);
        self.down_until.store(0, Ordering::Relaxed);
    }

    /// The upstream answered: whatever it was, it is up.
    pub fn succeeded(&self) {
        self.began();
        self.failures.store(0, Ordering::Relaxed);
    }

    /// An attempt was outrun before it had any content; says whether that shows that the upstream hangs: nobody waits for it long enough to
    /// see.
    pub fn outrun(&self) -> bool {
        self.outruns.fetch_add(1, Ordering::Relaxed).saturating_add(1) >= OUTRUNS_MAX
    }

    /// The upstream failed an attempt that began at `began`; `at_once` when that alone shows that it is down. What was under way when it was
    /// found to be down says nothing new: so a hundred streams that are lost together leave it alone no longer than three.
    pub fn failed(&self, began: Instant, now: Instant, at_once: bool) {
        if began.micros() < self.down_at.load(Ordering::Relaxed) {
            return;
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let over =
            if at_once || self.down_until.load(Ordering::Relaxed) != 0 { failures } else { failures.saturating_sub(FAILURES_MAX - 1) };
        if over > 0 {
            self.down_at.fetch_max(now.micros(), Ordering::Relaxed);
            self.down_until.fetch_max((now + backoff(over)).micros(), Ordering::Relaxed);
        }
    }

    /// Whether an attempt without any content, whose client left or that was given up after so long, shows that the upstream hangs. It would
    /// else not be noticed where no client waits for as long as we would, or where a good head is all that ever comes.
    pub fn hangs(&self, streamed: bool, waited: Duration) -> bool {
        let usual = if streamed { &self.ttft_us } else { &self.service_us };
        let usual = Duration::from_micros(usual.load(Ordering::Relaxed).into());
        !usual.is_zero() && waited > HUNG_MIN.max(usual * HUNG_TIMES)
    }

    /// The upstream is busy until then, by its own word: it is left alone, and is as good as ever afterwards.
    pub fn busy_until(&self, until: Instant) {
        self.busy_until.fetch_max(until.micros(), Ordering::Relaxed);
    }

    /// The upstream takes no more of what is ours until then, by its own word.
    pub fn pushed_back_until(&self, until: Instant) {
        self.pushed_back_until.fetch_max(until.micros(), Ordering::Relaxed);
        self.busy_until(until);
    }

    /// Whether that is all that keeps requests away.
    pub fn is_pushed_back(&self, now: Instant) -> bool {
        let (back, down) = (self.pushed_back_until.load(Ordering::Relaxed), self.down_until.load(Ordering::Relaxed));
        now.micros() < back && down <= now.micros()
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

/// How long an upstream that failed so often is left alone.
fn backoff(failures: u32) -> Duration {
    BACKOFF_MIN.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(BACKOFF_MAX)
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
            counters.failed(at(0), at(0), false);
            assert_eq!(counters.health(at(0)), Health::Up);
        }
        counters.failed(at(0), at(0), false);
        assert_eq!(counters.health(at(0)), Health::Down { until: at(500) });
        assert_eq!(counters.health(at(500)), Health::Probing);
        counters.failed(at(500), at(500), false);
        assert!(matches!(counters.health(at(999)), Health::Down { .. }));
        counters.succeeded();
        assert_eq!(counters.health(at(999)), Health::Up);
        counters.failed(at(1_000), at(1_000), true);
        assert_eq!(counters.health(at(1_000)), Health::Down { until: at(1_500) });
    }

    #[test]
    fn what_is_lost_together_counts_once() {
        let (counters, at) = (Counters::default(), |ms: i64| Instant::from_micros(1_000_000_000 + ms * 1_000));
        for lost in 0..100 {
            counters.failed(at(lost), at(1_000 + lost), lost % 2 == 0);
        }
        assert_eq!(counters.health(at(1_100)), Health::Down { until: at(1_500) }, "the first was refused");
        assert_eq!(counters.health(at(1_500)), Health::Probing);
        counters.failed(at(1_500), at(1_600), false);
        counters.failed(at(900), at(1_700), false);
        assert_eq!(
            counters.health(at(1_600)),
            Health::Down { until: at(2_600) },
            "the probe says something new, and an old stream does not"
        );
        counters.succeeded();
        counters.failed(at(901), at(2_700), true);
        assert_eq!(counters.health(at(2_700)), Health::Up, "it has answered since");
    }

    #[test]
    fn one_probe_goes_at_a_time_and_one_that_is_never_heard_of_blocks_nothing() {
        let (counters, at) = (Counters::default(), |ms: i64| Instant::from_micros(1_000_000_000 + ms * 1_000));
        assert!(counters.enter(at(0)) && counters.enter(at(0)), "what is up takes all");
        counters.failed(at(0), at(0), true);
        assert!(!counters.enter(at(499)));
        let probes = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| counters.enter(at(500)))).collect();
            threads.into_iter().map(|thread| thread.join().expect("it only counts")).filter(|went| *went).count()
        });
        assert_eq!((probes, counters.health(at(500))), (1, Health::Down { until: at(1_000) }));
        assert!(counters.enter(at(1_000)), "the first was never heard of");
        counters.succeeded();
        assert!(counters.enter(at(1_001)) && counters.enter(at(1_001)));
    }

    #[test]
    fn what_is_busy_is_left_alone_for_as_long_as_it_says_and_needs_no_probe() {
        let (counters, at) = (Counters::default(), |ms: i64| Instant::from_micros(1_000_000_000 + ms * 1_000));
        counters.busy_until(at(700));
        counters.busy_until(at(300));
        assert_eq!(counters.health(at(699)), Health::Down { until: at(700) });
        assert_eq!(counters.health(at(700)), Health::Up);
        counters.failed(at(700), at(700), true);
        counters.busy_until(at(5_000));
        assert_eq!(counters.health(at(1_300)), Health::Down { until: at(5_000) });
        assert_eq!(counters.health(at(5_000)), Health::Probing);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// Whatever fails and whenever: never left alone for longer than the most, and a success ends it at once.
        #[test]
        fn no_endpoint_is_left_alone_for_longer_than_the_most(steps in prop::collection::vec((0..20_000_i64, any::<bool>()), 1..40)) {
            let (counters, mut now) = (Counters::default(), Instant::from_micros(1_000_000_000));
            for (later, at_once) in steps {
                now = now + Duration::from_millis(later.unsigned_abs());
                counters.failed(now, now, at_once);
                let too_long = matches!(counters.health(now), Health::Down { until } if until > now + BACKOFF_MAX);
                prop_assert!(!too_long);
                let down_still = matches!(counters.health(now + BACKOFF_MAX), Health::Down { .. });
                prop_assert!(!down_still, "it may be probed by then");
            }
            counters.succeeded();
            prop_assert_eq!(counters.health(now), Health::Up);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

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
