//! What a contract gives a right to, where the rest goes, what is paid ahead, and when it is delivered.

use units::{Amount, MeterUnit, UnitRate, Watts};

use core::time::Duration;
use std::collections::BTreeSet;

use crate::codes;
use crate::contract::{Capacity, CapacityOf, Contract, Delivery, Overflow, Prepayment, Tranche};
use crate::diagnostic::Diagnostic;
use crate::keys::{Key, Kind, Shape, may, must, or};
use crate::parse::contract::preset::price;
use crate::parse::contract::{Head, check_within};
use crate::parse::site::{COUNT_MAX, counts, unit_words};
use crate::ramp::Ramp;
use crate::reader::{Entry, Reader};

pub(super) const CAPACITY: &[Key] = &[
    may("accelerator", Shape::Name(Kind::Accelerator), "accelerators of this kind ..."),
    may("count", Shape::Ramp("4096"), "... so many"),
    may("site", Shape::Name(Kind::Site), "power at this site, whose chips are chosen later ..."),
    may("power", Shape::Ramp("\"4.5 GW\""), "... so much"),
    may("model", Shape::Name(Kind::Model), "provisioned units for this model ..."),
    may("units", Shape::Ramp("100"), "... so many"),
    may("tokens_per_unit_minute", Shape::Figure("2500"), "tokens that one provisioned unit handles a minute"),
];

pub(super) const OVERFLOW: &[Key] = &[
    may("to", Shape::Name(Kind::Contract), "the contract that takes it, at its rates"),
    may("rate", Shape::Figure("\"3 USD/accelerator-hour\""), "or the price at which it is billed here"),
];

pub(super) const PREPAYMENT: &[Key] = &[
    must("amount", Shape::Figure("\"250 MUSD\""), "how much"),
    or("due", "the start", Shape::Date, "when it is due"),
    or("credited_from", "when it is due", Shape::Date, "from when it is credited"),
    must("credit_periods", Shape::Figure("36"), "in how many billing periods, in equal parts"),
    or("refundable", "false", Shape::Flag, "whether what is not yet credited comes back when the supplier defaults"),
];

const TRANCHE: &[Key] = &[
    may("count", Shape::Figure("2048"), "accelerators or units"),
    may("power", Shape::Figure("\"1 GW\""), "or power"),
    must("due", Shape::Date, "when it should be there"),
    may("delivered", Shape::Date, "when it really was"),
];

pub(super) const DELIVERY: &[Key] = &[
    must("tranches", Shape::Tables(TRANCHE), "the parts"),
    may("accelerator", Shape::Name(Kind::Accelerator), "of which capacity, when the contract has several"),
    may("site", Shape::Name(Kind::Site), "of which capacity, when the contract has several"),
    may("model", Shape::Name(Kind::Model), "of which capacity, when the contract has several"),
    may("penalty", Shape::Figure("\"0.50 USD/accelerator-hour\""), "what the supplier credits for what is late"),
    may("cap", Shape::Figure("\"10 MUSD\""), "the most that penalties come to over the term"),
    may("exit_after", Shape::Figure("\"90 days\""), "how late a tranche may be before the lab may leave"),
];

/// A capacity clause.
pub(super) fn capacity(row: &Reader<'_>, _head: &Head<'_>) -> Option<Capacity> {
    let of = of(row, true)?;
    let (amount, ramp) = match of {
        CapacityOf::Accelerators(_) => ("count", row.has("count").then(|| counts(row, "count"))),
        CapacityOf::Units(_) => ("units", row.has("units").then(|| counts(row, "units"))),
        CapacityOf::Power(_) => ("power", row.has("power").then(|| row.ramp("power").map(|ramp: Ramp<Watts>| ramp.map(Watts::count)))),
    };
    if ramp.is_none() {
        row.report_missing_key(amount);
    }
    let tokens = if matches!(of, CapacityOf::Units(_)) {
        if !row.has("tokens_per_unit_minute") {
            row.report_missing_key("tokens_per_unit_minute");
        }
        row.count("tokens_per_unit_minute", 1, 1_000_000_000_000)
    } else {
        Some(0)
    };
    for name in ["count", "power", "units"].iter().filter(|name| **name != amount && row.has(name)) {
        let hint = format!("write `{amount}`, or name another thing than {}", subject_word(of));
        row.add(Diagnostic::error(codes::ONE_OF, &row.span(name), format!("`{name}` does not measure this capacity"), hint));
    }
    Some(Capacity { of, ramp: ramp??, tokens_per_unit_minute: tokens? })
}

