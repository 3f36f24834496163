//! What an account may still take: arithmetic of rates a minute and of budgets, without clocks and without atomics.
//!
//! A rate is a bucket that holds a minute's worth and fills evenly: its whole state is the instant at which it will be full again, so that
//! one word says it. A budget is one number too: what was spent in the period and what is reserved for requests under way, together.
//! Every change is a function from the old number to the new one, for whoever keeps the number where others change it as well.

use core::time::Duration;

use fleet::PerMinute;
use units::{Instant, Money};

const MINUTE_NANOS: i128 = 60_000_000_000;

/// A rate: so many a minute. Its state is the instant, in nanoseconds since 1970, at which the bucket is full; one that has passed is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    per_minute: i64,
}

/// Why a bucket does not give what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dry {
    /// It will, after so long.
    For(Duration),
    /// It never holds as much.
    Always,
}

impl Limit {
    /// The limit of this rate.
    #[must_use]
    pub const fn new(rate: PerMinute) -> Self {
        Self { per_minute: rate.count() }
    }

    /// How much a full bucket holds.
    #[must_use]
    pub const fn whole(self) -> i64 {
        self.per_minute
    }

    /// As how long it takes to fill the bucket by `count`: what a rate is counted in that several share ([`crate::RateBucket`]).
    #[must_use]
    pub fn time(self, count: i64) -> i64 {
        let time = i128::from(count) * MINUTE_NANOS / i128::from(self.per_minute);
        i64::try_from(time).unwrap_or(if count < 0 { i64::MIN } else { i64::MAX })
    }

    /// How many come to this long; the other way round.
    #[must_use]
    pub fn count(self, time: i64) -> i64 {
        i64::try_from(i128::from(time) * i128::from(self.per_minute) / MINUTE_NANOS).unwrap_or(i64::MAX)
    }

    /// The state after `count` were taken at `now`.
    ///
    /// # Errors
    /// When there is less: nothing is taken then.
    pub fn take(self, state: i64, now: Instant, count: i64) -> Result<i64, Dry> {
        if count > self.per_minute {
            return Err(Dry::Always);
        }
        let next = self.moved(state.max(nanos(now)), count);
        let over = i128::from(next) - i128::from(nanos(now)) - MINUTE_NANOS;
        if over > 0 { Err(Dry::For(Duration::from_nanos(u64::try_from(over).unwrap_or(u64::MAX)))) } else { Ok(next) }
    }

    /// The state after it turned out that `more` than was taken was due; below zero gives back.
    #[must_use]
    pub fn correct(self, state: i64, more: i64) -> i64 {
        self.moved(state, more)
    }

    /// How much is in the bucket at `now`.
    #[must_use]
    pub fn left(self, state: i64, now: Instant) -> i64 {
        let room = MINUTE_NANOS - i128::from(state.saturating_sub(nanos(now)).max(0));
        self.count(i64::try_from(room.max(0)).unwrap_or(0))
    }

    /// How long until it is full.
    #[must_use]
    pub fn full_in(self, state: i64, now: Instant) -> Duration {
        Duration::from_nanos(u64::try_from(state.saturating_sub(nanos(now))).unwrap_or(0))
    }

    fn moved(self, state: i64, count: i64) -> i64 {
        state.saturating_add(self.time(count))
    }
}

fn nanos(now: Instant) -> i64 {
    now.micros().saturating_mul(1_000)
}

/// A budget of one period. Its state is what is taken of it in nano-units: spent and reserved together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    limit: i64,
}

/// Money set aside for one request. It can be put right once only: that takes it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what is reserved is either settled or released"]
pub struct Reservation(i64);

impl Account {
    /// An account that may spend this much in its period.
    #[must_use]
    pub fn new(budget: Money) -> Self {
        Self { limit: count(budget.at_least_zero()) }
    }

    /// An account of which only what is leased may be spent: its state is what is taken less what is leased, and below zero while
    /// something is left.
    #[must_use]
    pub const fn leased() -> Self {
        Self { limit: 0 }
    }

    /// The state, and the reservation, after `cost` was set aside; `None` when less is left. What costs nothing can always be paid.
    #[must_use]
    pub fn reserve(self, taken: i64, cost: Money) -> Option<(i64, Reservation)> {
        let cost = count(cost.at_least_zero());
        let next = taken.checked_add(cost).filter(|next| cost == 0 || *next <= self.limit)?;
        Some((next, Reservation(cost)))
    }

    /// What can still be reserved.
    #[must_use]
    pub fn left(self, taken: i64) -> Money {
        Money::from_nanos(i128::from(self.limit) - i128::from(taken)).at_least_zero()
    }

    /// The budget.
    #[must_use]
    pub fn limit(self) -> Money {
        Money::from_nanos(i128::from(self.limit))
    }
}

impl Reservation {
    /// By how much the state changes when `cost` was spent in place of what was reserved.
    #[must_use]
    pub fn settle(self, cost: Money) -> i64 {
        count(cost.at_least_zero()).saturating_sub(self.0)
    }

    /// By how much the state changes when nothing was spent.
    #[must_use]
    pub fn release(self) -> i64 {
        -self.0
    }

    /// How much is set aside.
    #[must_use]
    pub fn amount(&self) -> Money {
        Money::from_nanos(i128::from(self.0))
    }
}

/// Nano-units as they are counted: 64 bits, in which any budget that a fleet file may state has room.
fn count(money: Money) -> i64 {
    i64::try_from(money.nanos()).unwrap_or(i64::MAX)
}
