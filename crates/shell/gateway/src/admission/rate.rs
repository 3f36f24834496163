//! A rate of an account: a bucket of this gateway's own, or what it has been leased of one that several gateways share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fleet::PerMinute;
use market::{Dry, Leased, Limit, RATE_WHOLE};
use units::Instant;

use crate::admission::account::{Kind, Owner};
use crate::admission::allotment::{FIRST_LEASE, Lease};

/// A rate with its state.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub limit: Limit,
    kind: Kind,
    state: State,
}

#[derive(Debug)]
enum State {
    /// When it is full.
    Own(AtomicI64),
    Shared(Arc<Lent>),
}

/// Why nothing is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    Dry(Dry),
    /// The next lease may bring it.
    Lease,
    /// This gateway has lost touch with the others.
    Unleased,
}

impl Bucket {
    pub fn new(rate: PerMinute, kind: Kind, shared: bool, now: Instant) -> Self {
        let state = if shared { State::Shared(Arc::new(Lent::none(now))) } else { State::Own(AtomicI64::new(0)) };
        Self { limit: Limit::new(rate), kind, state }
    }

    /// Goes on from where another was before its limit changed.
    pub fn follow(&mut self, before: &Self) {
        self.state = match &before.state {
            State::Own(state) => State::Own(state.load(Ordering::Relaxed).into()),
            State::Shared(lent) => State::Shared(Arc::clone(lent)),
        };
    }

    pub fn take(&self, count: i64, now: Instant) -> Result<(), Lack> {
        match &self.state {
            State::Own(state) => {
                let mut dry = Dry::Always;
                let take = |state| self.limit.take(state, now, count).map_err(|error| dry = error).ok();
                state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_err(|_| Lack::Dry(dry))?;
            }
            State::Shared(lent) => lent.take(self.limit.time(count), now)?,
        }
        Ok(())
    }

    /// Takes more, or gives back what is below zero. What a shared one is given back is anybody's with the next lease.
    pub fn correct(&self, more: i64) {
        match &self.state {
            State::Own(state) => {
                let next = |state| Some(self.limit.correct(state, more));
                // The closure always gives a number, so the update can't fail.
                _ = state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
            }
            State::Shared(lent) => lent.correct(self.limit.time(more)),
        }
    }

    /// What stands in the way of a request, as far as that can be said before anything is taken: of a shared rate only. `waits` is whether
    /// it is among those that wait already.
    pub fn lack(&self, count: i64, waits: bool, now: Instant) -> Option<Lack> {
        let State::Shared(lent) = &self.state else { return None };
        if count > self.limit.whole() { Some(Lack::Dry(Dry::Always)) } else { lent.lack(self.limit.time(count), waits, now) }
    }

    /// Counts a request among those that wait for a lease, or out of them below zero.
    pub fn wait(&self, count: i64) {
        if let State::Shared(lent) = &self.state {
            lent.waiting.fetch_add(self.limit.time(count), Ordering::Relaxed);
        }
    }

    /// Notes how little would be of use to a request that waits.
    pub fn need(&self, count: i64) {
        if let State::Shared(lent) = &self.state {
            lent.least.fetch_min(self.limit.time(count), Ordering::Relaxed);
        }
    }

    /// How much is left, and how long until it is whole: of a shared one, in the bucket of all as it was heard of last.
    pub fn left(&self, now: Instant) -> (i64, Duration) {
        match &self.state {
            State::Own(state) => {
                let state = state.load(Ordering::Relaxed);
                (self.limit.left(state, now), self.limit.full_in(state, now))
            }
            State::Shared(lent) => {
                let there = lent.there(now).max(0);
                (self.limit.count(there), Duration::from_nanos((RATE_WHOLE - there).max(0).unsigned_abs()))
            }
        }
    }

    /// As whoever renews its lease sees it.
    pub fn part(&self, owner: Owner) -> Option<RatePart> {
        let State::Shared(lent) = &self.state else { return None };
        let (kind, usual) = match self.kind {
            Kind::Requests => ("requests", self.limit.time(1)),
            Kind::Tokens => ("tokens", 0),
        };
        Some(RatePart { owner, kind, usual, lent: Arc::clone(lent) })
    }
}

