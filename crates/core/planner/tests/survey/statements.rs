//! Without any use, what falls due by the month is what statements say.

use core::time::Duration;

use fleet::{Fleet, Severity, Status, parse};
use market::{Balances, Usage, periods, statement};
use planner::{EventKind, Instance, Tiered, decided};
use units::{Instant, Quantity, Span};

use crate::view::{at, fleet, surveyed};

fn read(text: &str, from: &str, months: u32) -> Fleet {
    let parsed = parse(text);
    assert!(parsed.diagnostics.iter().all(|it| it.severity != Severity::Error));
    let mut fleet = parsed.fleet.expect("without errors there is a fleet");
    fleet.horizon.from = Some(at(from));
    fleet.horizon.months = Some(months);
    fleet
}

/// What statements have due, by the month that holds each period's last instant.
fn stated(fleet: &Fleet, balances: &Balances, it: &Instance) -> Vec<f64> {
    let fleet = decided(fleet, it.months[0].span.from, &[]);
    let mut months = vec![0.0; it.months.len()];
    for (contract, ..) in fleet.contracts.iter().filter(|(.., contract)| contract.status == Status::Signed) {
        for period in periods(&fleet, contract) {
            let statement = statement(&fleet, balances, contract, period);
            let last = Instant::from_micros(statement.span.to.micros() - 1);
            if let Some(month) = it.months.iter().position(|month| month.span.contains(last)) {
                let currency = fleet.contracts[contract].currency;
                let paid = fleet.in_fleet_currency(statement.due, currency, last).expect("there is a rate");
                months[month] += paid.nanos() as f64 / 1e9;
            }
        }
    }
    months
}

/// What the survey has due when `used` accelerators work all the time of the first contract's term: events, use, tiers, shortfalls, less credits.
fn surveyed_due(it: &Instance, term: Span, used: f64) -> Vec<f64> {
    let mut months = vec![0.0; it.months.len()];
    let of_contracts = [EventKind::Committed, EventKind::Prepayment, EventKind::Penalty];
    for event in it.treasury.events.iter().filter(|event| of_contracts.contains(&event.kind)) {
        months.iter_mut().zip(&event.amounts.fixed).for_each(|(sum, amount)| *sum -= amount);
    }
    let quantity = |step: usize| {
        let there = it.months[it.steps[step].month].span.overlap(term).length().as_secs();
        used * there as f64 / 3600.0 / it.scale.hours
    };
    for supply in &it.supplies {
        supply.rate.iter().enumerate().for_each(|(step, rate)| months[supply.due[it.steps[step].month]] += rate * quantity(step));
    }
    let charges: Vec<f64> = it.tiered.iter().map(|tiered| charge(tiered, quantity)).collect();
    it.tiered.iter().zip(&charges).for_each(|(tiered, charge)| months[tiered.due] += charge);
    for floor in &it.floors {
        let terms: f64 = floor.terms.iter().map(|(_, step, each)| each * quantity(*step)).sum();
        let tiers: f64 = floor.tiered.iter().map(|tiered| charges[*tiered]).sum();
        months[floor.due] += (floor.least.fixed[0] - floor.counted.fixed[0] - terms - tiers).max(0.0) * floor.price;
    }
    for credit in &it.credits {
        let mut left = 0.0_f64;
        for (month, sum) in months.iter_mut().enumerate() {
            left += credit.granted[month];
            let used = left.min(credit.committed[month]);
            (left, *sum) = (left - used, *sum - used);
        }
    }
    months.iter().map(|sum| sum * it.scale.money).collect()
}

/// A graduated charge.
fn charge(tiered: &Tiered, quantity: impl Fn(usize) -> f64) -> f64 {
    let total: f64 = tiered.terms.iter().map(|(_, step, share)| share * quantity(*step)).sum();
    let ends = tiered.tiers.iter().skip(1).map(|(from, _)| *from).chain([f64::INFINITY]);
    tiered.tiers.iter().zip(ends).map(|((from, rate), end)| (total.min(end) - from).max(0.0) * rate).sum()
}

fn check(text: &str, from: &str, months: u32) {
    compare(&read(text, from, months), &Balances::default(), 0.0);
}

fn compare(fleet: &Fleet, balances: &Balances, used: f64) {
    let it = surveyed(fleet);
    let term = fleet.contracts.iter().next().expect("a contract").2.term;
    for (month, (is, want)) in surveyed_due(&it, term, used).into_iter().zip(stated(fleet, balances, &it)).enumerate() {
        // Each statement is rounded to a cent.
        assert!((is - want).abs() <= 0.02 + 1e-12 * want.abs(), "{} month {month}: {is} is not {want}", fleet.name);
    }
}

#[test]
fn without_use_what_falls_due_is_what_statements_say() {
    // Half of the reservation's first year at its own price, in place of the deployment; a purchase floor over both.
    check(include_str!("../../../../../fleets/deals/azure-ptu.toml"), "2026-01-01", 36);
    check(include_str!("../../../../../fleets/deals/coreweave.toml"), "2026-01-01", 36);
    // Dates are Chicago's and months, here, UTC's; the floor of 2028 is abated.
    check(include_str!("../../../../../fleets/deals/oracle.toml"), "2027-01-01", 61);
}

/// Metered in another currency, from mid-month, dearer each half year, cheaper from 60,000 hours on, with a floor of a quarter.
const METERED: &str = r#"
[contracts.metered]
party = "south"
pools = ["oslo"]
currency = "EUR"
start = 2026-01-16
end = 2026-10-16
calendar = { anchor = 2026-01-16, period = "month" }

[[contracts.metered.rates]]
meter = "accelerators"
of = "h100"
tiers = [
    { from = "0 accelerator-hours", rate = "2 EUR/accelerator-hour" },
    { from = "60000 accelerator-hours", rate = "1.50 EUR/accelerator-hour" },
]
escalation = { by = "10 %", every = "quarter" }

[[contracts.metered.floor]]
least = "450 kEUR"
per = "quarter"
"#;

#[test]
fn with_even_use_what_falls_due_is_what_statements_say() {
    let fleet = fleet(METERED, 10);
    let (contract, _, terms) = fleet.contracts.iter().next().expect("a contract");
    let meter = terms.rates[0].meter;
    let mut balances = Balances::default();
    let hour = Duration::from_secs(3600);
    let mut now = terms.term.from;
    while now < terms.term.to {
        // A hundred accelerators, hour by hour.
        let quantity = Quantity::new(100 * 3_600_000);
        balances.post(&fleet, &Usage { contract, meter, at: now, held: quantity, used: quantity });
        now = now + hour;
    }
    compare(&fleet, &balances, 100.0);
}
