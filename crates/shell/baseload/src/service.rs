//! The service as a whole: store, gateway, engines, and the loops that keep prices and keys fresh.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use dispatch::Policy;
use fleet::{EndpointId, Executor, Fleet, Secret};
use gateway::{Clock, Config, Door, Gateway, Limits, Upstream};
use ledger::{Books, Recovery, SpendingReader, Store, Unpriced, View, WHOLE};
use share::Sharing;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::exit::wrong;
use crate::fleetfile::{self, Read};
use crate::listen::{Doors, Listen, Shown};
use crate::rotate::Rotation;
use crate::shared::AllBooks;
use crate::supervise::{Announce, Plan, Supervisor};
use crate::upkeep::Upkeep;
use crate::{descriptors, log, models, place, secrets, shared};

/// How often prices are made anew.
const PRICES_EVERY: Duration = Duration::from_secs(1);
/// How often keys are read anew.
const KEYS_EVERY: Duration = Duration::from_secs(2);
/// How often it is looked what was corrected.
const CORRECTIONS_EVERY: Duration = Duration::from_secs(1);
/// How often we look whether the certificate's and the secrets' files have changed.
const SECRETS_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked which billing periods are to be closed, and which journal segments may go.
const BOOKS_EVERY: Duration = Duration::from_secs(10);

/// What a service is started with.
pub struct Setup {
    /// The fleet.
    pub read: Read,
    /// What the fleet is called in messages.
    pub name: String,
    /// The folder that relative model files are beside.
    pub beside: PathBuf,
    /// The state directory.
    pub state: PathBuf,
    /// Where to listen.
    pub listen: Listen,
    /// Which policy chooses.
    pub policy: Policy,
    /// Whether callers choose, and the policy only advises.
    pub shadow: bool,
    /// The gateway's limits, but for those that this process sets.
    pub limits: Limits,
    /// The plan that guides prices.
    pub plan: Option<Arc<planner::Plan>>,
    /// The database that it shares with other replicas.
    pub share: Option<share::Address>,
    /// How long what decisions saw is kept.
    pub keep_journal: Duration,
}

/// A running service.
pub struct Service {
    /// The fleet.
    pub fleet: Arc<Fleet>,
    /// The books.
    pub store: Store,
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// The engines.
    pub engines: Arc<Supervisor>,
    /// Where the gateway listens.
    pub at: SocketAddr,
    /// Where it tells metrics and status, when that is elsewhere.
    pub admin: Option<SocketAddr>,
    /// What time it is.
    pub clock: Clock,
    sharing: Option<Sharing>,
    stop: watch::Sender<bool>,
    upkeep: Upkeep,
    tasks: JoinSet<()>,
}

impl Service {
    /// Starts everything; engines go on starting after it returns.
    pub async fn start(setup: Setup) -> Result<(Self, Recovery)> {
        setup.listen.check()?;
        fleetfile::planned(&setup.read.fleet, &setup.name)?;
        let fleet = Arc::clone(&setup.read.fleet);
        let rotation = Rotation::new(&fleet);
        let upstreams = upstreams(&setup)?;
        let plans = plans(&setup)?;
        let Doors { doors, at, admin, certificate } = setup.listen.open().await?;
        let clock = Clock::system();
        let (store, recovery) = Store::open(&setup.state, &setup.read.text, Arc::clone(&fleet), clock.now())
            .with_context(|| format!("open the state directory {}", setup.state.display()))?;
        // After the store has made its directory, which is for its owner only.
        let folder = engine_folder(&setup.state);
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let (joined, all) = shared::join(setup.share.as_ref(), &setup.state, &fleet, &clock).await?;
        let config = Config {
            fleet: Arc::clone(&fleet),
            journal: Arc::new(store.clone()),
            policy: setup.policy,
            keys: store.keys()?,
            upstreams,
            clock: clock.clone(),
            limits: limits(&setup.limits, joined.is_some()),
            directory: Some(setup.state.clone()),
            shadow: setup.shadow,
        };
        tell_teamless(&config);
        tell_shadowless(&config);
        setup.listen.check_keys(config.keys.len(), &setup.state)?;
        let gateway = Arc::new(Gateway::new(config)?);
        let spent = SpendingReader::begin(&store, gateway.balances_from(), |spending| gateway.count_spent(spending))
            .context("read what was spent of budgets")?;
        if let Some(until) = store.held_until().context("read up to when held time is posted")? {
            gateway.hold_from(until);
            shared::tell_ahead(until, clock.now());
        }
        let sharing = shared::start(joined, &gateway, &fleet, &store, &clock).await?;
        let plan = setup.plan.clone();
        gateway.set_sheet(sheet(&fleet, plan.as_deref(), &books(&store, &all), &clock));
        let engines = Arc::new(Supervisor::start(plans, &announce(&gateway)));
        let (stop, stopped) = watch::channel(false);
        let mut service =
            Self { fleet, store, gateway, engines, at, admin, clock, sharing, stop, upkeep: Upkeep::default(), tasks: JoinSet::new() };
        service.serve(doors, stopped);
        service.keep_secrets(certificate, rotation)?;
        service.keep_prices(plan, all)?;
        service.keep_keys()?;
        service.keep_balances(spent, &setup.state)?;
        service.keep_books(setup.keep_journal)?;
        Ok((service, recovery))
    }

