//! A contract: its head, and its clauses by kind.

mod capacity;
mod floor;
mod offer;
mod preset;
mod rates;
mod terms;

use jiff::tz::TimeZone;
use units::{Amount, Currency, Instant, Money, Span};

use crate::calendar::{Calendar, Period};
use crate::codes;
use crate::contract::{Contract, Status};
use crate::diagnostic::Diagnostic;
use crate::id::{AcceleratorId, EndpointId, Id, ModelId, PoolId};
use crate::keys::{Key, Kind, Shape, may, must, or, words};
use crate::model::{Endpoint, Pool};
use crate::parse::{Fixed, top};
use crate::reader::{Entry, Reader};
use crate::rows::Named;

const STATUSES: [(&str, Simple); 4] =
    [("signed", Simple::Signed), ("discussed", Simple::Discussed), ("stalled", Simple::Stalled), ("ended", Simple::Ended)];
const STATUS_WORDS: &[&str] = &words(&STATUSES);

#[derive(Clone, Copy)]
enum Simple {
    Signed,
    Discussed,
    Stalled,
    Ended,
}

const SUBSTITUTED: &[Key] = &[must("substituted_by", Shape::Name(Kind::Contract), "the contract that took its place")];

const CALENDAR: &[Key] = &[
    or("time_zone", "the fleet's", Shape::Text("America/Los_Angeles"), "the zone of the contract's dates"),
    or("anchor", "the start", Shape::Date, "where a period begins; all others follow from it"),
    or("period", "month", Shape::Figure("\"month\""), "how long a billing period is"),
];

pub(crate) const CONTRACT: &[Key] = &[
    must("party", Shape::Name(Kind::Party), "with whom"),
    or("status", "signed", Shape::Either(&Shape::Word(STATUS_WORDS), &Shape::Table(SUBSTITUTED)), "where it stands"),
    may("preset", Shape::Word(preset::PRESET_WORDS), "a familiar kind, with short keys for its clauses"),
    must("start", Shape::Date, "its first instant"),
    must("end", Shape::Date, "the first instant after it"),
    or("calendar", "months from the start", Shape::Table(CALENDAR), "its billing periods"),
    or("currency", "the fleet's", Shape::Text("EUR"), "in which its amounts are due"),
    or("rounding", "a hundredth", Shape::Figure("\"0.01 USD\""), "to what an amount due is rounded"),
    may("under", Shape::Name(Kind::Contract), "the umbrella whose floors its charges draw down"),
    or("order", "0", Shape::Figure("1"), "the supplier's drawdown order among contracts that cover the same: lowest first"),
    may("pools", Shape::Names(Kind::Pool), "the pools whose accelerator time it pays"),
    may("endpoints", Shape::Names(Kind::Endpoint), "the endpoints whose tokens or units it pays"),
    // Short keys of presets.
    may("accelerator", Shape::Name(Kind::Accelerator), "short: the kind, when its pools have several"),
    may("count", Shape::Ramp("4096"), "short, `reserved`: accelerators that are paid for"),
    may("model", Shape::Name(Kind::Model), "short: the model, when its endpoints have several"),
    may("units", Shape::Ramp("100"), "short, `provisioned`: units that are paid for"),
    may("tokens_per_unit_minute", Shape::Figure("2500"), "short, `provisioned`: tokens that one unit handles a minute"),
    may("rate", Shape::Figure("\"2.10 USD/accelerator-hour\""), "short: the price of accelerator or unit time"),
    may("input", Shape::Figure("\"0.15 USD/1M tokens\""), "short, `on-demand`: the price of input tokens"),
    may("cached", Shape::Figure("\"0.05 USD/1M tokens\""), "short, `on-demand`: the price of cached input tokens"),
    may("output", Shape::Figure("\"0.60 USD/1M tokens\""), "short, `on-demand`: the price of output tokens"),
    may("feed", Shape::Text("prices/h100-spot.csv"), "short, `spot`: where its prices of the day come from"),
    may("notice", Shape::Figure("\"2 minutes\""), "short, `spot`: how long before it is taken away one is told"),
    may("hazard", Shape::Figure("\"3 %\""), "short, `spot`: how likely it is taken away within an hour"),
    may("capex", Shape::Figure("\"120 MUSD\""), "short, `owned`: what was spent to own it"),
    // Clauses.
    may("capacity", Shape::Tables(capacity::CAPACITY), "rights to accelerators, power or provisioned units"),
    may("rates", Shape::Tables(rates::RATES), "prices per meter"),
    may("floor", Shape::Either(&Shape::Ramp("\"30 GUSD/year\""), &Shape::Tables(floor::FLOOR)), "minimum spends and quantities"),
    may("overflow", Shape::Either(&Shape::Name(Kind::Contract), &Shape::Table(capacity::OVERFLOW)), "where what exceeds the capacity goes"),
    may("prepayment", Shape::Tables(capacity::PREPAYMENT), "money paid ahead"),
    may("delivery", Shape::Table(capacity::DELIVERY), "tranches with due dates"),
    may("exclusivity", Shape::Tables(terms::EXCLUSIVITY), "what this contract alone may serve"),
    may("first_refusal", Shape::Tables(terms::FIRST_REFUSAL), "who must be asked first"),
    may("substitution", Shape::Tables(terms::SUBSTITUTION), "contracts that it takes the place of"),
    may("offer", Shape::Table(offer::OFFER), "that it may be signed, while it is `discussed`"),
    may("expansion", Shape::Tables(offer::EXPANSION), "rights to raise a capacity clause at the contract's own rates"),
    may("termination", Shape::Table(terms::TERMINATION), "how it may end early"),
    may("amendment", Shape::Tables(terms::AMENDMENT), "dated changes; what was signed stays readable"),
];

