//! A small fleet and its records.

use std::sync::Arc;
use std::time::Duration;

use dispatch::{
    Ask, AttemptId, Cost, Decision, HeldTime, KeyId, KeyScope, Known, Needs, Outcome, Policy, Question, Record, RequestId, Rule, Settlement,
};
use fleet::{
    Accelerator, Calendar, Charge, Contract, Dialect, Endpoint, EndpointId, Executor, Finance, Fleet, FleetVersion, Id, Meter, Model,
    Party, Period, Pool, Ramp, RateClause, Region, ServiceTier, Site, Status, Table, Tier, TierKind, TokenWeights,
};
use jiff::civil::date;
use jiff::tz::TimeZone;
use ledger::{Recovery, Store};
use market::{TokenPrices, Tokens, Usage};
use sha2::{Digest, Sha256};
use units::{Bytes, Flops, Instant, Money, Quantity, Rate, Share, Span, Watts};

/// The text that the store keeps; but for its hash its content does not matter to the ledger.
pub const TEXT: &str = "name = \"small\"\n";

/// A nano for an input token, two for an output token.
pub const LIST: TokenPrices = TokenPrices { input: 1_000_000, cached: 0, output: 2_000_000 };

pub fn start() -> Instant {
    Instant::from_micros(1_795_000_000_000_000)
}

pub fn seconds(count: u64) -> Instant {
    start() + Duration::from_secs(count)
}

fn contract(rates: Vec<RateClause>) -> Contract {
    Contract {
        party: Id::from_index(0),
        status: Status::Signed,
        preset: None,
        term: Span::ALWAYS,
        calendar: Calendar::new(TimeZone::UTC, date(2026, 1, 1).at(0, 0, 0, 0), Period::Minutes(5)),
        currency: "USD".parse().expect("a currency"),
        rounding: Money::from_nanos(1),
        under: None,
        order: 0,
        pools: Vec::new(),
        endpoints: Vec::new(),
        capacity: Vec::new(),
        rates,
        floors: Vec::new(),
        overflow: None,
        prepayments: Vec::new(),
        delivery: None,
        exclusivities: Vec::new(),
        first_refusals: Vec::new(),
        substitutions: Vec::new(),
        termination: None,
        spot: None,
        capex: None,
        offer: None,
        expansions: Vec::new(),
    }
}

fn rate(meter: Meter) -> RateClause {
    let tiers = vec![Tier { from: Quantity::ZERO, rate: Rate { money: Money::from_nanos(1), per: 1 } }];
    RateClause { meter, charge: Charge::Metered, tiers, kind: TierKind::Graduated, over_term: false, escalation: None }
}

fn endpoint(pool: Option<fleet::PoolId>) -> Endpoint {
    Endpoint {
        model: Id::from_index(0),
        pool,
        replicas: 1,
        region: None,
        dialect: Dialect::OpenAi,
        url: String::new(),
        upstream_model: None,
        api_version: None,
        output_max: None,
        key: None,
        key_as: fleet::KeyAs::Dialect,
        picker: None,
        stream_usage: fleet::StreamUsage::Asked,
        organization: None,
        project: None,
        slots: 4,
        queue: 4,
        profile: None,
        shadow: false,
    }
}

fn model() -> Model {
    Model {
        aliases: Vec::new(),
        parameters: 1,
        context: 1000,
        memory: Bytes::default(),
        capabilities: Vec::new(),
        weights: TokenWeights { input_ppm: 1_000_000, cached_ppm: 0, output_ppm: 4_000_000 },
        file: None,
    }
}

