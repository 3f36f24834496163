//! A small fleet to add to, and questions to its survey in hours, tokens, megawatt-hours and dollars.

use fleet::{Contract, Fleet, Id, Severity, Table, Workload, WorkloadKind, parse};
use planner::{Instance, On, Series, WorkKind, survey};
use units::{Instant, Span};

/// One site, 400 accelerators of 1 kW and 1,000 TFLOP/s, a model on two of them, a hosted endpoint, and chat for 1,000 tokens a second.
const BASE: &str = r#"
format = 1
name = "lab"
currency = "USD"

[currencies.EUR]
rates = [{ from = 2026-01-01, is = "1.10 USD" }, { from = 2026-02-15, is = "1.20 USD" }]

[parties.north]
roles = ["supplier"]
[parties.south]
roles = ["supplier"]
[parties.chips]
roles = ["chip-vendor"]

[regions.no]
jurisdiction = "NO"
[regions.us]
jurisdiction = "US"

[sites.oslo]
region = "no"
power = "1 MW"
pue = 1.25
energy = "0.10 USD/kWh"

[accelerators.h100]
vendor = "chips"
peak = "1000 TFLOP/s"
memory = "80 GB"
bandwidth = "3 TB/s"
power = "1 kW"

[pools.oslo]
site = "oslo"
accelerator = "h100"
count = 400
executor = { kind = "kubernetes" }

[models.llama]
parameters = "8 B"
context = 8192
weights = { input = 1, cached = 0.5, output = 4 }

[profiles.fast]
model = "llama"
accelerator = "h100"
accelerators = 2
prefill = "4000 tokens/s"
decode = "60 tokens/s"
decode_batch = "1000 tokens/s"
slots = 64
start = "3 minutes"
basis = "measured"

[endpoints.hosted]
model = "llama"
region = "us"
url = "https://hosted.example.com/v1"
slots = 10
queue = 10

[workloads.chat]
kind = "serving"
model = "llama"
classes = [{ tier = "default", ttft = "2 s", tpot = "80 ms", demand = "1000 tokens/s" }]
"#;

/// A hundred accelerators on the pool for 2 $ an hour, for a year.
pub const NORTH: &str = r#"
[contracts.north]
party = "north"
preset = "reserved"
pools = ["oslo"]
count = 100
rate = "2 USD/accelerator-hour"
start = 2026-01-01
end = 2027-01-01
calendar = { anchor = 2026-01-01, period = "month" }
"#;

