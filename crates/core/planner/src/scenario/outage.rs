//! What lateness and outages do to amounts by step.

use fleet::{Id, PartyId};

use super::{Delay, Outage};
use crate::instance::{Instance, LimitKind, Step};

/// Where each month's steps begin; one more than months.
pub(crate) fn first_steps(instance: &Instance) -> Vec<usize> {
    (0..=instance.months.len()).map(|month| instance.steps.partition_point(|step| step.month < month)).collect()
}

/// The months in which something of the party's that is not there at the plan's beginning should arrive: the first.
pub(super) fn first_arrival(base: &Instance, party: usize) -> Option<usize> {
    let of_party = |supply: usize| base.supplies[supply].party.index() == party;
    let capacity = base
        .limits
        .iter()
        .filter(|limit| matches!(limit.kind, LimitKind::Contract(_)) && limit.terms.first().is_some_and(|(supply, _)| of_party(*supply)));
    let rises = capacity.flat_map(|limit| {
        let parts = core::iter::once(&limit.most.fixed).chain(limit.most.by_choice.iter().map(|(_, amounts)| amounts));
        parts.filter_map(|amounts| first_rise(amounts, &base.steps))
    });
    let contracts = |contract| base.supplies.iter().any(|supply| supply.contract == contract && supply.party.index() == party);
    let ordered = base.expansions.iter().filter(|expansion| contracts(expansion.contract));
    let ordered = ordered.filter_map(|expansion| Some(expansion.per_month.iter().position(|most| *most > 0.0)? + expansion.lead));
    let starts = base.fits.iter().filter(|fit| of_party(fit.supply)).filter_map(|fit| fit.open.first());
    let starts = starts.filter(|open| open.0 > 0 && open.0 < base.steps.len()).map(|open| base.steps[open.0].month);
    rises.chain(ordered).chain(starts).min()
}

fn first_rise(amounts: &[f64], steps: &[Step]) -> Option<usize> {
    let hourly = |step: usize| amounts[step] / steps[step].hours;
    let first = (0..amounts.len()).filter(|step| steps[*step].month == 0).map(hourly).fold(0.0, f64::max);
    (0..amounts.len()).find(|step| steps[*step].month > 0 && hourly(*step) > first * (1.0 + 1e-9)).map(|step| steps[step].month)
}

/// What rises after the plan's beginning rises later; what falls, falls when it did.
pub(super) fn late(amounts: &mut [f64], base: &[f64], firsts: &[usize], steps: &[Step], delay: Delay) {
    rework(amounts, base, firsts, steps, |month, block| (firsts[month.saturating_sub(delay.months)] + block, delay.share));
}

/// What rises in its months rises when they are over.
pub(super) fn held(amounts: &mut [f64], base: &[f64], firsts: &[usize], steps: &[Step], outage: Outage) {
    let before = outage.from.saturating_sub(1);
    rework(amounts, base, firsts, steps, |month, block| match outage.from <= month && month < outage.until() {
        true => (firsts[before] + block, outage.share),
        false => (firsts[month] + block, 0.0),
    });
}

/// Brings each step's amount down, by a share, to what there is an hour in an earlier step, when that is less.
fn rework(amounts: &mut [f64], base: &[f64], firsts: &[usize], steps: &[Step], earlier: impl Fn(usize, usize) -> (usize, f64)) {
    for step in 0..amounts.len() {
        let month = steps[step].month;
        let (from, share) = earlier(month, step - firsts[month]);
        let there = base[from] / steps[from].hours * steps[step].hours;
        let kept = (1.0 - share) * base[step] + share * there;
        if base[step] > 0.0 && kept < base[step] {
            amounts[step] *= kept.max(0.0) / base[step];
        }
    }
}

/// Whether a party is the one at `index` of the fleet's table.
pub(super) fn is(party: Option<PartyId>, index: usize) -> bool {
    party.is_some_and(|party| party.index() == index)
}
