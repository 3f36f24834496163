//! What a plan says to the next clock.

use fleet::{Fleet, Meter};
use planner::{Flow, Plan, PlanMonth, SitePrice, guide};
use units::{Instant, MeterUnit, Money, Rate, Span};

const FLEET: &str = r#"
format = 1
name = "lab"
currency = "USD"
[parties.cloud]
roles = ["supplier"]
[regions.here]
jurisdiction = "EU"
[sites.oslo]
region = "here"
power = "10 MW"
energy = "0.05 USD/kWh"
[accelerators.h100]
peak = "989 TFLOP/s"
memory = "80 GB"
bandwidth = "3.35 TB/s"
power = "1.3 kW"
[pools.oslo]
site = "oslo"
accelerator = "h100"
count = 100
executor = { kind = "slurm" }
[models.m]
aliases = ["default"]
parameters = "8 B"
context = 8192
[endpoints.hosted]
model = "m"
region = "here"
url = "https://api.example.com/v1"
[profiles.m-on-h100]
model = "m"
accelerator = "h100"
prefill = "9000 tokens/s"
decode = "60 tokens/s"
decode_batch = "2000 tokens/s"
slots = 64
start = "1 minute"
basis = "roofline"
[endpoints.oslo]
model = "m"
pool = "oslo"
profile = "m-on-h100"
[contracts.gpu]
party = "cloud"
preset = "reserved"
pools = ["oslo"]
count = 100
rate = "2 USD/accelerator-hour"
start = 2026-01-01
end = 2027-01-01
[contracts.api]
party = "cloud"
preset = "on-demand"
endpoints = ["hosted"]
input = "1 USD/1M tokens"
output = "4 USD/1M tokens"
start = 2026-01-01
end = 2027-01-01
[[contracts.api.floor]]
least = "12000 USD/year"
per = "year"
[workloads.chat]
kind = "serving"
model = "m"
classes = [{ tier = "default", ttft = "1 s", tpot = "50 ms", demand = "1000 tokens/s" }]
"#;

fn lab() -> Fleet {
    fleet::parse(FLEET).fleet.expect("the fleet is sound")
}

fn day(text: &str) -> Instant {
    format!("{text}T00:00:00Z").parse::<jiff::Timestamp>().expect("a day").into()
}

fn flow(step: usize, contract: &str, pool: Option<&str>, quantity: i64) -> Flow {
    let endpoint = if pool.is_none() { Some("hosted".to_owned()) } else { None };
    let unit = if pool.is_some() { MeterUnit::AcceleratorMs } else { MeterUnit::Token };
    let (contract, pool, workload) = (contract.into(), pool.map(str::to_owned), "chat".into());
    Flow { step, contract, pool, endpoint, unit, workload, quantity, done: quantity }
}

/// January, February and March of 2026: tokens on the hosted API in each, the pool in the first two.
fn plan() -> Plan {
    let ends = ["2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01"].map(day);
    Plan {
        months: ends.windows(2).map(|pair| PlanMonth { span: Span { from: pair[0], to: pair[1] } }).collect(),
        steps: (0..3).map(|month| (month, 1_000_000)).collect(),
        flows: vec![
            flow(0, "api", None, 744_000),
            flow(1, "api", None, 672_000),
            flow(2, "api", None, 744_000),
            flow(0, "gpu", Some("oslo"), 744 * 3_600_000),
            flow(1, "gpu", Some("oslo"), 336 * 3_600_000),
            flow(1, "gone", Some("oslo"), 1),
        ],
        sites: vec![
            SitePrice { site: "oslo".into(), month: 1, used: 0, limit: 0, less: Some(Money::from_units(36)), more: None },
            SitePrice { site: "gone".into(), month: 1, used: 0, limit: 0, less: Some(Money::from_units(1)), more: None },
        ],
        ..Plan::default()
    }
}

/// Contract, meter, base units an hour.
fn flows(now: &str) -> Vec<(String, String, i64)> {
    let fleet = lab();
    let forecast = guide(&fleet, &plan(), day(now));
    let shown = |((contract, meter), flow): (&(_, Meter), &market::Flow)| {
        (fleet.contracts.name(*contract).to_owned(), fleet.meter_name(*meter), flow.per_hour.count())
    };
    forecast.flows.iter().map(shown).collect()
}

#[test]
fn a_contract_with_a_floor_by_the_year_has_its_pace_over_the_rest_of_the_plan_and_others_over_the_month() {
    // 1,416,000 tokens from February to the plan's end, 59 x 24 hours: 1,000 an hour, a quarter of them output.
    let api = [("input tokens of m", 750), ("output tokens of m", 250)].map(|(meter, pace)| ("api".to_owned(), meter.to_owned(), pace));
    let gpu = ("gpu".to_owned(), "accelerator-hours of h100".to_owned(), 1_800_000);
    assert_eq!(flows("2026-02-10"), [api[0].clone(), api[1].clone(), gpu]);
}

#[test]
fn outside_the_plan_nothing_is_said() {
    assert_eq!(flows("2026-04-01"), []);
    assert_eq!(flows("2025-12-31"), []);
}

#[test]
fn scarce_power_is_what_one_less_costs_in_that_month() {
    let fleet = lab();
    let oslo = fleet.sites.id("oslo").expect("it is there");
    let rate = Rate { money: Money::from_units(36), per: 3_600_000_000 };
    assert_eq!(guide(&fleet, &plan(), day("2026-02-01")).power, [(oslo, rate)].into());
    assert!(guide(&fleet, &plan(), day("2026-03-01")).power.is_empty());
}

#[test]
fn scarce_power_is_in_the_price_of_energy() {
    let fleet = lab();
    let (now, endpoint) = (day("2026-02-01"), fleet.endpoints.id("oslo").expect("it is there"));
    let energy = |forecast: &market::Forecast| {
        let sheet = market::price_sheet(&fleet, &market::Balances::default(), forecast, now);
        sheet.price(endpoint).expect("the reservation pays").energy.output
    };
    let without = market::Forecast::default();
    let with = without.clone().guided(&guide(&fleet, &plan(), now));
    // 1.3 kW for 500 seconds a million tokens, at 50 and then 86 dollars a MWh.
    assert_eq!((energy(&without), energy(&with)), (9_027_778, 15_527_778));
}