const fn subject_word(of: CapacityOf) -> &'static str {
    match of {
        CapacityOf::Accelerators(_) => "an accelerator",
        CapacityOf::Power(_) => "a site",
        CapacityOf::Units(_) => "a model",
    }
}

fn of(row: &Reader<'_>, must: bool) -> Option<CapacityOf> {
    let named = ["accelerator", "site", "model"].iter().filter(|name| row.has(name)).count();
    if named > 1 || (must && named == 0) {
        let message = if named == 0 { "the clause doesn't say what it is a right to" } else { "the clause names several things" };
        let code = if named == 0 { codes::NAMES_NOBODY } else { codes::ONE_OF };
        let hint = "name one: `accelerator` with `count`, `site` with `power`, or `model` with `units`";
        row.add(Diagnostic::error(code, &row.place, message, hint));
        return None;
    }
    let accelerator = row.named("accelerator", Kind::Accelerator).map(CapacityOf::Accelerators);
    let site = row.named("site", Kind::Site).map(CapacityOf::Power);
    accelerator.or(site).or_else(|| row.named("model", Kind::Model).map(CapacityOf::Units))
}

/// Where what exceeds the capacity goes: the name of a contract, or a table.
pub(super) fn overflow(row: &Reader<'_>, entry: &Entry<'_>, head: &Head<'_>) -> Option<Overflow> {
    if !matches!(entry.value, toml::de::DeValue::Table(_)) {
        return row.named("overflow", Kind::Contract).map(Overflow::To);
    }
    let table = row.table("overflow", OVERFLOW)?;
    match (table.has("to"), table.has("rate")) {
        (true, true) => {
            let hint = "leave out `rate` to pay the other contract's rates, or `to` to be billed here";
            table.add(Diagnostic::error(codes::ONE_OF, &table.span("rate"), "the overflow has both `to` and `rate`", hint));
            None
        }
        (false, false) => {
            let hint = "add `to = \"...\"`, the name of a contract, or `rate = \"...\"`";
            table.add(Diagnostic::error(codes::NAMES_NOBODY, &table.place, "the overflow goes nowhere", hint));
            None
        }
        (true, false) => table.named("to", Kind::Contract).map(Overflow::To),
        (false, true) => {
            let rate: UnitRate = table.figure("rate")?;
            let entry = table.entry("rate")?;
            if !matches!(rate.unit, MeterUnit::AcceleratorMs | MeterUnit::UnitMs) {
                let hint = format!("write a price per {}", unit_words(MeterUnit::AcceleratorMs));
                table.add(Diagnostic::error(codes::METER_UNIT, &entry.span, "what overflows is time of accelerators or units", hint));
                return None;
            }
            table.check_currency(&entry, rate.currency, head.currency).then_some(Overflow::AtRate(rate.rate))
        }
    }
}

/// A prepayment.
pub(super) fn prepayment(row: &Reader<'_>, head: &Head<'_>) -> Option<Prepayment> {
    let amount: Option<Amount> = row.figure("amount");
    let amount = amount.filter(|amount| {
        row.entry("amount").is_some_and(|entry| row.check_currency(&entry, amount.currency, head.currency))
            && row.check("amount", amount.money > units::Money::ZERO, "is not above zero", "write what is paid ahead")
    });
    let due = if row.has("due") { row.date("due") } else { Some(head.term.from) };
    let credited_from = if row.has("credited_from") { row.date("credited_from") } else { due };
    for name in ["due", "credited_from"] {
        if let Some(at) = row.entry(name).and_then(|_| if name == "due" { due } else { credited_from }) {
            check_within(row, row.entry(name).as_ref(), at, head, &format!("`{name}`"));
        }
    }
    let credit_periods = row.count("credit_periods", 1, 100_000);
    let refundable = row.flag("refundable").unwrap_or(false);
    Some(Prepayment {
        amount: amount?.money,
        due: due?,
        credited_from: credited_from?,
        credit_periods: u32::try_from(credit_periods?).ok()?,
        refundable,
    })
}

