//! What falls due under contracts when nothing is used.

use std::collections::BTreeMap;

use fleet::{Contract, ContractId, Fleet, Status, Table};
use market::{Balances, Clause, statement};
use serde::Serialize;
use units::{Instant, Money};

use super::years::{Years, exchanged};
use super::{Depends, Row, add, evidence};

/// Billing periods of one contract that an outline adds up at most.
pub const PERIODS_MAX: i64 = 4_000;

/// What one contract asks for if nothing is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Obligation {
    /// The sum of the parts.
    pub row: Row,
    /// What it is made of; parts that are nothing in all years are left out.
    pub parts: Vec<Part>,
}

/// A part of an obligation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Of which kind.
    pub kind: PartKind,
    /// By year.
    pub amounts: Vec<Money>,
}

/// Why something is due though nothing is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PartKind {
    /// Capacity that is paid for whether used or not.
    Committed,
    /// What is paid ahead, less what of it is credited.
    Prepaid,
    /// What a floor is short of.
    Floor,
    /// Penalties and rounding.
    Other,
}

/// Of signed contracts, of those that may yet be, and the names of those that are billed too often.
pub(super) fn all(fleet: &Fleet, years: &Years) -> (Vec<Obligation>, Vec<Obligation>, Vec<String>) {
    let planned = as_planned(fleet, years);
    let (mut signed, mut if_signed, mut too_often) = (Vec::new(), Vec::new(), Vec::new());
    for (id, name, terms) in fleet.contracts.iter() {
        let (depends, list, fleet) = match terms.status {
            Status::Signed => (Depends::Nothing, &mut signed, &planned),
            Status::Discussed | Status::Stalled => {
                let status = if terms.status == Status::Stalled { "stalled" } else { "discussed" };
                (Depends::Signed { status: status.to_owned() }, &mut if_signed, &edited(&planned, sign(id)))
            }
            Status::Ended | Status::Substituted { .. } => continue,
        };
        match parts(fleet, id, years) {
            Some(parts) => list.push(obligation(fleet, (name, terms), depends, parts, years)),
            None => too_often.push(name.to_owned()),
        }
    }
    (signed, if_signed, too_often)
}

fn obligation(fleet: &Fleet, (name, terms): (&str, &Contract), depends: Depends, parts: Vec<Part>, years: &Years) -> Obligation {
    let mut amounts = years.nothing();
    parts.iter().for_each(|part| add(&mut amounts, &part.amounts));
    let row = Row {
        label: name.to_owned(),
        party: Some(fleet.parties.name(terms.party).to_owned()),
        depends,
        amounts,
        range: None,
        evidence: evidence::obligation(fleet, name, terms),
    };
    Obligation { row, parts }
}

/// What is due in each year by kind, at the end of each billing period; `None` when there are too many periods.
fn parts(fleet: &Fleet, contract: ContractId, years: &Years) -> Option<Vec<Part>> {
    let terms = &fleet.contracts[contract];
    let covered = terms.term.overlap(years.horizon());
    if covered.is_empty() {
        return Some(Vec::new());
    }
    let (first, last) = (terms.calendar.index(covered.from), terms.calendar.index(before(covered.to)));
    if last - first >= PERIODS_MAX {
        return None;
    }
    let balances = Balances::default();
    let mut kinds: BTreeMap<PartKind, Vec<Money>> = BTreeMap::new();
    for period in first..=last {
        let statement = statement(fleet, &balances, contract, period);
        let at = before(statement.span.to);
        let Some(year) = years.index(at) else { continue };
        for line in &statement.lines {
            let amounts = kinds.entry(kind(line.clause)).or_insert_with(|| years.nothing());
            amounts[year] += exchanged(fleet, line.money, terms.currency, at);
        }
    }
    let parts = kinds.into_iter().map(|(kind, amounts)| Part { kind, amounts });
    Some(parts.filter(|part| part.amounts.iter().any(|amount| *amount != Money::ZERO)).collect())
}

fn kind(clause: Clause) -> PartKind {
    match clause {
        Clause::Rates { .. } | Clause::Overflow => PartKind::Committed,
        Clause::Prepayment { .. } | Clause::Credit { .. } => PartKind::Prepaid,
        Clause::Shortfall { .. } => PartKind::Floor,
        Clause::Penalty { .. } | Clause::Rounding => PartKind::Other,
    }
}

/// The fleet with every tranche that is due within the plan delivered when it is due.
fn as_planned(fleet: &Fleet, years: &Years) -> Fleet {
    let from = years.horizon().from;
    edited(fleet, |_, terms| {
        for tranche in terms.delivery.iter_mut().flat_map(|delivery| &mut delivery.tranches) {
            if tranche.delivered.is_none() && tranche.due >= from {
                tranche.delivered = Some(tranche.due);
            }
        }
    })
}

fn sign(contract: ContractId) -> impl Fn(ContractId, &mut Contract) {
    move |id, terms| {
        if id == contract {
            terms.status = Status::Signed;
        }
    }
}

fn edited(fleet: &Fleet, edit: impl Fn(ContractId, &mut Contract)) -> Fleet {
    let edited = |(id, name, terms): (ContractId, &str, &Contract)| {
        let mut terms = terms.clone();
        edit(id, &mut terms);
        (name.to_owned(), terms)
    };
    Fleet { contracts: Table::new(fleet.contracts.iter().map(edited).collect()), ..fleet.clone() }
}

/// The last instant before `at`.
fn before(at: Instant) -> Instant {
    Instant::from_micros(at.micros() - 1)
}
