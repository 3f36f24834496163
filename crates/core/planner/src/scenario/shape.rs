//! What of an instance belongs to whom: found once, so that a scenario finds what it strikes.

use std::collections::BTreeMap;

use fleet::{AcceleratorId, ContractId, PartyId};

use super::outage::first_steps;
use crate::instance::{Event, EventKind, Instance, LimitKind, Series};

/// Committed charges of a contract under one event, or the part of it that one choice adds.
#[derive(Clone, Debug)]
pub(super) struct Charges {
    pub(super) event: usize,
    pub(super) contract: ContractId,
    /// The position in the event's parts by choice.
    pub(super) choice: Option<usize>,
    /// The months `from..to` that each charge is for; it is due in the last of them.
    pub(super) periods: Vec<(usize, usize)>,
}

/// Who owns what, by position.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) firsts: Vec<usize>,
    pub(super) limit_party: Vec<Option<PartyId>>,
    pub(super) limit_kind: Vec<Option<AcceleratorId>>,
    pub(super) contract_limits: BTreeMap<ContractId, Vec<usize>>,
    /// Supplies that no contract's capacity bounds.
    pub(super) bare: Vec<bool>,
    pub(super) expansion_party: Vec<Option<PartyId>>,
    pub(super) expansion_vendor: Vec<Option<PartyId>>,
    pub(super) floor_party: Vec<Option<PartyId>>,
    pub(super) contract_floors: BTreeMap<ContractId, Vec<usize>>,
    /// Floors that are abated, and the capacity that they shrink with.
    pub(super) abated: Vec<(usize, usize)>,
    /// The first month of each floor's window.
    pub(super) floor_from: Vec<usize>,
    pub(super) credit_party: Vec<Option<PartyId>>,
    /// The event that takes what comes back of a prepayment, by credit.
    pub(super) refunds: Vec<Option<usize>>,
    pub(super) charges: Vec<Charges>,
    /// Limits that the scenario changed.
    pub(super) touched: Vec<bool>,
}

impl Shape {
    /// Finds all of it; adds to `events` one for each prepayment that may come back.
    pub(super) fn new(base: &Instance, events: &mut Vec<Event>) -> Self {
        let parties = contract_parties(base);
        let party = |contract: ContractId| parties.get(&contract).copied();
        let vendors: BTreeMap<_, _> = base.supplies.iter().filter_map(|supply| Some((supply.accelerator?, supply.vendor?))).collect();
        let contract = |kind| match kind {
            LimitKind::Contract(contract) => Some(contract),
            _ => None,
        };
        let mut contract_limits = BTreeMap::<_, Vec<_>>::new();
        let mut bare = vec![true; base.supplies.len()];
        for (index, limit) in base.limits.iter().enumerate() {
            if let Some(contract) = contract(limit.kind) {
                contract_limits.entry(contract).or_default().push(index);
                let own = limit.terms.iter().filter(|(supply, _)| base.supplies[*supply].contract == contract);
                own.for_each(|(supply, _)| bare[*supply] = false);
            }
        }
        let kind = |terms: &[(usize, f64)]| {
            let first = base.supplies[terms.first()?.0].accelerator?;
            terms.iter().all(|(supply, _)| base.supplies[*supply].accelerator == Some(first)).then_some(first)
        };
        // What an offer keeps for itself closes supplies of others: nothing that its party delivers.
        let own = |limit: &crate::Limit, of: ContractId| limit.terms.iter().all(|(supply, _)| base.supplies[*supply].contract == of);
        let mut contract_floors = BTreeMap::<_, Vec<_>>::new();
        for (index, floor) in base.floors.iter().enumerate() {
            for contract in core::iter::once(floor.contract).chain(floor.counted_of.iter().map(|(contract, _)| *contract)) {
                contract_floors.entry(contract).or_default().push(index);
            }
        }
        let abated = base.floors.iter().enumerate().filter(|(_, floor)| floor.abated);
        let months = base.months.len();
        Self {
            firsts: first_steps(base),
            limit_party: base.limits.iter().map(|limit| contract(limit.kind).filter(|of| own(limit, *of)).and_then(party)).collect(),
            limit_kind: base.limits.iter().map(|limit| kind(&limit.terms)).collect(),
            contract_limits,
            bare,
            expansion_party: base.expansions.iter().map(|expansion| party(expansion.contract)).collect(),
            expansion_vendor: base.expansions.iter().map(|expansion| vendors.get(&expansion.accelerator).copied()).collect(),
            floor_party: base.floors.iter().map(|floor| party(floor.contract)).collect(),
            contract_floors,
            abated: abated.filter_map(|(index, floor)| Some((index, floor.abated_by?))).collect(),
            floor_from: base
                .floors
                .iter()
                .map(|floor| base.months.partition_point(|month| month.span.to <= floor.window.from).min(floor.last))
                .collect(),
            credit_party: base.credits.iter().map(|credit| party(credit.contract)).collect(),
            refunds: add_refunds(base, &party, events),
            charges: base.treasury.events.iter().enumerate().flat_map(|(index, event)| charges(index, event, months)).collect(),
            touched: vec![false; base.limits.len()],
        }
    }
}

