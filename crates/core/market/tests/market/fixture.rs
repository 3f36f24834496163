//! Small fleets as values: one accelerator (`h100`), one model (`m`), one pool, one endpoint, and the contracts at hand.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use fleet::*;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use market::{Balances, Clause, Line, Usage, statement};
use units::{Bytes, Currency, Flops, Instant, Money, Quantity, Rate, Share, Span, UnitRate, Watts};

pub const HOUR: i64 = 3_600_000;

pub fn h100() -> Meter {
    Meter::AcceleratorTime(AcceleratorId::from_index(0))
}

pub fn ptu() -> Meter {
    Meter::UnitTime(ModelId::from_index(0))
}

pub fn input() -> Meter {
    Meter::InputTokens(ModelId::from_index(0))
}

pub fn output() -> Meter {
    Meter::OutputTokens(ModelId::from_index(0))
}

/// The instant of a civil time in UTC: `2027-01-01` or `2027-01-01T06:30`.
pub fn at(civil: &str) -> Instant {
    at_in("UTC", civil)
}

pub fn at_in(zone: &str, civil: &str) -> Instant {
    let civil: DateTime = civil.parse().or_else(|_| civil.parse::<Date>().map(|date| date.at(0, 0, 0, 0))).expect("a date in a test");
    let zone = TimeZone::get(zone).expect("the zones are bundled");
    Calendar::new(zone, civil, Period::Term).instant(civil)
}

pub fn span(from: &str, to: &str) -> Span {
    Span { from: at(from), to: at(to) }
}

pub fn usd(units: i64) -> Money {
    Money::from_units(units)
}

pub fn rate(text: &str) -> Rate {
    text.parse::<UnitRate>().expect("a rate in a test").rate
}

pub fn percent(of: i64) -> Share {
    Share::from_ppm(of * 10_000)
}

pub fn calendar(zone: &str, anchor: &str, period: Period) -> Calendar {
    let anchor: Date = anchor.parse().expect("a date in a test");
    Calendar::new(TimeZone::get(zone).expect("the zones are bundled"), anchor.at(0, 0, 0, 0), period)
}

