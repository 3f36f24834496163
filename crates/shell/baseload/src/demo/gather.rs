//! Reads the running service into a [`Screen`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fleet::Fleet;
use gateway::{Clock, EndpointLive, Gateway};
use ledger::Store;
use units::Money;

use super::screen::{self, PoolRow, Screen};
use super::traffic::Counts;
use crate::explain::shown;
use crate::service::Service;
use crate::supervise::{State, Supervisor};

/// Over which time rates are taken.
const RATE_WINDOW: Duration = Duration::from_secs(10);
/// Decisions that are shown at most.
const DECISIONS_MAX: usize = 40;

/// A question to paste once the variables of the line above it are set.
const CURL: &str = r#"curl -i $OPENAI_BASE_URL/chat/completions -H "authorization: Bearer $OPENAI_API_KEY" -H content-type:application/json -d '{"model":"default","messages":[{"role":"user","content":"Hi"}]}'"#;

/// What a picture is made from.
pub struct Gather {
    fleet: Arc<Fleet>,
    store: Store,
    gateway: Arc<Gateway>,
    engines: Arc<Supervisor>,
    clock: Clock,
    counts: Arc<Counts>,
    connect: String,
    begun: Instant,
    /// Output tokens by endpoint, with when they were read; the oldest is at most the window old.
    samples: VecDeque<(Instant, Vec<u64>)>,
}

impl Gather {
    /// Reads `service` from now on.
    pub fn new(service: &Service, counts: Arc<Counts>, connect: String) -> Self {
        Self {
            fleet: Arc::clone(&service.fleet),
            store: service.store.clone(),
            gateway: Arc::clone(&service.gateway),
            engines: Arc::clone(&service.engines),
            clock: service.clock.clone(),
            counts,
            connect,
            begun: Instant::now(),
            samples: VecDeque::new(),
        }
    }

    /// The picture of this moment.
    pub fn screen(&mut self) -> Screen {
        let (live, books, now) = (self.gateway.live(), self.store.books(), self.clock.now());
        let rates = self.rates(&live.endpoints);
        let pools = live.endpoints.iter().zip(rates).map(|(endpoint, rate)| self.pool(endpoint, rate)).collect();
        let contracts = self.fleet.contracts.iter();
        let contracts = contracts.filter_map(|(id, ..)| screen::contract(&self.fleet, &books.balances, id, now)).collect();
        let decisions = live.recent.iter().take(DECISIONS_MAX).map(|recent| screen::decision(&self.fleet, recent)).collect();
        let (served, tokens) = live.endpoints.iter().fold((0, 0), |sum, row| (sum.0 + row.served, sum.1 + row.output_tokens));
        let failed = self.counts.failed.load(Ordering::Relaxed);
        let left_out = self.counts.left_out.load(Ordering::Relaxed);
        let totals = format!(
            "running for {}   {served} answered   {tokens} tokens out   {} under way   {failed} failed   {left_out} left out",
            screen::clock(self.begun.elapsed()),
            live.in_flight,
        );
        Screen { connect: self.connect.clone(), curl: CURL.to_owned(), totals, pools, contracts, decisions }
    }

    fn rates(&mut self, endpoints: &[EndpointLive]) -> Vec<u32> {
        let now = Instant::now();
        let tokens: Vec<u64> = endpoints.iter().map(|endpoint| endpoint.output_tokens).collect();
        self.samples.push_back((now, tokens.clone()));
        while self.samples.front().is_some_and(|(at, _)| now.duration_since(*at) > RATE_WINDOW) {
            self.samples.pop_front();
        }
        let Some((at, before)) = self.samples.front() else { return Vec::new() };
        let millis = u64::try_from(now.duration_since(*at).as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = |(now, before): (&u64, &u64)| u32::try_from((now - before) * 1000 / millis).unwrap_or(u32::MAX);
        tokens.iter().zip(before).map(rate).collect()
    }

    fn pool(&self, live: &EndpointLive, tokens_per_second: u32) -> PoolRow {
        let per_million = |nanos: i64| shown(Money::from_nanos(nanos.into()), 2);
        let payer = live.price.as_ref().and_then(|price| price.first(&self.fleet, self.clock.now()));
        let engine = self.engines.engines.iter().find(|engine| engine.endpoint == live.endpoint).map(|engine| engine.state());
        PoolRow {
            name: self.fleet.endpoints.name(live.endpoint).to_owned(),
            state: match engine {
                Some(State::Starting) => "starting",
                Some(State::Up { .. }) => "up",
                Some(State::Died) => "died",
                Some(State::Stopped) => "stopped",
                None if live.listening => "up",
                None => "absent",
            },
            running: live.outstanding,
            slots: self.fleet.endpoints[live.endpoint].slots,
            tokens_per_second,
            payer: payer.map_or_else(|| "nobody".to_owned(), |payer| self.fleet.contracts.name(payer.contract).to_owned()),
            price: payer.map_or_else(|| "-".to_owned(), |payer| per_million(payer.marginal.output)),
            list: payer.map_or_else(|| "-".to_owned(), |payer| per_million(payer.list.output)),
        }
    }
}

/// Stops or starts the engine behind row `index` of the pools.
pub fn toggle(fleet: &Fleet, engines: &Supervisor, index: usize) {
    let endpoint = fleet.endpoints.iter().nth(index).map(|(id, ..)| id);
    if let Some(engine) = engines.engines.iter().find(|engine| Some(engine.endpoint) == endpoint) {
        engine.toggle();
    }
}

/// A picture as one line, for output that is no terminal.
pub fn line(screen: &Screen) -> String {
    let pools = screen.pools.iter().map(|pool| format!("{} {} {}/{} at {}", pool.name, pool.state, pool.running, pool.slots, pool.price));
    let floors = screen.contracts.iter().filter_map(|row| row.percent().map(|percent| format!("{} {percent} % of its floor", row.name)));
    let last = screen.decisions.first().map(|row| format!("last {} to {} ({})", row.tier, row.endpoint, row.why));
    let parts: Vec<String> = std::iter::once(screen.totals.clone()).chain(pools).chain(floors).chain(last).collect();
    parts.join(" | ")
}
