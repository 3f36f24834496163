//! A budget that several gateways share: this one spends only what it has been leased.
//!
//! What is taken less what is leased is one word, the purse's, so that a request takes of the lease without a lock, and whoever renews
//! it can lower it while requests take.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use market::{LEASE_HOLDS, Leased};
use units::{Instant, Money, Span};

use crate::admission::account::{Owner, Purse};

/// How long a request may wait for the first lease of a period.
pub(crate) const FIRST_LEASE: Duration = Duration::from_secs(3);

/// A lease that has not been renewed for so long is one of a gateway that has lost touch: quiet ones are renewed more often.
const FRESH: Duration = Duration::from_secs(6);

/// The lease of one purse.
#[derive(Debug)]
pub(crate) struct Lease {
    /// Up to how much may be taken, all told. Only who renews it changes it.
    ceiling: AtomicI64,
    /// Until when, in microseconds since 1970.
    until: AtomicI64,
    /// How much nobody held when it was last renewed.
    free: AtomicI64,
    /// What the dearest request needs that found too little.
    need: AtomicI64,
}

impl Lease {
    /// Nothing is leased yet; a request may wait for it for a moment.
    pub fn none(now: Instant) -> Self {
        let wait = now + FIRST_LEASE;
        Self { ceiling: 0.into(), until: i64::MIN.into(), free: wait.micros().into(), need: 0.into() }
    }

    pub fn ceiling(&self) -> i64 {
        self.ceiling.load(Ordering::Relaxed)
    }

    /// Whether it holds at `now`.
    pub fn holds(&self, now: Instant) -> bool {
        now.micros() < self.until.load(Ordering::Acquire)
    }

    /// When its last renewal was asked for; `None` before the first.
    pub fn heard(&self) -> Option<Instant> {
        let until = Some(self.until.load(Ordering::Acquire)).filter(|until| *until > i64::MIN)?;
        Some(Instant::from_micros(until.saturating_sub(i64::try_from(LEASE_HOLDS.as_micros()).unwrap_or(i64::MAX))))
    }

    /// How much there was besides when it was last renewed.
    pub fn free(&self) -> i64 {
        self.free.load(Ordering::Relaxed)
    }

    /// Lowers up to how much may be taken by what was given back. Only who renews it does.
    pub fn lower(&self, by: i64) {
        self.ceiling.fetch_sub(by, Ordering::AcqRel);
    }

    /// Takes in an answer: `count`, which is what is taken less what may be, and the ceiling are moved to what is to be kept, and it holds
    /// until `until`.
    pub fn renew(&self, count: &AtomicI64, leased: Leased, until: Instant) {
        let ceiling = self.ceiling();
        let change = |count| Some(market::give_back(count, ceiling.saturating_sub(leased.keep)).0);
        // The closure always gives a number, so the update can't fail.
        let before = count.fetch_update(Ordering::AcqRel, Ordering::Acquire, change).unwrap_or_default();
        let given = market::give_back(before, ceiling.saturating_sub(leased.keep)).1;
        let more = leased.keep.saturating_sub(ceiling).max(0);
        count.fetch_sub(more, Ordering::AcqRel);
        self.ceiling.store(ceiling - given + more, Ordering::Release);
        self.free.store(leased.free, Ordering::Relaxed);
        self.until.store(until.micros(), Ordering::Release);
    }

    /// Whether it was renewed of late.
    pub fn is_fresh(&self, now: Instant) -> bool {
        self.holds(now + LEASE_HOLDS.saturating_sub(FRESH))
    }

    /// Notes what a request needs of it that finds only `left`; whether the next renewal may bring it.
    pub fn may_bring(&self, cost: i64, left: i64, now: Instant) -> bool {
        self.need.fetch_max(cost, Ordering::Relaxed);
        let free = self.free.load(Ordering::Relaxed);
        match self.until.load(Ordering::Acquire) {
            i64::MIN => now.micros() < free,
            _ => self.is_fresh(now) && left.saturating_add(free) >= cost,
        }
    }
}

