//! Held time of several gateways: whose it is to post, and what the others used of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fleet::EndpointId;
use units::{Instant, Span};

use crate::limits::{USED_KEPT, USED_MAX};
use crate::meter::Worked;

const SECOND: i64 = 1_000_000;

/// What a gateway used at one endpoint of time that another posts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// For how many microseconds of a second at least one of its requests was outstanding, by the second since 1970 in UTC.
    pub busy: BTreeMap<i64, i64>,
    /// What its attempts worked.
    pub work: Vec<Worked>,
}

/// Which held time is this gateway's to post: all, unless several share a fleet.
#[derive(Debug)]
pub(crate) struct Keep {
    from: AtomicI64,
    until: AtomicI64,
    /// Up to when it is posted.
    posted: AtomicI64,
    /// What was used here of what another posts, and when that was noted, until it is told.
    used: Mutex<VecDeque<(Instant, EndpointId, Used)>>,
    /// What others used of what is posted here, until it is posted.
    elsewhere: Mutex<Vec<(EndpointId, Used)>>,
}

impl Keep {
    /// All; or of a gateway among several nothing, until it is told.
    pub fn new(shared: bool) -> Self {
        let until = if shared { i64::MIN } else { i64::MAX };
        let (used, elsewhere) = (Mutex::default(), Mutex::default());
        Self { from: i64::MIN.into(), until: until.into(), posted: i64::MIN.into(), used, elsewhere }
    }

    /// Nothing before `from`.
    pub fn begin(&self, from: Instant) {
        self.from.fetch_max(from.micros(), Ordering::AcqRel);
    }

    pub fn set(&self, from: Instant, until: Instant) {
        self.begin(from);
        self.until.store(until.micros(), Ordering::Release);
    }

    pub fn posted(&self) -> Instant {
        Instant::from_micros(self.posted.load(Ordering::Acquire))
    }

    /// Notes that all up to `to` is posted.
    pub fn note_posted(&self, to: Instant) {
        self.posted.store(to.micros(), Ordering::Release);
    }

    /// What of a span is to be posted, and whether more of it is another's.
    pub fn of(&self, span: Span) -> (Span, bool) {
        // Whoever sees a later end sees the beginning that came with it.
        let until = Instant::from_micros(self.until.load(Ordering::Acquire));
        let from = Instant::from_micros(self.from.load(Ordering::Acquire));
        (Span { from: span.from.max(from), to: span.to.min(until) }, span.to > until)
    }

    /// Notes what was used here of what another posts. What nobody has asked for in [`USED_KEPT`] is forgotten, and so is the earliest of too
    /// much.
    pub fn note_used(&self, now: Instant, endpoint: EndpointId, used: Used) {
        let mut kept = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back((now, endpoint, used));
        let mut work: usize = kept.iter().map(|(.., used)| used.work.len()).sum();
        while kept.front().is_some_and(|(at, ..)| now.since(*at) > USED_KEPT || work > USED_MAX) {
            work -= kept.pop_front().map_or(0, |(.., used)| used.work.len());
        }
    }

    /// What was used here of what another posts, since it was last asked for.
    pub fn take_used(&self, now: Instant) -> Vec<(EndpointId, Used)> {
        let kept = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        kept.into_iter().filter(|(at, ..)| now.since(*at) <= USED_KEPT).map(|(_, endpoint, used)| (endpoint, used)).collect()
    }

