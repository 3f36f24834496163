//! Regions, links, parties, sites, accelerators and pools.

use core::time::Duration;

use units::{Bytes, Flops, MeterUnit, Rate, Share, UnitRate, Watts};

use crate::calendar::Period;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::figure::{Count, Figure, Ratio};
use crate::keys::{Key, Kind, Shape, may, must, or, words};
use crate::model::{Accelerator, Executor, Link, Party, Pool, Region, Role, Site, Use};
use crate::parse::{Fixed, mishap};
use crate::ramp::Ramp;
use crate::reader::Reader;

/// Accelerators or units that a figure may count at most.
pub(crate) const COUNT_MAX: i64 = 1_000_000_000;

pub(crate) const REGION: &[Key] = &[must("jurisdiction", Shape::Text("EU"), "whose law applies")];

pub(crate) const LINK: &[Key] = &[
    must("from", Shape::Name(Kind::Region), "the region that traffic leaves"),
    must("to", Shape::Name(Kind::Region), "the region that it enters"),
    must("latency", Shape::Figure("\"40 ms\""), "one way"),
    or("egress", "free", Shape::Figure("\"0.02 USD/GB\""), "what leaving costs, in the fleet's currency"),
];

const ROLES: [(&str, Role); 7] = [
    ("supplier", Role::Supplier),
    ("chip-vendor", Role::ChipVendor),
    ("shareholder", Role::Shareholder),
    ("lender", Role::Lender),
    ("partner", Role::Partner),
    ("rival", Role::Rival),
    ("customer", Role::Customer),
];
const ROLE_WORDS: &[&str] = &words(&ROLES);

pub(crate) const PARTY: &[Key] = &[
    must("roles", Shape::Words(ROLE_WORDS), "everything that it is to the lab"),
    may("means", Shape::Figure("\"12 GUSD\""), "the money that it is known to have"),
    or("default", "\"0 %\"", Shape::Figure("\"2 %\""), "how likely it fails within a year"),
    may("delay", Shape::Table(mishap::DELAY), "how it may be late with what it should deliver"),
];

pub(crate) const SITE: &[Key] = &[
    must("region", Shape::Name(Kind::Region), "where it is"),
    may("operator", Shape::Name(Kind::Party), "who runs it"),
    must("power", Shape::Ramp("\"300 MW\""), "what the whole facility may take"),
    or("pue", "1", Shape::Figure("1.2"), "facility power over accelerator power"),
    must("energy", Shape::Figure("\"0.06 USD/kWh\""), "the price of energy, in the fleet's currency"),
    may("shortfall", Shape::Table(mishap::MISHAP), "how its power may fall short"),
];

pub(crate) const USES: [(&str, Use); 2] = [("training", Use::Training), ("serving", Use::Serving)];
pub(crate) const USE_WORDS: &[&str] = &words(&USES);

pub(crate) const ACCELERATOR: &[Key] = &[
    may("vendor", Shape::Name(Kind::Party), "who makes it"),
    must("peak", Shape::Figure("\"989 TFLOP/s\""), "dense arithmetic in 16 bits"),
    must("memory", Shape::Figure("\"80 GB\""), "memory of one"),
    must("bandwidth", Shape::Figure("\"3.35 TB/s\""), "memory traffic"),
    must("power", Shape::Figure("\"700 W\""), "what one takes with its part of the server, without the PUE"),
    or("runs", "[\"training\", \"serving\"]", Shape::Words(USE_WORDS), "what it can run"),
    may("available", Shape::Date, "from when it can be had"),
    or("idle", "\"0 %\"", Shape::Figure("\"30 %\""), "what one takes while nothing runs on it, as a share of its power"),
    or("supply", "no limit", Shape::Ramp("20000"), "how many more the lab can get in a month, over all contracts"),
    may("shortage", Shape::Table(mishap::MISHAP), "how it may run short: what should arrive then arrives when it is over"),
];

