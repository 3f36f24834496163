//! Minimum spends and quantities.

use units::{Share, UnitRate};

use crate::calendar::Period;
use crate::codes;
use crate::contract::{Basis, CarryOver, Floor, Least};
use crate::diagnostic::Diagnostic;
use crate::figure::{LeastFigure, period_name};
use crate::id::ContractId;
use crate::keys::{Key, Kind, Shape, may, must, or, words};
use crate::parse::contract::Head;
use crate::parse::contract::rates::{METER_WORDS, METERS};
use crate::ramp::Ramp;
use crate::reader::{Entry, Reader};

const BASES: [(&str, Basis); 3] = [("purchase", Basis::Purchase), ("amortisation", Basis::Amortisation), ("use", Basis::Use)];
const BASIS_WORDS: &[&str] = &words(&BASES);

const CARRY_OVER: &[Key] = &[
    or("share", "\"100 %\"", Shape::Figure("\"50 %\""), "which share of the excess"),
    must("windows", Shape::Figure("1"), "for how many windows after its own"),
];

pub(super) const FLOOR: &[Key] = &[
    must("least", Shape::Ramp("\"30 GUSD/year\""), "how much, in money or in a quantity, by the window's first instant"),
    or("per", "the period that `least` names, or a billing period", Shape::Figure("\"year\""), "how long a window is"),
    may("rate", Shape::Figure("\"2.10 USD/accelerator-hour\""), "for a quantity: what is short is charged at this"),
    or("basis", "amortisation", Shape::Word(BASIS_WORDS), "what counts"),
    or("contracts", "this one and all nested under it", Shape::Names(Kind::Contract), "which contracts count"),
    or("meters", "all", Shape::Words(METER_WORDS), "which meters count"),
    may("carry_over", Shape::Table(CARRY_OVER), "excess that counts later"),
    or("abated_while_late", "false", Shape::Flag, "whether it shrinks by the share of capacity that is late"),
];

/// Every floor of a contract: the short form is one figure or ramp, the long one is tables.
pub(super) fn floors(row: &Reader<'_>, head: &Head<'_>) -> Vec<Floor> {
    let Some(entry) = row.entry("floor") else { return Vec::new() };
    if !is_short(&entry) {
        return row.tables("floor", FLOOR).iter().filter_map(|table| floor(table, head)).collect();
    }
    let ramp: Option<Ramp<LeastFigure>> = row.ramp_of(&entry, "\"30 GUSD/year\"");
    let short = ramp.and_then(|ramp| least(row, &entry, &ramp, None, None, head));
    let of = |(least, per)| Floor {
        least,
        per,
        basis: Basis::Amortisation,
        contracts: Vec::new(),
        meters: Vec::new(),
        carry_over: None,
        abated_while_late: false,
    };
    short.map(of).into_iter().collect()
}

/// Whether the floor is written as a figure or a ramp rather than as clauses.
pub(super) fn is_short(entry: &Entry<'_>) -> bool {
    use toml::de::DeValue;
    let has =
        |value: &DeValue<'_>, names: &[&str]| matches!(value, DeValue::Table(table) if names.iter().any(|name| table.contains_key(*name)));
    match entry.value {
        DeValue::Array(list) => list.iter().all(|step| has(step.get_ref(), &["from", "is"])),
        DeValue::Table(_) => has(entry.value, &["value", "low", "high"]),
        _ => true,
    }
}

fn floor(row: &Reader<'_>, head: &Head<'_>) -> Option<Floor> {
    let per: Option<Period> = row.figure("per");
    let rate: Option<UnitRate> = row.figure("rate");
    let ramp: Option<Ramp<LeastFigure>> = row.ramp("least");
    let least = ramp.zip(row.entry("least")).and_then(|(ramp, entry)| least(row, &entry, &ramp, per, rate, head));
    let basis = if row.has("basis") { row.word("basis", &BASES) } else { Some(Basis::Amortisation) };
    let contracts: Vec<ContractId> = row.named_list("contracts", Kind::Contract);
    for (name, what) in [("contracts", "contract"), ("meters", "meter")] {
        if row.has(name) && row.entry(name).and_then(|entry| entry.elements()).is_some_and(|list| list.is_empty()) {
            let hint = format!("name at least one {what}, or leave `{name}` out to count all");
            row.add(Diagnostic::error(codes::NAMES_NOBODY, &row.span(name), format!("the floor counts no {what}"), hint));
        }
    }
    let meters = row.words("meters", &METERS);
    let carry_over = row.table("carry_over", CARRY_OVER).and_then(|table| carry_over(&table));
    let abated_while_late = row.flag("abated_while_late").unwrap_or(false);
    let (least, per) = least?;
    Some(Floor { least, per, basis: basis?, contracts, meters, carry_over, abated_while_late })
}