    /// Takes up what another gateway used of what is posted here.
    pub fn add_elsewhere(&self, endpoint: EndpointId, used: Used) {
        self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner).push((endpoint, used));
    }

    /// What others used of what is posted here, since it was last asked for.
    pub fn take_elsewhere(&self) -> Vec<(EndpointId, Used)> {
        std::mem::take(&mut *self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The time in which at least one request of any gateway was outstanding, from what each says of itself second by second. Of seconds that
/// several were busy for a part of it is an estimate: as if those parts lay in them at random.
#[derive(Debug, Default)]
pub(crate) struct Together {
    /// Microseconds of each of the last seconds in which none was.
    idle: BTreeMap<i64, i64>,
}

impl Together {
    /// One more gateway was busy for so many microseconds of a second: by how many more at least one was.
    pub fn add(&mut self, second: i64, busy: i64) -> u64 {
        let idle = self.idle.entry(second).or_insert(SECOND);
        let more = *idle * busy.clamp(0, SECOND) / SECOND;
        *idle -= more;
        more.unsigned_abs()
    }

    /// Forgets the seconds that nobody tells of any more.
    pub fn forget_before(&mut self, now: Instant) {
        self.idle = self.idle.split_off(&(now.micros().div_euclid(SECOND) - told_for()));
    }
}

/// For how many seconds others may still tell of one: as long as they note it, and as long again on its way.
fn told_for() -> i64 {
    i64::try_from((2 * USED_KEPT).as_secs()).unwrap_or(i64::MAX)
}

/// Shares `busy` microseconds before `to` out among the seconds in which they may have been, the latest first.
pub(crate) fn spread(busy: u64, to: Instant, into: &mut BTreeMap<i64, i64>) {
    let mut left = i64::try_from(busy).unwrap_or(i64::MAX).min(micros(USED_KEPT));
    let mut end = to.micros();
    while left > 0 {
        let second = (end - 1).div_euclid(SECOND);
        let part = left.min(end - second * SECOND);
        *into.entry(second).or_default() += part;
        (left, end) = (left - part, second * SECOND);
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use fleet::{ContractId, Id as _};
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant::from_micros(seconds * SECOND)
    }

    #[test]
    fn who_is_busy_beside_others_adds_the_part_of_the_second_in_which_they_were_not() {
        let mut together = Together::default();
        let added: Vec<u64> =
            [(7, 500_000), (7, 500_000), (8, 300_000), (7, SECOND), (7, 9)].map(|(second, busy)| together.add(second, busy)).into();
        assert_eq!(added, [500_000, 250_000, 300_000, 250_000, 0]);
        // Beyond a second is not in it.
        assert_eq!([together.add(9, 3 * SECOND), together.add(9, 1), together.add(10, -5)], [1_000_000, 0, 0]);
        together.forget_before(at(9 + told_for()));
        assert_eq!(together.idle.keys().collect::<Vec<_>>(), [&9, &10]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn together_they_are_busy_no_less_than_each_and_no_more_than_all_in_whatever_order(
            parts in prop::collection::vec((0..3_i64, 0..=SECOND), 0..12),
        ) {
            let total = |parts: &mut dyn Iterator<Item = &(i64, i64)>| {
                let mut together = Together::default();
                parts.map(|(second, busy)| together.add(*second, *busy)).sum::<u64>()
            };
            let of = |second: i64| parts.iter().filter(move |part| part.0 == second).map(|part| part.1.unsigned_abs());
            let (sum, most) = (0..3).fold((0, 0), |(sum, most), second| {
                (sum + of(second).sum::<u64>().min(SECOND.unsigned_abs()), most + of(second).max().unwrap_or(0))
            });
            let (here, back) = (total(&mut parts.iter()), total(&mut parts.iter().rev()));
            // Each part may round by a microsecond.
            prop_assert!(here + 12 >= most && here <= sum, "{most} <= {here} <= {sum}");
            prop_assert!(here.abs_diff(back) <= 12, "{here} and {back}");
        }

        #[test]
        fn busy_time_is_spread_over_the_seconds_before_it_is_read(busy in 0..=30_000_000_u64, to in 1..100_000_000_i64) {
            let mut into = BTreeMap::new();
            spread(busy, Instant::from_micros(to), &mut into);
            prop_assert_eq!(into.values().sum::<i64>().unsigned_abs(), busy);
            let last = (to - 1).div_euclid(SECOND);
            for (second, part) in &into {
                prop_assert!(*second <= last && (1..=SECOND).contains(part));
                prop_assert!(*second == last || *part == SECOND || into.keys().next() == Some(second), "no gap: {into:?}");
            }
        }
    }

    #[test]
    fn what_was_used_here_is_told_once_and_not_when_it_is_old_or_too_much() {
        let keep = Keep::new(true);
        let used = |count: usize| {
            let attempt = dispatch::AttemptId { request: dispatch::RequestId(1), attempt: 1 };
            Used { work: vec![Worked { attempt, contract: ContractId::from_index(0), work: 1 }; count], ..Used::default() }
        };
        let counts = |told: Vec<(EndpointId, Used)>| told.iter().map(|(.., used)| used.work.len()).collect::<Vec<_>>();
        let endpoint = EndpointId::from_index(0);
        keep.note_used(at(0), endpoint, used(1));
        keep.note_used(at(5), endpoint, used(2));
        assert_eq!(counts(keep.take_used(at(6))), [1, 2]);
        assert_eq!(counts(keep.take_used(at(6))), [0; 0]);
        let long = i64::try_from(USED_KEPT.as_secs()).expect("few");
        for second in [0, 1, long] {
            keep.note_used(at(second), endpoint, used(1));
        }
        assert_eq!(counts(keep.take_used(at(long + 1))), [1, 1]);
        keep.note_used(at(0), endpoint, used(3));
        keep.note_used(at(long + 1), endpoint, used(1));
        assert_eq!(counts(keep.take_used(at(long + 1))), [1]);
        keep.note_used(at(0), endpoint, used(USED_MAX));
        keep.note_used(at(0), endpoint, used(1));
        assert_eq!(counts(keep.take_used(at(0))), [1]);
    }
}
