//! The text into a fleet: every section by its own file, then what only holds between sections.

mod allowance;
mod contract;
pub(crate) mod endpoint;
mod finance;
pub(crate) mod mishap;
mod money;
pub(crate) mod outlook;
mod secret;
pub(crate) mod site;
pub(crate) mod top;
mod venture;
pub(crate) mod workload;

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};
use toml::de::{DeTable, DeValue};
use units::Currency;

pub(crate) use allowance::ALLOWANCE;
pub(crate) use contract::CONTRACT;
pub(crate) use secret::SECRET;
pub use secret::{looks_secret, masked};

pub(crate) use top::FILE;

use crate::check;
use crate::codes;
use crate::diagnostic::{Diagnostic, Severity};
use crate::id::Table;
use crate::keys::Kind;
use crate::model::{Fleet, FleetVersion};
use crate::reader::{Findings, PROBLEMS_MAX, Reader};
use crate::rows::Rows;
use crate::spelling;

/// Bytes that a fleet file may have at most.
pub const FILE_BYTES_MAX: usize = 4 << 20;

/// What a text came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The fleet; `None` when any diagnostic is an error.
    pub fleet: Option<Fleet>,
    /// Everything found, by place.
    pub diagnostics: Vec<Diagnostic>,
}

/// What holds for the whole file.
pub(crate) struct Fixed {
    pub(crate) currency: Currency,
    pub(crate) zone: TimeZone,
}

/// Reads a fleet file: all that is wrong with it is found at once.
#[must_use]
pub fn parse(text: &str) -> Parsed {
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes", text.len());
        let hint = format!("a fleet file has at most {FILE_BYTES_MAX} bytes");
        return Parsed { fleet: None, diagnostics: vec![Diagnostic::error(codes::TOO_LARGE, &(0..0), message, hint)] };
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut findings = Findings::default();
    for kind in Kind::ALL {
        if let Some(DeValue::Table(section)) = document.get_ref().get(kind.table()).map(|it| it.get_ref()) {
            findings.names.insert(kind, section.keys().map(|name| (name.get_ref().as_ref(), name.span())).collect());
        }
    }
    let (fleet, mut diagnostics) = read(findings, document.get_ref(), FleetVersion(Sha256::digest(text).into()));
    if !errors.is_empty() {
        let mut errors: Vec<_> = errors.iter().take(PROBLEMS_MAX + 1).map(|error| syntax(text, error)).collect();
        // The parser may stumble over one place several times; one is enough.
        errors.dedup_by(|later, earlier| {
            // Of an open text and the list that it leaves open, the text is the cause.
            let same = later.span == earlier.span;
            if same && later.message.contains("string") {
                core::mem::swap(later, earlier);
            }
            same
        });
        diagnostics = without_cascades(text, diagnostics, &errors);
        diagnostics.extend(errors);
    }
    diagnostics.sort_by(|a, b| (a.span.start, a.span.end, a.code).cmp(&(b.span.start, b.span.end, b.code)));
    diagnostics.dedup();
    if diagnostics.len() > PROBLEMS_MAX {
        diagnostics.truncate(PROBLEMS_MAX);
        let message = format!("there are more than {PROBLEMS_MAX} problems; the rest is not shown");
        let end = text.len()..text.len();
        diagnostics.push(Diagnostic::error(codes::TOO_MANY, &end, message, "put these right first: one cause is often behind many"));
    }
    let sound = diagnostics.iter().all(|it| it.severity != Severity::Error);
    Parsed { fleet: fleet.filter(|_| sound), diagnostics }
}

fn syntax(text: &str, error: &toml::de::Error) -> Diagnostic {
    let span = error.span().unwrap_or(text.len()..text.len());
    let written = text.get(span.clone()).unwrap_or_default();
    let message = error.message().lines().next().unwrap_or("the file is not TOML").to_owned();
    let (message, hint) = if message.starts_with("duplicate key") {
        let message = format!("`{}` stands a second time", spelling::shown(written));
        (message, "a key or table may stand only once: rename or remove one of the two".to_owned())
    } else if message.contains("must be quoted") {
        (message, format!("put it in double quotes: \"{}\"", spelling::shown(written)))
    } else if message.contains("basic string") {
        (message, "end the text with a double quote".to_owned())
    } else if message.starts_with("invalid date") {
        (message, "write a day that there is, as in 2026-02-28".to_owned())
    } else {
        (message, "put the TOML right here; text stands in double quotes, dates and numbers without".to_owned())
    };
    Diagnostic::error(codes::SYNTAX, &span, message, hint)
}