impl Shape {
    /// A contract is now with another party.
    pub(super) fn hand_over(&mut self, base: &Instance, of: ContractId, holder: PartyId) {
        let give = |party: &mut Option<PartyId>, is: bool| {
            if is && party.is_some() {
                *party = Some(holder);
            }
        };
        self.limit_party.iter_mut().zip(&base.limits).for_each(|(party, it)| give(party, it.kind == LimitKind::Contract(of)));
        self.expansion_party.iter_mut().zip(&base.expansions).for_each(|(party, it)| give(party, it.contract == of));
        self.floor_party.iter_mut().zip(&base.floors).for_each(|(party, it)| give(party, it.contract == of));
        self.credit_party.iter_mut().zip(&base.credits).for_each(|(party, it)| give(party, it.contract == of));
    }
}

/// With whom each contract is: some have no supply of their own, and are known by their charges or what their floors count.
fn contract_parties(base: &Instance) -> BTreeMap<ContractId, PartyId> {
    let floors = base.floors.iter().filter_map(|floor| Some((floor.contract, base.supplies[floor.terms.first()?.0].party)));
    let events = base.treasury.events.iter().filter_map(|event| Some((event.contract?, event.party?)));
    let supplies = base.supplies.iter().map(|supply| (supply.contract, supply.party));
    floors.chain(events).chain(supplies).collect()
}

fn add_refunds(base: &Instance, party: &impl Fn(ContractId) -> Option<PartyId>, events: &mut Vec<Event>) -> Vec<Option<usize>> {
    let months = base.months.len();
    let mut refund = |credit: &crate::Credit| {
        credit.refundable.then(|| {
            events.push(Event {
                name: format!("back from {}", credit.name),
                kind: EventKind::Prepayment,
                party: party(credit.contract),
                contract: Some(credit.contract),
                likelihood: 1.0,
                amounts: Series {
                    fixed: vec![0.0; months],
                    by_choice: credit.choice.map(|choice| (choice, vec![0.0; months])).into_iter().collect(),
                },
            });
            events.len() - 1
        })
    };
    base.credits.iter().map(&mut refund).collect()
}

fn charges(index: usize, event: &Event, months: usize) -> Vec<Charges> {
    let Some(contract) = event.contract.filter(|_| event.kind == EventKind::Committed) else { return Vec::new() };
    let parts = core::iter::once((None, &event.amounts.fixed));
    let parts = parts.chain(event.amounts.by_choice.iter().enumerate().map(|(position, (_, amounts))| (Some(position), amounts)));
    let periods = |amounts: &[f64]| {
        let mut from = 0;
        let due = (0..months).filter(|month| amounts[*month] != 0.0);
        due.map(|month| (core::mem::replace(&mut from, month + 1), month + 1)).collect()
    };
    parts.map(|(choice, amounts)| Charges { event: index, contract, choice, periods: periods(amounts) }).collect()
}
