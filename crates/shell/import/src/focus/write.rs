//! A bill that is summed up as parties, models, endpoints and contracts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use units::Currency;

use crate::error::ImportError;
use crate::exact::Exact;
use crate::finding::{Finding, Kind, Total};
use crate::focus::commitment;
use crate::focus::meter::{Meter, PRICE_MAX};
use crate::focus::seen::{Payee, Rate, Seen, UNNAMED, add};
use crate::names::{self, Names};
use crate::page::{Page, list, quoted};

/// How long a contract is written to run, when the bill doesn't say.
const YEARS_UNKNOWN: i32 = 10;

/// What a contract needs to know of the whole bill.
pub(super) struct Scene {
    pub(super) currency: Currency,
    pub(super) from: Option<Date>,
    pub(super) monthly: bool,
}

/// Writes the whole file, and says what it explains.
pub(super) fn fleet(page: &mut Page, seen: &Seen, first: Option<Currency>) -> Result<Vec<Total>, ImportError> {
    let scene = Scene { currency: first.unwrap_or(Currency::USD), from: seen.from, monthly: seen.monthly };
    page.comment("Made by `baseload import focus`. What stands before an `unknown` mark is a placeholder: write what is true, and");
    page.comment("take the mark away. `baseload check` reads the file without any network.");
    page.comment("");
    page.set("format", "1");
    page.unknown("name", "\"imported\"", None, "what you call the fleet");
    match first {
        Some(currency) => page.say("currency", currency.code()),
        None => page.unknown("currency", "\"USD\"", None, "the bill has no row"),
    }
    for currency in seen.billed.keys().filter(|it| **it != scene.currency) {
        page.table("currencies", currency.code());
        let one = format!("\"1 {}\"", scene.currency);
        page.unknown("rates", &one, None, &format!("what one {currency} is worth"));
    }
    for (party, line) in &seen.parties {
        page.table("parties", party);
        let roles = "[\"supplier\"]";
        if party == UNNAMED {
            page.unknown("roles", roles, Some(*line), "who it is: the bill has rows with no name for it that a fleet file takes");
        } else {
            page.set("roles", roles);
        }
    }
    let (models, endpoints, contracts) = (BTreeSet::new(), Names::default(), Names::default());
    let mut writing = Writing { page, scene, dearest: &seen.dearest, models, endpoints, contracts };
    let mut explained: BTreeMap<Currency, Exact> = BTreeMap::new();
    for (payee, rates) in &seen.rates {
        let sum = writing.on_demand(payee, rates)?;
        add(explained.entry(payee.1).or_default(), sum, 1)?;
    }
    for ((payee, id), found) in &seen.commitments {
        commitment::write(&mut writing, payee, id, found);
        add(explained.entry(payee.1).or_default(), found.billed, found.line)?;
    }
    for (((party, currency), category, service), listed) in &seen.listed {
        let rows = if listed.rows == 1 { "1 row".to_owned() } else { format!("{} rows from here", listed.rows) };
        let service = if service.is_empty() { "no service named" } else { service };
        let what = format!("{rows}: {party}, {category}, {service}: counts nothing that Baseload meters");
        page.find(Finding { kind: Kind::Left, line: Some(listed.line), what, money: Some((listed.money, *currency)) });
    }
    let total = |(currency, billed): (&Currency, &Exact)| {
        let explained = explained.get(currency).copied().unwrap_or_default();
        let listed =
            billed.minus(explained).ok_or_else(|| ImportError::whole("the sum is too large", "split the bill, by provider or by month"))?;
        Ok(Total { currency: *currency, billed: *billed, explained, listed })
    };
    seen.billed.iter().map(total).collect()
}

/// The file in the making, with the names that it has.
pub(super) struct Writing<'a> {
    pub(super) page: &'a mut Page,
    pub(super) scene: Scene,
    dearest: &'a BTreeMap<Currency, Exact>,
    models: BTreeSet<String>,
    endpoints: Names,
    contracts: Names,
}

