//! Several replicas on one PostgreSQL: what the gateway's budgets are leased by.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, Result};
use dispatch::KeyId;
use fleet::{CapacityOf, ContractId, Fleet, ModelId};
use gateway::{Allotment, Clock, Gateway, Owner, RatePart, RateStanding, UnitsPart, Used, Worked};
use ledger::{Books, Store};
use market::{Leased, RATE_WHOLE, WHOLE};
use share::{Address, Joined, Of, Part, Portion, Portions, ReplicaId, Setup, Sharing, UsedTime, WorkDone};
use units::Instant;

use crate::log;

/// The books that prices are made from where several replicas share: those of all, as far as they have been copied.
pub type AllBooks = Arc<RwLock<Option<Arc<Books>>>>;

/// Takes part in what is shared, where an address is given: what it says of keys is in the state directory then.
pub async fn join(address: Option<&Address>, state: &Path, fleet: &Arc<Fleet>, clock: &Clock) -> Result<(Option<Joined>, AllBooks)> {
    let all = AllBooks::default();
    let Some(address) = address.cloned() else {
        if ledger::takes_part(state) {
            let shown = state.display();
            log::say(format_args!("{shown} is one of several replicas and starts without them (`--share`): it closes no billing periods"));
        }
        return Ok((None, all));
    };
    let mut random = [0; 8];
    getrandom::fill(&mut random).context("draw random bytes for a name among the replicas")?;
    let (directory, clock, fleet, told) = (state.to_owned(), clock.clone(), Arc::clone(fleet), Arc::clone(&all));
    let joining = tokio::task::spawn_blocking(move || {
        let replica = ReplicaId::of(&directory, random)?;
        let say = |text: &str| log::say(format_args!("baseload: {text}"));
        let books = move |books| *told.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(books));
        let (now, books) = (Arc::new(move || clock.now()), Arc::new(books));
        Joined::join(Setup { address, directory, replica, now, fleet, books, say: Arc::new(say) })
    });
    let joined = joining.await.context("take part in what is shared")?.context("share with other replicas (`--share`)")?;
    Ok((Some(joined), all))
}

/// Leases what the gateway may spend, and goes on doing so.
pub async fn start(
    joined: Option<Joined>,
    gateway: &Arc<Gateway>,
    fleet: &Arc<Fleet>,
    store: &Store,
    clock: &Clock,
) -> Result<Option<Sharing>> {
    let Some(joined) = joined else { return Ok(None) };
    let (gateway, store, fleet, clock) = (Arc::clone(gateway), store.clone(), Arc::clone(fleet), clock.clone());
    let budgets = Budgets { gateway, store, fleet, clock, seen: Mutex::default(), told_ahead: AtomicBool::new(false) };
    let starting = tokio::task::spawn_blocking(move || joined.start(Arc::new(budgets)));
    Ok(Some(starting.await.context("take part in what is shared")?.context("lease shared budgets")?))
}

/// Clocks that differ by more were set wrong.
const AHEAD_MAX: Duration = Duration::from_secs(60);

/// Says that held time is posted up to an instant that is yet to come, as after a clock had been set wrong; whether it is.
pub fn tell_ahead(posted: Instant, now: Instant) -> bool {
    let ahead = posted > now + AHEAD_MAX;
    if ahead {
        log::say(format_args!(
            "baseload: the books have held time up to {posted}, which is yet to come: a clock was set ahead. None is posted until then; \
             see to the clock, and correct by the supplier's invoice what was booked ahead"
        ));
    }
    ahead
}

/// What is renewed.
enum Seen {
    Budget(Allotment),
    Units(UnitsPart),
    Rate(RatePart),
}

/// The gateway's budgets, units and rates, by what they are called at every replica.
struct Budgets {
    gateway: Arc<Gateway>,
    store: Store,
    fleet: Arc<Fleet>,
    clock: Clock,
    /// Those that were told of last.
    seen: Mutex<BTreeMap<(String, Instant), Seen>>,
    /// Whether it was said that another posted ahead of this clock.
    told_ahead: AtomicBool,
}

impl Budgets {
    /// What keys are called at every replica; those that are over are good for nothing that would be renewed.
    fn keys(&self) -> BTreeMap<KeyId, String> {
        // Without its name a budget is not renewed, and so not spent.
        let (keys, now) = (self.store.keys().unwrap_or_default(), self.clock.now());
        keys.iter().filter(|row| row.valid(now)).map(|row| (row.id, format!("key {}", row.public))).collect()
    }

