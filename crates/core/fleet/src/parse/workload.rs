//! Demand: what customers ask for, and what is trained.

use core::time::Duration;

use units::{Instant, MeterUnit, Quantity, Share};

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::figure::{Metered, Speed};
use crate::keys::{Key, Kind, Shape, may, must, or, words};
use crate::model::{ServingClass, Tier, Workload, WorkloadKind};
use crate::outlook::{Mix, Recurs};
use crate::parse::mishap::MONTHS_MAX;
use crate::parse::money::money;
use crate::parse::{Fixed, site};
use crate::ramp::Ramp;
use crate::reader::Reader;

/// Those that have classes of their own.
const TIERS: [(&str, Tier); 3] =
    [(Tier::Flex.word(), Tier::Flex), (Tier::Default.word(), Tier::Default), (Tier::Priority.word(), Tier::Priority)];
const TIER_WORDS: &[&str] = &words(&TIERS);

const CLASS: &[Key] = &[
    must("tier", Shape::Word(TIER_WORDS), "OpenAI's `service_tier`"),
    must("ttft", Shape::Figure("\"500 ms\""), "time to the first token that is promised"),
    must("tpot", Shape::Figure("\"50 ms\""), "time per output token after it"),
    may("hedge", Shape::Figure("\"800 ms\""), "`priority` only: how late the first content is when a second endpoint is asked beside"),
    or("miss", "the replacement cost", Shape::Figure("\"0.02 USD\""), "what a request served too late loses"),
    may("demand", Shape::Ramp("\"5000 tokens/s\""), "tokens a second that are planned"),
    may("price", Shape::Figure("\"2 USD/1M tokens\""), "what customers pay per token, in the fleet's currency"),
    or("value", "the replacement cost, unless there is a price", Shape::Figure("\"1 USD/1M tokens\""), "what a token is worth beside"),
    may("least", Shape::Figure("\"90 %\""), "the share of the demand that is promised to be served"),
];

const MIX: &[Key] = &[
    must("input", Shape::Figure("\"70 %\""), "input that no cache holds"),
    or("cached", "\"0 %\"", Shape::Figure("\"5 %\""), "input from a cache"),
    must("output", Shape::Figure("\"25 %\""), "output"),
];

const RECURS: &[Key] = &[
    must("every_months", Shape::Figure("3"), "every so many months"),
    must("until", Shape::Date, "until when"),
    or("growth", "\"0 %\"", Shape::Figure("\"20 %\""), "by how much each further one is larger than the one before"),
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
    or("mix", "75 % input, 25 % output", Shape::Table(MIX), "serving: of which kinds its tokens are; together 100 %"),
    may("accelerators", Shape::Names(Kind::Accelerator), "training: which accelerators fit"),
    may("work", Shape::Figure("\"50000 accelerator-hours\""), "training: in all"),
    may("gang", Shape::Figure("1024"), "training: accelerators at once"),
    or("from", "the beginning", Shape::Date, "training: from when it can run"),
    may("deadline", Shape::Date, "training: when it must be done"),
    or("promised", "false", Shape::Flag, "training: whether the deadline is a promise; otherwise what is late only loses its value"),
    may("recurs", Shape::Table(RECURS), "training: that it comes again, each time with its deadline as long after"),
    may("value", Shape::Figure("\"2 MUSD\""), "training: what it is worth"),
    may("checkpoint", Shape::Figure("\"30 minutes\""), "training: how often it saves"),
];

