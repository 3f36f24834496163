//! What rests on whom in a scenario: limits on dependence, as far as section 8 keeps them.

use std::collections::BTreeMap;

use fleet::{Cap, Of, PartyId};
use units::MeterUnit;

use super::dates::PPM;
use super::dependence::{Spent, arithmetic, as_used, maker, spent, work};
use super::turned::scaled;
use super::{Auditor, Found, Rule};
use crate::plan::Flow;

/// Work is counted in floats by who does it: a millionth.
const NEAR: f64 = 1e-6;

/// A flow but for how much of it there is.
type Key<'a> = (usize, &'a str, Option<&'a str>, Option<&'a str>, MeterUnit, &'a str);

/// How much the plans that were followed have of each.
type Followed<'a> = BTreeMap<Key<'a>, i64>;

fn key(flow: &Flow) -> Key<'_> {
    (flow.step, &flow.contract, flow.pool.as_deref(), flow.endpoint.as_deref(), flow.unit, &flow.workload)
}

/// What a flow counts towards a limit; nothing where it doesn't.
type Weight<'a> = &'a dyn Fn(&Found<'_>) -> Option<i128>;

/// Holds what is beyond the flows that were `followed` to each limit in the step in which it is done; without them, all of a month.
pub(super) fn check(auditor: &mut Auditor<'_>, followed: Option<&[Flow]>, rough: f64) {
    let fleet = auditor.fleet;
    if fleet.caps.is_empty() {
        return;
    }
    let followed: Option<Followed<'_>> = followed.map(|flows| flows.iter().map(|flow| (key(flow), flow.quantity)).collect());
    let spent = if fleet.caps.iter().any(|cap| cap.of == Of::Spend) { spent(auditor) } else { Spent::new() };
    for cap in &fleet.caps {
        for month in 0..auditor.plan.months.len() {
            if cap.span.overlap(auditor.span(month)).is_empty() {
                continue;
            }
            let over = match (&followed, cap.of) {
                (None, Of::Work) => {
                    let (mine, all, _) = work(auditor, cap.party, month);
                    over(cap, (mine, all), NEAR)
                }
                (None, Of::Spend) => over(cap, paid(&spent, cap.party, month), rough),
                (Some(followed), Of::Work) => beyond(auditor, (cap, month), followed, &|found| arithmetic(auditor, found), (None, NEAR)),
                (Some(followed), Of::Spend) => {
                    // What is charged by tiers is not held to the limit when it is used.
                    let all = paid(&spent, cap.party, month).1;
                    beyond(auditor, (cap, month), followed, &|found| Some(as_used(auditor, found)), (Some(all), rough))
                }
            };
            if let Some(by) = over {
                let place = format!("{}, month {month}", fleet.parties.name(cap.party));
                auditor.report(Rule::Dependence, place, by);
            }
        }
    }
}

/// What is done in some step beyond what was followed, with what was done on the party in the month's steps before, is over the limit: of `all`, or of
/// what was done by then.
fn beyond(
    auditor: &Auditor<'_>,
    (cap, month): (&Cap, usize),
    followed: &Followed<'_>,
    weight: Weight<'_>,
    (all, near): (Option<i128>, f64),
) -> Option<String> {
    let (mut mine, mut by_now) = (0, 0);
    for step in (0..auditor.plan.steps.len()).filter(|step| auditor.plan.steps[*step].0 == month) {
        let (mut here, mut more) = (0, 0);
        for found in auditor.flows.iter().filter(|found| found.row.step == step) {
            let Some(weighs) = weight(found) else { continue };
            by_now += weighs;
            if auditor.fleet.contracts[found.contract].party == cap.party || maker(auditor, found) == Some(cap.party) {
                let planned = followed.get(&key(found.row)).copied().unwrap_or(0);
                here += weighs;
                more += scaled(weighs, share_beyond(found.row.quantity, planned));
            }
        }
        let all = all.unwrap_or(by_now);
        // Less than rounding is not placed beyond the plan.
        if more > scaled(all, NEAR)
            && let Some(over) = over(cap, (mine + more, all), near)
        {
            return Some(over);
        }
        mine += here;
    }
    None
}

/// The share of a quantity that is beyond what was planned.
fn share_beyond(quantity: i64, planned: i64) -> f64 {
    (quantity - planned).max(0) as f64 / quantity.max(1) as f64
}

/// What is spent on a party in a month, and in all.
fn paid(spent: &Spent, party: PartyId, month: usize) -> (i128, i128) {
    let rows = || spent.iter().filter(|((at, ..), _)| *at == month);
    let mine = rows().filter(|((_, supplier, maker), _)| *supplier == party || *maker == Some(party));
    (mine.map(|(_, money)| money).sum(), rows().map(|(_, money)| money).sum())
}

/// What is over a limit by more than `near` of all, in words.
fn over(cap: &Cap, (mine, all): (i128, i128), near: f64) -> Option<String> {
    let most = all / PPM * i128::from(cap.share.ppm()) + scaled(all, near) + 1;
    (mine > most).then(|| format!("{} % of {:?}", mine * 100 / all.max(1), cap.of))
}
