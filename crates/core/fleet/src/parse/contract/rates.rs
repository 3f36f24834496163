//! Prices per meter: tiers, escalation, what is multiplied.

use std::collections::BTreeSet;

use units::{MeterUnit, Quantity, Share};

use crate::codes;
use crate::contract::{CapacityOf, Charge, Contract, Escalation, RateClause, Tier, TierKind};
use crate::diagnostic::Diagnostic;
use crate::figure::Metered;
use crate::id::Id;
use crate::keys::{Key, Kind, Shape, may, must, or, words};
use crate::model::{Meter, MeterKind};
use crate::parse::contract::preset::price;
use crate::parse::contract::{Head, Only, only};
use crate::parse::site;
use crate::reader::Reader;

pub(super) const METERS: [(&str, MeterKind); 7] = [
    ("accelerators", MeterKind::AcceleratorTime),
    ("input", MeterKind::InputTokens),
    ("cached", MeterKind::CachedTokens),
    ("output", MeterKind::OutputTokens),
    ("units", MeterKind::UnitTime),
    ("energy", MeterKind::Energy),
    ("egress", MeterKind::Egress),
];
pub(super) const METER_WORDS: &[&str] = &words(&METERS);

const CHARGES: [(&str, Charge); 2] = [("metered", Charge::Metered), ("committed", Charge::Committed)];
const CHARGE_WORDS: &[&str] = &words(&CHARGES);
const TIER_KINDS: [(&str, TierKind); 2] = [("graduated", TierKind::Graduated), ("volume", TierKind::Volume)];
const TIER_KIND_WORDS: &[&str] = &words(&TIER_KINDS);
const OVERS: [(&str, bool); 2] = [("period", false), ("term", true)];
const OVER_WORDS: &[&str] = &words(&OVERS);

const TIER: &[Key] = &[
    must("from", Shape::Figure("\"100 M tokens\""), "the quantity at which the tier begins; the first one's is zero"),
    must("rate", Shape::Figure("\"0.12 USD/1M tokens\""), "the price from there"),
];
const ESCALATION: &[Key] = &[
    must("by", Shape::Figure("\"3 %\""), "by how much each time, compounded"),
    must("every", Shape::Figure("\"year\""), "how often, counted from the term's start"),
];

pub(super) const RATES: &[Key] = &[
    must("meter", Shape::Word(METER_WORDS), "what is counted"),
    may("of", Shape::Text("h100"), "the accelerator, model, site or region, when the contract covers several"),
    or("charge", "metered", Shape::Word(CHARGE_WORDS), "what was metered, or the delivered capacity whether used or not"),
    may("rate", Shape::Figure("\"2.10 USD/accelerator-hour\""), "the price, when there is one"),
    may("tiers", Shape::Tables(TIER), "prices by threshold, when there are several"),
    or("tiers_apply", "graduated", Shape::Word(TIER_KIND_WORDS), "to each part its own tier's rate, or the tier reached to all"),
    or("over", "period", Shape::Word(OVER_WORDS), "what thresholds count over"),
    may("escalation", Shape::Table(ESCALATION), "how the price rises"),
];

/// A rates clause.
pub(super) fn rates(row: &Reader<'_>, head: &Head<'_>) -> Option<RateClause> {
    let kind = row.word("meter", &METERS);
    let meter = kind.and_then(|kind| meter(row, head, kind));
    let charge = if row.has("charge") { row.word("charge", &CHARGES) } else { Some(Charge::Metered) };
    let unit = kind.map(unit_of);
    let tiers = unit.and_then(|unit| tiers(row, head, unit));
    let tier_kind = if row.has("tiers_apply") { row.word("tiers_apply", &TIER_KINDS) } else { Some(TierKind::Graduated) };
    let over_term = if row.has("over") { row.word("over", &OVERS) } else { Some(false) };
    let escalation = row.table("escalation", ESCALATION).and_then(|table| escalation(&table));
    Some(RateClause { meter: meter?, charge: charge?, tiers: tiers?, kind: tier_kind?, over_term: over_term?, escalation })
}

const fn unit_of(kind: MeterKind) -> MeterUnit {
    match kind {
        MeterKind::AcceleratorTime => MeterUnit::AcceleratorMs,
        MeterKind::InputTokens | MeterKind::CachedTokens | MeterKind::OutputTokens => MeterUnit::Token,
        MeterKind::UnitTime => MeterUnit::UnitMs,
        MeterKind::Energy => MeterUnit::Joule,
        MeterKind::Egress => MeterUnit::Byte,
    }
}

fn meter(row: &Reader<'_>, head: &Head<'_>, kind: MeterKind) -> Option<Meter> {
    Some(match kind {
        MeterKind::AcceleratorTime => Meter::AcceleratorTime(subject(row, Kind::Accelerator, only(head.accelerators()))?),
        MeterKind::InputTokens => Meter::InputTokens(subject(row, Kind::Model, only(head.models()))?),
        MeterKind::CachedTokens => Meter::CachedTokens(subject(row, Kind::Model, only(head.models()))?),
        MeterKind::OutputTokens => Meter::OutputTokens(subject(row, Kind::Model, only(head.models()))?),
        MeterKind::UnitTime => Meter::UnitTime(subject(row, Kind::Model, only(head.models()))?),
        MeterKind::Energy => Meter::Energy(subject(row, Kind::Site, Only::Nothing)?),
        MeterKind::Egress => Meter::Egress(subject(row, Kind::Region, Only::Nothing)?),
    })
}

