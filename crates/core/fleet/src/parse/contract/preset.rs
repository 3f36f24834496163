//! The familiar kinds of contract: short keys that expand to the same clauses as the long form.

use units::{Amount, MeterUnit, Money, UnitRate};

use crate::codes;
use crate::contract::{Capacity, CapacityOf, Charge, Contract, Preset, RateClause, Spot, Tier, TierKind};
use crate::diagnostic::Diagnostic;
use crate::id::{AcceleratorId, Id, ModelId};
use crate::keys::{Kind, words};
use crate::model::Meter;
use crate::parse::contract::{Head, Only, only};
use crate::parse::site::{counts, unit_words};
use crate::reader::Reader;

const PRESETS: [(&str, Preset); 6] = [
    ("take-or-pay", Preset::TakeOrPay),
    ("reserved", Preset::Reserved),
    ("provisioned", Preset::Provisioned),
    ("on-demand", Preset::OnDemand),
    ("spot", Preset::Spot),
    ("owned", Preset::Owned),
];
pub(super) const PRESET_WORDS: &[&str] = &words(&PRESETS);

type OfModel = fn(ModelId) -> Meter;
const TOKENS: [(&str, OfModel); 3] = [("input", Meter::InputTokens), ("cached", Meter::CachedTokens), ("output", Meter::OutputTokens)];

/// Keys that belong to presets and not to clauses.
const SHORT: &[&str] = &[
    "accelerator",
    "count",
    "model",
    "units",
    "tokens_per_unit_minute",
    "rate",
    "input",
    "cached",
    "output",
    "feed",
    "notice",
    "hazard",
    "capex",
];

/// The short keys of a preset: those that must be there, and those that may.
const fn keys(preset: Preset) -> (&'static [&'static str], &'static [&'static str]) {
    match preset {
        Preset::TakeOrPay => (&["floor"], &[]),
        Preset::Reserved => (&["count", "rate"], &["accelerator"]),
        Preset::Provisioned => (&["units", "rate", "tokens_per_unit_minute"], &["model"]),
        Preset::OnDemand => (&[], &["accelerator", "rate", "input", "cached", "output"]),
        Preset::Spot => (&["rate"], &["accelerator", "feed", "notice", "hazard"]),
        Preset::Owned => (&[], &["accelerator", "count", "capex"]),
    }
}

/// Adds the clauses of the preset, if the contract has one.
pub(super) fn expand(row: &Reader<'_>, head: &Head<'_>, contract: &mut Contract) {
    let preset = row.word("preset", &PRESETS);
    if !row.has("preset") || preset.is_some() {
        report_foreign(row, preset);
    }
    let Some(preset) = preset else { return };
    contract.preset = Some(preset);
    keys(preset).0.iter().filter(|name| !row.has(name)).for_each(|name| row.report_missing_key(name));
    match preset {
        Preset::TakeOrPay => {}
        Preset::Reserved => reserved(row, head, contract),
        Preset::Provisioned => provisioned(row, head, contract),
        Preset::OnDemand => on_demand(row, head, contract),
        Preset::Spot => spot(row, head, contract),
        Preset::Owned => {
            if row.has("count") {
                owned(row, head, contract);
            }
            contract.capex = capex(row, head);
        }
    }
}

fn report_foreign(row: &Reader<'_>, preset: Option<Preset>) {
    let own = |name: &str| preset.map(keys).is_some_and(|(must, may)| must.contains(&name) || may.contains(&name));
    for name in SHORT.iter().filter(|name| row.has(name) && !own(name)) {
        let fitting: Vec<_> =
            PRESETS.iter().filter(|(_, it)| [keys(*it).0, keys(*it).1].concat().contains(name)).map(|(word, _)| *word).collect();
        let (message, hint) = match preset {
            None => (
                format!("`{name}` is a short key of a preset, and the contract has none"),
                format!("add `preset = ...` (it is a key of {}), or write the clause itself", fitting.join(", ")),
            ),
            Some(_) => (
                format!("`{name}` is no key of this preset"),
                format!("it is a key of {}; leave it out, or write the clause itself", fitting.join(", ")),
            ),
        };
        row.add(Diagnostic::error(codes::PRESET_KEY, &row.span(name), message, hint));
    }
}

/// The accelerator that is named, or the only one among the pools covered.
fn accelerator(row: &Reader<'_>, head: &Head<'_>) -> Option<AcceleratorId> {
    if row.has("accelerator") {
        return row.named("accelerator", Kind::Accelerator);
    }
    subject(row, only(head.accelerators()), "accelerator", "pools")
}

/// The model that is named, or the only one among the endpoints covered.
fn model(row: &Reader<'_>, head: &Head<'_>) -> Option<ModelId> {
    if row.has("model") {
        return row.named("model", Kind::Model);
    }
    subject(row, only(head.models()), "model", "endpoints")
}

fn subject<T: Id>(row: &Reader<'_>, found: Only<T>, what: &str, of: &str) -> Option<T> {
    let (message, hint) = match found {
        Only::One(one) => return Some(one),
        Only::Unknown => return None,
        Only::Nothing => {
            (format!("nothing says which {what} the contract is for"), format!("add `{of} = [\"...\"]`, or `{what} = \"...\"`"))
        }
        Only::Several => (format!("its {of} have more than one {what}"), format!("say which: `{what} = \"...\"`")),
    };
    row.add(Diagnostic::error(codes::NAMES_NOBODY, &row.place, message, hint));
    None
}

