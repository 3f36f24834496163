//! What keys, teams and the fleet may take, and have taken.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use arrayvec::ArrayVec;
use dispatch::KeyId;
use fleet::{Allowance, Budget, Calendar, Fleet, Id, PerMinute, TeamId};
use ledger::{KeyRow, Spending};
use market::Reservation;
use units::{Instant, Money, Span};

use crate::admission::allotment::{Allotment, Lease};
use crate::admission::rate::{Bucket, Lack, RatePart};
use crate::limits::Limits;
use crate::memory::Memory;

/// Which of the two rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Requests,
    Tokens,
}

/// What of a budget is taken in one period. Reservations hold the one they were made in, so a period's end loses none.
#[derive(Debug)]
pub(crate) struct Purse {
    span: Span,
    /// What is taken; of a shared budget, less what is leased.
    pub count: AtomicI64,
    /// Of a budget that is shared with other gateways.
    pub lease: Option<Lease>,
}

impl Purse {
    pub fn new(span: Span, shared: bool, now: Instant) -> Self {
        Self { span, count: AtomicI64::new(0), lease: shared.then(|| Lease::none(now)) }
    }

    /// Changes what is taken, when a reservation is settled or released.
    pub fn change(&self, by: i64) {
        self.count.fetch_add(by, Ordering::Relaxed);
    }

    /// What is taken here.
    pub fn taken(&self) -> i64 {
        self.count.load(Ordering::Relaxed).saturating_add(self.lease.as_ref().map_or(0, Lease::ceiling))
    }

    fn holds(&self, now: Instant) -> bool {
        self.lease.as_ref().is_none_or(|lease| lease.holds(now))
    }
}

/// A budget with its present period.
#[derive(Debug)]
struct Spend {
    account: market::Account,
    calendar: Calendar,
    shared: bool,
    present: ArcSwap<Purse>,
}

impl Spend {
    fn new(account: market::Account, calendar: Calendar, shared: bool, now: Instant) -> Self {
        let span = calendar.span(calendar.index(now));
        Self { account, calendar, shared, present: ArcSwap::from_pointee(Purse::new(span, shared, now)) }
    }

    /// What its purse's count is held against: the budget, or only what is leased of it.
    fn counted(&self) -> market::Account {
        if self.shared { market::Account::leased() } else { self.account }
    }

    /// The purse of the period that `now` lies in; a new one once the last has ended.
    fn purse(&self, now: Instant) -> Arc<Purse> {
        let present = self.present.load_full();
        if now < present.span.to {
            return present;
        }
        let span = self.calendar.span(self.calendar.index(now));
        let next = Arc::new(Purse::new(span, self.shared, now));
        // Of several that come first in a new period one sets its purse, and all go on with that.
        self.present.rcu(|set| if now < set.span.to { Arc::clone(set) } else { Arc::clone(&next) });
        self.present.load_full()
    }
}

/// A key, a team or the fleet, with what it may take and has taken.
#[derive(Debug)]
pub(crate) struct Account {
    /// What it is called in messages.
    pub of: &'static str,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    spend: Option<Spend>,
}

impl Account {
    fn new(of: &'static str, fleet: &Fleet, allowance: &Allowance, shared: bool, now: Instant) -> Self {
        let bucket = |rate: Option<PerMinute>, kind| rate.map(|rate| Bucket::new(rate, kind, shared, now));
        let spend = allowance.budget.map(|budget| {
            let account = market::Account::new(in_fleet_currency(fleet, &budget, now));
            Spend::new(account, budget.calendar(&fleet.time_zone), shared, now)
        });
        Self { of, requests: bucket(allowance.requests, Kind::Requests), tokens: bucket(allowance.tokens, Kind::Tokens), spend }
    }

    /// The same account with other limits: what is taken stays taken, and requests under way still put it right.
    fn with(&self, fleet: &Fleet, allowance: &Allowance, shared: bool, now: Instant) -> Self {
        let mut new = Self::new(self.of, fleet, allowance, shared, now);
        for (before, after) in [(&self.requests, &mut new.requests), (&self.tokens, &mut new.tokens)] {
            if let (Some(before), Some(after)) = (before, after) {
                after.follow(before);
            }
        }
        if let (Some(before), Some(after)) = (&self.spend, &new.spend) {
            let (purse, present) = (before.purse(now), after.purse(now));
            if purse.span == present.span {
                after.present.store(purse);
            }
        }
        new
    }

    /// A rate, when it has one.
    pub fn bucket(&self, kind: Kind) -> Option<&Bucket> {
        match kind {
            Kind::Requests => self.requests.as_ref(),
            Kind::Tokens => self.tokens.as_ref(),
        }
    }

