//! Months, steps and rows: section 1.

use std::collections::BTreeSet;

use fleet::{Status, WorkloadKind};
use jiff::Timestamp;
use units::{Instant, MeterUnit, Money};

use super::{Auditor, Found, Rule, Where};

/// Months that a plan may have when the file does not say how many.
const MONTHS_MAX: usize = 120;
/// Money past which sums could overflow: far past any fleet's.
const NANOS_MAX: i128 = 1 << 100;
/// Quantities past which sums could overflow.
const QUANTITY_MAX: i64 = 1 << 60;

pub(super) fn check(auditor: &mut Auditor<'_>) {
    header(auditor);
    months(auditor);
    if auditor.found.is_empty() {
        steps(auditor);
        positions(auditor);
    }
    if auditor.found.is_empty() {
        flows(auditor);
        rows(auditor);
    }
}

fn header(auditor: &mut Auditor<'_>) {
    let (fleet, plan) = (auditor.fleet, auditor.plan);
    let version: String = fleet.version.0.iter().map(|byte| format!("{byte:02x}")).collect();
    auditor.same(Rule::Shape, "format", &plan.format, &1);
    auditor.same(Rule::Shape, "fleet", &plan.fleet, &version);
    auditor.same(Rule::Shape, "name", &plan.name, &fleet.name);
    auditor.same(Rule::Shape, "currency", &plan.currency, &fleet.currency.to_string());
}

fn months(auditor: &mut Auditor<'_>) {
    let (fleet, plan) = (auditor.fleet, auditor.plan);
    let takes_part = |contract: &fleet::Contract| match contract.status {
        Status::Signed => true,
        Status::Discussed => contract.offer.is_some(),
        _ => false,
    };
    let first = fleet.contracts.iter().filter(|(.., contract)| takes_part(contract)).map(|(.., contract)| contract.term.from).min();
    let from = fleet.horizon.from.or(fleet.finance.cash.map(|(at, _)| at)).or(first);
    if !plan.months.first().is_some_and(|month| from.is_some_and(|from| month.span.contains(from))) {
        auditor.report(Rule::Shape, "month 0", "is not that which the plan begins in");
        return;
    }
    let count = fleet.horizon.months.map_or(plan.months.len().min(MONTHS_MAX), |months| usize::try_from(months).unwrap_or(usize::MAX));
    auditor.same(Rule::Shape, "months", &plan.months.len(), &count);
    let zone = crate::zone::zone(fleet);
    let date = |at: Instant| Timestamp::from(at).to_zoned(zone.clone()).datetime();
    let midnight = jiff::civil::Time::midnight();
    for (index, month) in plan.months.iter().enumerate() {
        let (from, to) = (date(month.span.from), date(month.span.to));
        let begins = from.day() == 1 && from.time() == midnight && to.day() == 1 && to.time() == midnight;
        let long = 12 * (i32::from(to.year()) - i32::from(from.year())) + i32::from(to.month()) - i32::from(from.month());
        let follows = index == 0 || plan.months[index - 1].span.to == month.span.from;
        if !(begins && long == 1 && follows) {
            auditor.report(Rule::Shape, format!("month {index}"), "is not the calendar month after the one before");
        }
    }
}

fn steps(auditor: &mut Auditor<'_>) {
    let blocks: Vec<i64> = auditor.fleet.horizon.blocks.iter().map(|block| block.hours.ppm()).collect();
    let blocks = if blocks.is_empty() { vec![1_000_000] } else { blocks };
    let should: Vec<(usize, i64)> =
        (0..auditor.plan.months.len()).flat_map(|month| blocks.iter().map(move |hours| (month, *hours))).collect();
    if auditor.plan.steps != should {
        auditor.report(Rule::Shape, "steps", "are not the blocks of each month");
    }
}

