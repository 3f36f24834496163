//! What a row of a bill counts, in our meters: tokens of a model, or nothing that we meter.

use crate::exact::Exact;
use crate::focus::row::Row;
use crate::names;

/// What a million tokens may cost at most; a fleet file refuses more.
pub(super) const PRICE_MAX: i32 = 1_000_000_000;

/// A kind of token, in the fleet file's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meter {
    Input,
    Cached,
    Output,
}

impl Meter {
    /// The fleet file's word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Cached => "cached",
            Self::Output => "output",
        }
    }
}

/// Tokens of a model, so many at a price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metered {
    pub(super) model: String,
    pub(super) meter: Meter,
    /// Millions of tokens.
    pub(super) millions: Exact,
    /// The price of a million, in nano-units, as the bill states it or as it comes to.
    pub(super) price: Exact,
}

/// Words of a description that are none of the model's name.
const WORDS: &[&str] = &[
    "input",
    "inp",
    "in",
    "prompt",
    "prompts",
    "output",
    "outp",
    "out",
    "opt",
    "completion",
    "completions",
    "generated",
    "cached",
    "cache",
    "cchd",
    "read",
    "hit",
    "token",
    "tokens",
    "text",
    "per",
    "for",
    "of",
    "the",
    "model",
    "usage",
    "glbl",
    "global",
    "regional",
    "regnl",
    "regn",
    "dzone",
    "datazone",
    "data",
    "zone",
    "on",
    "demand",
    "ondemand",
    "standard",
    "std",
    "count",
    "units",
    "1k",
    "1m",
    "1000",
    "million",
    "thousand",
    "k",
    "m",
    "1",
    "prediction",
    "predictions",
    "api",
];
/// Words of what has a price of its own that no meter of ours tells from the plain one.
const OTHER: &[&str] = &[
    "batch",
    "flex",
    "priority",
    "audio",
    "image",
    "images",
    "video",
    "realtime",
    "fine",
    "finetuned",
    "ft",
    "tuning",
    "training",
    "hosting",
    "write",
    "writes",
    "creation",
    "storage",
    "search",
    "embeddings",
    "embedding",
    "provisioned",
    "ptu",
    "long",
];

/// The tokens that a row counts, when it says of which model, of which kind, how many and at which price.
pub(super) fn of(row: &Row) -> Option<Metered> {
    if !row.text("ChargeCategory").eq_ignore_ascii_case("usage") {
        return None;
    }
    let described = ["SkuMeter", "ChargeDescription", "SkuId"].into_iter().map(|name| row.text(name)).filter(|it| !it.is_empty());
    let region = row.text("RegionId").to_lowercase();
    // A region is none of a model's name, and the model is one in all.
    let without = |text: &str| if region.is_empty() { text.to_lowercase() } else { text.to_lowercase().replace(&region, " ") };
    let (model, meter) = described.map(|text| words(&without(text))).find_map(|words| named(&words))?;
    let (quantity, size, priced) = counted(row)?;
    let tokens = quantity.times(size)?;
    let millions = tokens.by(Exact::parse("0.000001")?)?;
    if millions <= Exact::ZERO {
        return None;
    }
    let million = |price: Exact| price.times(1_000_000)?.over(Exact::parse(&size.to_string())?);
    // The unit prices are per pricing unit, so they say nothing of a consumed one.
    let stated = ["ContractedUnitPrice", "ListUnitPrice"].into_iter().filter(|_| priced).find_map(|name| row.number(name));
    let price = stated.map_or_else(|| row.billed.over(millions), million)?;
    (!price.is_negative() && price <= Exact::of(PRICE_MAX)).then(|| Metered { model, meter, millions, price: price.to_nanos() })
}

fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower
        .split(|c: char| !(c.is_alphanumeric() || c == '.'))
        .map(|word| word.trim_matches('.').to_owned())
        .filter(|it| !it.is_empty())
        .collect()
}

/// The model and the kind of token that words name.
fn named(words: &[String]) -> Option<(String, Meter)> {
    let has = |any: &[&str]| words.iter().any(|word| any.contains(&word.as_str()));
    if has(OTHER) {
        return None;
    }
    let meter = if has(&["cached", "cache", "cchd"]) {
        Meter::Cached
    } else if has(&["output", "outp", "out", "opt", "completion", "completions", "generated"]) {
        Meter::Output
    } else if has(&["input", "inp", "prompt", "prompts"]) {
        Meter::Input
    } else {
        return None;
    };
    let rest: Vec<&str> = words.iter().map(String::as_str).filter(|word| !WORDS.contains(word)).collect();
    let model = names::slug(&rest.join("-"), "");
    (!model.is_empty()).then_some((model, meter))
}

/// How many units, how many tokens one is, and whether the bill's prices are per such a unit.
fn counted(row: &Row) -> Option<(Exact, i64, bool)> {
    let of = |quantity: &str, unit: &str| row.number(quantity).zip(tokens_in(row.text(unit)));
    of("PricingQuantity", "PricingUnit")
        .map(|(quantity, size)| (quantity, size, true))
        .or_else(|| of("ConsumedQuantity", "ConsumedUnit").map(|(quantity, size)| (quantity, size, false)))
}

/// How many tokens a unit such as `1K Tokens` or `1M` is; `None` where it counts something else.
fn tokens_in(unit: &str) -> Option<i64> {
    let unit = unit.to_lowercase().replace([' ', ',', '_', '-'], "");
    let number = unit.strip_suffix("tokens").or_else(|| unit.strip_suffix("token")).unwrap_or(&unit);
    match number {
        "" if !unit.is_empty() => Some(1),
        "1" if unit != "1" => Some(1),
        "1k" | "k" | "1000" | "thousand" | "1thousand" => Some(1_000),
        "1m" | "m" | "1000000" | "million" | "1million" => Some(1_000_000),
        "10k" | "10000" => Some(10_000),
        "100k" | "100000" => Some(100_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Meter, named, tokens_in, words};

    #[test]
    fn descriptions_name_a_model_and_a_kind() {
        let check = |text: &str, expected: Option<(&str, Meter)>| {
            assert_eq!(named(&words(&text.to_lowercase())), expected.map(|(model, meter)| (model.to_owned(), meter)), "{text}");
        };
        check("gpt 4o 0806 Inp glbl Tokens", Some(("gpt-4o-0806", Meter::Input)));
        check("gpt-4o-0806-cchd-Inp-glbl", Some(("gpt-4o-0806", Meter::Cached)));
        check("Claude3.5Sonnet-output-tokens", Some(("claude3-5sonnet", Meter::Output)));
        check("Gemini 2.5 Flash Text Input - Predictions", Some(("gemini-2-5-flash", Meter::Input)));
        check("gpt-4o batch input tokens", None);
        check("Cache write tokens, Claude", None);
        check("Tokens, input", None);
        check("gpt-4o requests", None);
    }

    #[test]
    fn units_are_tokens_or_nothing() {
        let check = |unit: &str, expected: Option<i64>| assert_eq!(tokens_in(unit), expected, "{unit}");
        check("1K Tokens", Some(1_000));
        check("1,000,000 tokens", Some(1_000_000));
        check("Tokens", Some(1));
        check("1K", Some(1_000));
        check("1", None);
        check("Hours", None);
        check("", None);
    }
}
