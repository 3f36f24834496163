//! That a contract may be signed, and rights to raise its capacity.

use units::{Amount, Money};

use crate::codes;
use crate::contract::Status;
use crate::diagnostic::Diagnostic;
use crate::keys::{Key, Kind, Shape, may, must, or};
use crate::outlook::{Expansion, Offer};
use crate::parse::contract::Head;
use crate::parse::mishap::MONTHS_MAX;
use crate::parse::site::COUNT_MAX;
use crate::reader::Reader;

pub(super) const OFFER: &[Key] = &[
    may("by", Shape::Date, "until when it stands"),
    or("starts", "the contract's `start`", Shape::Dates, "when it may start instead: the whole contract moves with it"),
];

pub(super) const EXPANSION: &[Key] = &[
    must("accelerator", Shape::Name(Kind::Accelerator), "of which accelerators; the contract has a capacity clause of them"),
    must("most", Shape::Figure("20000"), "by how many at most, in all"),
    or("per_month", "no limit", Shape::Figure("2000"), "by how many a month"),
    or("lead_months", "0", Shape::Figure("6"), "months from the order until they are there"),
    may("capex", Shape::Figure("\"30000 USD\""), "what the lab pays for each when it is ordered, in the contract's currency"),
];

/// The offer of a contract that is discussed.
pub(super) fn offer(row: &Reader<'_>, status: Option<Status>) -> Option<Offer> {
    let table = row.table("offer", OFFER)?;
    if status.is_some_and(|status| status != Status::Discussed) {
        let hint = "leave the offer out, or write `status = \"discussed\"`: only such a contract is still to be signed";
        let problem = Diagnostic::error(codes::OFFER, &table.place, "the contract is not discussed, so it is no offer", hint);
        row.add(problem.related(&row.span("status"), "its status; a contract that doesn't say is signed"));
    }
    Some(Offer { by: table.date("by"), starts: table.dates("starts") })
}

/// A right to raise a capacity clause.
pub(super) fn expansion(row: &Reader<'_>, head: &Head<'_>) -> Option<Expansion> {
    let accelerator = row.named("accelerator", Kind::Accelerator);
    let (most, per_month) = (row.count("most", 1, COUNT_MAX), row.count("per_month", 1, COUNT_MAX));
    let lead_months = if row.has("lead_months") { row.count("lead_months", 0, MONTHS_MAX) } else { Some(0) };
    let capex: Option<Amount> = row.figure("capex");
    let capex = capex.filter(|capex| {
        row.entry("capex").is_some_and(|entry| row.check_currency(&entry, capex.currency, head.currency))
            && row.check("capex", capex.money >= Money::ZERO, "is below zero", "write what one accelerator costs")
    });
    Some(Expansion {
        accelerator: accelerator?,
        most: most?,
        per_month,
        lead_months: u32::try_from(lead_months?).ok()?,
        capex: capex.map(|capex| capex.money),
    })
}