fn carry_over(table: &Reader<'_>) -> Option<CarryOver> {
    let share = if table.has("share") { table.share("share") } else { Some(Share::ALL) };
    let windows = table.count("windows", 1, 10_000);
    Some(CarryOver { share: share?, windows: u32::try_from(windows?).ok()? })
}

/// The least and its window, which an amount such as `30 GUSD/year` may name too.
fn least(
    row: &Reader<'_>,
    entry: &Entry<'_>,
    ramp: &Ramp<LeastFigure>,
    per: Option<Period>,
    rate: Option<UnitRate>,
    head: &Head<'_>,
) -> Option<(Least, Period)> {
    let amounts: Option<Vec<_>> =
        ramp.steps().iter().map(|(from, it)| if let LeastFigure::Money(money) = it { Some((*from, *money)) } else { None }).collect();
    let Some(amounts) = amounts else { return quantity(row, entry, ramp, per, rate, head) };
    let named = amounts.iter().find_map(|(_, amount)| amount.per);
    let window = per.or(named).unwrap_or(head.period);
    if let Some(other) = amounts.iter().filter_map(|(_, amount)| amount.per).find(|named| *named != window) {
        let message = format!("the amount is per {}, but the floor is per {}", period_name(other), period_name(window));
        let hint = format!("write both per {}, or leave `per` out", period_name(other));
        let problem = Diagnostic::error(codes::PER, &entry.span, message, hint);
        row.add(if per.is_some() { problem.related(&row.span("per"), format!("per {}", period_name(window))) } else { problem });
        return None;
    }
    if let Some((_, amount)) = amounts.iter().find(|(_, amount)| amount.amount.currency != head.currency) {
        row.check_currency(entry, amount.amount.currency, head.currency);
        return None;
    }
    if amounts.iter().any(|(_, amount)| amount.amount.money < units::Money::ZERO) {
        row.add(Diagnostic::error(codes::RANGE, &entry.span, "a floor is not below zero", "write the least that is paid in each window"));
        return None;
    }
    let steps = amounts.into_iter().map(|(from, amount)| (from, amount.amount.money)).collect();
    Some((Least::Spend(Ramp::new(steps).ok()?), window))
}

fn quantity(
    row: &Reader<'_>,
    entry: &Entry<'_>,
    ramp: &Ramp<LeastFigure>,
    per: Option<Period>,
    rate: Option<UnitRate>,
    head: &Head<'_>,
) -> Option<(Least, Period)> {
    let steps: Option<Vec<_>> =
        ramp.steps().iter().map(|(from, it)| if let LeastFigure::Quantity(it) = it { Some((*from, *it)) } else { None }).collect();
    let unit = steps.as_ref().and_then(|steps| steps.first()).map(|(_, first)| first.unit);
    let alike = steps.filter(|steps| steps.iter().all(|(_, it)| Some(it.unit) == unit));
    let (Some(steps), Some(unit)) = (alike, unit) else {
        let hint = "write all steps in money, or all in one unit";
        row.add(Diagnostic::error(codes::METER_UNIT, &entry.span, "the steps of the floor are in different units", hint));
        return None;
    };
    let Some(rate) = rate else {
        let hint = "add `rate = \"...\"`, the price of each unit that is short";
        row.add(Diagnostic::error(codes::MISSING_KEY, &entry.span, "a floor in a quantity needs a rate for what is short", hint));
        return None;
    };
    let rate_entry = row.entry("rate")?;
    if rate.unit != unit {
        let hint = format!("write a price per {}", crate::parse::site::unit_words(unit));
        let problem = Diagnostic::error(codes::METER_UNIT, &rate_entry.span, "the rate is per another unit than the floor", hint);
        row.add(problem.related(&entry.span, "the floor"));
        return None;
    }
    let steps = steps.into_iter().map(|(from, it)| (from, it.quantity)).collect();
    row.check_currency(&rate_entry, rate.currency, head.currency)
        .then_some((Least::Quantity(Ramp::new(steps).ok()?, rate.rate), per.unwrap_or(head.period)))
}