    fn serve(&mut self, doors: Vec<Door>, mut stopped: watch::Receiver<bool>) {
        let gateway = Arc::clone(&self.gateway);
        self.tasks.spawn(async move {
            gateway
                .serve_at(doors, async move {
                    // The sender gone says the same as its message.
                    _ = stopped.wait_for(|stop| *stop).await;
                })
                .await;
        });
    }

    fn keep_prices(&mut self, plan: Option<Arc<planner::Plan>>, all: AllBooks) -> Result<()> {
        let (fleet, store, clock) = (Arc::clone(&self.fleet), self.store.clone(), self.clock.clone());
        let gateway = Arc::clone(&self.gateway);
        self.upkeep.every("prices", PRICES_EVERY, move || {
            gateway.set_sheet(sheet(&fleet, plan.as_deref(), &books(&store, &all), &clock));
            Ok(())
        })
    }

    fn keep_keys(&mut self) -> Result<()> {
        let (gateway, store) = (Arc::clone(&self.gateway), self.store.clone());
        let mut set = None;
        self.upkeep.every("keys", KEYS_EVERY, move || {
            let rows = store.keys()?;
            if set.as_ref().is_none_or(|set| !Arc::ptr_eq(set, &rows)) {
                gateway.set_keys(&rows);
                set = Some(rows);
            }
            Ok(())
        })
    }

    /// Takes corrections that other processes book into the balances of budgets.
    fn keep_balances(&mut self, mut spent: SpendingReader, state: &Path) -> Result<()> {
        let (gateway, store) = (Arc::clone(&self.gateway), self.store.clone());
        // Made when it takes part, and put together beside.
        let whole =
            self.sharing.is_some().then(|| View::open(&state.join(WHOLE))).transpose().context("open the ledger of all replicas")?;
        self.upkeep.every("balances", CORRECTIONS_EVERY, move || {
            let count = |spending| gateway.count_spent(spending);
            spent.catch_up(&store, count).context("read corrections of what was spent")?;
            let all = whole.as_ref().map(|whole| spent.catch_up_for_all(&store, whole, count));
            all.transpose().map(drop).context("read corrections for all replicas of what was spent")
        })
    }

    fn keep_secrets(&mut self, certificate: Option<Shown>, rotation: Rotation) -> Result<()> {
        let (gateway, fleet) = (Arc::clone(&self.gateway), Arc::clone(&self.fleet));
        if let Some(certificate) = certificate {
            self.upkeep.every("certificate", SECRETS_EVERY, move || certificate.refresh())?;
        }
        self.upkeep.every("secrets", SECRETS_EVERY, move || rotation.refresh(&fleet, &gateway))
    }

    fn keep_books(&mut self, keep_journal: Duration) -> Result<()> {
        // Where several replicas share, a period is closed once for all of them, and by none that is started without them.
        let (store, clock, alone) = (self.store.clone(), self.clock.clone(), self.sharing.is_none());
        let (gateway, mut lost) = (Arc::clone(&self.gateway), 0);
        self.upkeep.every("books", BOOKS_EVERY, move || {
            let (now, live) = (clock.now(), gateway.live());
            if let Some(why) = live.why_lost.filter(|_| live.lost_records > lost) {
                lost = live.lost_records;
                log::say(format_args!("baseload: {lost} records of what has happened can't be kept; the first: {why}"));
            }
            if alone {
                store.close_periods(now).context("close billing periods")?;
            } else {
                // What fails to be committed is told by nothing else.
                store.flush().context("write the ledger")?;
            }
            store.expire_journal(now, keep_journal).context("remove old journal segments")?;
            Ok(())
        })
    }