/// What is leased of a shared rate. Amounts are times, as `market::RateBucket` counts.
#[derive(Debug)]
struct Lent {
    /// What is taken less what may be: below zero while something is left.
    count: AtomicI64,
    lease: Lease,
    /// Until when the first lease may come yet.
    first: Instant,
    /// What requests gave back since it was told last: by then the bucket may be full, so it is not taken again before.
    returned: AtomicI64,
    /// What all requests need that wait for a lease.
    waiting: AtomicI64,
    /// What the smallest of them needs, since it was told last.
    least: AtomicI64,
}

impl Lent {
    fn none(now: Instant) -> Self {
        let (lease, first) = (Lease::none(now), now + FIRST_LEASE);
        Self { count: 0.into(), lease, first, returned: 0.into(), waiting: 0.into(), least: i64::MAX.into() }
    }

    fn take(&self, cost: i64, now: Instant) -> Result<(), Lack> {
        let next = |count: i64| count.checked_add(cost).filter(|next| cost == 0 || *next <= 0);
        if !self.lease.holds(now) || self.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_err() {
            // Another was faster.
            return Err(Lack::Lease);
        }
        Ok(())
    }

    fn correct(&self, more: i64) {
        if more > 0 {
            self.count.fetch_add(more, Ordering::AcqRel);
        } else {
            self.returned.fetch_add(more.saturating_neg(), Ordering::AcqRel);
        }
    }

    /// How much is leased and not taken.
    fn left(&self, now: Instant) -> i64 {
        if self.lease.holds(now) { self.count.load(Ordering::Acquire).saturating_neg() } else { 0 }
    }

    /// How much is in the bucket of all, with what has come since it was heard of.
    fn there(&self, now: Instant) -> i64 {
        let Some(heard) = self.lease.heard() else { return 0 };
        let come = i64::try_from(now.since(heard).as_nanos()).unwrap_or(i64::MAX);
        self.left(now).saturating_add(self.lease.free()).saturating_add(come).min(RATE_WHOLE)
    }

    fn lack(&self, cost: i64, waits: bool, now: Instant) -> Option<Lack> {
        if self.lease.holds(now) && cost <= self.left(now) {
            return None;
        }
        if self.lease.heard().is_none() && now < self.first {
            return Some(Lack::Lease);
        }
        if !self.lease.is_fresh(now) {
            return Some(Lack::Unleased);
        }
        let ahead = self.waiting.load(Ordering::Relaxed) - if waits { cost } else { 0 };
        let lacking = cost.saturating_add(ahead).saturating_sub(self.there(now));
        let later = u64::try_from(lacking).ok().filter(|lacking| *lacking > 0);
        Some(later.map_or(Lack::Lease, |lacking| Lack::Dry(Dry::For(Duration::from_nanos(lacking)))))
    }
}

/// A shared rate, as whoever renews its lease sees it.
#[derive(Clone, Debug)]
pub struct RatePart {
    /// Whose it is.
    pub owner: Owner,
    /// What it is of: `requests` or `tokens`.
    pub kind: &'static str,
    /// What is of use while nobody waits.
    usual: i64,
    lent: Arc<Lent>,
}

/// How a shared rate stands at this gateway, in nanoseconds that a full bucket takes to fill by as much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateStanding {
    /// How much was taken, all told, less what was given back.
    pub taken: i64,
    /// Up to how much may be.
    pub ceiling: i64,
    /// What all requests need that wait.
    pub need: i64,
    /// Less than this is of no use.
    pub least: i64,
}

impl RatePart {
    /// How it stands. To be asked by one thread only, and not between a question and its answer.
    #[must_use]
    pub fn standing(&self) -> RateStanding {
        let Lent { count, lease, returned, waiting, least, .. } = &*self.lent;
        // What was given back is neither taken nor to be taken any more: both go down, and what may still be taken stays.
        lease.lower(returned.swap(0, Ordering::AcqRel));
        let ceiling = lease.ceiling();
        let need = waiting.load(Ordering::Relaxed).max(0);
        let least = Some(least.swap(i64::MAX, Ordering::Relaxed)).filter(|least| need > 0 && *least < i64::MAX);
        RateStanding { taken: count.load(Ordering::Acquire).saturating_add(ceiling), ceiling, need, least: least.unwrap_or(self.usual) }
    }