    /// Takes from a rate.
    pub fn take(&self, kind: Kind, count: i64, now: Instant) -> Result<(), Lack> {
        self.bucket(kind).map_or(Ok(()), |bucket| bucket.take(count, now))
    }

    /// Takes more from a rate, or gives back what is below zero.
    pub fn correct(&self, kind: Kind, more: i64) {
        if let Some(bucket) = self.bucket(kind) {
            bucket.correct(more);
        }
    }

    /// What is left of the budget, when it has one.
    pub fn left(&self, now: Instant) -> Option<Money> {
        let spend = self.spend.as_ref()?;
        let purse = spend.purse(now);
        Some(if purse.holds(now) { spend.counted().left(purse.count.load(Ordering::Relaxed)) } else { Money::ZERO })
    }

    /// Whether it can't pay `cost` from its lease now, and may once that is renewed; `None` where it can pay or is not shared.
    pub fn may_be_leased(&self, cost: Money, now: Instant) -> Option<bool> {
        let left = self.left(now)?;
        let purse = self.spend.as_ref()?.purse(now);
        let lease = purse.lease.as_ref().filter(|_| left < cost)?;
        let nanos = |money: Money| i64::try_from(money.nanos()).unwrap_or(i64::MAX);
        Some(lease.may_bring(nanos(cost), nanos(left), now))
    }

    /// Whether its lease has run out or was not renewed of late, or none came yet.
    pub fn is_unleased(&self, now: Instant) -> bool {
        let lease = |spend: &Spend| spend.purse(now).lease.as_ref().is_some_and(|lease| !lease.is_fresh(now));
        self.spend.as_ref().is_some_and(lease)
    }

    /// Sets money aside: nothing where there is no budget, an error where less is left.
    pub fn reserve(&self, cost: Money, now: Instant) -> Result<Option<(Arc<Purse>, Reservation)>, Short> {
        let Some(spend) = &self.spend else { return Ok(None) };
        let purse = spend.purse(now);
        let mut reservation = None;
        let change = |count| {
            let (next, reserved) = spend.counted().reserve(count, cost)?;
            reservation = Some(reserved);
            Some(next)
        };
        let may = purse.holds(now) || cost <= Money::ZERO;
        if !may || purse.count.fetch_update(Ordering::AcqRel, Ordering::Acquire, change).is_err() {
            return Err(Short);
        }
        Ok(reservation.map(|reservation| (purse, reservation)))
    }

    /// Whether it has any limit at all.
    fn is_limited(&self) -> bool {
        self.requests.is_some() || self.tokens.is_some() || self.spend.is_some()
    }

    /// Counts what the ledger says was spent, where that lies in the present period.
    fn spent(&self, decided: Instant, list: Money, now: Instant) {
        let Some(spend) = &self.spend else { return };
        let purse = spend.purse(now);
        if purse.span.contains(decided) {
            let most = if list < Money::ZERO { i64::MIN } else { i64::MAX };
            purse.change(i64::try_from(list.nanos()).unwrap_or(most));
        }
    }
}

/// Whose an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// A key.
    Key(KeyId),
    /// A team.
    Team(TeamId),
    /// The whole fleet.
    Fleet,
}

/// A budget in its present period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Whose it is.
    pub owner: Owner,
    /// The period.
    pub period: Span,
    /// The budget, in the fleet's currency.
    pub budget: Money,
    /// What is spent of it, and reserved for requests under way.
    pub taken: Money,
}

/// Less is left than was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Short;

/// A key's budget may be in another currency than the fleet's; what no rate converts may not be spent.
fn in_fleet_currency(fleet: &Fleet, budget: &Budget, now: Instant) -> Money {
    fleet.in_fleet_currency(budget.amount.money, budget.amount.currency, now).unwrap_or(Money::ZERO)
}

/// Whose accounts a request belongs to: its key's, its team's and the fleet's, as far as they have limits.
pub(crate) type Belongs = ArrayVec<Arc<Account>, 3>;

/// What the requests of a key are counted against.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    /// Its accounts.
    pub belongs: Belongs,
    /// How many are under way.
    pub under_way: Arc<AtomicUsize>,
    /// Room for their bodies.
    pub room: Arc<Memory>,
}

/// A key's own account, its requests under way, room for their bodies, and its team.
#[derive(Clone, Debug)]
struct Own {
    account: Arc<Account>,
    allowance: Allowance,
    under_way: Arc<AtomicUsize>,
    room: Arc<Memory>,
    team: Option<TeamId>,
}

/// Every account, kept while keys are read anew.
#[derive(Debug)]
pub(crate) struct Accounts {
    fleet: Arc<Fleet>,
    /// Whether other gateways take of the same budgets.
    shared: bool,
    whole: Arc<Account>,
    teams: Vec<Arc<Account>>,
    keys: Mutex<BTreeMap<KeyId, Own>>,
    /// Room for the bodies of all.
    room: Arc<Memory>,
    bodies_bytes_max: usize,
}