/// A shared budget in its present period, as whoever renews its lease sees it.
#[derive(Clone, Debug)]
pub struct Allotment {
    /// Whose it is.
    pub owner: Owner,
    /// The period.
    pub period: Span,
    /// The whole budget, in the fleet's currency.
    pub budget: Money,
    pub(crate) purse: Arc<Purse>,
}

impl Allotment {
    /// How much was taken here, requests under way among it, in nano-units; and up to how much may be.
    #[must_use]
    pub fn standing(&self) -> (i64, i64) {
        let ceiling = self.purse.lease.as_ref().map_or(0, Lease::ceiling);
        (self.purse.taken(), ceiling)
    }

    /// What the dearest request needed, since this was last asked, that found too little.
    #[must_use]
    pub fn need(&self) -> i64 {
        self.purse.lease.as_ref().map_or(0, |lease| lease.need.swap(0, Ordering::Relaxed))
    }

    /// Takes in an answer: the lease is raised or lowered to what is to be kept, and holds until `until`. To be called by one thread only.
    pub fn renew(&self, leased: Leased, until: Instant) {
        if let Some(lease) = &self.purse.lease {
            lease.renew(&self.purse.count, leased, until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leased(keep: i64, free: i64) -> Leased {
        Leased { granted: keep, keep, free }
    }

    fn allotment(now: Instant) -> Allotment {
        let period = Span::ALWAYS;
        Allotment { owner: Owner::Fleet, period, budget: Money::from_nanos(1_000), purse: Arc::new(Purse::new(period, true, now)) }
    }

    fn reserve(purse: &Purse, cost: i64) -> bool {
        let next = |count| market::Account::leased().reserve(count, Money::from_nanos(cost.into())).map(|(next, _)| next);
        purse.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).is_ok()
    }

    #[test]
    fn a_lease_is_raised_lowered_as_far_as_is_left_and_told_what_was_short() {
        let (now, until) = (Instant::from_micros(5_000_000), Instant::from_micros(12_000_000));
        let allotment = allotment(now);
        let lease = allotment.purse.lease.as_ref().expect("it is shared");
        assert!(!lease.holds(now) && lease.may_bring(70, 0, now), "the first one may come yet");
        assert!(!lease.may_bring(70, 0, now + FIRST_LEASE), "but not for ever");
        assert_eq!((allotment.need(), allotment.need()), (70, 0), "it is told once");
        allotment.renew(leased(100, 50), until);
        assert!(lease.holds(now) && !lease.holds(until));
        assert!(reserve(&allotment.purse, 60) && !reserve(&allotment.purse, 41));
        assert_eq!(allotment.standing(), (60, 100));
        assert!(
            lease.may_bring(90, 40, now) && !lease.may_bring(91, 40, now) && !lease.may_bring(90, 40, until),
            "40 here and 50 nobody holds"
        );
        allotment.renew(leased(80, 70), until);
        assert_eq!(allotment.standing(), (60, 80));
        allotment.renew(leased(0, 0), until);
        assert_eq!(allotment.standing(), (60, 60), "what is taken is not given back");
        allotment.purse.change(-10);
        allotment.renew(leased(75, 0), until);
        assert_eq!(allotment.standing(), (50, 75));
        assert!(reserve(&allotment.purse, 25) && !reserve(&allotment.purse, 1));
    }

    #[test]
    fn requests_and_renewals_at_once_never_pass_what_is_leased() {
        let allotment = allotment(Instant::default());
        let (until, taken) = (Instant::MAX, AtomicI64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..20_000 {
                        if reserve(&allotment.purse, 3) {
                            taken.fetch_add(3, Ordering::Relaxed);
                        }
                    }
                });
            }
            for round in 0..2_000_i64 {
                let (had, _) = allotment.standing();
                allotment.renew(leased(had + (round * 7) % 90, 0), until);
                let (taken, ceiling) = allotment.standing();
                assert!(taken <= ceiling, "{taken} of {ceiling}");
            }
        });
        let (stands, ceiling) = allotment.standing();
        assert_eq!(stands, taken.load(Ordering::Relaxed), "nothing is lost or counted twice");
        assert!(stands <= ceiling);
    }
}
