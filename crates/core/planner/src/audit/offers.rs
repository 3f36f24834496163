//! What may be signed and ordered: offers, first refusals, expansions, chip supply.

use core::time::Duration;
use std::collections::BTreeMap;

use fleet::{AcceleratorId, Contract, ContractId, Fleet, Ramp, Scope, Status, Use};
use units::{Instant, Span};

use super::dates::{area, length};
use super::{Auditor, Rule};
use crate::moved::moved;
use crate::plan::{Added, Chosen};

pub(super) fn check(auditor: &mut Auditor<'_>) {
    let mut signed: BTreeMap<&str, usize> = BTreeMap::new();
    for choice in &auditor.plan.choices {
        if choice.signed {
            *signed.entry(&choice.contract).or_default() += 1;
        }
        if let Err(why) = offer(auditor, choice) {
            auditor.report(Rule::Offer, choice.contract.as_str(), why);
        }
    }
    for (contract, times) in signed.into_iter().filter(|(_, times)| *times > 1) {
        auditor.report(Rule::Offer, contract, format!("signed {times} times"));
    }
    refusals(auditor);
    expansions(auditor);
}

fn offer(auditor: &Auditor<'_>, choice: &Chosen) -> Result<(), String> {
    let fleet = auditor.fleet;
    let contract = fleet.contracts.id(&choice.contract).map(|id| &fleet.contracts[id]).ok_or("is no contract")?;
    let offer = contract.offer.as_ref().filter(|_| contract.status == Status::Discussed).ok_or("is not on offer")?;
    let start = moved(contract, choice.moved).term.from;
    if choice.moved != 0 && !offer.starts.contains(&start) {
        return Err(format!("can't start at {start}"));
    }
    let month = |at: Instant| auditor.plan.months.iter().position(|month| month.span.contains(at));
    let starts = month(start).ok_or_else(|| format!("starts at {start}, outside the plan"))?;
    let by = offer.by.map_or(start, |by| by.min(start));
    if offer.by.is_some_and(|by| by < auditor.begins()) {
        return Err(format!("stood until {by}"));
    }
    if choice.by > month(by).unwrap_or(starts) {
        return Err(format!("must be signed by {by}"));
    }
    Ok(())
}

fn refusals(auditor: &mut Auditor<'_>) {
    let fleet = auditor.fleet;
    let signed = auditor.plan.choices.iter().filter(|choice| choice.signed);
    let starts = signed.filter_map(|choice| fleet.contracts.id(&choice.contract)).map(|id| (id, auditor.world.contracts[id].term.from));
    let ordered =
        auditor.plan.added.iter().filter_map(|added| Some((fleet.contracts.id(&added.contract)?, auditor.span(added.month).from)));
    let early: Vec<_> = starts.chain(ordered).filter_map(|(id, start)| Some((id, start, unanswered(auditor, id, start)?))).collect();
    for (id, start, answer) in early {
        auditor.report(Rule::FirstRefusal, fleet.contracts.name(id), format!("{start}, and the answer comes until {answer}"));
    }
}

/// When another party's answer comes that a contract can't go before.
fn unanswered(auditor: &Auditor<'_>, contract: ContractId, start: Instant) -> Option<Instant> {
    let fleet = auditor.fleet;
    let own = &fleet.contracts[contract];
    let holders =
        fleet.contracts.iter().map(|(.., other)| other).filter(|other| other.status == Status::Signed && other.party != own.party);
    let refusals = holders.flat_map(|other| &other.first_refusals).filter(|refusal| refusal.span.contains(start));
    let answers = refusals.filter(|refusal| within(fleet, own, &refusal.scope));
    let answers = answers.map(|refusal| auditor.begins() + Duration::from_secs(u64::from(refusal.answer.days) * 86_400));
    answers.filter(|answer| start < *answer).max()
}

/// Whether something that a contract covers lies in a scope; a pool may serve any model.
fn within(fleet: &Fleet, contract: &Contract, scope: &Scope) -> bool {
    let pools: Vec<_> = contract.pools.iter().map(|pool| &fleet.pools[*pool]).collect();
    let endpoints: Vec<_> = contract.endpoints.iter().map(|endpoint| &fleet.endpoints[*endpoint]).collect();
    let mut regions: Vec<_> = pools.iter().map(|pool| fleet.sites[pool.site].region).collect();
    regions.extend(endpoints.iter().filter_map(|endpoint| endpoint.region));
    for clause in &contract.capacity {
        if let fleet::CapacityOf::Power(site) = clause.of {
            regions.push(fleet.sites[site].region);
        }
    }
    let mut uses: Vec<Use> = pools.iter().flat_map(|pool| fleet.accelerators[pool.accelerator].runs.clone()).collect();
    uses.extend(endpoints.iter().map(|_| Use::Serving));
    let model = scope.models.is_empty() || !pools.is_empty() || endpoints.iter().any(|endpoint| scope.models.contains(&endpoint.model));
    let region = scope.regions.is_empty() || regions.iter().any(|region| scope.regions.contains(region));
    let of_use = scope.uses.is_empty() || uses.is_empty() || uses.iter().any(|of| scope.uses.contains(of));
    model && region && of_use
}

