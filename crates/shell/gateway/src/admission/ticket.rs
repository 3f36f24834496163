//! What one request has taken of its accounts: put right exactly once, however it ends.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use arrayvec::{ArrayString, ArrayVec};
use dispatch::{Ask, Funds};
use market::{Dry, Reservation, Tokens};
use units::{Instant, Money};

use crate::admission::account::{Account, Belongs, Kind, Purse, Short};
use crate::admission::rate::{Bucket, Lack};
use crate::envelope::Refused;
use crate::limits::{QUEUE_GLANCE, RATE_WAIT_MAX};
use crate::state::State;

/// When to come back where only a lease is missing.
const RETRY_SOON: Duration = Duration::from_secs(1);

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
    /// Takes a request and its tokens from every rate, or says which one is dry and takes nothing. Where rates are shared and this gateway's
    /// lease of one is short, it waits for more.
    pub async fn take(accounts: &Belongs, ask: &Ask, output: u32, state: &State) -> Result<Self, Refused> {
        let wanted = Wanted { accounts, tokens: i64::from(ask.tokens.input) + i64::from(output) };
        let mut waiting: Option<(Waiting, tokio::time::Instant)> = None;
        while let Err(untaken) = wanted.take(waiting.is_some(), state.clock.now()) {
            let now = tokio::time::Instant::now();
            let until = waiting.as_ref().map_or(now + RATE_WAIT_MAX, |(_, until)| *until);
            if untaken.lack != Lack::Lease || now >= until {
                return Err(wanted.refused(&untaken, state.clock.now()));
            }
            if waiting.is_none() {
                state.lease_wanted.notify_one();
            }
            waiting.get_or_insert_with(|| (Waiting::begin(&wanted), until)).0.note();
            tokio::time::sleep(QUEUE_GLANCE).await;
        }
        Ok(Self { accounts: accounts.clone(), output, taken: wanted.tokens, used: 0, reserved: ArrayVec::new() })
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

/// What a request takes of every rate of its accounts.
struct Wanted<'a> {
    accounts: &'a Belongs,
    tokens: i64,
}

/// A rate from which nothing was taken, and why.
struct Untaken<'a> {
    account: &'a Account,
    kind: Kind,
    count: i64,
    lack: Lack,
}

impl<'a> Wanted<'a> {
    fn all(&self) -> impl Iterator<Item = (&'a Arc<Account>, Kind, i64)> + use<'a> {
        let wanted = [(Kind::Requests, 1), (Kind::Tokens, self.tokens)];
        self.accounts.iter().flat_map(move |account| wanted.map(|(kind, count)| (account, kind, count)))
    }

    /// Takes from all, or from none.
    fn take(&self, waits: bool, now: Instant) -> Result<(), Untaken<'a>> {
        // What is given back to a shared rate can be taken again only with the next lease: so nothing is taken before all is there.
        let lack = |(account, kind, count): (&'a Arc<Account>, Kind, i64)| {
            let lack = account.bucket(kind)?.lack(count, waits, now)?;
            Some(Untaken { account, kind, count, lack })
        };
        let mut short = None;
        for untaken in self.all().filter_map(lack) {
            if untaken.lack != Lack::Lease {
                return Err(untaken);
            }
            short = Some(untaken);
        }
        short.map_or(Ok(()), Err)?;
        for (index, (account, kind, count)) in self.all().enumerate() {
            if let Err(lack) = account.take(kind, count, now) {
                self.all().take(index).for_each(|(account, kind, count)| account.correct(kind, -count));
                return Err(Untaken { account, kind, count, lack });
            }
        }
        Ok(())
    }

    fn refused(&self, untaken: &Untaken<'_>, now: Instant) -> Refused {
        let Untaken { account, kind, count, lack } = *untaken;
        let limit = account.bucket(kind).map_or(0, |bucket| bucket.limit.whole());
        let dry = match lack {
            Lack::Dry(dry) => dry,
            Lack::Lease => Dry::For(RETRY_SOON),
            Lack::Unleased => return Refused::unleased(RETRY_SOON),
        };
        refused(account.of, kind, limit, count, dry).with_rates(Rates::of(self.accounts, now))
    }
}

/// A request that waits for leases: what it needs of each rate is asked for, until it is dropped.
struct Waiting {
    accounts: Belongs,
    tokens: i64,
}

impl Waiting {
    fn begin(wanted: &Wanted<'_>) -> Self {
        let waiting = Self { accounts: wanted.accounts.clone(), tokens: wanted.tokens };
        waiting.each(|bucket, count| bucket.wait(count));
        waiting
    }

    fn note(&self) {
        self.each(|bucket, count| bucket.need(count));
    }

    fn each(&self, tell: impl Fn(&Bucket, i64)) {
        let wanted = Wanted { accounts: &self.accounts, tokens: self.tokens };
        for (account, kind, count) in wanted.all() {
            if let Some(bucket) = account.bucket(kind) {
                tell(bucket, count);
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.each(|bucket, count| bucket.wait(-count));
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
    pub fn reset(&self) -> Shown {
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
            let rate = |bucket: &Bucket| {
                let (left, reset) = bucket.left(now);
                Rate { limit: bucket.limit.whole(), left, reset }
            };
            accounts.iter().filter_map(|account| account.bucket(kind).map(rate)).min_by_key(|rate| rate.left)
        };
        Self { requests: least(Kind::Requests), tokens: least(Kind::Tokens) }
    }
}

/// In milliseconds, never less than it is: who comes back sooner comes in vain.
fn whole_ms(time: Duration) -> u64 {
    let begun = u128::from(!time.subsec_nanos().is_multiple_of(1_000_000));
    u64::try_from(time.as_millis() + begun).unwrap_or(u64::MAX)
}

/// A duration as OpenAI's headers write it: `12ms`, `1.5s`, `6m0s`, `1h0m5s`.
fn shown(time: Duration) -> Shown {
    let ms = whole_ms(time);
    let mut text = Shown::new();
    write(&mut text, ms).expect("there is room for the longest");
    text
}

/// Room for the longest duration.
type Shown = ArrayString<40>;

fn write(text: &mut Shown, ms: u64) -> fmt::Result {
    if ms < 1_000 {
        return write!(text, "{ms}ms");
    }
    match (ms / 3_600_000, ms / 60_000 % 60) {
        (0, 0) => {}
        (0, minutes) => write!(text, "{minutes}m")?,
        (hours, minutes) => write!(text, "{hours}h{minutes}m")?,
    }
    let (seconds, ms) = (ms / 1_000 % 60, ms % 1_000);
    match ms {
        0 => write!(text, "{seconds}s"),
        _ if ms % 100 == 0 => write!(text, "{seconds}.{}s", ms / 100),
        _ if ms % 10 == 0 => write!(text, "{seconds}.{:02}s", ms / 10),
        _ => write!(text, "{seconds}.{ms:03}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_openai_does() {
        for (ms, text) in [
            (0, "0ms"),
            (12, "12ms"),
            (1_000, "1s"),
            (8_640, "8.64s"),
            (8_005, "8.005s"),
            (60_100, "1m0.1s"),
            (360_000, "6m0s"),
            (3_605_000, "1h0m5s"),
        ] {
            assert_eq!(shown(Duration::from_millis(ms)).as_str(), text);
        }
        assert_eq!(shown(Duration::from_nanos(1)).as_str(), "1ms", "never sooner than it is");
        assert_eq!(shown(Duration::MAX).as_str(), "5124095576030h25m51.615s", "the longest");
    }
}
