//! What is asked for and what is done: section 3.

use std::collections::BTreeMap;

use fleet::{ServiceTier, WorkloadKind};
use units::{Instant, round_half_even};

use super::dates::{PPM, area, last_instant, later};
use super::turned::scaled;
use super::{Auditor, Rule};

/// Whether a tier wants anything in a step.
pub(super) fn asks((step, workload, tier): (usize, &str, ServiceTier), auditor: &Auditor<'_>) -> bool {
    wanted(auditor, step, workload, tier) > 0
}

/// Whether anything of a training workload has come by a month.
pub(super) fn comes((month, workload): (usize, &str), auditor: &Auditor<'_>) -> bool {
    jobs(auditor, workload).iter().any(|job| job.arrives <= month)
}

pub(super) fn check(auditor: &mut Auditor<'_>) {
    serving(auditor);
    let names: Vec<String> = auditor.fleet.workloads.iter().map(|(_, name, _)| name.to_owned()).collect();
    for name in names {
        training(auditor, &name);
    }
}

/// Tokens a second, over the seconds of the step, at its block's share of demand.
fn wanted(auditor: &Auditor<'_>, step: usize, workload: &str, tier: ServiceTier) -> i64 {
    let (fleet, plan) = (auditor.fleet, auditor.plan);
    let Some(WorkloadKind::Serving { classes, .. }) = fleet.workloads.id(workload).map(|id| &fleet.workloads[id].kind) else { return 0 };
    let Some(demand) = classes.iter().find(|class| class.tier == tier).and_then(|class| class.demand.as_ref()) else { return 0 };
    let (month, hours) = plan.steps[step];
    let blocks = &fleet.horizon.blocks;
    let share = if blocks.is_empty() { PPM } else { i128::from(blocks[step % blocks.len()].demand.ppm()) };
    let tokens = area(demand, plan.months[month].span) * share * i128::from(hours);
    i64::try_from(tokens / (PPM * PPM * PPM)).unwrap_or(i64::MAX)
}

fn serving(auditor: &mut Auditor<'_>) {
    let plan = auditor.plan;
    let mut left: BTreeMap<(usize, &str), i128> = BTreeMap::new();
    for row in &plan.served {
        let place = format!("{} {:?}, step {}", row.workload, row.tier, row.step);
        let wanted = wanted(auditor, row.step, &row.workload, row.tier);
        let slack = auditor.slack(i128::from(wanted), 2);
        auditor.near(Rule::Demand, format!("{place}: wanted"), (i128::from(row.wanted), i128::from(wanted)), slack);
        if i128::from(row.served) > i128::from(row.wanted) + slack {
            auditor.report(Rule::Demand, place, format!("{} more than wanted", row.served - row.wanted));
        }
        *left.entry((row.step, &row.workload)).or_default() += i128::from(row.served);
    }
    for row in &plan.flows {
        let workload = auditor.fleet.workloads.id(&row.workload).map(|id| &auditor.fleet.workloads[id].kind);
        if matches!(workload, Some(WorkloadKind::Serving { .. })) {
            *left.entry((row.step, &row.workload)).or_default() -= i128::from(row.done);
        }
    }
    for ((step, workload), more) in left {
        let all: i128 =
            plan.served.iter().filter(|row| row.step == step && row.workload == workload).map(|row| i128::from(row.wanted)).sum();
        if more.abs() <= auditor.slack(all, 64) {
            continue;
        }
        auditor.report(Rule::Demand, format!("{workload}, step {step}"), format!("{more} tokens served that no flow does"));
    }
}

/// One occurrence of a training workload.
struct Job {
    arrives: usize,
    due: Option<usize>,
    work: i64,
}

/// The occurrences that are to be done in the plan: what is already late when it begins is not.
fn jobs(auditor: &Auditor<'_>, workload: &str) -> Vec<Job> {
    let fleet = auditor.fleet;
    let kind = fleet.workloads.id(workload).map(|id| &fleet.workloads[id].kind);
    let Some(WorkloadKind::Training { work, deadline, from, recurs, .. }) = kind else { return Vec::new() };
    let (begins, ends) = (auditor.begins(), auditor.span(auditor.plan.months.len() - 1).to);
    let month = |at: Instant| auditor.plan.months.iter().position(|month| month.span.contains(at));
    let mut jobs = Vec::new();
    let mut size = work.count();
    let mut moved = 0;
    loop {
        let at = later(fleet, from.unwrap_or(begins), moved);
        let over = recurs.is_some_and(|recurs| moved > 0 && at >= recurs.until);
        if at >= ends || over {
            return jobs;
        }
        let deadline = deadline.map(|deadline| later(fleet, deadline, moved));
        let still_open = deadline.map_or(at >= begins || recurs.is_none(), |deadline| deadline > begins);
        if let Some(arrives) = month(at.max(begins)).filter(|_| still_open) {
            let due = deadline.and_then(|deadline| month(last_instant(units::Span { from: begins, to: deadline })));
            let factor = auditor.turn.and_then(|turn| turn.told.demand.get(workload)).map_or(1.0, |factors| factors[arrives]);
            let work = i64::try_from(scaled(i128::from(size), factor)).unwrap_or(i64::MAX);
            jobs.push(Job { arrives, due, work });
        }
        let Some(recurs) = recurs else { return jobs };
        let growth = round_half_even(i128::from(size) * i128::from(recurs.growth.ppm()), PPM);
        size = size.saturating_add(i64::try_from(growth).unwrap_or(i64::MAX)).clamp(0, 1 << 56);
        moved += i64::from(recurs.every_months.max(1));
    }
}

fn training(auditor: &mut Auditor<'_>, workload: &str) {
    let jobs = jobs(auditor, workload);
    let plan = auditor.plan;
    let mut before = 0_i128;
    for row in plan.trained.iter().filter(|row| row.workload == workload) {
        let place = format!("{workload}, month {}", row.month);
        let sum = |of: &dyn Fn(&Job) -> bool| jobs.iter().filter(|job| of(job)).map(|job| i128::from(job.work)).sum::<i128>();
        let arrived = sum(&|job| job.arrives == row.month);
        let so_far = sum(&|job| job.arrives <= row.month);
        let slack = auditor.slack(so_far, 64);
        auditor.near(Rule::Backlog, format!("{place}: arrived"), (i128::from(row.arrived), arrived), slack);
        let flows = plan.flows.iter().filter(|flow| flow.workload == workload && plan.steps[flow.step].0 == row.month);
        let done: i128 = flows.map(|flow| i128::from(flow.done)).sum();
        auditor.near(Rule::Backlog, format!("{place}: done"), (i128::from(row.done), done), slack);
        let backlog = before + i128::from(row.arrived) - i128::from(row.done) - i128::from(row.late);
        auditor.near(Rule::Backlog, format!("{place}: backlog"), (i128::from(row.backlog), backlog), slack);
        let allowed = so_far - sum(&|job| job.due.is_some_and(|due| due <= row.month));
        if i128::from(row.backlog) > allowed + slack {
            let over = i128::from(row.backlog) - allowed;
            auditor.report(Rule::Backlog, format!("{place}: deadline"), format!("{over} ms are due and neither done nor given up"));
        }
        before = i128::from(row.backlog);
    }
}
