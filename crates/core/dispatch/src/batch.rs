//! When a line of a batch may start: while its price is low among those of late, or its deadline presses.
//!
//! A batch may wait a day, so its lines are bought in the cheapest hours that still suffice. Symbols: `n` lines are left, each
//! takes `s` on average, `c` run at once, and `T` is left until the deadline. The work then needs `need = ⌈n / c⌉ s + r`, where the
//! reserve `r` is for what is tried again, and a share `f = 2 need / T` of the time that is left, with as much again kept for what
//! goes wrong. Were prices of late to come
//! back in any order, the cheapest share `f` of the time is when the price is at most their `f`-quantile.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use units::{Instant, Money};

/// How long a price is remembered.
pub const PRICES_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// How often a price is noted.
pub const PRICE_NOTED_EVERY: Duration = Duration::from_secs(60);
/// The cheapest share of the time is used even when less would do, in parts per million: waiting has no value of its own.
const SHARE_LEAST_PPM: u32 = 250_000;
const WHOLE_PPM: u32 = 1_000_000;
/// What is needed beside the lines' own time: the last of them may have to be tried again, and more than once.
const RESERVE: Duration = Duration::from_secs(15 * 60);
/// How many times the time that is needed is set aside for it.
const SAFETY: u128 = 2;

/// What a reference request cost of late, noted once a minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Prices {
    noted: VecDeque<(Instant, Money)>,
}

impl Prices {
    /// Notes a price, at most one a minute; those of more than a day ago are forgotten, and those of a time that is still to come: before a
    /// restart the clock may have been ahead.
    pub fn note(&mut self, now: Instant, price: Money) {
        while self.noted.back().is_some_and(|(at, _)| *at > now) {
            self.noted.pop_back();
        }
        if self.noted.back().is_none_or(|(at, _)| *at + PRICE_NOTED_EVERY <= now) {
            self.noted.push_back((now, price));
        }
        while self.noted.front().is_some_and(|(at, _)| *at + PRICES_KEPT < now) {
            self.noted.pop_front();
        }
    }

    /// The least noted price that at least this share of all noted prices is no higher than.
    #[must_use]
    pub fn quantile(&self, share_ppm: u32) -> Option<Money> {
        let mut prices: Vec<Money> = self.noted.iter().map(|(_, price)| *price).collect();
        prices.sort_unstable();
        let rank = (prices.len() as u128 * u128::from(share_ppm)).div_ceil(u128::from(WHOLE_PPM));
        prices.get(usize::try_from(rank).unwrap_or(usize::MAX).saturating_sub(1)).copied()
    }
}

/// What is known of a batch and its model when the next line is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub now: Instant,
    /// When what has not run expires.
    pub deadline: Instant,
    /// Lines that have not been answered.
    pub lines_left: u32,
    /// How long a line takes, on average.
    pub line: Duration,
    /// How many lines may run at once, at least one.
    pub at_once: u32,
    /// What a reference request would cost now where it is cheapest; `None` when no endpoint is eligible.
    pub price: Option<Money>,
    /// Whether that endpoint has room for a line and for a live request after it.
    pub room: bool,
}

/// Whether the next line starts, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The price is among the cheap ones.
    Cheap {
        /// The most that it may be.
        at_most: Money,
    },
    /// There is no time to choose.
    Pressed,
    /// The price is not low enough for the time that is left.
    Dear {
        /// The most that it may be.
        at_most: Money,
    },
    /// Live traffic comes first.
    Busy,
    /// No endpoint is eligible.
    Nowhere,
}

impl Start {
    /// Whether it starts.
    #[must_use]
    pub const fn is_now(self) -> bool {
        matches!(self, Self::Cheap { .. } | Self::Pressed)
    }
}

/// The share of the time until the deadline that the lines need, twice over, in parts per million: from a quarter to all of it.
#[must_use]
pub fn share_needed_ppm(moment: &Moment) -> u32 {
    let left = moment.deadline.since(moment.now).as_micros();
    let rounds = moment.lines_left.div_ceil(moment.at_once.max(1));
    let need = u128::from(rounds) * moment.line.as_micros() + RESERVE.as_micros();
    let share = (SAFETY * need * u128::from(WHOLE_PPM)).checked_div(left).unwrap_or(u128::MAX);
    u32::try_from(share).unwrap_or(WHOLE_PPM).clamp(SHARE_LEAST_PPM, WHOLE_PPM)
}

/// Whether the next line of a batch starts now. Pure: same prices, same moment, same answer.
#[must_use]
pub fn start(prices: &Prices, moment: &Moment) -> Start {
    let share = share_needed_ppm(moment);
    if share == WHOLE_PPM {
        return Start::Pressed;
    }
    let Some(price) = moment.price else { return Start::Nowhere };
    // While nothing is known of earlier prices, there is nothing to wait for.
    let at_most = prices.quantile(share).unwrap_or(price);
    match price <= at_most {
        false => Start::Dear { at_most },
        true if !moment.room => Start::Busy,
        true => Start::Cheap { at_most },
    }
}