fn expansions(auditor: &mut Auditor<'_>) {
    let (plan, fleet) = (auditor.plan, auditor.fleet);
    let mut in_all: BTreeMap<(&str, usize), i64> = BTreeMap::new();
    let mut in_month: BTreeMap<(&str, usize, usize), i64> = BTreeMap::new();
    let mut chips: BTreeMap<(AcceleratorId, usize), i64> = BTreeMap::new();
    for added in &plan.added {
        let place = format!("{}, month {}", added.contract, added.month);
        let world = auditor.world.contracts.id(&added.contract).map(|id| &auditor.world.contracts[id]);
        let Some((terms, expansion)) = world.and_then(|terms| Some((terms, terms.expansions.get(added.clause)?))) else {
            auditor.report(Rule::Expansion, place, "no such clause");
            continue;
        };
        if terms.status != Status::Signed || terms.term.overlap(plan.months[added.month].span).is_empty() {
            auditor.report(Rule::Expansion, place, "the contract is not in force");
            continue;
        }
        if failed(auditor, added, expansion.accelerator) {
            auditor.report(Rule::Expansion, place, "its party, or who makes it, has failed");
            continue;
        }
        let accelerator = expansion.accelerator;
        for sum in [
            in_all.entry((&added.contract, added.clause)).or_default(),
            in_month.entry((&added.contract, added.clause, added.month)).or_default(),
            chips.entry((accelerator, added.month)).or_default(),
        ] {
            *sum = sum.saturating_add(added.count);
        }
    }
    let expansion = |contract: &str, clause: usize| fleet.contracts.id(contract).and_then(|id| fleet.contracts[id].expansions.get(clause));
    // What the policy orders is whole only to the nearest.
    let whole = |rows: usize| if auditor.turn.is_some() { i64::try_from(rows).unwrap_or(i64::MAX) } else { 0 };
    let (each, all) = (whole(plan.choices.len() + fleet.contracts.len()), whole(plan.added.len()));
    for ((contract, clause), sum) in in_all {
        let most = expansion(contract, clause).map_or(0, |expansion| expansion.most).saturating_add(all);
        beyond(auditor, Rule::Expansion, contract.to_owned(), sum, most);
    }
    for ((contract, clause, month), sum) in in_month {
        let most = expansion(contract, clause).and_then(|expansion| expansion.per_month).unwrap_or(i64::MAX).saturating_add(each);
        beyond(auditor, Rule::Expansion, format!("{contract}, month {month}"), sum, most);
    }
    for ((accelerator, month), sum) in chips {
        let supply = fleet.accelerators[accelerator].supply.as_ref();
        let most = supply.map_or(i64::MAX, |supply| mean(supply, plan.months[month].span)).saturating_add(each);
        beyond(auditor, Rule::ChipSupply, format!("{}, month {month}", fleet.accelerators.name(accelerator)), sum, most);
    }
}

/// Whether nothing can be ordered any more: the supplier has failed, or who makes the chips.
fn failed(auditor: &Auditor<'_>, added: &Added, accelerator: AcceleratorId) -> bool {
    let fleet = auditor.fleet;
    let parties = [fleet.contracts.id(&added.contract).map(|id| fleet.contracts[id].party), fleet.accelerators[accelerator].vendor];
    let fails = |party| auditor.turn.and_then(|turn| turn.told.defaults.get(fleet.parties.name(party)));
    parties.into_iter().flatten().filter_map(fails).any(|fails| *fails <= added.month)
}

fn beyond(auditor: &mut Auditor<'_>, rule: Rule, place: String, sum: i64, most: i64) {
    if sum > most {
        auditor.report(rule, place, format!("{sum} of at most {most}"));
    }
}

/// The mean of a ramp over a span, rounded down.
fn mean(ramp: &Ramp<i64>, span: Span) -> i64 {
    i64::try_from(area(ramp, span) / length(span).max(1)).unwrap_or(i64::MAX)
}