/// What the meter is of: as named, or the only one that the contract covers.
fn subject<I: Id>(row: &Reader<'_>, kind: Kind, covered: Only<I>) -> Option<I> {
    if row.has("of") {
        return row.named("of", kind);
    }
    match covered {
        Only::One(one) => return Some(one),
        Only::Unknown => return None,
        Only::Several | Only::Nothing => {}
    }
    let message = format!("nothing says which {} the price is for", kind.singular());
    row.add(Diagnostic::error(codes::NAMES_NOBODY, &row.span("meter"), message, format!("add `of = \"...\"`, the name of {}", kind.one())));
    None
}

fn tiers(row: &Reader<'_>, head: &Head<'_>, unit: MeterUnit) -> Option<Vec<Tier>> {
    if row.has("rate") == row.has("tiers") {
        let message = if row.has("rate") { "there is both a `rate` and a list of `tiers`" } else { "the clause has no price" };
        let place = if row.has("rate") { row.span("tiers") } else { row.place.clone() };
        row.add(Diagnostic::error(codes::ONE_OF, &place, message, "write `rate` for one price, or `tiers` for several"));
        return None;
    }
    if row.has("rate") {
        return price(row, head, "rate", unit).map(|rate| vec![Tier { from: Quantity::ZERO, rate }]);
    }
    let tables = row.tables("tiers", TIER);
    if row.entry("tiers").and_then(|entry| entry.elements()).is_some_and(|list| list.is_empty()) {
        row.add(Diagnostic::error(codes::RAMP_EMPTY, &row.span("tiers"), "`tiers` has no entry", "write at least one tier, from zero"));
    }
    let tiers: Vec<_> = tables.iter().map(|table| tier(table, head, unit)).collect();
    for (index, table) in tables.iter().enumerate() {
        let Some(Some(here)) = tiers.get(index) else { continue };
        let before = index.checked_sub(1).and_then(|before| Some((tables.get(before)?, tiers.get(before)?.as_ref()?)));
        if let Some((earlier, _)) = before.filter(|(_, before)| here.from <= before.from) {
            let hint = "put the tiers in rising order of `from`";
            let problem =
                Diagnostic::error(codes::TIER_ORDER, &table.span("from"), "this tier does not begin above the one before it", hint);
            row.add(problem.related(&earlier.span("from"), "the tier before it"));
        } else if index == 0 && here.from != Quantity::ZERO {
            let hint = format!("begin with `from = \"0 {}\"`: what is below the first tier has a price too", unit.shown().0);
            row.add(Diagnostic::error(codes::TIER_ORDER, &table.span("from"), "the first tier does not begin at zero", hint));
        }
    }
    tiers.into_iter().collect::<Option<Vec<_>>>().filter(|tiers| !tiers.is_empty())
}

fn tier(table: &Reader<'_>, head: &Head<'_>, unit: MeterUnit) -> Option<Tier> {
    let from: Option<Metered> = table.figure("from");
    let rate = price(table, head, "rate", unit);
    let from = from?;
    if from.unit != unit {
        let message = format!("`from` is in {}, which is not what this meter counts", from.unit.shown().0);
        let hint = format!("write it in {}", unit.shown().0);
        table.add(Diagnostic::error(codes::METER_UNIT, &table.span("from"), message, hint));
        return None;
    }
    Some(Tier { from: from.quantity, rate: rate? })
}

fn escalation(table: &Reader<'_>) -> Option<Escalation> {
    let by: Option<Share> = table.figure("by");
    let every = site::period(table, "every");
    let by =
        by.filter(|by| table.check("by", (0..=1_000_000).contains(&by.ppm()), "is not from 0 % to 100 %", "write such as `by = \"3 %\"`"));
    Some(Escalation { by: by?, every: every? })
}

/// What holds between the rates and the capacities of a contract.
pub(super) fn check(row: &Reader<'_>, contract: &Contract) {
    let tables = row.tables_quietly("rates");
    let unread = row.tables_quietly("capacity").len() > contract.capacity.len();
    let mut seen = BTreeSet::new();
    for (index, clause) in contract.rates.iter().enumerate() {
        // Clauses of presets come first, so those of the file are the last ones.
        let written = (index + tables.len()).checked_sub(contract.rates.len()).and_then(|index| tables.get(index));
        let place = written.map_or_else(|| row.place.clone(), |entry| entry.span.clone());
        let of = match clause.meter {
            Meter::AcceleratorTime(id) => Some(CapacityOf::Accelerators(id)),
            Meter::UnitTime(id) => Some(CapacityOf::Units(id)),
            _ => None,
        };
        if clause.charge == Charge::Committed
            && of.is_none_or(|of| !contract.capacity.iter().any(|it| it.of == of))
            && written.is_some()
            && !unread
        {
            let hint = "add a capacity clause for it, or write `charge = \"metered\"`";
            row.add(Diagnostic::error(codes::NO_CAPACITY, &place, "a committed rate has no capacity to multiply", hint));
        }
        if !seen.insert((clause.meter, clause.charge == Charge::Committed)) {
            let hint = "write one clause, with tiers or an escalation when the price changes";
            row.add(Diagnostic::error(codes::CLAUSE_TWICE, &place, "the contract has another price for the same meter", hint));
        }
    }
}
