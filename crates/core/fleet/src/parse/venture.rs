//! Joint ventures, which have to be paid for before they can deliver power.

use units::Money;

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::figure::PowerCost;
use crate::keys::{Key, Kind, Shape, must, or};
use crate::outlook::{Stake, Venture};
use crate::parse::Fixed;
use crate::parse::mishap::MONTHS_MAX;
use crate::reader::Reader;

const STAKE: &[Key] = &[
    or("party", "the lab itself", Shape::Name(Kind::Party), "which partner pays; what the lab itself pays is cash out"),
    must("amount", Shape::Figure("\"19 GUSD\""), "how much, spread over the span"),
    must("from", Shape::Date, "from when"),
    must("to", Shape::Date, "until when"),
];

pub(crate) const VENTURE: &[Key] = &[
    must("party", Shape::Name(Kind::Party), "the party with which contracts for its power are made"),
    must("cost", Shape::Figure("\"38 GUSD/GW\""), "what its power costs to build, in the fleet's currency"),
    or("leverage", "\"0 %\"", Shape::Figure("\"100 %\""), "what it can borrow for each unit of its partners' money: 100 % doubles it"),
    or("lead_months", "0", Shape::Figure("18"), "months from payment to power"),
    must("stakes", Shape::Tables(STAKE), "its partners' money"),
];

pub(super) fn venture(row: &Reader<'_>, fixed: &Fixed) -> Option<Venture> {
    let party = row.named("party", Kind::Party);
    let cost: Option<PowerCost> = row.figure("cost");
    let cost = cost.filter(|cost| {
        row.entry("cost").is_some_and(|entry| row.check_currency(&entry, cost.amount.currency, fixed.currency))
            && row.check("cost", cost.amount.money > Money::ZERO, "is not above zero", "write what a gigawatt costs to build")
    });
    let leverage = if row.has("leverage") { row.percent("leverage", 0, 10_000) } else { Some(units::Share::NONE) };
    let lead_months = if row.has("lead_months") { row.count("lead_months", 0, MONTHS_MAX) } else { Some(0) };
    let stakes: Vec<_> = row.tables("stakes", STAKE).iter().map(stake).collect();
    if row.entry("stakes").and_then(|entry| entry.elements()).is_some_and(|list| list.is_empty()) {
        let hint = "write at least one, as in `{ party = \"...\", amount = \"19 GUSD\", from = 2025-01-01, to = 2029-01-01 }`";
        row.add(Diagnostic::error(codes::RAMP_EMPTY, &row.span("stakes"), "`stakes` has no entry", hint));
    }
    Some(Venture {
        party: party?,
        cost_per_watt: cost?.rate(),
        leverage: leverage?,
        lead_months: u32::try_from(lead_months?).ok()?,
        stakes: stakes.into_iter().collect::<Option<_>>()?,
    })
}

fn stake(row: &Reader<'_>) -> Option<Stake> {
    let party = row.named("party", Kind::Party);
    let amount = row.amount("amount").filter(|amount| {
        let fits = amount.money > Money::ZERO;
        row.check("amount", fits, "is not above zero", "write what is paid in")
    });
    let span = row.span_between("from", "to");
    Some(Stake { party, amount: amount?, span: span? })
}