/// What contracts are read among.
pub(crate) struct Scene<'a> {
    pub(crate) fixed: &'a Fixed,
    pub(crate) pools: &'a Named<Pool>,
    pub(crate) endpoints: &'a Named<Endpoint>,
}

/// What the clauses of one contract are read with.
pub(super) struct Head<'a> {
    pub(super) scene: &'a Scene<'a>,
    pub(super) currency: Currency,
    pub(super) term: Span,
    pub(super) period: Period,
    pub(super) pools: Vec<PoolId>,
    pub(super) endpoints: Vec<EndpointId>,
    /// Whether every name in the lists of pools and endpoints is one that the file defines.
    pub(super) all_found: bool,
}

/// The one thing that is meant when none is named.
pub(super) enum Only<T> {
    One(T),
    Several,
    Nothing,
    /// Some row it depends on could not be read.
    Unknown,
}

impl Head<'_> {
    /// The accelerators of the pools covered; `None` when a pool could not be read.
    pub(super) fn accelerators(&self) -> Option<Vec<AcceleratorId>> {
        let of = |id: &PoolId| self.scene.pools.get(id.index()).and_then(|(_, pool)| pool.as_ref()).map(|pool| pool.accelerator);
        distinct(self.pools.iter().map(of)).filter(|_| self.all_found)
    }

    /// The models of the endpoints covered; `None` when an endpoint could not be read.
    pub(super) fn models(&self) -> Option<Vec<ModelId>> {
        let of = |id: &EndpointId| self.scene.endpoints.get(id.index()).and_then(|(_, it)| it.as_ref()).map(|it| it.model);
        distinct(self.endpoints.iter().map(of)).filter(|_| self.all_found)
    }
}

fn distinct<T: Ord>(found: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let mut found: Vec<T> = found.collect::<Option<_>>()?;
    found.sort();
    found.dedup();
    Some(found)
}

pub(super) fn only<T: Copy>(found: Option<Vec<T>>) -> Only<T> {
    match found.as_deref() {
        None => Only::Unknown,
        Some([]) => Only::Nothing,
        Some([one]) => Only::One(*one),
        Some(_) => Only::Several,
    }
}

/// Reads a contract; its clauses are read also when its head has problems.
pub(super) fn contract(row: &Reader<'_>, scene: &Scene<'_>) -> Option<Contract> {
    let zone = zone(row);
    let row = &row.with_zone(&zone);
    let (party, status, term) = (row.named("party", Kind::Party), status(row), row.span_between("start", "end"));
    let currency = if row.has("currency") { top::currency(row, "currency") } else { Some(scene.fixed.currency) };
    if let Some(currency) = currency {
        row.findings.currencies.borrow_mut().entry(currency).or_insert_with(|| row.span("currency"));
    }
    let calendar = calendar(row, &zone);
    let (pools, endpoints) = (row.named_list("pools", Kind::Pool), row.named_list("endpoints", Kind::Endpoint));
    let listed = |name: &str| row.entry(name).map_or(Some(0), |entry| entry.elements().map(|list| list.len()));
    let head = Head {
        scene,
        all_found: listed("pools") == Some(pools.len()) && listed("endpoints") == Some(endpoints.len()),
        currency: currency.unwrap_or(scene.fixed.currency),
        term: term.unwrap_or(Span::ALWAYS),
        period: calendar.as_ref().map_or(Period::Months(1), Calendar::period),
        pools,
        endpoints,
    };
    let rounding = rounding(row, &head);
    let under = row.named("under", Kind::Contract);
    let order = if row.has("order") { row.count("order", 0, i64::from(u16::MAX)) } else { Some(0) };
    let mut contract = Contract {
        party: party.unwrap_or_else(|| Id::from_index(0)),
        status: status.unwrap_or(Status::Signed),
        preset: None,
        term: head.term,
        calendar: calendar.clone().unwrap_or_else(|| Calendar::new(zone, jiff::civil::DateTime::default(), Period::Months(1))),
        currency: head.currency,
        rounding: rounding.unwrap_or(Money::from_nanos(10_000_000)),
        under,
        order: u16::try_from(order.unwrap_or(0)).unwrap_or(0),
        pools: head.pools.clone(),
        endpoints: head.endpoints.clone(),
        capacity: Vec::new(),
        rates: Vec::new(),
        floors: Vec::new(),
        overflow: None,
        prepayments: Vec::new(),
        delivery: None,
        exclusivities: Vec::new(),
        first_refusals: Vec::new(),
        substitutions: Vec::new(),
        termination: None,
        spot: None,
        capex: None,
        offer: offer::offer(row, status),
        expansions: row.tables("expansion", offer::EXPANSION).iter().filter_map(|table| offer::expansion(table, &head)).collect(),
    };
    clauses(row, &head, &mut contract);
    (party.is_some() && status.is_some() && term.is_some() && currency.is_some() && calendar.is_some()).then_some(contract)
}

