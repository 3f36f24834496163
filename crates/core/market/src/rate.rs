//! A rate that several replicas share: one bucket that fills evenly, of which whoever keeps it grants leases one after another.
//!
//! Amounts are times: as long as the bucket takes to fill by as much. So a full one holds a minute whatever the rate is, and replicas that
//! know of a key's new limit count in the same as those that don't yet. What is leased is taken out of the bucket only once its holder says
//! that it was taken, or when the lease comes back unsaid; until then nobody else gets it. `docs/books.md` says what follows from that.

use core::time::Duration;

use units::Instant;

use crate::lease::{Holding, LEASE_HOLDS, LEASE_MARGIN, LeaseAsk, Leased};

/// What a full bucket holds.
pub const RATE_WHOLE: i64 = 60_000_000_000;

/// How long after somebody waited for what others hold they hold no more than waits at them: longer than goes by between two questions.
pub const RATE_SHORT: Duration = Duration::from_secs(5);

/// Leases are at most this part of what nobody holds, besides what waits.
const MOST: i64 = 4;
/// They are at least this part, so that a request need not wait for one.
const LEAST: i64 = 16;

/// The bucket of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateBucket {
    /// When it will be full, in nanoseconds since 1970; what has passed is full.
    pub full_at: i64,
    /// Until when nobody holds more than waits there.
    pub short_until: Instant,
}

impl RateBucket {
    /// How much is in it, what is leased included; below zero after more was taken than it had.
    #[must_use]
    pub fn left(&self, now: Instant) -> i64 {
        RATE_WHOLE.saturating_sub(self.full_at.saturating_sub(nanos(now)).max(0))
    }

    /// A lease that has come back without its holder having said what it took counts as taken, all of it, when it came back: whenever that is
    /// found out, the bucket has filled since.
    pub fn settle(&mut self, holding: &mut Holding, now: Instant) {
        self.take(holding.granted.saturating_sub(holding.taken).max(0), now.min(holding.returns));
        holding.taken = holding.taken.max(holding.granted);
    }

    /// The process that had it has ended, and another counts from nothing in its place.
    pub fn settle_for_good(&mut self, holding: &mut Holding, now: Instant) {
        self.settle(holding, now);
        (holding.granted, holding.taken) = (0, 0);
    }

    /// Answers a replica: what the account knows of it from now on, and what it is told; its `free` is what the bucket has besides, also
    /// what others hold of that. `others` are the holdings of all others: those that have come back are settled. `least` is what the smallest
    /// request needs that waits, or that usually comes: less than that is of no use to anybody. Nothing for a question that comes after a
    /// later one.
    #[must_use]
    pub fn lease(
        &mut self,
        others: &mut [Holding],
        before: Option<Holding>,
        ask: &LeaseAsk,
        least: i64,
        now: Instant,
    ) -> Option<(Holding, Leased)> {
        if before.is_some_and(|before| before.asked >= ask.asked) {
            return None;
        }
        let mut before = before;
        let returned = before.is_some_and(|before| before.lapsed(now));
        for holding in others.iter_mut().chain(before.as_mut()).filter(|holding| holding.lapsed(now)) {
            self.settle(holding, now);
        }
        let more = ask.taken.saturating_sub(before.map_or(0, |before| before.taken));
        // What counted as taken when its lease came back unsaid has been filled up since, as if it were: it is not given back as well.
        self.take(if returned { more.max(0) } else { more }, now);
        let out = others.iter().map(|holding| holding.granted.saturating_sub(holding.taken).max(0)).fold(0, i64::saturating_add);
        let (left, free) = (self.left(now), self.left(now).saturating_sub(out).max(0));
        if ask.need > 0 && free < least && least <= left {
            self.short_until = now + RATE_SHORT;
        }
        let keep = ask.taken.saturating_add(self.wanted(free, ask, least, now));
        // What it may be using at this moment stays granted: it lowers that itself, and says so the next time.
        let held = before.filter(|before| !before.lapsed(now)).map_or(ask.taken, |before| before.granted.min(ask.ceiling));
        let granted = keep.max(held);
        let holding = Holding { granted, taken: ask.taken, asked: ask.asked, returns: now + LEASE_HOLDS + LEASE_MARGIN };
        Some((holding, Leased { granted, keep, free: left.saturating_sub(granted.saturating_sub(ask.taken)).max(0) }))
    }

    /// How much a replica is to hold: what waits there, and beforehand, where nobody else waits for it, what ten seconds take at its pace.
    fn wanted(&self, free: i64, ask: &LeaseAsk, least: i64, now: Instant) -> i64 {
        let pace = ask.pace.saturating_mul(i64::try_from(LEASE_HOLDS.as_secs()).unwrap_or(i64::MAX));
        let one = if least <= free / MOST { least } else { 0 };
        let beforehand = if now < self.short_until { 0 } else { pace.max(free / LEAST).max(one).min(free / MOST) };
        let wanted = beforehand.saturating_add(ask.need).min(free);
        if wanted < least { 0 } else { wanted }
    }

    fn take(&mut self, more: i64, now: Instant) {
        let from = if more > 0 { self.full_at.max(nanos(now)) } else { self.full_at };
        self.full_at = from.saturating_add(more);
    }
}

fn nanos(now: Instant) -> i64 {
    now.micros().saturating_mul(1_000)
}