impl Accounts {
    pub fn new(fleet: Arc<Fleet>, limits: &Limits, now: Instant) -> Self {
        let shared = limits.shared;
        let account = |of, allowance| Arc::new(Account::new(of, &fleet, allowance, shared, now));
        let whole = account("the whole fleet", &fleet.limits);
        let teams = fleet.teams.iter().map(|(.., allowance)| account("your team", allowance)).collect();
        let bodies_bytes_max = limits.bodies_bytes_max;
        Self { whole, teams, keys: Mutex::default(), room: Memory::new(bodies_bytes_max), bodies_bytes_max, shared, fleet }
    }

    /// Room for the bodies of all keys.
    pub fn room(&self) -> &Arc<Memory> {
        &self.room
    }

    /// What the requests of a key are counted against; `None` when the fleet lacks its team.
    pub fn of(&self, row: &KeyRow, now: Instant) -> Option<Counted> {
        let team = match &row.team {
            Some(name) => Some(self.fleet.teams.id(name)?),
            None => None,
        };
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let account = || Arc::new(Account::new("your key", &self.fleet, &row.allowance, self.shared, now));
        let room = || Memory::half(&self.room, self.bodies_bytes_max);
        let new = || Own { account: account(), allowance: row.allowance, under_way: Arc::default(), room: room(), team };
        let own = keys.entry(row.id).or_insert_with(new);
        if own.allowance != row.allowance {
            (own.account, own.allowance) = (Arc::new(own.account.with(&self.fleet, &row.allowance, self.shared, now)), row.allowance);
        }
        own.team = team;
        let all = [Some(&own.account), team.map(|team| &self.teams[team.index()]), Some(&self.whole)];
        let belongs = all.into_iter().flatten().filter(|account| account.is_limited()).cloned().collect();
        Some(Counted { belongs, under_way: Arc::clone(&own.under_way), room: Arc::clone(&own.room) })
    }

    /// From when on the ledger says what is spent of the present periods; `None` when nothing has a budget.
    pub fn present_from(&self, now: Instant) -> Option<Instant> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let accounts = keys.values().map(|own| &own.account).chain(&self.teams).chain([&self.whole]);
        accounts.filter_map(|account| account.spend.as_ref()).map(|spend| spend.purse(now).span.from).min()
    }

    /// Every budget in its present period, by owner.
    pub fn balances(&self, now: Instant) -> Vec<Balance> {
        let balance = |allotment: Allotment| {
            let Allotment { owner, period, budget, ref purse } = allotment;
            Balance { owner, period, budget, taken: Money::from_nanos(purse.taken().into()) }
        };
        self.allotments(now).into_iter().map(balance).collect()
    }

    /// The same, with what their leases are renewed by.
    pub fn allotments(&self, now: Instant) -> Vec<Allotment> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = keys.iter().map(|(key, own)| (Owner::Key(*key), &own.account));
        let teams = self.teams.iter().enumerate().map(|(team, account)| (Owner::Team(TeamId::from_index(team)), account));
        let allotment = |(owner, account): (Owner, &Arc<Account>)| {
            let spend = account.spend.as_ref()?;
            let purse = spend.purse(now);
            Some(Allotment { owner, period: purse.span, budget: spend.account.limit(), purse })
        };
        keys.chain(teams).chain([(Owner::Fleet, &self.whole)]).filter_map(allotment).collect()
    }

    /// Every rate that is shared, with what its lease is renewed by.
    pub fn rate_parts(&self) -> Vec<RatePart> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = keys.iter().map(|(key, own)| (Owner::Key(*key), &own.account));
        let teams = self.teams.iter().enumerate().map(|(team, account)| (Owner::Team(TeamId::from_index(team)), account));
        let parts = |(owner, account): (Owner, &Arc<Account>)| {
            [Kind::Requests, Kind::Tokens].map(|kind| account.bucket(kind).and_then(|bucket| bucket.part(owner)))
        };
        keys.chain(teams).chain([(Owner::Fleet, &self.whole)]).flat_map(parts).flatten().collect()
    }

    /// Counts what the ledger says a key has spent, or what a correction changes of it.
    pub fn spent(&self, spending: Spending, now: Instant) {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let own = keys.get(&spending.key);
        let team = own.and_then(|own| own.team).map(|team| &self.teams[team.index()]);
        for account in [own.map(|own| &own.account), team, Some(&self.whole)].into_iter().flatten() {
            account.spent(spending.decided, spending.list, now);
        }
    }
}
