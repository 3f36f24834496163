//! The top of the file: format, name, currency, time zone, exchange rates, and which sections there are.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use toml::de::DeValue;
use units::{Amount, Currency, Money};

use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys::{Key, Kind, Shape, may, must, or};
use crate::parse::{ALLOWANCE, CONTRACT, Fixed, endpoint, finance, outlook, site, venture, workload};
use crate::ramp::Ramp;
use crate::reader::Reader;
use crate::spelling;

/// The version of the format that this program reads.
pub const FORMAT: i64 = 1;
/// Characters that a name may have at most.
const NAME_MAX: usize = 64;

const CURRENCY: &[Key] = &[must("rates", Shape::Ramp("\"1.08 USD\""), "what one unit is worth in the fleet's currency, by date")];

pub(crate) const FILE: &[Key] = &[
    must("format", Shape::Figure("1"), "the version of this format"),
    must("name", Shape::Text("my-lab"), "what the lab calls the fleet"),
    must("currency", Shape::Text("USD"), "in which decisions compare costs"),
    or("time_zone", "UTC", Shape::Text("Europe/Paris"), "the zone of dates without an offset"),
    may("currencies", Shape::Named(CURRENCY), "other currencies"),
    may("regions", Shape::Named(site::REGION), "jurisdictions and places"),
    may("links", Shape::Named(site::LINK), "latency and egress price between regions"),
    may("parties", Shape::Named(site::PARTY), "companies in all their roles"),
    may("sites", Shape::Named(site::SITE), "places with power"),
    may("accelerators", Shape::Named(site::ACCELERATOR), "kinds of chip"),
    may("pools", Shape::Named(site::POOL), "accelerators of one kind at one site"),
    may("models", Shape::Named(endpoint::MODEL), "models"),
    may("profiles", Shape::Named(endpoint::PROFILE), "how fast a model runs on an accelerator"),
    may("endpoints", Shape::Named(endpoint::ENDPOINT), "where requests go"),
    may("contracts", Shape::Named(CONTRACT), "contracts as clauses"),
    may("workloads", Shape::Named(workload::WORKLOAD), "demand"),
    may("teams", Shape::Named(ALLOWANCE), "teams that keys may belong to, with what each may take"),
    may("limits", Shape::Table(ALLOWANCE), "what the whole fleet may take"),
    may("finance", Shape::Table(finance::FINANCE), "the lab's money"),
    may("ventures", Shape::Named(venture::VENTURE), "joint ventures, which are paid for before they deliver power"),
    may("caps", Shape::Tables(outlook::CAP), "how much may rest on whom"),
    may("plan", Shape::Table(outlook::PLAN), "what the plan covers"),
    may("risk", Shape::Table(outlook::RISK), "how the world may move"),
    may("sources", Shape::Named(outlook::SOURCE), "who said what: figures name one as their `source`"),
];

/// The currency and zone, or usable ones in their place.
pub(super) fn fixed(root: &Reader<'_>) -> Fixed {
    if let Some(crate::figure::Count(format)) = root.figure("format")
        && format != FORMAT
    {
        let message = format!("the file is written in format {format}");
        let hint = format!("write `format = {FORMAT}`, or use a `baseload` that reads format {format}");
        root.add(Diagnostic::error(codes::FORMAT, &root.span("format"), message, hint));
    }
    let currency = currency(root, "currency").unwrap_or(Currency::USD);
    Fixed { currency, zone: zone(root, "time_zone").unwrap_or(TimeZone::UTC) }
}

/// A currency code behind a key.
pub(super) fn currency(row: &Reader<'_>, name: &str) -> Option<Currency> {
    let text = row.text(name)?;
    let found = text.parse();
    if found.is_err() {
        let message = format!("`{}` is not a currency code", spelling::shown(text));
        row.add(Diagnostic::error(codes::FIGURE, &row.span(name), message, "write three capital letters, such as \"USD\""));
    }
    found.ok()
}

/// A time zone behind a key.
pub(super) fn zone(row: &Reader<'_>, name: &str) -> Option<TimeZone> {
    let text = row.text(name)?;
    let found = TimeZone::get(text);
    if found.is_err() {
        let message = format!("there is no time zone `{}`", spelling::shown(text));
        let hint = "write a name of the IANA database, such as \"UTC\", \"Europe/Paris\" or \"America/Los_Angeles\"";
        row.add(Diagnostic::error(codes::TIME_ZONE, &row.span(name), message, hint));
    }
    found.ok()
}

pub(super) fn name(root: &Reader<'_>) -> Option<String> {
    root.text("name").map(str::to_owned)
}

/// Reports names of rows that headers and reports could not show.
pub(super) fn check_names(root: &Reader<'_>) {
    let sections = Kind::ALL.map(Kind::table).into_iter().chain(["links", "teams", "ventures"]);
    for section in sections.filter_map(|section| root.entry(section)) {
        let DeValue::Table(table) = section.value else { continue };
        let fits =
            |name: &str| (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./:@".contains(&b));
        for (name, _) in table.iter().filter(|(name, _)| !fits(name.get_ref())) {
            let message = format!("`{}` can't be a name", spelling::shown(name.get_ref()));
            let hint = format!("use 1 to {NAME_MAX} letters, digits and - _ . / : @");
            root.add(Diagnostic::error(codes::BAD_NAME, &name.span(), message, hint));
        }
    }
}

/// The exchange rates by currency.
pub(super) fn exchange(root: &Reader<'_>, fixed: &Fixed) -> BTreeMap<Currency, Ramp<Money>> {
    let mut exchange = BTreeMap::new();
    let rate = |row: &Reader<'_>| {
        let ramp: Ramp<Amount> = row.ramp("rates")?;
        let entry = row.entry("rates")?;
        let wrong = ramp.steps().iter().find(|(_, amount)| amount.currency != fixed.currency);
        if let Some((_, amount)) = wrong {
            row.check_currency(&entry, amount.currency, fixed.currency);
            return None;
        }
        let fits = ramp.steps().iter().all(|(_, amount)| amount.money > Money::ZERO && amount.money <= Money::from_units(1_000_000_000));
        row.check("rates", fits, "has a step that is zero, below zero or above a billion", "write what one unit of this currency is worth")
            .then(|| ramp.map(|amount| amount.money))
    };
    for (name, ramp) in root.rows("currencies", CURRENCY, rate) {
        let Ok(currency) = name.parse::<Currency>() else {
            let message = format!("`{}` is not a currency code", spelling::shown(&name));
            let place = root.entry("currencies").map_or(0..0, |entry| entry.key);
            root.add(Diagnostic::error(codes::FIGURE, &place, message, "write three capital letters, such as `[currencies.EUR]`"));
            continue;
        };
        // A rate that could not be read is still a rate: its absence is not reported again.
        exchange.insert(currency, ramp.unwrap_or_else(|| Ramp::constant(Money::from_units(1))));
    }
    exchange
}
