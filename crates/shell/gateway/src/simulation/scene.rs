//! What every run begins with: a fleet, keys, prices, limits short enough to be reached.

use std::sync::Arc;
use std::time::Duration;

use dispatch::{KeyId, Policy};
use fleet::{Allowance, EndpointId, Fleet};
use ledger::{KeyRow, Scope};
use market::{Balances, Forecast, PriceSheet};
use sha2::{Digest, Sha256};
use testkit::checkers::Spender;
use units::Instant;

use crate::limits::Limits;

pub(super) const FLEET: &str = include_str!("fleet.toml");
/// What no output may show.
pub(super) const SECRET: &str = "canary-secret";
/// The hosts of upstreams, each the only address of the endpoint of its name, by port.
pub(super) const UPSTREAMS: [&str; 3] = ["north", "west", "spill"];
/// Endpoints that are never eligible for who asks for their model, though something has their address.
pub(super) const NEVER: [&str; 3] = ["claimed", "ended", "dear"];
/// The keys' public parts: without limits, with a budget, with rates.
pub(super) const KEYS: [&str; 3] = ["abcdefabcdef", "bcdefabcdefa", "cdefabcdefab"];
/// The one with a budget.
pub(super) const BUDGETED: usize = 1;

/// What a request's body may have.
pub(super) const BODY_BYTES_MAX: usize = 100_000;

/// When the clocks of every run begin.
pub(super) fn start() -> Instant {
    Instant::from_micros(1_795_348_800_000_000)
}

pub(super) fn fleet() -> Arc<Fleet> {
    let parsed = fleet::parse(FLEET);
    Arc::new(parsed.fleet.unwrap_or_else(|| unreachable!("{:#?}", parsed.diagnostics)))
}

pub(super) fn endpoint(fleet: &Fleet, name: &str) -> EndpointId {
    fleet.endpoints.id(name).expect("the fleet of the simulation has it")
}

pub(super) fn limits() -> Limits {
    let seconds = Duration::from_secs;
    Limits {
        serving_threads: 1,
        in_flight_max: 6,
        key_in_flight_max: 4,
        peer_in_flight_max: 5,
        queue_max: 1,
        queue_timeout: seconds(2),
        queue_timeout_flex: seconds(4),
        header_timeout: seconds(4),
        body_timeout: seconds(4),
        body_bytes_max: BODY_BYTES_MAX,
        connect_timeout: seconds(1),
        first_token_timeout: seconds(2),
        between_tokens_timeout: seconds(2),
        answer_timeout: seconds(4),
        drain_timeout: seconds(10),
        ..Limits::default()
    }
}

/// The keys; with `budgets` as the second one has it.
pub(super) fn keys(budgets: bool) -> Vec<KeyRow> {
    let rates = Allowance { requests: "30/min".parse().ok(), tokens: "20k/min".parse().ok(), budget: None };
    let budget = Allowance { budget: budgets.then(|| BUDGET.parse().expect("a budget")), ..Allowance::default() };
    let allowances = [Allowance::default(), budget, rates];
    KEYS.iter().zip(1..).zip(allowances).map(|((public, id), allowance)| key(public, KeyId(id), allowance)).collect()
}

const BUDGET: &str = "0.03 USD/day";

/// Who may spend what.
pub(super) fn spender() -> Spender {
    Spender { keys: vec![KeyId(2)], budget: BUDGET.parse().expect("a budget") }
}

fn key(public: &str, id: KeyId, allowance: Allowance) -> KeyRow {
    KeyRow {
        id,
        rotated: None,
        previous: None,
        scopes: [Scope::Inference].into_iter().collect(),
        team: None,
        allowance,
        name: public.to_owned(),
        public: public.to_owned(),
        hash: Sha256::digest(SECRET.as_bytes()).into(),
        models: Vec::new(),
        created: Instant::default(),
        expires: None,
        revoked: None,
    }
}

/// Prices of an empty ledger, which grow stale and useless within a run.
pub(super) fn sheet(fleet: &Fleet, now: Instant) -> PriceSheet {
    let sheet = market::price_sheet(fleet, &Balances::default(), &Forecast::default(), now);
    PriceSheet { valid_until: now + Duration::from_secs(12), usable_until: now + Duration::from_secs(20), ..sheet }
}

pub(super) fn policy(seed: u64) -> Policy {
    // Ours most of the time.
    let index = usize::try_from(seed % 10).expect("it is below ten");
    Policy::ALL.get(index).copied().unwrap_or_default()
}
