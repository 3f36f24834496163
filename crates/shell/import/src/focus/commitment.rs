//! A commitment of a bill as a contract: provisioned units, or else a floor in money, and what was paid ahead.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::exact::Exact;
use crate::focus::seen::{Commitment, Payee};
use crate::focus::write::Writing;
use crate::names;
use crate::page::list;

/// The most units that a fleet file is given.
const UNITS_MAX: i64 = 1_000_000;

/// Writes a commitment.
pub(super) fn write(writing: &mut Writing<'_>, payee: &Payee, id: &str, found: &Commitment) {
    let (party, currency) = payee;
    let called = if found.name.is_empty() { id.rsplit('/').next().unwrap_or(id) } else { &found.name };
    let called = names::slug(called, "commitment");
    let line = Some(found.line);
    let month = monthly(found);
    if found.category.eq_ignore_ascii_case("usage") && is_units(&found.unit) {
        let endpoint = writing.endpoint(party, &called, found.line);
        let _name = writing.contract(&called, party, *currency);
        writing.page.say("preset", "provisioned");
        writing.page.set("endpoints", &list(&[endpoint]));
        let units = units(found);
        match units {
            Some(units) => writing.page.set("units", &units.to_string()),
            None => writing.page.unknown("units", "1", line, "how many are provisioned"),
        }
        writing.page.unknown(
            "tokens_per_unit_minute",
            "2500",
            line,
            "tokens that one unit handles a minute, by the supplier's table for the model",
        );
        let rate = units
            .zip(month)
            .and_then(|(units, (period, money))| money.over(Exact::parse(&(units.checked_mul(hours(period)?)?).to_string())?));
        match rate {
            Some(rate) => writing.page.unknown(
                "rate",
                &format!("\"{rate} {currency}/unit-hour\""),
                line,
                "what a unit costs an hour; a month's money by its hours stands here",
            ),
            None => writing.page.unknown("rate", &format!("\"1 {currency}/unit-hour\""), line, "what a unit costs an hour"),
        }
        writing.term(found.from, found.to, line);
        return;
    }
    let name = writing.contract(&called, party, *currency);
    writing.page.say("preset", "take-or-pay");
    let least = month.map_or(Exact::ZERO, |(_, money)| money);
    let why =
        if month.is_some() { "the least that is paid; what the bill's last period shows stands here" } else { "the least that is paid" };
    writing.page.unknown("floor", &format!("\"{least} {currency}/month\""), line, why);
    writing.term(found.from, found.to, line);
    if found.once > Exact::ZERO {
        let periods = found.once.over(least).map_or(12, |it| whole(it).clamp(1, 120));
        writing.page.clause("contracts", &name, "prepayment");
        writing.page.say("amount", &format!("{} {currency}", found.once.to_nanos()));
        writing.page.unknown(
            "credit_periods",
            &periods.to_string(),
            line,
            "in how many months it is credited; what was paid by the floor stands here",
        );
    }
    let what = format!("contracts.{name}: which contracts draw it down: write `under = \"{name}\"` in each");
    writing.page.left(found.line, what);
    if found.category.eq_ignore_ascii_case("usage") {
        let unit = if found.unit.is_empty() { "no unit named".to_owned() } else { names::shown(&found.unit) };
        writing.page.left(
            found.line,
            format!("contracts.{name}: it is a right to a quantity ({unit}): write the accelerators and a `reserved` contract"),
        );
    }
}

/// What a month of it costs, by the last period: what was bought again, or else what use of it cost.
fn monthly(found: &Commitment) -> Option<(Option<Date>, Exact)> {
    let last = |sums: &BTreeMap<Option<Date>, Exact>| {
        sums.iter().rev().find(|(_, money)| **money > Exact::ZERO).map(|(period, money)| (*period, money.to_nanos()))
    };
    last(&found.recurring).or_else(|| last(&found.effective)).filter(|(_, money)| *money > Exact::ZERO)
}

/// Whether a unit is a supplier's unit of provisioned throughput.
fn is_units(unit: &str) -> bool {
    let unit = unit.to_lowercase();
    ["ptu", "gsu", "provisioned", "throughput", "model unit"].iter().any(|word| unit.contains(word))
}

/// How many units, by the last period.
fn units(found: &Commitment) -> Option<i64> {
    let last =
        |sums: &BTreeMap<Option<Date>, Exact>| sums.iter().rev().find(|(_, it)| **it > Exact::ZERO).map(|(period, it)| (*period, *it));
    let (period, quantity) = last(&found.bought).or_else(|| last(&found.used))?;
    let count =
        if found.unit.to_lowercase().contains("hour") { quantity.over(Exact::parse(&hours(period)?.to_string())?)? } else { quantity };
    count.whole().filter(|count| (1..=UNITS_MAX).contains(count))
}

/// The hours of the month that begins on a day.
fn hours(from: Option<Date>) -> Option<i64> {
    let from = from?;
    let to = from.checked_add(jiff::Span::new().months(1)).ok()?;
    Some(i64::from(from.until(to).ok()?.get_days()) * 24)
}

/// The whole part.
fn whole(number: Exact) -> i64 {
    number.to_string().split('.').next().and_then(|it| it.parse().ok()).unwrap_or(i64::MAX)
}