const EXECUTORS: [(&str, Kinds); 5] = [
    ("process", Kinds::Process),
    ("slurm", Kinds::Slurm),
    ("ray", Kinds::Ray),
    ("kubernetes", Kinds::Kubernetes),
    ("skypilot", Kinds::Skypilot),
];
const EXECUTOR_WORDS: &[&str] = &words(&EXECUTORS);

#[derive(Clone, Copy, PartialEq)]
enum Kinds {
    Process,
    Slurm,
    Ray,
    Kubernetes,
    Skypilot,
}

const EXECUTOR: &[Key] = &[
    must("kind", Shape::Word(EXECUTOR_WORDS), "what runs work there"),
    may("cpu", Shape::Figure("\"60 %\""), "for `process`: the share of one core that each replica is held to"),
];

pub(crate) const POOL: &[Key] = &[
    must("site", Shape::Name(Kind::Site), "where it is"),
    must("accelerator", Shape::Name(Kind::Accelerator), "of which kind"),
    must("count", Shape::Ramp("4096"), "how many"),
    must("executor", Shape::Table(EXECUTOR), "what runs work there"),
];

pub(super) fn region(row: &Reader<'_>) -> Option<Region> {
    Some(Region { jurisdiction: row.text("jurisdiction")?.to_owned() })
}

pub(super) fn link(row: &Reader<'_>, fixed: &Fixed) -> Option<Link> {
    let (from, to) = (row.named("from", Kind::Region), row.named("to", Kind::Region));
    let latency: Option<Duration> = row.figure("latency");
    let egress = if row.has("egress") { rate(row, "egress", MeterUnit::Byte, fixed) } else { Some(Rate::FREE) };
    Some(Link { from: from?, to: to?, latency: latency?, egress: egress? })
}

/// A rate in the fleet's currency and in the unit that stands here.
pub(crate) fn rate(row: &Reader<'_>, name: &str, unit: MeterUnit, fixed: &Fixed) -> Option<Rate> {
    let rate: UnitRate = row.figure(name)?;
    let entry = row.entry(name)?;
    if rate.unit != unit {
        let message = format!("`{name}` is per another unit than {}", unit.shown().0);
        let hint = format!("write a price per {}", unit_words(unit));
        row.add(Diagnostic::error(codes::METER_UNIT, &entry.span, message, hint));
        return None;
    }
    row.check_currency(&entry, rate.currency, fixed.currency).then_some(rate.rate)
}

/// How a price per this unit ends.
pub(crate) const fn unit_words(unit: MeterUnit) -> &'static str {
    match unit {
        MeterUnit::Token => "token, such as \"0.15 USD/1M tokens\"",
        MeterUnit::AcceleratorMs => "accelerator-time, such as \"2.10 USD/accelerator-hour\"",
        MeterUnit::UnitMs => "unit-time, such as \"1 USD/unit-hour\"",
        MeterUnit::Joule => "energy, such as \"0.06 USD/kWh\"",
        MeterUnit::Byte => "traffic, such as \"0.02 USD/GB\"",
    }
}

pub(super) fn party(row: &Reader<'_>) -> Option<Party> {
    let roles = row.words("roles", &ROLES);
    let means = row.amount("means");
    let default = if row.has("default") { row.share("default") } else { Some(Share::NONE) };
    let delay = mishap::delay(row, "delay");
    Some(Party { roles, means, default: default?, delay })
}

pub(super) fn site(row: &Reader<'_>, fixed: &Fixed) -> Option<Site> {
    let (region, operator) = (row.named("region", Kind::Region), row.named("operator", Kind::Party));
    let power: Option<Ramp<Watts>> = row.ramp("power");
    let pue = if row.has("pue") { row.figure("pue").map(|Ratio(pue)| pue) } else { Some(1_000_000) };
    let pue = pue.filter(|pue| {
        let hint = "a PUE is 1 for a site that loses nothing, and rarely above 2";
        row.check("pue", (1_000_000..=10_000_000).contains(pue), "is not between 1 and 10", hint)
    });
    let energy = rate(row, "energy", MeterUnit::Joule, fixed);
    let shortfall = mishap::mishap(row, "shortfall");
    Some(Site { region: region?, operator, power: power?.map(Watts::count), pue_ppm: pue?, energy: energy?, shortfall })
}