fn named<I: Id, T>(rows: impl IntoIterator<Item = (&'static str, T)>) -> Table<I, T> {
    Table::new(rows.into_iter().map(|(name, row)| (name.to_owned(), row)).collect())
}

/// `north` is a pool that a reservation pays in time; `web` is hosted and paid by the token; with `first`, another
/// contract stands before them all, so that ids differ from those of the fleet without it.
pub fn fleet_with(first: Option<&'static str>) -> Arc<Fleet> {
    let tokens = vec![rate(Meter::InputTokens(Id::from_index(0))), rate(Meter::OutputTokens(Id::from_index(0)))];
    let time = vec![rate(Meter::AcceleratorTime(Id::from_index(0)))];
    let contracts = [("reserved", contract(time)), ("tokens", contract(tokens))];
    let contracts = first.map(|name| (name, contract(Vec::new()))).into_iter().chain(contracts);
    Arc::new(Fleet {
        version: FleetVersion(Sha256::digest(first.unwrap_or(TEXT)).into()),
        name: "small".to_owned(),
        currency: "USD".parse().expect("a currency"),
        time_zone: jiff::tz::TimeZone::UTC,
        exchange: Default::default(),
        regions: named([("home", Region { jurisdiction: "EU".to_owned() })]),
        links: Table::default(),
        parties: named([("us", Party { roles: Vec::new(), means: None, default: Share::NONE, delay: None })]),
        sites: named([(
            "site",
            Site {
                region: Id::from_index(0),
                operator: None,
                power: Ramp::constant(1),
                pue_ppm: 1_000_000,
                energy: Rate::FREE,
                shortfall: None,
            },
        )]),
        accelerators: named([(
            "chip",
            Accelerator {
                vendor: None,
                peak: Flops::default(),
                memory: Bytes::default(),
                bandwidth: Bytes::default(),
                power: Watts::default(),
                runs: Vec::new(),
                available: None,
                idle: Share::NONE,
                supply: None,
                shortage: None,
            },
        )]),
        pools: named([(
            "pool",
            Pool {
                site: Id::from_index(0),
                accelerator: Id::from_index(0),
                count: Ramp::constant(1),
                executor: Executor::Process { cpu: Share::ALL },
            },
        )]),
        models: named([("small", model())]),
        profiles: Table::default(),
        endpoints: named([("north", endpoint(Some(Id::from_index(0)))), ("web", endpoint(None))]),
        contracts: named(contracts),
        workloads: Table::default(),
        teams: Table::default(),
        limits: fleet::Allowance::default(),
        finance: Finance::default(),
        ventures: Vec::new(),
        caps: Vec::new(),
        horizon: fleet::Horizon::default(),
        risk: fleet::Risk::default(),
        sources: std::collections::BTreeMap::new(),
        figures: Default::default(),
    })
}

pub fn fleet() -> Arc<Fleet> {
    fleet_with(None)
}

pub fn open(directory: &std::path::Path) -> (Store, Recovery) {
    Store::open(directory, TEXT, fleet(), start()).expect("the directory opens")
}

pub fn attempt(request: u128, attempt: u8) -> AttemptId {
    AttemptId { request: RequestId(request), attempt }
}

/// The endpoint and the contract that pays it.
pub fn place(fleet: &Fleet, hosted: bool) -> (EndpointId, fleet::ContractId) {
    let (endpoint, contract) = if hosted { ("web", "tokens") } else { ("north", "reserved") };
    (fleet.endpoints.id(endpoint).expect("it is there"), fleet.contracts.id(contract).expect("it is there"))
}

pub fn decided(fleet: &Fleet, attempt: AttemptId, hosted: bool, now: Instant) -> Record {
    let (endpoint, contract) = place(fleet, hosted);
    let question = Question {
        wish: None,
        funds: None,
        now,
        fleet: fleet.version,
        policy: Policy::MarginalCost,
        valid_until: now,
        usable_until: now,
        ask: Ask {
            id: attempt.request,
            sequence: 0,
            model: Id::from_index(0),
            tier: ServiceTier::Default,
            needs: Needs::default(),
            tokens: Tokens { input: 10, cached: 0, output: 5 },
            input_least: 1,
            output_max: 20,
            scope: KeyScope::default(),
        },
        seen: Vec::new(),
    };
    let decision = Decision {
        endpoint,
        in_units: false,
        contract,
        cost: Cost::default(),
        list: LIST,
        rule: Rule::Policy,
        passed_over: Vec::new(),
        advice: None,
    };
    Record::Decided { attempt, key: KeyId(1), question: Box::new(question), decision: Box::new(decision) }
}

/// The same of an attempt that units of its contract take.
pub fn in_units(record: Record) -> Record {
    match record {
        Record::Decided { attempt, key, question, decision } => {
            Record::Decided { attempt, key, question, decision: Box::new(Decision { in_units: true, ..*decision }) }
        }
        Record::Settled(settlement) => Record::Settled(Settlement { in_units: true, ..settlement }),
        Record::Held(held) => Record::Held(held),
    }
}

pub fn settlement(fleet: &Fleet, attempt: AttemptId, hosted: bool, tokens: Tokens, ended: Instant) -> Settlement {
    let (endpoint, contract) = place(fleet, hosted);
    Settlement {
        attempt,
        endpoint,
        in_units: false,
        contract,
        fleet: fleet.version,
        outcome: Outcome::Answered,
        tokens,
        known: Known::Reported,
        list: LIST.cost(tokens),
        started: ended,
        first_content: None,
        ended,
    }
}

pub fn held(fleet: &Fleet, from: Instant, length: Duration, held: i64, shares: &[(AttemptId, i64)]) -> HeldTime {
    let (endpoint, contract) = place(fleet, false);
    let used = Quantity::new(shares.iter().map(|(_, quantity)| quantity).sum());
    let meter = Meter::AcceleratorTime(Id::from_index(0));
    let usage = Usage { contract, meter, at: from, held: Quantity::new(held), used };
    HeldTime {
        endpoint,
        fleet: fleet.version,
        span: Span { from, to: from + length },
        usage: vec![usage],
        shares: shares.iter().map(|(attempt, quantity)| (*attempt, Quantity::new(*quantity))).collect(),
    }
}