    /// Ends requests under way, stops the engines, and closes the books.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.send_replace(true);
        let upkeep = self.upkeep;
        // One that panicked has been reported by its panic.
        drop(tokio::task::spawn_blocking(move || upkeep.stop()).await);
        while self.tasks.join_next().await.is_some() {}
        self.engines.stop().await;
        let flushed = self.store.flush().context("write the last of the ledger");
        if let Some(sharing) = self.sharing {
            // One that panicked has been reported by its panic.
            drop(tokio::task::spawn_blocking(move || sharing.stop()).await);
        }
        flushed?;
        let owed = self.gateway.live().owed_records;
        ensure!(
            owed == 0,
            "write the journal: the disk takes no more: {owed} records are lost, and the next start settles their attempts as interrupted"
        );
        Ok(())
    }
}

/// The limits that were asked for, as far as this process has files for them.
fn limits(asked: &Limits, shared: bool) -> Limits {
    let connections_max = descriptors::connections(asked.connections_max, asked.serving_threads);
    if connections_max < descriptors::FEW {
        log::say(format_args!("takes {connections_max} connections at once: this process may not open more files (ulimit -n)"));
    }
    Limits { shared, connections_max, ..asked.clone() }
}

/// Says which keys are good for nothing because the fleet lacks their team.
fn tell_teamless(config: &Config) {
    for key in config.keys.iter() {
        if let Some(team) = key.team.as_ref().filter(|team| config.fleet.teams.id(team).is_none()) {
            let [key, team] = [&key.name, team].map(|text| ledger::escaped(text));
            log::say(format_args!("key {key} belongs to the team {team}, which the fleet does not have: its calls are refused"));
        }
    }
}

/// Says which models' requests must name their endpoint in shadow mode.
fn tell_shadowless(config: &Config) {
    for (id, name, _) in config.fleet.models.iter().filter(|(id, ..)| config.shadow && config.fleet.shadow(*id).is_none()) {
        if config.fleet.endpoints.iter().any(|(.., endpoint)| endpoint.model == id) {
            log::say(format_args!(
                "no endpoint of the model {name} is marked with `shadow = true`: its requests must say in x-baseload-would where they would go"
            ));
        }
    }
}

/// The books of all replicas where it is one of several, else its own.
fn books(store: &Store, all: &AllBooks) -> Arc<Books> {
    all.read().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_else(|| store.books())
}

fn sheet(fleet: &Fleet, plan: Option<&planner::Plan>, books: &Books, clock: &Clock) -> market::PriceSheet {
    let now = clock.now();
    let forecast = match plan {
        Some(plan) => books.forecast.clone().guided(&planner::guide(fleet, plan, now)),
        None => books.forecast.clone(),
    };
    market::price_sheet_by(fleet, &books.terms, &books.balances, &forecast, now)
}

fn announce(gateway: &Arc<Gateway>) -> Announce {
    let gateway = Arc::clone(gateway);
    Arc::new(move |endpoint, address| {
        if let Err(error) = gateway.set_upstream(endpoint, address) {
            log::say(format_args!("baseload: {:#}", anyhow::Error::from(error)));
        }
    })
}

/// Hosted endpoints: those with a URL, each with its secret.
fn upstreams(setup: &Setup) -> Result<BTreeMap<EndpointId, Upstream>> {
    let mut found = BTreeMap::new();
    for (id, name, endpoint) in setup.read.fleet.endpoints.iter().filter(|(.., endpoint)| !endpoint.url.is_empty()) {
        let key = endpoint.key.as_ref().map(|secret| {
            let place = fleetfile::place(&setup.read.text, secrets::name(secret));
            let place = place.map_or_else(|| setup.name.clone(), |place| format!("{}:{place}", setup.name));
            secrets::resolve(secret).map_err(|error| unresolved(&error, secret, &format!("{place}: the key of endpoint {name}")))
        });
        let upstream = Upstream::of(
            endpoint,
            setup.read.fleet.models.name(endpoint.model),
            key.transpose()?.as_ref().map(secrets::SecretText::expose),
        );
        found.insert(id, upstream.with_context(|| format!("use endpoint {name} of {}", setup.name))?);
    }
    Ok(found)
}

