//! The fleet of these tests, and an answer as a solver could have given it.

use fleet::{ContractId, Fleet, PoolId, Ramp, Site, Table, WorkloadId};
use planner::{Beside, Decided, Fit, Instance, Month, On, Scale, Step, Supply, Tranche, Treasury, Window, Work, WorkKind, settle};
use units::{Instant, Span};

/// Accelerator-hours in one unit of time, and tokens in one unit of tokens.
const HOURS: f64 = 1_000.0;
const TOKENS: f64 = 1e9;
/// Money in one unit of money.
const MONEY: f64 = 1e6;

pub fn fleet() -> Fleet {
    changed(&[])
}

/// The fleet with other words in its file, and a site that loses power from April on: a file can't say less than its pools take.
pub fn changed(words: &[(&str, &str)]) -> Fleet {
    let mut text = include_str!("fleet.toml").to_owned();
    for (from, to) in words {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let parsed = fleet::parse(&text);
    let errors: Vec<_> = parsed.diagnostics.iter().filter(|it| it.severity == fleet::Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let fleet = parsed.fleet.expect("a fleet without errors");
    let power = Ramp::new(vec![(Instant::MIN, 800_000), (date("2027-04-01"), 650_000)]).expect("two steps");
    let site = |(_, name, site): (_, &str, &Site)| {
        let power = if name == "north" { power.clone() } else { site.power.clone() };
        (name.to_owned(), Site { power, ..site.clone() })
    };
    Fleet { sites: Table::new(fleet.sites.iter().map(site).collect()), ..fleet }
}

pub fn date(text: &str) -> Instant {
    let date: jiff::civil::Date = text.parse().expect("a date in a test");
    Instant::from(date.at(0, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).expect("a day in UTC").timestamp())
}

fn months() -> Vec<Month> {
    let begins = ["2027-01-01", "2027-02-01", "2027-03-01", "2027-04-01", "2027-05-01", "2027-06-01"];
    let spans = begins.windows(2).map(|pair| Span { from: date(pair[0]), to: date(pair[1]) });
    let month = |(index, span): (usize, Span)| Month {
        span,
        hours: span.length().as_secs_f64() / 3600.0,
        year: 2027,
        number: i8::try_from(index + 1).expect("five months"),
    };
    spans.enumerate().map(month).collect()
}

/// A contract on a pool or an endpoint, for a workload: hours of so many accelerators or units, or so many billion tokens an hour.
pub struct Use(pub &'static str, pub &'static str, pub &'static str, pub f64);

fn supply(fleet: &Fleet, of: &Use) -> Supply {
    let on = match (fleet.pools.id(of.1), fleet.endpoints.id(of.1)) {
        (Some(pool), _) => On::Pool(pool),
        (None, Some(endpoint)) if of.0 == "units" => On::Units(endpoint),
        (None, endpoint) => On::Tokens(endpoint.expect("a pool or an endpoint")),
    };
    let contract: ContractId = fleet.contracts.id(of.0).expect("a contract of the test");
    let pool: Option<PoolId> = fleet.pools.id(of.1);
    Supply {
        name: format!("{} on {}", of.0, of.1),
        contract,
        on,
        site: pool.map(|pool| fleet.pools[pool].site),
        accelerator: pool.map(|pool| fleet.pools[pool].accelerator),
        party: fleet.contracts[contract].party,
        vendor: None,
        choice: None,
        floating: false,
        rate: vec![0.0; 10],
        due: vec![0; 5],
        energy: vec![0.0; 5],
        arithmetic: 0.0,
        base_units: if matches!(on, On::Tokens(_)) { TOKENS } else { HOURS * 3.6e6 },
    }
}

fn work(fleet: &Fleet, name: &str) -> Work {
    let workload: WorkloadId = fleet.workloads.id(name).expect("a workload of the test");
    let tranche =
        |tier| Tranche { tier, demand: vec![0.0; 10], price: vec![0.0; 10], listed: Vec::new(), value: vec![0.0; 10], least: 0.0 };
    let kind = match &fleet.workloads[workload].kind {
        fleet::WorkloadKind::Serving { model, classes, .. } => {
            WorkKind::Serving { model: *model, tranches: classes.iter().map(|class| tranche(class.tier)).collect() }
        }
        fleet::WorkloadKind::Training { gang, .. } => {
            WorkKind::Training { arrivals: vec![0.0; 5], due: vec![0.0; 5], value: 0.0, promised: true, gang: *gang }
        }
    };
    Work { name: name.to_owned(), workload, kind }
}

/// An instance with what settling reads of it, and the same use in each hour from month `from` on.
pub fn case(fleet: &Fleet, uses: &[(usize, Use)]) -> (Instance, Decided) {
    let months = months();
    let steps: Vec<Step> =
        (0..10).map(|step| Step { month: step / 2, hours: months[step / 2].hours * if step % 2 == 0 { 0.25 } else { 0.75 } }).collect();
    let works: Vec<Work> = ["chat", "train"].map(|name| work(fleet, name)).into();
    let mut used = Vec::new();
    for (from, of) in uses {
        let unit = if of.0 == "tokens" { 1.0 } else { HOURS };
        used.extend(steps.iter().map(|step| if step.month >= *from { of.3 * step.hours / unit } else { 0.0 }));
    }
    let fits = uses.iter().enumerate().map(|(supply, (_, of))| {
        let work = usize::from(of.2 == "train");
        Fit { supply, work, speed: 1.0, open: vec![(0, 10)] }
    });
    let window = Window { name: "series".to_owned(), party: None, open: (1, 5), most: 3.0, cost: 0.1, likelihood: 1.0 };
    let offered = fleet.contracts.id("offered").expect("a contract of the test");
    let choice = |moved: i32, by| planner::Choice { name: "offered".to_owned(), contract: offered, moved, group: 0, by };
    let reserved = fleet.contracts.id("reserved").expect("a contract of the test");
    let instance = Instance {
        scale: Scale { money: MONEY, hours: HOURS, tokens: TOKENS },
        months,
        steps,
        choices: vec![choice(0, 1), choice(1, 1)],
        supplies: uses.iter().map(|(_, of)| supply(fleet, of)).collect(),
        works,
        fits: fits.collect(),
        limits: Vec::new(),
        expansions: vec![expansion(fleet, reserved)],
        tiered: Vec::new(),
        floors: Vec::new(),
        credits: Vec::new(),
        ventures: Vec::new(),
        caps: Vec::new(),
        bars: Vec::new(),
        refusals: Vec::new(),
        treasury: Treasury {
            cash: 2.0,
            floor: vec![0.5; 5],
            interest: 0.0,
            bound: true,
            debt: None,
            windows: vec![window],
            events: Vec::new(),
        },
        gap_cost: 10.0,
        miss_cost: vec![0.0; 2],
    };
    let answer = Decided { taken: vec![0.0, 1.0], used, ordered: vec![vec![0.0299, 0.0, 0.0, 0.0, 0.0]], ..Decided::default() };
    (instance, answer)
}

fn expansion(fleet: &Fleet, contract: ContractId) -> planner::Expansion {
    planner::Expansion {
        name: "more h100".to_owned(),
        contract,
        clause: 0,
        accelerator: fleet.contracts[contract].expansions[0].accelerator,
        choice: None,
        most: 0.05,
        per_month: vec![0.03; 5],
        lead: 2,
        capex: vec![0.0; 5],
        running: vec![0.0; 5],
        held: None,
        due: vec![0; 5],
        supply: None,
    }
}

/// Uses that press against nearly every limit.
pub fn uses() -> Vec<(usize, Use)> {
    vec![
        (0, Use("metered", "north", "chat", 150.0)),
        (0, Use("metered", "south", "chat", 200.0)),
        (2, Use("offered", "south", "chat", 1_000.0)),
        (0, Use("power", "south", "chat", 1_000.0)),
        (0, Use("reserved", "north", "train", 280.0)),
        (0, Use("reserved", "north", "chat", 1_000.0)),
        (0, Use("tokens", "api", "chat", 0.02)),
        (0, Use("units", "units", "chat", 1_000.0)),
    ]
}

/// The plan of these tests.
pub fn plan(fleet: &Fleet) -> planner::Plan {
    let (instance, answer) = case(fleet, &uses());
    settle(fleet, &instance, &answer, &Beside::default())
}