/// The base with more text, planned for so many months from January 2026.
pub fn fleet(more: &str, months: u32) -> Fleet {
    let parsed = parse(&format!("{BASE}{more}"));
    let errors: Vec<_> = parsed.diagnostics.iter().filter(|it| it.severity == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let mut fleet = parsed.fleet.expect("without errors there is a fleet");
    fleet.horizon.from = Some(at("2026-01-01"));
    fleet.horizon.months = Some(months);
    fleet
}

/// A date at midnight in UTC.
pub fn at(date: &str) -> Instant {
    Instant::from(format!("{date}T00:00:00Z").parse::<jiff::Timestamp>().expect("a date"))
}

/// From one date to another.
pub fn span(from: &str, to: &str) -> Span {
    Span { from: at(from), to: at(to) }
}

/// Changes one row of a table.
pub fn edit<I: Id, T: Clone>(table: &mut Table<I, T>, name: &str, change: impl Fn(&mut T)) {
    let rows = table.iter().map(|(_, row, value)| {
        let mut value = value.clone();
        if row == name {
            change(&mut value);
        }
        (row.to_owned(), value)
    });
    *table = Table::new(rows.collect());
}

/// Changes a contract.
pub fn contract(fleet: &mut Fleet, name: &str, change: impl Fn(&mut Contract)) {
    edit(&mut fleet.contracts, name, change);
}

/// Changes a workload.
pub fn workload(fleet: &mut Fleet, name: &str, change: impl Fn(&mut WorkloadKind)) {
    edit(&mut fleet.workloads, name, |workload: &mut Workload| change(&mut workload.kind));
}

/// The fleet's survey.
pub fn surveyed(fleet: &Fleet) -> Instance {
    survey(fleet).expect("it can be planned")
}

/// Asks each question and compares: see [`ask`].
pub fn check(fleet: &Fleet, wants: &[(&str, &[f64])]) -> Instance {
    let it = surveyed(fleet);
    for (question, want) in wants {
        let is = ask(&it, question);
        let close = |(is, want): (&f64, &f64)| (is - want).abs() <= 1e-9 * want.abs().max(1e-6);
        assert!(is.len() == want.len() && is.iter().zip(*want).all(close), "{question}: {is:?} is not {want:?}");
    }
    it
}

/// `rate NAME` and `energy NAME` of a supply, `limit NAME`, `event NAME`, `counted NAME` and `least NAME` of a floor, `demand`, `price`
/// and `value` of a work's first tranche, `arrivals` and `due` of a backlog, `speed SUPPLY / WORK`: in dollars, hours, tokens and MWh. After
/// a `?` the part that a choice adds: `limit NAME ? 0`.
pub fn ask(it: &Instance, question: &str) -> Vec<f64> {
    let (kind, name) = question.split_once(' ').expect("a kind and a name");
    let (name, choice) = name.split_once(" ? ").map_or((name, None), |(name, choice)| (name, choice.parse::<usize>().ok()));
    let of = |series: &Series| match choice {
        None => series.fixed.clone(),
        Some(choice) => series.by_choice.iter().find(|(of, _)| *of == choice).map_or_else(Vec::new, |(_, amounts)| amounts.clone()),
    };
    let times = |amounts: &[f64], by: f64| amounts.iter().map(|amount| amount * by).collect::<Vec<_>>();
    match kind {
        "rate" => times(&it.supplies[supply(it, name)].rate, it.scale.money / unit(it, supply(it, name))),
        "energy" => times(&it.supplies[supply(it, name)].energy, it.scale.money / unit(it, supply(it, name))),
        "limit" => {
            let limit = it.limits.iter().find(|limit| limit.name == name).expect("a limit of that name");
            let power = name.starts_with("power");
            times(&of(&limit.most), if power { 1.0 } else { limit.terms.first().map_or(it.scale.hours, |(supply, _)| unit(it, *supply)) })
        }
        "event" => {
            let event = it.treasury.events.iter().find(|event| event.name == name).expect("an event of that name");
            times(&of(&event.amounts), it.scale.money)
        }
        "least" | "counted" => {
            let floor = it.floors.iter().find(|floor| floor.name == name).expect("a floor of that name");
            times(&of(if kind == "least" { &floor.least } else { &floor.counted }), it.scale.money)
        }
        "speed" => {
            let (on, work) = name.split_once(" / ").expect("a supply and a work");
            let work = it.works.iter().position(|it| it.name == work).expect("a work of that name");
            let serving = matches!(it.works[work].kind, WorkKind::Serving { .. });
            let scale = if serving { it.scale.tokens } else { it.scale.hours };
            let on = supply(it, on);
            it.fits.iter().filter(|fit| fit.supply == on && fit.work == work).map(|fit| fit.speed * scale / unit(it, on)).collect()
        }
        _ => work(it, kind, name),
    }
}

fn work(it: &Instance, kind: &str, name: &str) -> Vec<f64> {
    let work = it.works.iter().find(|work| work.name == name).expect("a work of that name");
    let times = |amounts: &[f64], by: f64| amounts.iter().map(|amount| amount * by).collect::<Vec<_>>();
    match &work.kind {
        WorkKind::Serving { tranches, .. } => match kind {
            "demand" => times(&tranches[0].demand, it.scale.tokens),
            "price" => times(&tranches[0].price, it.scale.money / it.scale.tokens),
            _ => times(&tranches[0].value, it.scale.money / it.scale.tokens),
        },
        WorkKind::Training { arrivals, due, value, .. } => match kind {
            "arrivals" => times(arrivals, it.scale.hours),
            "due" => times(due, it.scale.hours),
            _ => vec![value * it.scale.money / it.scale.hours],
        },
    }
}

fn supply(it: &Instance, name: &str) -> usize {
    let names = || it.supplies.iter().map(|supply| &supply.name).collect::<Vec<_>>();
    it.supplies.iter().position(|supply| supply.name == name).unwrap_or_else(|| unreachable!("{name} is none of {:?}", names()))
}

/// Hours or tokens in one unit of a supply.
pub fn unit(it: &Instance, supply: usize) -> f64 {
    if matches!(it.supplies[supply].on, On::Tokens(_)) { it.scale.tokens } else { it.scale.hours }
}