/// A secret that isn't where the file says; what a command failed to say it may say the next time.
fn unresolved(error: &anyhow::Error, secret: &Secret, what: &str) -> anyhow::Error {
    match secret {
        Secret::Env(name) => {
            wrong(format!("{what}: can't {error:#}\nhint: set {name} for `baseload up`, or name another source of the key"))
        }
        Secret::File(path) => wrong(format!("{what}: can't {error:#}\nhint: {path} has to hold the key, readable by its owner only")),
        Secret::Command(_) => anyhow!("resolve a secret: {what}: can't {error:#}\nhint: the command has to print the key, and end well"),
    }
}

/// One engine for each endpoint on a pool of processes.
fn plans(setup: &Setup) -> Result<Vec<Plan>> {
    let fleet = &setup.read.fleet;
    let mut plans = Vec::new();
    for (id, name, endpoint) in fleet.endpoints.iter().filter(|(.., endpoint)| endpoint.url.is_empty()) {
        let executor = endpoint.pool.map(|pool| &fleet.pools[pool].executor);
        let Some(Executor::Process { cpu }) = executor else {
            log::say(format_args!(
                "endpoint {name} has no url, and this version starts engines on pools of processes only: it stays absent"
            ));
            continue;
        };
        ensure!(
            endpoint.replicas == 1,
            wrong(format!("endpoint {name} asks for {} replicas: a pool of processes runs one for now", endpoint.replicas))
        );
        let model = &fleet.models[endpoint.model];
        let model_name = fleet.models.name(endpoint.model);
        let file = models::resolve(model.file.as_deref().unwrap_or(model_name), &setup.beside, &place::models()?)
            .with_context(|| format!("start the engine of endpoint {name} of {}", setup.name))?;
        let percent = (cpu.ppm() / 10_000).max(1);
        let served_as = endpoint.upstream_model.as_deref().unwrap_or(model_name);
        let numbers = [
            ("--slots", i64::from(endpoint.slots)),
            ("--context", i64::from(model.context)),
            ("--threads", (percent + 99) / 100),
            ("--cpu-share", percent),
            ("--queue", i64::from(endpoint.queue)),
        ];
        let mut args: Vec<OsString> = vec!["--model".into(), file.into(), "--name".into(), served_as.into(), "--die-with-parent".into()];
        args.extend(numbers.into_iter().flat_map(|(flag, number)| [flag.into(), number.to_string().into()]));
        plans.push(Plan { endpoint: id, name: name.to_owned(), program: place::engine()?, args, folder: engine_folder(&setup.state) });
    }
    Ok(plans)
}

/// Where engines write their addresses and logs.
fn engine_folder(state: &Path) -> PathBuf {
    state.join("engines")
}

/// Says what was found when the state directory was opened, where that is worth a line.
pub fn describe(recovery: &Recovery) -> Option<String> {
    let unpriced = recovery.unpriced.iter().map(|Unpriced { contract, subject }| {
        format!(
            "not priced: what was used of {subject} under the contract {contract} in a period that is not closed, as neither the fleet file has it \
             nor a text of the version that it was used under; put {subject} back into the file until the period has closed"
        )
    });
    let lines: Vec<String> = recovered(&Recovery { unpriced: Vec::new(), ..recovery.clone() }).into_iter().chain(unpriced).collect();
    if lines.is_empty() { None } else { Some(lines.join("\n")) }
}

fn recovered(recovery: &Recovery) -> Option<String> {
    if *recovery == Recovery::default() {
        return None;
    }
    let Recovery { replayed, interrupted, torn_bytes, aside_records, aside_bytes, held, unpriced: _ } = recovery;
    let torn = if *torn_bytes > 0 { format!(", {torn_bytes} bytes of an unfinished record cut off") } else { String::new() };
    let aside = match aside_bytes {
        0 => String::new(),
        _ => {
            format!(", {aside_records} records behind a hole in what was never synced set aside ({aside_bytes} bytes, in the folder aside)")
        }
    };
    let held = if held.is_zero() { String::new() } else { format!(", {} ms of held time posted that was not yet", held.as_millis()) };
    Some(format!(
        "recovered: {replayed} journal records booked, {} attempts found in flight and settled as interrupted{torn}{aside}{held}",
        interrupted.len()
    ))
}
