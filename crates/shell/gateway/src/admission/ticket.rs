//! What one request has taken of its accounts: put right exactly once, however it ends.

use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;
use dispatch::{Ask, Funds};
use market::{Dry, Reservation, Tokens};
use units::{Instant, Money};

use crate::admission::account::{Account, Belongs, Kind, Purse, Short};
use crate::envelope::Refused;

/// What one request has taken of its accounts. Dropping it gives back what was not used.
#[derive(Debug)]
pub(crate) struct Ticket {
    accounts: Belongs,
    /// Output tokens that it reckons with.
    output: u32,
    /// Tokens taken from the rates.
    taken: i64,
    /// Tokens of attempts that have ended.
    used: i64,
    /// Money set aside for the attempt under way.
    reserved: ArrayVec<(Arc<Purse>, Reservation), 3>,
}

impl Ticket {
    /// Takes a request and its tokens from every rate, or says which one is dry and takes nothing.
    pub fn take(accounts: &Belongs, ask: &Ask, output: u32, now: Instant) -> Result<Self, Refused> {
        let tokens = i64::from(ask.tokens.input) + i64::from(output);
        let wanted = [(Kind::Requests, 1), (Kind::Tokens, tokens)];
        let all = || accounts.iter().flat_map(|account| wanted.iter().map(move |(kind, count)| (account, *kind, *count)));
        for (index, (account, kind, count)) in all().enumerate() {
            if let Err(dry) = account.take(kind, count, now) {
                all().take(index).for_each(|(account, kind, count)| account.correct(kind, -count));
                let limit = account.rate(kind).map_or(0, |(limit, _)| limit.whole());
                let rates = Rates::of(accounts, now);
                return Err(refused(account.of, kind, limit, count, dry).with_rates(rates));
            }
        }
        Ok(Self { accounts: accounts.clone(), output, taken: tokens, used: 0, reserved: ArrayVec::new() })
    }

    /// For an attempt made beside the one under way: it has taken nothing yet.
    pub fn beside(&self) -> Self {
        Self { accounts: self.accounts.clone(), output: self.output, taken: 0, used: 0, reserved: ArrayVec::new() }
    }

    /// What the accounts can still pay; `None` when none of them has a budget.
    pub fn funds(&self, now: Instant) -> Option<Funds> {
        let left = self.accounts.iter().filter_map(|account| account.left(now)).min()?;
        Some(Funds { left, output: self.output })
    }

    /// Whether only the lease of a shared budget stands between the request and `cost`, and its next renewal may bring it.
    pub fn may_be_leased(&self, cost: Money, now: Instant) -> bool {
        let short = |account: &&Arc<Account>| account.left(now).is_some_and(|left| left < cost);
        let (mut any, mut all) = (false, true);
        // Every account is asked, so that each knows what is needed of it.
        for account in self.accounts.iter().filter(short) {
            any = true;
            all &= account.may_be_leased(cost, now) == Some(true);
        }
        any && all
    }

    /// Whether this gateway has no lease of a budget that the request belongs to.
    pub fn is_unleased(&self, now: Instant) -> bool {
        self.accounts.iter().any(|account| account.is_unleased(now))
    }

    /// Sets money aside for the next attempt in every account, or in none.
    pub fn reserve(&mut self, cost: Money, now: Instant) -> Result<(), Short> {
        self.release();
        for account in &self.accounts {
            match account.reserve(cost, now) {
                Ok(reserved) => self.reserved.extend(reserved),
                Err(short) => {
                    self.release();
                    return Err(short);
                }
            }
        }
        Ok(())
    }

    /// An attempt has ended: what it came to takes the place of what was set aside for it.
    pub fn settle(&mut self, list: Money, tokens: Tokens) {
        for (purse, reservation) in self.reserved.drain(..) {
            purse.change(reservation.settle(list));
        }
        self.used = self.used.saturating_add(i64::from(tokens.input) + i64::from(tokens.output));
    }

    /// There was no attempt after all.
    pub fn release(&mut self) {
        for (purse, reservation) in self.reserved.drain(..) {
            purse.change(reservation.release());
        }
    }

    /// How much is left of the rates, for the answer's head.
    pub fn rates(&self, now: Instant) -> Rates {
        Rates::of(&self.accounts, now)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.release();
        let more = self.used.saturating_sub(self.taken);
        self.accounts.iter().for_each(|account| account.correct(Kind::Tokens, more));
    }
}

fn refused(of: &str, kind: Kind, limit: i64, wanted: i64, dry: Dry) -> Refused {
    let what = match kind {
        Kind::Requests => "requests",
        Kind::Tokens => "tokens",
    };
    match dry {
        Dry::For(wait) => {
            let message = format!("Rate limit reached: {of} may take {limit} {what} a minute. Please try again in {}.", shown(wait));
            Refused::rate_limited(message).again_after(Duration::from_millis(whole_ms(wait)))
        }
        Dry::Always => {
            let message = format!("The request is too large: it may take {wanted} {what}, and {of} may take {limit} a minute.");
            Refused::rate_limited(message).for_good()
        }
    }
}

/// How much is left of one rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub limit: i64,
    pub left: i64,
    reset: Duration,
}

impl Rate {
    /// How long until it is whole again, as OpenAI writes it.
    pub fn reset(&self) -> String {
        shown(self.reset)
    }
}

/// How much is left of the rates, of the account that has least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    pub requests: Option<Rate>,
    pub tokens: Option<Rate>,
}

impl Rates {
    fn of(accounts: &Belongs, now: Instant) -> Self {
        let least = |kind| {
            let rates = accounts.iter().filter_map(|account| account.rate(kind));
            let rates =
                rates.map(|(limit, state)| Rate { limit: limit.whole(), left: limit.left(state, now), reset: limit.full_in(state, now) });
            rates.min_by_key(|rate| rate.left)
        };
        Self { requests: least(Kind::Requests), tokens: least(Kind::Tokens) }
    }
}

/// In milliseconds, never less than it is: who comes back sooner comes in vain.
fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// A duration as OpenAI's headers write it: `12ms`, `1.5s`, `6m0s`, `1h0m5s`.
fn shown(time: Duration) -> String {
    let ms = whole_ms(time);
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms % 60_000);
    let whole = format!("{}.{:03}", seconds / 1_000, seconds % 1_000);
    let seconds = whole.trim_end_matches('0').trim_end_matches('.');
    match (hours, minutes) {
        (0, 0) if ms < 1_000 => format!("{ms}ms"),
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_openai_does() {
        for (ms, text) in [(0, "0ms"), (12, "12ms"), (1_000, "1s"), (8_640, "8.64s"), (360_000, "6m0s"), (3_605_000, "1h0m5s")] {
            assert_eq!(shown(Duration::from_millis(ms)), text);
        }
        assert_eq!(shown(Duration::from_nanos(1)), "1ms", "never sooner than it is");
    }
}