impl Writing<'_> {
    /// The contract of all that a payee sold by the token; what it comes to for the bill's quantities.
    fn on_demand(&mut self, payee: &Payee, rates: &BTreeMap<(String, Meter), Rate>) -> Result<Exact, ImportError> {
        let (party, currency) = payee;
        let mut endpoints = Vec::new();
        let mut covered = BTreeSet::new();
        for ((model, _), rate) in rates {
            if covered.insert(model) {
                endpoints.push(self.endpoint(party, model, rate.line));
            }
        }
        let name = self.contract(&format!("{party}-on-demand"), party, *currency);
        self.page.say("preset", "on-demand");
        self.page.set("endpoints", &list(&endpoints));
        self.term(self.scene.from, None, None);
        let mut explained = Exact::ZERO;
        for ((model, meter), rate) in rates {
            let price = rate.price();
            self.page.clause("contracts", &name, "rates");
            self.page.say("meter", meter.word());
            self.page.say("of", model);
            self.page.say("rate", &format!("{price} {currency}/1M tokens"));
            let too_large = || ImportError::at(rate.line, "the sum is too large", "split the bill, by provider or by month");
            let comes_to = price.by(rate.millions).ok_or_else(too_large)?;
            let differs = rate.billed.minus(comes_to).ok_or_else(too_large)?;
            add(&mut explained, comes_to, rate.line)?;
            if differs != Exact::ZERO {
                let prices = if rate.prices() > 1 {
                    format!("{} prices were seen, and that of most tokens is kept", rate.prices())
                } else {
                    "rounding".to_owned()
                };
                let what = format!("contracts.{name}, {} of {model}: billed beyond quantity x rate ({prices})", meter.word());
                self.page.find(Finding { kind: Kind::Left, line: Some(rate.line), what, money: Some((differs, *currency)) });
            }
        }
        for meter in ["input", "output"] {
            for model in covered.iter().filter(|model| !rates.keys().any(|(of, it)| of == **model && it.word() == meter)) {
                self.page.clause("contracts", &name, "rates");
                self.page.say("meter", meter);
                self.page.say("of", model);
                let rate = format!("\"{} {currency}/1M tokens\"", self.dear(*currency));
                self.page.unknown(
                    "rate",
                    &rate,
                    None,
                    &format!("the bill has no {meter} of {model}; dear here, so that nothing goes there by mistake"),
                );
            }
        }
        Ok(explained)
    }

    /// What stands where a price of a million tokens is not known: dearer than any real one, whatever the currency is worth.
    fn dear(&self, currency: Currency) -> Exact {
        let dearest = self.dearest.get(&currency).copied().unwrap_or_default();
        let most = Exact::of(PRICE_MAX);
        dearest.times(100).unwrap_or(most).clamp(Exact::of(100), most)
    }

    /// A model, unless it is there, and the endpoint where a party serves it.
    pub(super) fn endpoint(&mut self, party: &str, model: &str, line: usize) -> String {
        let line = Some(line);
        if self.models.insert(model.to_owned()) {
            self.page.table("models", model);
            self.page.unknown("parameters", "\"1 B\"", line, "how many it has; only planning and engines of your own ask");
            self.page.unknown("context", "128000", line, "tokens of the longest prompt and answer together");
            self.page.unknown("capabilities", "[\"chat\", \"tools\"]", line, "what it can do; a request that needs more is refused");
        }
        let name = self.endpoints.take(&format!("{model}-{party}"), "endpoint");
        self.page.table("endpoints", &name);
        self.page.say("model", model);
        self.page.unknown(
            "url",
            "\"https://unknown.invalid/v1\"",
            line,
            "a bill has no address; with `dialect` where it is not OpenAI's API",
        );
        self.page.unknown("upstream_model", &quoted(model), line, "what the supplier calls it; the name here is from the bill's words");
        let variable = format!("{}_API_KEY", names::variable(party));
        self.page.unknown("key", &format!("{{ env = {} }}", quoted(&variable)), line, "where the key is to be found");
        name
    }

    /// Begins a contract.
    pub(super) fn contract(&mut self, name: &str, party: &str, currency: Currency) -> String {
        let name = self.contracts.take(name, "contract");
        self.page.table("contracts", &name);
        self.page.say("party", party);
        if currency != self.scene.currency {
            self.page.say("currency", currency.code());
        }
        name
    }

    /// The term, as far as it was seen, and the billing periods.
    pub(super) fn term(&mut self, from: Option<Date>, to: Option<Date>, line: Option<usize>) {
        let start = from.unwrap_or(Date::constant(2025, 1, 1));
        match from {
            Some(_) => self.page.unknown("start", &start.to_string(), line, "its first day; the first in the bill stands here"),
            None => self.page.unknown("start", &start.to_string(), line, "its first day"),
        }
        let later = start.checked_add(jiff::Span::new().years(YEARS_UNKNOWN)).unwrap_or(Date::MAX);
        match to.filter(|to| *to > start) {
            Some(to) => self.page.unknown("end", &to.to_string(), line, "the first day after it; the last in the bill stands here"),
            None => self.page.unknown("end", &later.to_string(), line, "the first day after it"),
        }
        let calendar = self.scene.from.map(|anchor| format!("{{ anchor = {anchor}, period = \"month\" }}"));
        match calendar {
            Some(calendar) if self.scene.monthly => self.page.set("calendar", &calendar),
            Some(calendar) => self.page.unknown("calendar", &calendar, line, "the bill's periods are not months"),
            None => {}
        }
    }
}