pub(super) fn workload(row: &Reader<'_>, fixed: &Fixed) -> Option<Workload> {
    let kind = row.word("kind", &KINDS)?;
    let (own, other): (&[&str], &[&str]) = match kind {
        Kinds::Serving => {
            (&["model", "classes"], &["accelerators", "work", "gang", "from", "deadline", "promised", "recurs", "value", "checkpoint"])
        }
        Kinds::Training => (&["accelerators", "work", "gang"], &["model", "classes", "mix"]),
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
    let mix = if row.has("mix") { mix(row) } else { Some(Mix::default()) };
    Some(WorkloadKind::Serving { model: model?, classes, mix: mix? })
}

fn mix(row: &Reader<'_>) -> Option<Mix> {
    let table = row.table("mix", MIX)?;
    let cached = if table.has("cached") { table.share("cached") } else { Some(Share::NONE) };
    let (input, output) = (table.share("input"), table.share("output"));
    let mix = Mix { input: input?, cached: cached?, output: output? };
    let sum = Share::from_ppm(mix.input.ppm() + mix.cached.ppm() + mix.output.ppm());
    if sum != Share::ALL {
        let message = format!("the kinds of token come to {sum}");
        row.add(Diagnostic::error(codes::SUM, &row.span("mix"), message, "`input`, `cached` and `output` add up to 100 %"));
    }
    Some(mix)
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
    let hedge = if table.has("hedge") { promise("hedge") } else { None };
    if let Some(tier) = tier {
        let hint = "take it out: the second answer is paid for too, so only `priority` may have it";
        table.check("hedge", hedge.is_none() || tier == Tier::Priority, "is for the tier `priority` only", hint);
    }
    let miss = money(table, "miss", fixed);
    let demand: Option<Ramp<Speed>> = table.ramp("demand");
    let rate = |name: &str| if table.has(name) { site::rate(table, name, MeterUnit::Token, fixed) } else { None };
    let (price, value, least) = (rate("price"), rate("value"), table.share("least"));
    needs(table, "least", "demand", "`demand = \"5000 tokens/s\"`: a share of nothing is no promise");
    Some(ServingClass {
        tier: tier?,
        ttft: ttft?,
        tpot: tpot?,
        hedge,
        miss,
        demand: demand.map(|ramp| ramp.map(|Speed(speed)| speed)),
        price,
        value,
        least,
    })
}

/// Whether the key that `name` speaks of is there.
fn needs(table: &Reader<'_>, name: &str, other: &str, what: &str) {
    if table.has(name) && !table.has(other) {
        let message = format!("`{name}` needs a `{other}`, which is not there");
        table.add(Diagnostic::error(codes::NEEDS, &table.span(name), message, format!("add {what}; or leave `{name}` out")));
    }
}

fn training(row: &Reader<'_>, fixed: &Fixed) -> Option<WorkloadKind> {
    let accelerators = row.named_list("accelerators", Kind::Accelerator);
    let work: Option<Quantity> = row.figure("work").and_then(|work: Metered| {
        let hint = "write it as in `work = \"50000 accelerator-hours\"`";
        row.check("work", work.unit == MeterUnit::AcceleratorMs, "is not in accelerator-hours", hint).then_some(work.quantity)
    });
    let gang = row.count("gang", 1, 10_000_000);
    let (from, deadline) = (row.date("from"), row.date("deadline"));
    check_after(row, row, "deadline", from.zip(deadline));
    let promised = row.flag("promised").unwrap_or(false);
    let recurs = row.table("recurs", RECURS).and_then(|table| recurs(&table, row, from));
    if promised {
        needs(row, "promised", "deadline", "`deadline = 2027-06-30`, the date that is promised");
    }
    needs(row, "recurs", "deadline", "`deadline = 2027-06-30`: each further one has its own as long after it arrives");
    let value = money(row, "value", fixed);
    let checkpoint = row.figure("checkpoint");
    let gang = u32::try_from(gang?).ok()?;
    Some(WorkloadKind::Training { accelerators, work: work?, gang, deadline, value, checkpoint, from, recurs, promised })
}

/// Whether a date of `table` comes after the `from` of the job.
fn check_after(table: &Reader<'_>, job: &Reader<'_>, name: &str, dates: Option<(Instant, Instant)>) {
    if dates.is_some_and(|(from, to)| to <= from) {
        let message = format!("`{name}` is not after the job's `from`");
        let problem = Diagnostic::error(codes::ENDS_FIRST, &table.span(name), message, "put it after the date from which the job can run");
        table.add(problem.related(&job.span("from"), "it can run from here"));
    }
}

fn recurs(table: &Reader<'_>, job: &Reader<'_>, from: Option<Instant>) -> Option<Recurs> {
    let every = table.count("every_months", 1, MONTHS_MAX);
    let growth = if table.has("growth") { table.percent("growth", -99, 1_000) } else { Some(Share::NONE) };
    let until = table.date("until");
    check_after(table, job, "until", from.zip(until));
    Some(Recurs { every_months: u32::try_from(every?).ok()?, until: until?, growth: growth? })
}
