//! How much may rest on one party or maker of chips.

use fleet::PartyId;

use super::build::Build;
use crate::{Cap, Event, EventKind, Supply};

pub(super) fn rows(build: &mut Build<'_>) {
    let instance = build.instance;
    for cap in &instance.caps {
        let first = build.problem.row_count();
        for month in cap.months.0.max(build.layout.from)..cap.months.1.min(instance.months.len()) {
            if cap.spend {
                spend_row(build, cap, month);
            } else {
                work_row(build, cap, month);
            }
        }
        build.name_rows(cap.name.clone(), first);
    }
}

/// What a unit adds to `on the party - share x all`.
fn weight(cap: &Cap, on: bool) -> f64 {
    if on { 1.0 - cap.share } else { -cap.share }
}

/// Arithmetic of what work uses.
fn work_row(build: &mut Build<'_>, cap: &Cap, month: usize) {
    for step in build.steps_of[month].clone() {
        for (index, supply) in build.instance.supplies.iter().enumerate() {
            if let Some(used) = build.layout.columns.used.at(index, step) {
                build.entry(used, weight(cap, rests(supply, cap.party)) * supply.arithmetic);
            }
        }
    }
    build.at_most(0.0);
}

/// Metered use as it is used, committed and tiered charges as they fall due. What is committed, and what expansions commit, is its
/// supplier's: whose chips it will be is not known of power.
fn spend_row(build: &mut Build<'_>, cap: &Cap, month: usize) {
    let instance = build.instance;
    for step in build.steps_of[month].clone() {
        for (index, supply) in instance.supplies.iter().enumerate() {
            if let Some(used) = build.layout.columns.used.at(index, step) {
                build.entry(used, weight(cap, rests(supply, cap.party)) * supply.rate[step]);
            }
        }
    }
    for (index, tiered) in instance.tiered.iter().enumerate().filter(|(_, tiered)| tiered.due == month) {
        let on = weight(cap, tiered.terms.first().is_some_and(|(supply, _, _)| rests(&instance.supplies[*supply], cap.party)));
        for (tier, (_, rate)) in tiered.tiers.iter().enumerate() {
            if let Some(column) = build.layout.columns.tiers[index].get(tier).copied() {
                build.entry(column, on * rate);
            }
        }
    }
    for (index, expansion) in instance.expansions.iter().enumerate() {
        let of_contract = instance.supplies.iter().find(|supply| supply.contract == expansion.contract);
        let on = weight(cap, of_contract.is_some_and(|supply| supply.party == cap.party));
        for used in (0..expansion.due.len()).filter(|used| expansion.due[*used] == month) {
            if let Some(installed) = build.layout.columns.installed.at(index, used) {
                build.entry(installed, on * expansion.running[used]);
            }
        }
    }
    // Events are below zero when money goes out.
    let committed: Vec<(&Event, f64)> = instance
        .treasury
        .events
        .iter()
        .filter(|event| event.kind == EventKind::Committed)
        .map(|event| (event, -weight(cap, event.party == Some(cap.party))))
        .collect();
    build.by_choice(committed.iter().map(|(event, factor)| (&event.amounts, *factor)), month);
    build.at_most(-committed.iter().map(|(event, factor)| factor * event.amounts.fixed[month]).sum::<f64>());
}

/// Whether a supply rests on a party: as its supplier, or as the maker of its accelerator.
fn rests(supply: &Supply, party: PartyId) -> bool {
    supply.party == party || supply.vendor == Some(party)
}