    /// Weighted tokens a second that all of a contract's units of a model handle now.
    fn handled(&self, contract: ContractId, model: ModelId) -> i64 {
        let of = CapacityOf::Units(model);
        let clause = self.fleet.contracts[contract].capacity.iter().find(|clause| clause.of == of);
        clause.map_or(0, |clause| {
            let units = market::delivered(&self.fleet, contract, of, self.clock.now());
            units.saturating_mul(clause.tokens_per_unit_minute) / 60
        })
    }

    fn name(&self, keys: &BTreeMap<KeyId, String>, owner: Owner) -> Option<String> {
        match owner {
            Owner::Key(id) => keys.get(&id).cloned(),
            Owner::Team(team) => Some(format!("team {}", self.fleet.teams.name(team))),
            Owner::Fleet => Some("fleet".to_owned()),
        }
    }
}

impl Portions for Budgets {
    fn standing(&self) -> Vec<Portion> {
        let keys = self.keys();
        let mut seen = BTreeMap::new();
        let portions = self.gateway.allotments().into_iter().filter_map(|allotment| {
            let (account, period) = (self.name(&keys, allotment.owner)?, allotment.period.from);
            let (taken, ceiling) = allotment.standing();
            let (limit, need) = (i64::try_from(allotment.budget.nanos()).unwrap_or(i64::MAX), allotment.need());
            seen.insert((account.clone(), period), Seen::Budget(allotment));
            Some(Portion { account, period, limit, handled: 0, of: Of::Budget, taken, ceiling, need, least: 0 })
        });
        let mut portions: Vec<Portion> = portions.collect();
        for part in self.gateway.unit_parts() {
            let (contract, model) = (self.fleet.contracts.name(part.contract), self.fleet.models.name(part.model));
            let (account, period, (taken, ceiling)) = (format!("units {contract} {model}"), Instant::default(), part.standing());
            let handled = self.handled(part.contract, part.model);
            seen.insert((account.clone(), period), Seen::Units(part));
            portions.push(Portion { account, period, limit: WHOLE, handled, of: Of::Units, taken, ceiling, need: 0, least: 0 });
        }
        for part in self.gateway.rate_parts() {
            let Some(name) = self.name(&keys, part.owner) else { continue };
            let (account, period) = (format!("{} {name}", part.kind), Instant::default());
            let RateStanding { taken, ceiling, need, least } = part.standing();
            seen.insert((account.clone(), period), Seen::Rate(part));
            portions.push(Portion { account, period, limit: RATE_WHOLE, handled: 0, of: Of::Rate, taken, ceiling, need, least });
        }
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        portions
    }

    fn renewed(&self, portion: &Portion, leased: Leased, until: Instant) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(&(portion.account.clone(), portion.period)) {
            Some(Seen::Budget(allotment)) => allotment.renew(leased, until),
            Some(Seen::Units(part)) => part.renew(leased, until, self.clock.now()),
            Some(Seen::Rate(part)) => part.renew(leased, until),
            None => {}
        }
    }

    fn wanted(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.gateway.lease_wanted())
    }

    fn kept(&self, from: Instant, until: Instant) {
        if !self.told_ahead.load(Ordering::Relaxed) && tell_ahead(from, self.clock.now()) {
            self.told_ahead.store(true, Ordering::Relaxed);
        }
        // What can't be noted is not posted after a kill.
        _ = self.store.note_kept(until);
        self.gateway.keep_held(from, until);
    }

    fn posted(&self) -> Instant {
        self.gateway.held_posted()
    }

    fn used(&self) -> Vec<UsedTime> {
        let named = |worked: Worked| {
            let Worked { attempt, contract, work } = worked;
            WorkDone { attempt, contract: self.fleet.contracts.name(contract).to_owned(), work }
        };
        let used = self.gateway.take_used().into_iter().map(|(endpoint, Used { busy, work })| UsedTime {
            endpoint: self.fleet.endpoints.name(endpoint).to_owned(),
            busy: busy.into_iter().collect(),
            work: work.into_iter().map(named).collect(),
        });
        used.collect()
    }

    fn add_used(&self, used: UsedTime) {
        // What only another's fleet file names is not posted by this one.
        let Some(endpoint) = self.fleet.endpoints.id(&used.endpoint) else { return };
        let work = used.work.into_iter().filter_map(|WorkDone { attempt, contract, work }| {
            Some(Worked { attempt, contract: self.fleet.contracts.id(&contract)?, work })
        });
        self.gateway.add_used(endpoint, Used { busy: used.busy.into_iter().collect(), work: work.collect() });
    }

    fn went_well(&self, part: Part) {
        self.gateway.note_shared(part.word());
    }
}
