//! What is asked for, in whole units: tokens by tier and step, training by month.

use fleet::{Fleet, Ramp, WorkloadKind};
use units::{Instant, round_half_even};

use super::account::MILLION;
use super::speed::integral;
use crate::plan::Plan;
use crate::zone::months_later;

/// Tokens that a ramp of tokens a second asks for in a step, rounded down.
pub(super) fn wanted(fleet: &Fleet, plan: &Plan, demand: &Ramp<i64>, step: usize) -> i64 {
    let (month, hours) = plan.steps[step];
    let first = plan.steps.iter().position(|(other, _)| *other == month).unwrap_or(step);
    let share = fleet.horizon.blocks.get(step - first).map_or(MILLION, |block| i128::from(block.demand.ppm()));
    let tokens = integral(demand, plan.months[month].span) * i128::from(hours) * share;
    i64::try_from(tokens.div_euclid(MILLION * MILLION * MILLION)).unwrap_or(i64::MAX)
}

/// Training that arrives, and that is due by the end of a month: by month.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Jobs {
    pub arrives: Vec<i64>,
    pub due: Vec<i64>,
}

/// Every occurrence of a training workload within the plan.
pub(super) fn jobs(fleet: &Fleet, plan: &Plan, kind: &WorkloadKind) -> Jobs {
    let months = plan.months.len();
    let mut jobs = Jobs { arrives: vec![0; months], due: vec![0; months] };
    let WorkloadKind::Training { work, deadline, from, recurs, .. } = kind else { return jobs };
    let Some((begin, end)) = plan.months.first().zip(plan.months.last()).map(|(first, last)| (first.span.from, last.span.to)) else {
        return jobs;
    };
    let (first, mut amount) = (from.unwrap_or(begin), work.count());
    for round in 0..i64::from(u16::MAX) {
        let later = recurs.map_or(0, |recurs| round * i64::from(recurs.every_months.max(1)));
        let at = months_later(fleet, first, later);
        let last = recurs.map_or(first, |recurs| recurs.until);
        if at >= end || (round > 0 && at >= last) {
            break;
        }
        let due = deadline.map(|deadline| months_later(fleet, deadline, later));
        let open = due.map_or(at >= begin || recurs.is_none(), |due| due > begin);
        if let Some(month) = month_of(plan, at.max(begin)).filter(|_| open) {
            jobs.arrives[month] += amount;
            if let Some(month) = due.and_then(|due| due_month(plan, due)) {
                jobs.due[month] += amount;
            }
        }
        let Some(recurs) = recurs else { break };
        let more = round_half_even(i128::from(amount) * i128::from(recurs.growth.ppm()), MILLION);
        amount = amount.saturating_add(i64::try_from(more).unwrap_or(i64::MAX));
    }
    jobs
}

/// The month that holds `at`.
pub(super) fn month_of(plan: &Plan, at: Instant) -> Option<usize> {
    plan.months.iter().position(|month| month.span.contains(at))
}

/// The month by whose end a deadline is: that which holds the last instant before it; none after the plan.
fn due_month(plan: &Plan, deadline: Instant) -> Option<usize> {
    let last = Instant::from_micros(deadline.micros() - 1);
    month_of(plan, last)
}