/// Every position is there, and no number is past what sums can hold.
fn positions(auditor: &mut Auditor<'_>) {
    let plan = auditor.plan;
    let (months, steps) = (plan.months.len(), plan.steps.len());
    let of_months = plan.added.iter().map(|row| row.month).chain(plan.trained.iter().map(|row| row.month));
    let of_months = of_months.chain(plan.raised.iter().map(|row| row.month)).chain(plan.due.iter().map(|row| row.month));
    let of_months = of_months.chain(plan.prices.iter().map(|row| row.month)).chain(plan.sites.iter().map(|row| row.month));
    let of_steps = plan.flows.iter().map(|row| row.step).chain(plan.served.iter().map(|row| row.step));
    if of_months.max().is_some_and(|month| month >= months) || of_steps.max().is_some_and(|step| step >= steps) {
        auditor.report(Rule::Shape, "rows", "a month or step that the plan has not");
    }
    auditor.same(Rule::Shape, "rows of money", &plan.money.len(), &months);
    let quantities = plan.flows.iter().flat_map(|row| [row.quantity, row.done]);
    let quantities = quantities.chain(plan.served.iter().flat_map(|row| [row.wanted, row.served]));
    let quantities = quantities.chain(plan.trained.iter().flat_map(|row| [row.arrived, row.done, row.late, row.backlog]));
    let mut quantities = quantities.chain(plan.added.iter().map(|row| row.count));
    if quantities.any(|quantity| !(0..=QUANTITY_MAX).contains(&quantity)) {
        auditor.report(Rule::Shape, "quantities", "below zero or beyond counting");
    }
    let all = plan.money.iter().flat_map(|row| {
        let moved = [row.interest, row.revenue, row.raised, row.other, row.drawn, row.repaid, row.debt_interest];
        moved.into_iter().chain([row.contracts, row.energy, row.capex, row.gap, row.cash, row.debt])
    });
    let all = all.chain(plan.due.iter().flat_map(|row| [row.due, row.paid])).chain(plan.shorts.iter().map(|row| row.money));
    let all = all.chain(plan.raised.iter().map(|row| row.amount));
    let mut all =
        all.chain(plan.prices.iter().flat_map(|row| [row.list, row.energy, row.floor_credit, row.power, row.capacity, row.total]));
    if all.any(|money: Money| money.nanos().abs() > NANOS_MAX) {
        auditor.report(Rule::Shape, "money", "beyond counting");
    }
}

fn flows(auditor: &mut Auditor<'_>) {
    let (fleet, plan) = (auditor.fleet, auditor.plan);
    let mut seen = BTreeSet::new();
    for row in &plan.flows {
        let on = match (&row.pool, &row.endpoint, row.unit) {
            (Some(pool), None, MeterUnit::AcceleratorMs) => fleet.pools.id(pool).map(Where::Pool),
            (None, Some(endpoint), MeterUnit::Token) => fleet.endpoints.id(endpoint).map(Where::Tokens),
            (None, Some(endpoint), MeterUnit::UnitMs) => fleet.endpoints.id(endpoint).map(Where::Units),
            _ => None,
        };
        let place = format!("{} for {}, step {}", row.contract, row.workload, row.step);
        let (contract, workload) = (fleet.contracts.id(&row.contract), fleet.workloads.id(&row.workload));
        let (Some(on), Some(contract), Some(workload)) = (on, contract, workload) else {
            auditor.report(Rule::Shape, place, "a name that the fleet has not");
            continue;
        };
        if row.quantity == 0 || !seen.insert((row.step, contract, on, workload)) {
            auditor.report(Rule::Shape, place, "nothing, or twice the same");
            continue;
        }
        auditor.flows.push(Found { row, contract, on, workload, month: plan.steps[row.step].0 });
    }
}

/// One row for each tier that asks for something in each step, and for each training workload in each month.
fn rows(auditor: &mut Auditor<'_>) {
    let (fleet, plan) = (auditor.fleet, auditor.plan);
    let served: Vec<_> = plan.served.iter().map(|row| (row.step, row.workload.as_str(), row.tier)).collect();
    let trained: Vec<_> = plan.trained.iter().map(|row| (row.month, row.workload.as_str())).collect();
    let (mut tiers, mut jobs) = (Vec::new(), Vec::new());
    for (_, name, workload) in fleet.workloads.iter() {
        match &workload.kind {
            WorkloadKind::Serving { classes, .. } => {
                let asked = classes.iter().filter(|class| class.demand.is_some());
                tiers.extend(asked.flat_map(|class| (0..plan.steps.len()).map(move |step| (step, name, class.tier))));
            }
            WorkloadKind::Training { .. } => jobs.extend((0..plan.months.len()).map(|month| (month, name))),
        }
    }
    same_rows(auditor, "served", served, tiers, super::demand::asks);
    same_rows(auditor, "trained", trained, jobs, super::demand::comes);
}

/// Each row at most once, all of them known, and none missing in which something is asked for.
fn same_rows<T: Ord + Copy + core::fmt::Debug>(
    auditor: &mut Auditor<'_>,
    what: &str,
    there: Vec<T>,
    known: Vec<T>,
    needed: impl Fn(T, &Auditor<'_>) -> bool,
) {
    let count = there.len();
    let there: BTreeSet<T> = there.into_iter().collect();
    auditor.same(Rule::Shape, format!("rows of what is {what}"), &there.len(), &count);
    let known: BTreeSet<T> = known.into_iter().collect();
    for row in there.difference(&known) {
        auditor.report(Rule::Shape, format!("{what} {row:?}"), "asks for nothing");
    }
    let missing: Vec<T> = known.difference(&there).copied().filter(|row| needed(*row, auditor)).collect();
    for row in missing {
        auditor.report(Rule::Shape, format!("{what} {row:?}"), "is missing");
    }
}
