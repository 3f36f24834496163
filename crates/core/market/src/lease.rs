//! What several replicas may each take of an account that they share: leases, which whoever keeps the account grants one after another.
//!
//! Amounts are those of the account: nano-units of a budget, or millionths of provisioned units. A replica takes only what it has been
//! leased. It stops by itself when its lease has run out, a margin before the account takes the lease back; so two clocks need to
//! agree on how long a few seconds are, and not on what time it is. `docs/books.md` has the bound on overspend and its proof.

use core::time::Duration;

use units::Instant;

/// How long a replica may use a lease that it can't renew, from when it asked for it.
pub const LEASE_HOLDS: Duration = Duration::from_secs(10);
/// How long a question may take until its answer is kept by the account; one that takes longer must be undone. Else what is taken behind it,
/// while the old lease holds, would count for nobody.
pub const LEASE_QUESTION: Duration = Duration::from_secs(3);
/// How much later the account takes it back, from when it granted it: a question that is asked at the last moment, and as much as the two
/// clocks may differ over that time.
pub const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// How large leases of an account are, as parts of what nobody holds: one over each of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseSize {
    /// Never more than this part, unless one request needs it.
    pub most: i64,
    /// Never less, so that who was quiet can begin at once.
    pub least: i64,
}

/// How large leases of a budget are.
pub const BUDGET_LEASE: LeaseSize = LeaseSize { most: 16, least: 64 };
/// How large leases of provisioned units are: all of them are shared out.
pub const UNITS_LEASE: LeaseSize = LeaseSize { most: 1, least: 64 };

/// All of what is shared out in parts.
pub const WHOLE: i64 = 1_000_000;

/// The part of the whole that is a replica's by what all take of it: what nobody takes of the `handled` that the whole handles a second is
/// shared out evenly, and a sixteenth at least, so that who was quiet can begin. `own` is how much it takes a second and which part it has,
/// `others` likewise. A part that is about right stays, unless somebody has far too little.
#[must_use]
pub fn fair_part(handled: i64, own: (i64, i64), others: &[(i64, i64)]) -> i64 {
    let all = || others.iter().chain([&own]).map(|(pace, _)| i128::from((*pace).max(0)));
    let count = i128::try_from(others.len()).unwrap_or(i128::MAX) + 1;
    let total = all().sum::<i128>();
    let even = (total / 16).max(i128::from(handled) - total) / count + 1;
    let fair = |pace: i64| i128::from(WHOLE) * (i128::from(pace.max(0)) + even) / (total + count * even);
    let (fair_own, part) = (fair(own.0), i128::from(own.1));
    let starved = others.iter().any(|(pace, part)| i128::from(*part) * 2 < fair(*pace));
    let about = (part - fair_own).abs() * 8 <= fair_own;
    i64::try_from(if about && !starved { part } else { fair_own }).unwrap_or(WHOLE)
}

/// What the account knows of one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Up to how much it may have taken, all told.
    pub granted: i64,
    /// How much it said that it had taken, requests under way among it.
    pub taken: i64,
    /// Which of its questions was answered last.
    pub asked: i64,
    /// When its lease comes back.
    pub returns: Instant,
}

/// What a replica says when it asks for a lease, or to renew one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseAsk {
    /// Which question of its own this is; a question that comes after a later one is not answered.
    pub asked: i64,
    /// How much it has taken, requests under way among it.
    pub taken: i64,
    /// Up to how much it may take by the lease that it has.
    pub ceiling: i64,
    /// How much it takes a second.
    pub pace: i64,
    /// What the dearest request needs that waits for a lease.
    pub need: i64,
}

/// What a replica is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leased {
    /// Up to how much it may take from now on, all told.
    pub granted: i64,
    /// Down to how much it is to lower that again, as far as it still can.
    pub keep: i64,
    /// How much nobody holds.
    pub free: i64,
}

impl Holding {
    /// What counts as gone for the others: all that it may have taken while it has its lease, then what it said.
    #[must_use]
    pub fn counts(&self, now: Instant) -> i64 {
        if self.lapsed(now) { self.taken } else { self.granted.max(self.taken) }
    }

    /// Whether its lease has come back.
    #[must_use]
    pub fn lapsed(&self, now: Instant) -> bool {
        now >= self.returns
    }
}

/// Answers a replica: what the account knows of it from now on, and what it is told. `others` is what counts for all others, `before`
/// what is known of this one. Nothing for a question that comes after a later one: it must not undo that answer.
#[must_use]
pub fn lease(
    limit: i64,
    size: LeaseSize,
    others: i64,
    before: Option<&Holding>,
    ask: &LeaseAsk,
    now: Instant,
) -> Option<(Holding, Leased)> {
    if before.is_some_and(|before| before.asked >= ask.asked) {
        return None;
    }
    let free = limit.saturating_sub(others).saturating_sub(ask.taken).max(0);
    let most = (free / size.most).max(ask.need).min(free);
    let pace = ask.pace.saturating_mul(i64::try_from(LEASE_HOLDS.as_secs()).unwrap_or(i64::MAX));
    let wanted = pace.max(free / size.least).max(ask.need).min(most);
    let keep = ask.taken.saturating_add(wanted);
    // What it may be using at this moment stays granted: it lowers that itself, and says so the next time.
    let held = before.filter(|before| !before.lapsed(now)).map_or(ask.taken, |before| before.granted.min(ask.ceiling));
    let granted = keep.max(held);
    let holding = Holding { granted, taken: ask.taken, asked: ask.asked, returns: now + LEASE_HOLDS + LEASE_MARGIN };
    Some((holding, Leased { granted, keep, free: limit.saturating_sub(others).saturating_sub(granted).max(0) }))
}

/// The holder's count after it gave back up to `amount`, and how much that was. The count is what is taken less what may be: below zero
/// while something is left, as [`crate::Account::leased`] reads it.
#[must_use]
pub fn give_back(count: i64, amount: i64) -> (i64, i64) {
    let given = amount.min(count.saturating_neg()).max(0);
    (count.saturating_add(given), given)
}

/// What a replica takes a second, from what it did before and how much more is taken since: it follows a rise at once and a fall slowly,
/// down to nothing.
#[must_use]
pub fn pace(before: i64, more: i64, over: Duration) -> i64 {
    let micros = i128::try_from(over.as_micros()).unwrap_or(i128::MAX).max(1);
    let latest = i64::try_from(i128::from(more.max(0)) * 1_000_000 / micros).unwrap_or(i64::MAX);
    latest.max(before - (before / 8).max(1)).max(0)
}
