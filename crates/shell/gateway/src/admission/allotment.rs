//! A budget that several gateways share: this one spends only what it has been leased.
//!
//! What is taken less what is leased is one word, the purse's, so that a request takes of the lease without a lock, and whoever renews
//! it can lower it while requests take.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use market::Leased;
use units::{Instant, Money, Span};

use crate::admission::account::{Owner, Purse};

/// How long a request may wait for the first lease of a period.
const FIRST_LEASE: Duration = Duration::from_secs(3);

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

    /// Notes what a request needs of it that finds only `left`; whether the next renewal may bring it.
    pub fn may_bring(&self, cost: i64, left: i64, now: Instant) -> bool {
        self.need.fetch_max(cost, Ordering::Relaxed);
        let free = self.free.load(Ordering::Relaxed);
        match self.until.load(Ordering::Acquire) {
            i64::MIN => now.micros() < free,
            until => now.micros() < until && left.saturating_add(free) >= cost,
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
        let Some(lease) = &self.purse.lease else { return };
        let ceiling = lease.ceiling();
        let change = |count| Some(market::give_back(count, ceiling.saturating_sub(leased.keep)).0);
        // The closure always gives a number, so the update can't fail.
        let before = self.purse.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, change).unwrap_or_default();
        let given = market::give_back(before, ceiling.saturating_sub(leased.keep)).1;
        let more = leased.keep.saturating_sub(ceiling).max(0);
        self.purse.count.fetch_sub(more, Ordering::AcqRel);
        lease.ceiling.store(ceiling - given + more, Ordering::Release);
        lease.free.store(leased.free, Ordering::Relaxed);
        lease.until.store(until.micros(), Ordering::Release);
    }
}
