//! Several replicas on one PostgreSQL: what the gateway's budgets are leased by.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use fleet::Fleet;
use gateway::{Allotment, Clock, Gateway, Owner};
use ledger::{KeyRow, Store};
use market::{BUDGET_LEASE, Leased};
use share::{Address, Joined, Portion, Portions, ReplicaId, Setup, Sharing};
use units::Instant;

use crate::log;

/// Takes part in what is shared, where an address is given: what it says of keys is in the state directory then.
pub async fn join(address: Option<&Address>, state: &Path, clock: &Clock) -> Result<Option<Joined>> {
    let Some(address) = address.cloned() else { return Ok(None) };
    let mut random = [0; 8];
    getrandom::fill(&mut random).context("draw random bytes for a name among the replicas")?;
    let (directory, clock) = (state.to_owned(), clock.clone());
    let joining = tokio::task::spawn_blocking(move || {
        let replica = ReplicaId::of(&directory, random)?;
        let say = |text: &str| log::say(format_args!("baseload: {text}"));
        Joined::join(Setup { address, directory, replica, now: Arc::new(move || clock.now()), say: Arc::new(say) })
    });
    Ok(Some(joining.await.context("take part in what is shared")?.context("share with other replicas (`--share`)")?))
}

/// Leases what the gateway may spend, and goes on doing so.
pub async fn start(joined: Option<Joined>, gateway: &Arc<Gateway>, store: &Store, fleet: &Arc<Fleet>) -> Result<Option<Sharing>> {
    let Some(joined) = joined else { return Ok(None) };
    let budgets = Budgets { gateway: Arc::clone(gateway), store: store.clone(), fleet: Arc::clone(fleet), seen: Mutex::default() };
    let starting = tokio::task::spawn_blocking(move || joined.start(Arc::new(budgets)));
    Ok(Some(starting.await.context("take part in what is shared")?.context("lease shared budgets")?))
}

/// The gateway's budgets, by what they are called at every replica.
struct Budgets {
    gateway: Arc<Gateway>,
    store: Store,
    fleet: Arc<Fleet>,
    /// Those that were told of last.
    seen: Mutex<BTreeMap<(String, Instant), Allotment>>,
}

impl Budgets {
    fn name(&self, keys: &[KeyRow], owner: Owner) -> Option<String> {
        match owner {
            Owner::Key(id) => keys.iter().find(|row| row.id == id).map(|row| format!("key {}", row.public)),
            Owner::Team(team) => Some(format!("team {}", self.fleet.teams.name(team))),
            Owner::Fleet => Some("fleet".to_owned()),
        }
    }
}

impl Portions for Budgets {
    fn standing(&self) -> Vec<Portion> {
        // Without its name a budget is not renewed, and so not spent.
        let keys = self.store.keys().unwrap_or_default();
        let mut seen = BTreeMap::new();
        let portions = self.gateway.allotments().into_iter().filter_map(|allotment| {
            let (account, period) = (self.name(&keys, allotment.owner)?, allotment.period.from);
            let (taken, ceiling) = allotment.standing();
            let (limit, need) = (i64::try_from(allotment.budget.nanos()).unwrap_or(i64::MAX), allotment.need());
            seen.insert((account.clone(), period), allotment);
            Some(Portion { account, period, limit, size: BUDGET_LEASE, taken, ceiling, need })
        });
        let portions = portions.collect();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        portions
    }

    fn renewed(&self, portion: &Portion, leased: Leased, until: Instant) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(allotment) = seen.get(&(portion.account.clone(), portion.period)) {
            allotment.renew(leased, until);
        }
    }
}
