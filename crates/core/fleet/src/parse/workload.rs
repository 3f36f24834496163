//! Demand, and the lab's money.

use core::time::Duration;

use units::{Amount, Money, Quantity, Share, Span};

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::figure::{Metered, Speed};
use crate::keys::{Key, Kind, Shape, may, must, or, words};
use crate::model::{CashEvent, Finance, ServingClass, Tier, Workload, WorkloadKind};
use crate::outlook::{Mix, Terms};
use crate::parse::Fixed;
use crate::ramp::Ramp;
use crate::reader::Reader;

const TIERS: [(&str, Tier); 3] = [("flex", Tier::Flex), ("default", Tier::Default), ("priority", Tier::Priority)];
const TIER_WORDS: &[&str] = &words(&TIERS);

const CLASS: &[Key] = &[
    must("tier", Shape::Word(TIER_WORDS), "OpenAI's `service_tier`"),
    must("ttft", Shape::Figure("\"500 ms\""), "time to the first token that is promised"),
    must("tpot", Shape::Figure("\"50 ms\""), "time per output token after it"),
    or("miss", "the replacement cost", Shape::Figure("\"0.02 USD\""), "what a request served too late loses"),
    may("demand", Shape::Ramp("\"5000 tokens/s\""), "tokens a second that are planned"),
];

#[derive(Clone, Copy)]
enum Kinds {
    Serving,
    Training,
}

const KINDS: [(&str, Kinds); 2] = [("serving", Kinds::Serving), ("training", Kinds::Training)];
const KIND_WORDS: &[&str] = &words(&KINDS);

pub(crate) const WORKLOAD: &[Key] = &[
    must("kind", Shape::Word(KIND_WORDS), "requests to a model, or a job"),
    may("model", Shape::Name(Kind::Model), "serving: which model"),
    may("classes", Shape::Tables(CLASS), "serving: what each service tier is promised"),
    may("accelerators", Shape::Names(Kind::Accelerator), "training: which accelerators fit"),
    may("work", Shape::Figure("\"50000 accelerator-hours\""), "training: in all"),
    may("gang", Shape::Figure("1024"), "training: accelerators at once"),
    may("deadline", Shape::Date, "training: when it must be done"),
    may("value", Shape::Figure("\"2 MUSD\""), "training: what it is worth"),
    may("checkpoint", Shape::Figure("\"30 minutes\""), "training: how often it saves"),
];

const EVENT: &[Key] = &[
    must("name", Shape::Text("series F"), "what it is"),
    must("from", Shape::Date, "when, or from when"),
    may("to", Shape::Date, "until when, when it is spread"),
    must("amount", Shape::Figure("\"10 GUSD\""), "how much over the whole span"),
    may("party", Shape::Name(Kind::Party), "from or to whom"),
];

const CASH: &[Key] = &[must("at", Shape::Date, "when it was counted"), must("amount", Shape::Figure("\"10 GUSD\""), "how much")];

pub(crate) const FINANCE: &[Key] = &[
    may("cash", Shape::Table(CASH), "cash in hand"),
    may("floor", Shape::Figure("\"1 GUSD\""), "below which it must not fall"),
    may("revenue", Shape::Tables(EVENT), "money that customers pay"),
    may("raises", Shape::Tables(EVENT), "raises, loans and other money in"),
    may("costs", Shape::Tables(EVENT), "costs beside compute"),
];

pub(super) fn workload(row: &Reader<'_>, fixed: &Fixed) -> Option<Workload> {
    let kind = row.word("kind", &KINDS)?;
    let (own, other): (&[&str], &[&str]) = match kind {
        Kinds::Serving => (&["model", "classes"], &["accelerators", "work", "gang", "deadline", "value", "checkpoint"]),
        Kinds::Training => (&["accelerators", "work", "gang"], &["model", "classes"]),
    };
    own.iter().filter(|name| !row.has(name)).for_each(|name| row.report_missing_key(name));
    for name in other.iter().filter(|name| row.has(name)) {
        let message = format!("`{name}` belongs to the other kind of workload");
        row.add(Diagnostic::error(codes::UNKNOWN_KEY, &row.span(name), message, "leave it out, or change `kind`"));
    }
    let kind = match kind {
        Kinds::Serving => serving(row, fixed),
        Kinds::Training => training(row, fixed),
    };
    kind.map(|kind| Workload { kind })
}