/// A delivery clause; of the contract's only capacity when it names none.
pub(super) fn delivery(row: &Reader<'_>, head: &Head<'_>, contract: &Reader<'_>, capacities: &[Capacity]) -> Option<Delivery> {
    let of = match of(row, false) {
        Some(of) => Some(of),
        None => match capacities {
            [one] => Some(one.of),
            _ if ["accelerator", "site", "model"].iter().any(|name| row.has(name)) => None,
            // A capacity that is written but could not be read has told its own problem.
            [] if ["capacity", "count", "units"].iter().any(|name| contract.has(name)) => None,
            _ => {
                let message = if capacities.is_empty() { "nothing says what is delivered" } else { "the contract has several capacities" };
                let hint = "add `accelerator`, `site` or `model`, or one capacity clause";
                row.add(Diagnostic::error(codes::NAMES_NOBODY, &row.place, message, hint));
                None
            }
        },
    };
    let tables = row.tables("tranches", TRANCHE);
    let tranches: Vec<_> = tables.iter().map(|table| tranche(table, of, head)).collect();
    if row.entry("tranches").and_then(|entry| entry.elements()).is_some_and(|list| list.is_empty()) {
        row.add(Diagnostic::error(codes::RAMP_EMPTY, &row.span("tranches"), "`tranches` has no entry", "write at least one"));
    }
    let unit = match of {
        Some(CapacityOf::Power(_)) => MeterUnit::Joule,
        Some(CapacityOf::Units(_)) => MeterUnit::UnitMs,
        _ => MeterUnit::AcceleratorMs,
    };
    let penalty = of.and_then(|_| price(row, head, "penalty", unit));
    let cap: Option<Amount> = row.figure("cap");
    let cap = cap.filter(|cap| row.entry("cap").is_some_and(|entry| row.check_currency(&entry, cap.currency, head.currency)));
    let exit: Option<Duration> = row.figure("exit_after");
    let mut tranches = tranches.into_iter().collect::<Option<Vec<_>>>()?;
    tranches.sort_by_key(|tranche| tranche.due);
    let exit_after_days = exit.and_then(|exit| u32::try_from(exit.as_secs() / 86_400).ok());
    Some(Delivery { of: of?, tranches, penalty, cap: cap.map(|cap| cap.money), exit_after_days })
}

fn tranche(table: &Reader<'_>, of: Option<CapacityOf>, head: &Head<'_>) -> Option<Tranche> {
    let power = matches!(of, Some(CapacityOf::Power(_)));
    let (name, other) = if power { ("power", "count") } else { ("count", "power") };
    if of.is_some() && !table.has(name) {
        table.report_missing_key(name);
    }
    if of.is_some() && table.has(other) {
        let hint = format!("write `{name}`");
        table.add(Diagnostic::error(codes::ONE_OF, &table.span(other), format!("`{other}` does not measure what is delivered"), hint));
    }
    let amount = if power { table.figure("power").map(Watts::count) } else { table.count("count", 1, COUNT_MAX) };
    let (due, delivered) = (table.date("due"), table.date("delivered"));
    if let Some(due) = due {
        check_within(table, table.entry("due").as_ref(), due, head, "the tranche's due date");
    }
    Some(Tranche { amount: amount?, due: due?, delivered })
}

/// What holds between the capacities and the delivery of a contract.
pub(super) fn check(row: &Reader<'_>, contract: &Contract) {
    let mut seen = BTreeSet::new();
    for clause in &contract.capacity {
        if !seen.insert(clause.of) {
            let hint = "write one clause with a ramp: several steps `{ from, is }`";
            row.add(Diagnostic::error(codes::CLAUSE_TWICE, &row.span("capacity"), "two capacity clauses are for the same thing", hint));
        }
    }
    let Some(delivery) = &contract.delivery else { return };
    let Some(table) = row.quiet_table("delivery") else { return };
    let most =
        contract.capacity.iter().find(|it| it.of == delivery.of).map(|it| it.ramp.steps().iter().map(|(_, it)| *it).max().unwrap_or(0));
    let sum = delivery.tranches.iter().map(|tranche| tranche.amount).fold(0_i64, i64::saturating_add);
    if let Some(most) = most.filter(|most| sum > *most) {
        let message = format!("the tranches come to {sum}, but the capacity is never above {most}");
        let hint = "lower a tranche, or raise the capacity";
        let problem = Diagnostic::error(codes::TRANCHES, &table.span("tranches"), message, hint);
        let of = ["capacity", "count", "units"].into_iter().find(|name| row.has(name));
        row.add(match of {
            Some(name) => problem.related(&row.span(name), "the capacity"),
            None => problem,
        });
    }
}