fn reserved(row: &Reader<'_>, head: &Head<'_>, contract: &mut Contract) {
    let accelerator = owned(row, head, contract);
    let rate = price(row, head, "rate", MeterUnit::AcceleratorMs);
    if let Some((accelerator, rate)) = accelerator.zip(rate) {
        contract.rates.push(clause(Meter::AcceleratorTime(accelerator), Charge::Committed, rate));
    }
}

fn owned(row: &Reader<'_>, head: &Head<'_>, contract: &mut Contract) -> Option<AcceleratorId> {
    let (accelerator, count) = (accelerator(row, head), counts(row, "count"));
    let accelerator = accelerator?;
    contract.capacity.push(Capacity { of: CapacityOf::Accelerators(accelerator), ramp: count?, tokens_per_unit_minute: 0 });
    Some(accelerator)
}

fn spot(row: &Reader<'_>, head: &Head<'_>, contract: &mut Contract) {
    time_rate(row, head, contract, Charge::Metered);
    let hazard_per_hour = if row.has("hazard") { row.share("hazard") } else { None };
    contract.spot = Some(Spot { feed: row.text("feed").map(str::to_owned), notice: row.figure("notice"), hazard_per_hour });
    let message = "a spot contract is priced at its rate; its feed, notice and hazard are read, but nothing computes with them yet";
    let hint = "nothing to do: requests on it fail over like any other";
    row.add(Diagnostic::not_computed(codes::NOT_COMPUTED, &row.span("preset"), message, hint));
}

fn capex(row: &Reader<'_>, head: &Head<'_>) -> Option<Money> {
    let (amount, entry) = (row.figure::<Amount>("capex")?, row.entry("capex")?);
    let message = "what was spent is read, but nothing computes with it yet";
    row.add(Diagnostic::not_computed(codes::NOT_COMPUTED, &entry.span, message, "nothing to do: it is kept for when it is"));
    row.check_currency(&entry, amount.currency, head.currency).then_some(amount.money)
}

fn provisioned(row: &Reader<'_>, head: &Head<'_>, contract: &mut Contract) {
    let (model, units) = (model(row, head), counts(row, "units"));
    let tokens = row.count("tokens_per_unit_minute", 1, 1_000_000_000_000);
    let rate = price(row, head, "rate", MeterUnit::UnitMs);
    let Some(model) = model else { return };
    if let Some((ramp, tokens_per_unit_minute)) = units.zip(tokens) {
        contract.capacity.push(Capacity { of: CapacityOf::Units(model), ramp, tokens_per_unit_minute });
    }
    contract.rates.extend(rate.map(|rate| clause(Meter::UnitTime(model), Charge::Committed, rate)));
}

fn on_demand(row: &Reader<'_>, head: &Head<'_>, contract: &mut Contract) {
    if row.has("rate") {
        time_rate(row, head, contract, Charge::Metered);
    }
    for (name, meter) in TOKENS {
        let Some(rate) = price(row, head, name, MeterUnit::Token) else { continue };
        let models = head.models();
        if models.as_ref().is_some_and(Vec::is_empty) {
            let hint = "add `endpoints = [\"...\"]`: the prices are for the models of these";
            row.add(Diagnostic::error(codes::NAMES_NOBODY, &row.span(name), format!("`{name}` is the price of no model's tokens"), hint));
        }
        contract.rates.extend(models.into_iter().flatten().map(|model| clause(meter(model), Charge::Metered, rate)));
    }
    if !["rate", "input", "cached", "output", "rates"].iter().any(|name| row.has(name)) {
        let hint = "add `input` and `output` for a hosted endpoint, or `rate` for accelerators by the hour";
        row.add(Diagnostic::error(codes::MISSING_KEY, &row.place, "the contract is on demand but has no price", hint));
    }
}

fn time_rate(row: &Reader<'_>, head: &Head<'_>, contract: &mut Contract, charge: Charge) {
    let (accelerator, rate) = (accelerator(row, head), price(row, head, "rate", MeterUnit::AcceleratorMs));
    contract.rates.extend(accelerator.zip(rate).map(|(accelerator, rate)| clause(Meter::AcceleratorTime(accelerator), charge, rate)));
}

/// A rate in the contract's currency, per the meter's unit.
pub(super) fn price(row: &Reader<'_>, head: &Head<'_>, name: &str, unit: MeterUnit) -> Option<units::Rate> {
    let rate: UnitRate = row.figure(name)?;
    let entry = row.entry(name)?;
    if rate.unit != unit {
        let message = format!("`{name}` is a price per {}, which is not what this meter counts", rate.unit.shown().0.trim_end_matches('s'));
        row.add(Diagnostic::error(codes::METER_UNIT, &entry.span, message, format!("write a price per {}", unit_words(unit))));
        return None;
    }
    row.check_currency(&entry, rate.currency, head.currency).then_some(rate.rate)
}

fn clause(meter: Meter, charge: Charge, rate: units::Rate) -> RateClause {
    let tiers = vec![Tier { from: units::Quantity::ZERO, rate }];
    RateClause { meter, charge, tiers, kind: TierKind::Graduated, over_term: false, escalation: None }
}