fn clauses(row: &Reader<'_>, head: &Head<'_>, contract: &mut Contract) {
    preset::expand(row, head, contract);
    contract.capacity.extend(row.tables("capacity", capacity::CAPACITY).iter().filter_map(|table| capacity::capacity(table, head)));
    contract.rates.extend(row.tables("rates", rates::RATES).iter().filter_map(|table| rates::rates(table, head)));
    contract.floors.extend(floor::floors(row, head));
    contract.overflow = row.entry("overflow").and_then(|entry| capacity::overflow(row, &entry, head));
    contract.prepayments.extend(row.tables("prepayment", capacity::PREPAYMENT).iter().filter_map(|it| capacity::prepayment(it, head)));
    contract.delivery =
        row.table("delivery", capacity::DELIVERY).and_then(|table| capacity::delivery(&table, head, row, &contract.capacity));
    terms::read(row, head, contract);
    capacity::check(row, contract);
    rates::check(row, contract);
}

fn zone(row: &Reader<'_>) -> TimeZone {
    // The calendar's zone is needed for the dates above it, so it is read ahead of the rest.
    let Some(entry) = row.entry("calendar") else { return row.zone.clone() };
    let toml::de::DeValue::Table(table) = entry.value else { return row.zone.clone() };
    let named = table.get("time_zone").and_then(|zone| zone.get_ref().as_str()).and_then(|name| TimeZone::get(name).ok());
    named.unwrap_or_else(|| row.zone.clone())
}

fn status(row: &Reader<'_>) -> Option<Status> {
    let Some(entry) = row.entry("status") else { return Some(Status::Signed) };
    if matches!(entry.value, toml::de::DeValue::Table(_)) {
        let table = row.table("status", SUBSTITUTED)?;
        return Some(Status::Substituted { by: table.named("substituted_by", Kind::Contract)? });
    }
    Some(match row.word("status", &STATUSES)? {
        Simple::Signed => Status::Signed,
        Simple::Discussed => Status::Discussed,
        Simple::Stalled => Status::Stalled,
        Simple::Ended => Status::Ended,
    })
}

fn calendar(row: &Reader<'_>, zone: &TimeZone) -> Option<Calendar> {
    let start = row.civil_in("start", zone);
    let Some(table) = row.table("calendar", CALENDAR) else {
        return Some(Calendar::new(zone.clone(), start?, Period::Months(1)).remembering());
    };
    top::zone(&table, "time_zone");
    if table.has("anchor") {
        table.date("anchor");
    }
    let anchor = table.civil_in("anchor", zone).or(start);
    let period = if table.has("period") { table.figure("period") } else { Some(Period::Months(1)) };
    Some(Calendar::new(zone.clone(), anchor?, period?).remembering())
}

fn rounding(row: &Reader<'_>, head: &Head<'_>) -> Option<Money> {
    let amount: Amount = row.figure("rounding")?;
    let entry = row.entry("rounding")?;
    let fits = amount.money > Money::ZERO && amount.money <= Money::from_units(1_000);
    let fits = row.check("rounding", fits, "is not between 0 and 1000", "write the smallest amount that is billed, such as \"0.01 USD\"");
    (fits && row.check_currency(&entry, amount.currency, head.currency)).then_some(amount.money)
}

/// Warns of a date that no part of the term holds.
pub(super) fn check_within(row: &Reader<'_>, entry: Option<&Entry<'_>>, at: Instant, head: &Head<'_>, what: &str) {
    if let Some(entry) = entry.filter(|_| at < head.term.from || at > head.term.to) {
        let message = format!("{what} lies outside the contract's term");
        row.add(Diagnostic::warning(codes::OUTSIDE_TERM, &entry.span, message, "change the date, or the contract's `start` or `end`"));
    }
}