fn serving(row: &Reader<'_>, fixed: &Fixed) -> Option<WorkloadKind> {
    let model = row.named("model", Kind::Model);
    let tables = row.tables("classes", CLASS);
    let mut classes: Vec<ServingClass> = Vec::new();
    for table in &tables {
        let Some(class) = class(table, fixed) else { continue };
        if classes.iter().any(|earlier| earlier.tier == class.tier) {
            let hint = "leave one of the two out";
            row.add(Diagnostic::error(codes::CLASS_TWICE, &table.span("tier"), "this tier has a class already", hint));
        } else {
            classes.push(class);
        }
    }
    classes.sort_by_key(|class| class.tier);
    Some(WorkloadKind::Serving { model: model?, classes, mix: Mix::default() })
}

fn class(table: &Reader<'_>, fixed: &Fixed) -> Option<ServingClass> {
    let tier = table.word("tier", &TIERS);
    let promise = |name: &str| {
        let time: Duration = table.figure(name)?;
        if time.is_zero() {
            let message = format!("`{name}` is zero, which every request would miss");
            table.add(Diagnostic::error(codes::SLO_ZERO, &table.span(name), message, "write a time that can be kept, such as \"500 ms\""));
        }
        Some(time)
    };
    let (ttft, tpot) = (promise("ttft"), promise("tpot"));
    let miss = money(table, "miss", fixed);
    let demand: Option<Ramp<Speed>> = table.ramp("demand");
    Some(ServingClass {
        tier: tier?,
        ttft: ttft?,
        tpot: tpot?,
        miss,
        demand: demand.map(|ramp| ramp.map(|Speed(speed)| speed)),
        price: None,
        value: None,
        least: None,
    })
}

/// An amount in the fleet's currency.
fn money(row: &Reader<'_>, name: &str, fixed: &Fixed) -> Option<Money> {
    let amount: Amount = row.figure(name)?;
    row.check_currency(&row.entry(name)?, amount.currency, fixed.currency).then_some(amount.money)
}

fn training(row: &Reader<'_>, fixed: &Fixed) -> Option<WorkloadKind> {
    let accelerators = row.named_list("accelerators", Kind::Accelerator);
    let work: Option<Quantity> = row.figure("work").and_then(|work: Metered| {
        let hint = "write it as in `work = \"50000 accelerator-hours\"`";
        row.check("work", work.unit == units::MeterUnit::AcceleratorMs, "is not in accelerator-hours", hint).then_some(work.quantity)
    });
    let gang = row.count("gang", 1, 10_000_000);
    let deadline = row.date("deadline");
    let value = money(row, "value", fixed);
    let checkpoint = row.figure("checkpoint");
    let gang = u32::try_from(gang?).ok()?;
    Some(WorkloadKind::Training { accelerators, work: work?, gang, deadline, value, checkpoint, from: None, recurs: None, promised: false })
}

pub(super) fn finance(row: &Reader<'_>) -> Finance {
    let cash = row.table("cash", CASH).and_then(|cash| {
        let (at, amount) = (cash.date("at"), cash.amount("amount"));
        at.zip(amount)
    });
    let floor = row.amount("floor");
    let events = |name: &str| row.tables(name, EVENT).iter().filter_map(event).collect();
    Finance { cash, floor, revenue: events("revenue"), raises: events("raises"), costs: events("costs"), debt: None, interest: Share::NONE }
}

fn event(row: &Reader<'_>) -> Option<CashEvent> {
    let name = row.text("name");
    let (from, to) = (row.date("from"), row.date("to"));
    let amount = row.amount("amount");
    let party = row.named("party", Kind::Party);
    let from = from?;
    let span = Span { from, to: to.unwrap_or(from + Duration::from_micros(1)) };
    if span.is_empty() {
        let problem =
            Diagnostic::error(codes::ENDS_FIRST, &row.span("to"), "`to` is not after `from`", "`to` is the first instant after it");
        row.add(problem.related(&row.span("from"), "starts here"));
    }
    Some(CashEvent { name: name?.to_owned(), span, amount: amount?, party, terms: Terms::default() })
}