    /// Takes in an answer: the lease is moved to what is to be kept, and holds until `until`. To be called by one thread only.
    pub fn renew(&self, leased: Leased, until: Instant) {
        self.lent.lease.renew(&self.lent.count, leased, until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use market::LEASE_HOLDS;

    /// A second of the bucket: one of sixty requests a minute.
    const SECOND: i64 = 1_000_000_000;

    fn at(seconds: i64) -> Instant {
        Instant::from_micros(1_800_000_000_000_000 + seconds * 1_000_000)
    }

    fn bucket(kind: Kind) -> (Bucket, RatePart) {
        let bucket = Bucket::new(PerMinute::new(60).expect("a rate"), kind, true, at(0));
        let part = bucket.part(Owner::Fleet).expect("it is shared");
        (bucket, part)
    }

    fn renew(part: &RatePart, keep: i64, free: i64, sent: i64) {
        part.renew(Leased { granted: keep, keep, free }, at(sent) + LEASE_HOLDS);
    }

    fn standing(part: &RatePart) -> (i64, i64, i64, i64) {
        let RateStanding { taken, ceiling, need, least } = part.standing();
        (taken / SECOND, ceiling / SECOND, need / SECOND, least / SECOND)
    }

    #[test]
    fn what_is_leased_is_taken_and_what_is_not_is_waited_for_or_refused() {
        let (bucket, part) = bucket(Kind::Requests);
        assert_eq!(bucket.lack(1, false, at(2)), Some(Lack::Lease), "the first lease may come yet");
        assert_eq!(bucket.lack(1, false, at(3)), Some(Lack::Unleased));
        assert_eq!(bucket.lack(61, false, at(0)), Some(Lack::Dry(Dry::Always)));
        assert_eq!(standing(&part), (0, 0, 0, 1));
        renew(&part, 2 * SECOND, 10 * SECOND, 10);
        assert_eq!(bucket.left(at(10)), (12, Duration::from_secs(48)), "what the bucket of all has");
        assert_eq!((bucket.lack(2, false, at(10)), bucket.take(2, at(10)), bucket.take(1, at(10))), (None, Ok(()), Err(Lack::Lease)));
        assert_eq!(bucket.lack(10, false, at(10)), Some(Lack::Lease));
        assert_eq!(bucket.lack(11, false, at(10)), Some(Lack::Dry(Dry::For(Duration::from_secs(1)))));
        assert_eq!(bucket.lack(11, false, at(11)), Some(Lack::Lease), "one more has come");
        bucket.wait(8);
        assert_eq!(bucket.lack(3, false, at(10)), Some(Lack::Dry(Dry::For(Duration::from_secs(1)))), "eight are ahead of it");
        assert_eq!(bucket.lack(8, true, at(10)), Some(Lack::Lease), "and are not ahead of themselves");
        bucket.need(5);
        bucket.need(3);
        assert_eq!(standing(&part), (2, 2, 8, 3));
        assert_eq!(standing(&part), (2, 2, 8, 1), "how little is of use is told once");
        bucket.wait(-8);
        assert_eq!(bucket.lack(1, false, at(16)), Some(Lack::Unleased), "it was not renewed for six seconds");
        renew(&part, 5 * SECOND, 0, 16);
        assert_eq!(
            (bucket.lack(3, false, at(25)), bucket.lack(3, false, at(26))),
            (None, Some(Lack::Unleased)),
            "a lease holds ten seconds"
        );
        assert_eq!(bucket.take(1, at(26)), Err(Lack::Lease));
    }

    #[test]
    fn what_is_given_back_is_told_and_not_taken_again_before() {
        let (bucket, part) = bucket(Kind::Tokens);
        renew(&part, 10 * SECOND, 0, 0);
        assert_eq!(bucket.take(10, at(0)), Ok(()));
        bucket.correct(-4);
        assert_eq!(bucket.take(1, at(0)), Err(Lack::Lease));
        assert_eq!(standing(&part), (6, 6, 0, 0));
        renew(&part, 7 * SECOND, 0, 1);
        assert_eq!((bucket.take(1, at(1)), bucket.take(1, at(1))), (Ok(()), Err(Lack::Lease)));
        bucket.correct(5);
        assert_eq!(standing(&part), (12, 7, 0, 0), "what was taken beyond is told too");
    }

    #[test]
    fn a_new_limit_goes_on_with_what_is_leased() {
        let (bucket, part) = bucket(Kind::Requests);
        renew(&part, 10 * SECOND, 0, 0);
        assert_eq!(bucket.take(5, at(0)), Ok(()));
        let mut other = Bucket::new(PerMinute::new(120).expect("a rate"), Kind::Requests, true, at(0));
        other.follow(&bucket);
        assert_eq!((other.take(10, at(0)), other.take(1, at(0))), (Ok(()), Err(Lack::Lease)), "half a second each");
        assert_eq!(standing(&part).0, 10);
    }
}