/// Leaves out what a syntax error probably caused: what is on its lines, and what may be missing because of it.
fn without_cascades(text: &str, diagnostics: Vec<Diagnostic>, errors: &[Diagnostic]) -> Vec<Diagnostic> {
    let ends: Vec<_> = text.match_indices('\n').map(|(at, _)| at).collect();
    let line = |at: usize| ends.partition_point(|end| *end < at);
    let broken: BTreeSet<_> = errors.iter().map(|error| line(error.span.start)).collect();
    let missing = [
        codes::MISSING_KEY,
        codes::NEEDS,
        codes::SUM,
        codes::UNKNOWN_NAME,
        codes::NAMES_NOBODY,
        codes::EXCHANGE,
        codes::NOWHERE,
        codes::NO_CAPACITY,
        codes::EXPANSION,
        codes::EARNED,
    ];
    let caused = |it: &Diagnostic| it.severity != Severity::Error || missing.contains(&it.code) || broken.contains(&line(it.span.start));
    diagnostics.into_iter().filter(|it| it.code == codes::SECRET || !caused(it)).collect()
}

/// Reads every section, then checks what holds between them.
fn read<'a>(findings: Findings<'a>, document: &'a DeTable<'a>, version: FleetVersion) -> (Option<Fleet>, Vec<Diagnostic>) {
    let draft = {
        let findings = &findings;
        // The findings outlive the cursors, which all end with this block.
        let root = Reader::root(findings, FILE, document);
        secret::scan(findings, document);
        let draft = rows(&root);
        check::all(&draft, &root.with_zone(&draft.zone));
        draft
    };
    let (diagnostics, figures) = findings.finish();
    let fleet = draft.fleet(version, figures);
    (fleet, diagnostics)
}

fn rows(root: &Reader<'_>) -> Rows {
    let fixed = top::fixed(root);
    let root = &root.with_zone(&fixed.zone);
    top::check_names(root);
    let (name, exchange) = (top::name(root), top::exchange(root, &fixed));
    let pools = root.rows("pools", site::POOL, site::pool);
    let endpoints = root.rows("endpoints", endpoint::ENDPOINT, endpoint::endpoint);
    let scene = contract::Scene { fixed: &fixed, pools: &pools, endpoints: &endpoints };
    let contracts = root.rows("contracts", CONTRACT, |row| contract::contract(row, &scene));
    let workloads = root.rows("workloads", workload::WORKLOAD, |row| workload::workload(row, &fixed));
    let finance = root.table("finance", finance::FINANCE).map(|table| finance::finance(&table, &fixed, &workloads));
    Rows {
        name,
        exchange,
        regions: root.rows("regions", site::REGION, site::region),
        links: root.rows("links", site::LINK, |row| site::link(row, &fixed)),
        parties: root.rows("parties", site::PARTY, site::party),
        sites: root.rows("sites", site::SITE, |row| site::site(row, &fixed)),
        accelerators: root.rows("accelerators", site::ACCELERATOR, site::accelerator),
        pools,
        models: root.rows("models", endpoint::MODEL, endpoint::model),
        profiles: root.rows("profiles", endpoint::PROFILE, endpoint::profile),
        endpoints,
        contracts,
        workloads,
        teams: root.rows("teams", ALLOWANCE, |row| allowance::allowance(row, &fixed)),
        limits: root.table("limits", ALLOWANCE).and_then(|table| allowance::allowance(&table, &fixed)).unwrap_or_default(),
        finance: finance.unwrap_or_default(),
        ventures: root.rows("ventures", venture::VENTURE, |row| venture::venture(row, &fixed)),
        caps: root.tables("caps", outlook::CAP).iter().filter_map(outlook::cap).collect(),
        horizon: root.table("plan", outlook::PLAN).map(|table| outlook::horizon(&table)).unwrap_or_default(),
        risk: root.table("risk", outlook::RISK).map(|table| outlook::risk(&table)).unwrap_or_default(),
        sources: root.rows("sources", outlook::SOURCE, outlook::source),
        currency: fixed.currency,
        zone: fixed.zone,
    }
}

/// The rows of a table, when each could be read.
pub(crate) fn whole<I: crate::id::Id, T>(rows: Vec<(String, Option<T>)>) -> Option<Table<I, T>> {
    let rows: Option<Vec<_>> = rows.into_iter().map(|(name, row)| row.map(|row| (name, row))).collect();
    rows.map(Table::new)
}