/// Memory traffic as the file writes it.
#[derive(Clone, Copy)]
struct Traffic(Bytes);

impl Figure for Traffic {
    fn read(text: &str) -> Result<Self, units::UnitError> {
        let wrong = || units::UnitError::WrongUnit { text: text.to_owned(), expected: "memory traffic, such as \"3.35 TB/s\"" };
        text.trim().strip_suffix("/s").ok_or_else(wrong)?.parse().map(Self).map_err(|_| wrong())
    }
    fn size(&self) -> i128 {
        self.0.size()
    }
}

pub(super) fn accelerator(row: &Reader<'_>) -> Option<Accelerator> {
    let vendor = row.named("vendor", Kind::Party);
    let peak: Option<Flops> = row.figure("peak");
    let memory: Option<Bytes> = row.figure("memory");
    let bandwidth: Option<Traffic> = row.figure("bandwidth");
    let power: Option<Watts> = row.figure("power");
    let runs = if row.has("runs") { row.words("runs", &USES) } else { vec![Use::Training, Use::Serving] };
    let available = row.date("available");
    let idle = if row.has("idle") { row.share("idle") } else { Some(Share::NONE) };
    let (supply, shortage) = (counts(row, "supply"), mishap::mishap(row, "shortage"));
    Some(Accelerator {
        vendor,
        peak: peak?,
        memory: memory?,
        bandwidth: bandwidth?.0,
        power: power?,
        runs,
        available,
        idle: idle?,
        supply,
        shortage,
    })
}

/// A ramp of counts, none below zero.
pub(crate) fn counts(row: &Reader<'_>, name: &str) -> Option<Ramp<i64>> {
    let ramp: Ramp<Count> = row.ramp(name)?;
    let fits = ramp.steps().iter().all(|(_, Count(count))| (0..=COUNT_MAX).contains(count));
    row.check(name, fits, "counts below zero or above a billion", "write how many there are, as whole numbers")
        .then(|| ramp.map(|Count(count)| count))
}

pub(super) fn pool(row: &Reader<'_>) -> Option<Pool> {
    let (site, accelerator) = (row.named("site", Kind::Site), row.named("accelerator", Kind::Accelerator));
    let count = counts(row, "count");
    let executor = row.table("executor", EXECUTOR).and_then(|table| executor(&table));
    Some(Pool { site: site?, accelerator: accelerator?, count: count?, executor: executor? })
}

fn executor(table: &Reader<'_>) -> Option<Executor> {
    let kind = table.word("kind", &EXECUTORS)?;
    if kind != Kinds::Process && table.has("cpu") {
        let hint = "leave it out, or set `kind = \"process\"`";
        table.add(Diagnostic::error(codes::UNKNOWN_KEY, &table.span("cpu"), "`cpu` is only for the process executor", hint));
    }
    match kind {
        Kinds::Process => {
            if !table.has("cpu") {
                table.report_missing_key("cpu");
            }
            let cpu: Share = table.figure("cpu")?;
            let hint = "write the share of one core, from above 0 % to 25600 %";
            table
                .check("cpu", cpu.ppm() > 0 && cpu.ppm() <= 256_000_000, "is no share of a core", hint)
                .then_some(Executor::Process { cpu })
        }
        Kinds::Slurm => Some(Executor::Slurm),
        Kinds::Ray => Some(Executor::Ray),
        Kinds::Kubernetes => Some(Executor::Kubernetes),
        Kinds::Skypilot => Some(Executor::Skypilot),
    }
}

/// A period behind a key.
pub(crate) fn period(row: &Reader<'_>, name: &str) -> Option<Period> {
    row.figure(name)
}