/// A signed contract without clauses, billed in nano-dollars from its term's start.
pub fn contract(from: &str, to: &str, period: Period) -> Contract {
    Contract {
        party: PartyId::from_index(0),
        status: Status::Signed,
        preset: None,
        term: span(from, to),
        calendar: calendar("UTC", from, period),
        currency: Currency::USD,
        rounding: Money::from_nanos(1),
        under: None,
        order: 0,
        pools: Vec::new(),
        endpoints: Vec::new(),
        capacity: Vec::new(),
        rates: Vec::new(),
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

pub fn rates(meter: Meter, charge: Charge, price: &str) -> RateClause {
    let tiers = vec![Tier { from: Quantity::ZERO, rate: rate(price) }];
    RateClause { meter, charge, tiers, kind: TierKind::Graduated, over_term: false, escalation: None }
}

pub fn metered(meter: Meter, price: &str) -> RateClause {
    rates(meter, Charge::Metered, price)
}

pub fn committed(meter: Meter, price: &str) -> RateClause {
    rates(meter, Charge::Committed, price)
}

pub fn tiered(meter: Meter, kind: TierKind, tiers: &[(i64, &str)]) -> RateClause {
    let tiers = tiers.iter().map(|(from, price)| Tier { from: Quantity::new(*from), rate: rate(price) }).collect();
    RateClause { tiers, kind, ..metered(meter, "0 USD/token") }
}

pub fn capacity(meter: Meter, steps: &[(&str, i64)]) -> Capacity {
    let (of, tokens_per_unit_minute) = match meter {
        Meter::AcceleratorTime(id) => (CapacityOf::Accelerators(id), 0),
        Meter::UnitTime(id) => (CapacityOf::Units(id), 1_000),
        _ => unreachable!("only time is a capacity"),
    };
    let steps = steps.iter().map(|(from, amount)| (at(from), *amount)).collect();
    Capacity { of, ramp: Ramp::new(steps).expect("a ramp in a test"), tokens_per_unit_minute }
}

/// A floor in money by purchase over this contract and what is nested under it.
pub fn floor(per: Period, steps: &[(&str, i64)]) -> Floor {
    let steps = steps.iter().map(|(from, units)| (at(from), usd(*units))).collect();
    let least = Least::Spend(Ramp::new(steps).expect("a ramp in a test"));
    let (contracts, meters) = (Vec::new(), Vec::new());
    Floor { least, per, basis: Basis::Purchase, contracts, meters, carry_over: None, abated_while_late: false }
}

/// The id that the contract of this name has among these.
pub fn id(names: &[&str], name: &str) -> ContractId {
    ContractId::from_index(names.iter().filter(|other| **other < name).count())
}

pub fn fleet(contracts: Vec<(&str, Contract)>) -> Fleet {
    let named = |name: &str| name.to_owned();
    let region = RegionId::from_index(0);
    let site =
        Site { region, operator: None, power: Ramp::constant(1_000_000_000), pue_ppm: 1_200_000, energy: Rate::FREE, shortfall: None };
    let chip = Accelerator {
        vendor: None,
        peak: Flops::new(989_000_000),
        memory: Bytes::new(80_000_000_000),
        bandwidth: Bytes::new(3_350_000_000_000),
        power: Watts::new(700),
        runs: vec![Use::Serving],
        available: None,
        idle: Share::NONE,
        supply: None,
        shortage: None,
    };
    let pool = Pool {
        site: SiteId::from_index(0),
        accelerator: AcceleratorId::from_index(0),
        count: Ramp::constant(8),
        executor: Executor::Process { cpu: Share::ALL },
    };
    Fleet {
        version: FleetVersion([0; 32]),
        name: named("test"),
        currency: Currency::USD,
        time_zone: jiff::tz::TimeZone::UTC,
        exchange: BTreeMap::new(),
        regions: Table::new(vec![(named("eu"), Region { jurisdiction: named("EU") })]),
        links: Table::default(),
        parties: Table::new(vec![(named("cloud"), Party { roles: vec![Role::Supplier], means: None, default: Share::NONE, delay: None })]),
        sites: Table::new(vec![(named("site"), site)]),
        accelerators: Table::new(vec![(named("h100"), chip)]),
        pools: Table::new(vec![(named("pool"), pool)]),
        models: Table::new(vec![(named("m"), model())]),
        profiles: Table::default(),
        endpoints: Table::new(vec![(named("endpoint"), endpoint(region))]),
        contracts: Table::new(contracts.into_iter().map(|(name, contract)| (name.to_owned(), contract)).collect()),
        workloads: Table::default(),
        teams: Table::default(),
        limits: fleet::Allowance::default(),
        finance: Finance::default(),
        ventures: Vec::new(),
        caps: Vec::new(),
        horizon: fleet::Horizon::default(),
        risk: fleet::Risk::default(),
        sources: std::collections::BTreeMap::new(),
        figures: BTreeMap::new(),
    }
}

fn model() -> Model {
    Model {
        aliases: Vec::new(),
        parameters: 7_000_000_000,
        context: 8_192,
        memory: Bytes::new(0),
        capabilities: vec![Capability::Chat],
        weights: TokenWeights { input_ppm: 1_000_000, cached_ppm: 100_000, output_ppm: 4_000_000 },
        file: None,
    }
}

fn endpoint(region: RegionId) -> Endpoint {
    Endpoint {
        model: ModelId::from_index(0),
        pool: Some(PoolId::from_index(0)),
        replicas: 1,
        region: Some(region),
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
        slots: 8,
        queue: 8,
        profile: None,
        shadow: false,
    }
}

/// A fleet with its postings, asked by name.
pub struct Case {
    pub fleet: Fleet,
    pub balances: Balances,
}

impl Case {
    pub fn new(contracts: Vec<(&str, Contract)>) -> Self {
        Self { fleet: fleet(contracts), balances: Balances::default() }
    }

    pub fn id(&self, name: &str) -> ContractId {
        self.fleet.contracts.id(name).expect("a contract of the test")
    }

    /// Posts what was held and used.
    pub fn post(mut self, name: &str, meter: Meter, when: &str, held: i64, used: i64) -> Self {
        let contract = self.id(name);
        let usage = Usage { contract, meter, at: at(when), held: Quantity::new(held), used: Quantity::new(used) };
        self.balances.post(&self.fleet, &usage);
        self
    }

    /// Posts what was both held and used.
    pub fn used(self, name: &str, meter: Meter, when: &str, quantity: i64) -> Self {
        self.post(name, meter, when, quantity, quantity)
    }

    pub fn due(&self, name: &str, period: i64) -> Money {
        statement(&self.fleet, &self.balances, self.id(name), period).due
    }

    /// The amounts due of some periods, in whole text.
    pub fn dues(&self, name: &str, periods: core::ops::Range<i64>) -> Vec<String> {
        periods.map(|period| self.due(name, period).to_string()).collect()
    }

    /// The statement as a table.
    pub fn table(&self, name: &str, period: i64) -> String {
        let statement = statement(&self.fleet, &self.balances, self.id(name), period);
        let mut table = format!("{} to {}\n", statement.span.from, statement.span.to);
        for line in &statement.lines {
            writeln!(table, "{:14} {:>32} {:>20}", clause(line), quantity(line), line.money.to_string()).expect("strings take all");
        }
        writeln!(table, "{:14} {:>32} {:>20}", "due", "", statement.due.to_string()).expect("strings take all");
        table
    }
}

fn clause(line: &Line) -> String {
    match line.clause {
        Clause::Rates { index, tier } => format!("rates {index}.{tier}"),
        Clause::Overflow => "overflow".to_owned(),
        Clause::Prepayment { index } => format!("prepayment {index}"),
        Clause::Credit { index } => format!("credit {index}"),
        Clause::Penalty { tranche } => format!("penalty {tranche}"),
        Clause::Shortfall { index } => format!("shortfall {index}"),
        Clause::Rounding => "rounding".to_owned(),
    }
}

fn quantity(line: &Line) -> String {
    match (line.meter, line.quantity) {
        (Some(meter), quantity) => quantity.shown(meter.unit()),
        (None, Quantity::ZERO) => String::new(),
        (None, quantity) => quantity.to_string(),
    }
}
