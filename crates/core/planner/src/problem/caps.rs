//! How much may rest on one party or maker of chips.

use fleet::{ContractId, PartyId};

use super::build::Build;
use crate::{Cap, Event, EventKind, Instance};

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
                let on = supply.party == cap.party || supply.vendor == Some(cap.party);
                build.entry(used, weight(cap, on) * supply.arithmetic);
            }
        }
    }
    build.at_most(0.0);
}

/// Metered use as it is used, committed and tiered charges as they fall due.
fn spend_row(build: &mut Build<'_>, cap: &Cap, month: usize) {
    let instance = build.instance;
    for step in build.steps_of[month].clone() {
        for (index, supply) in instance.supplies.iter().enumerate() {
            if let Some(used) = build.layout.columns.used.at(index, step) {
                let on = supply.party == cap.party || supply.vendor == Some(cap.party);
                build.entry(used, weight(cap, on) * supply.rate[step]);
            }
        }
    }
    for (index, tiered) in instance.tiered.iter().enumerate().filter(|(_, tiered)| tiered.due == month) {
        let on = weight(cap, rests(instance, tiered.contract, cap.party));
        for (tier, (_, rate)) in tiered.tiers.iter().enumerate() {
            if let Some(column) = build.layout.columns.tiers[index].get(tier).copied() {
                build.entry(column, on * rate);
            }
        }
    }
    for (index, expansion) in instance.expansions.iter().enumerate() {
        if let Some(installed) = build.layout.columns.installed.at(index, month) {
            build.entry(installed, weight(cap, rests(instance, expansion.contract, cap.party)) * expansion.running[month]);
        }
    }
    // Events are below zero when money goes out.
    let committed: Vec<(&Event, f64)> = instance
        .treasury
        .events
        .iter()
        .filter(|event| event.kind == EventKind::Committed)
        .map(|event| {
            let on = event.party == Some(cap.party) || event.contract.is_some_and(|contract| rests(instance, contract, cap.party));
            (event, -weight(cap, on))
        })
        .collect();
    build.by_choice(committed.iter().map(|(event, factor)| (&event.amounts, *factor)), month);
    build.at_most(-committed.iter().map(|(event, factor)| factor * event.amounts.fixed[month]).sum::<f64>());
}

/// Whether a contract rests on a party: as its supplier, or as the maker of all its accelerators.
fn rests(instance: &Instance, contract: ContractId, party: PartyId) -> bool {
    let mut of = instance.supplies.iter().filter(|supply| supply.contract == contract).peekable();
    of.peek().is_some() && of.all(|supply| supply.party == party || supply.vendor == Some(party))
}
