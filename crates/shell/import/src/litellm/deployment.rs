//! One entry of `model_list`: what LiteLLM calls a deployment, and what becomes an endpoint with its contract.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::error::ImportError;
use crate::exact::Exact;
use crate::litellm::credential::Credential;
use crate::litellm::provider::{self, Named, Provider};
use crate::names;
use crate::page::Page;
use crate::yaml::Node;

/// What a price may come to at most, per million tokens or per hour; a fleet file refuses more.
const PRICE_MAX: i64 = 1_000_000_000;
/// The most slots, tokens and units that a fleet file takes.
const SLOTS_MAX: i64 = 1_000_000;
const TOKENS_MAX: i64 = 100_000_000;
const UNITS_MAX: i64 = 1_000_000;

/// A deployment as the config has it.
#[derive(Debug)]
pub(super) struct Deployment<'a> {
    pub(super) line: usize,
    /// Where it stands, as in `model_list[2]`.
    pub(super) path: String,
    /// What clients call it: deployments of one name are one model.
    pub(super) group: &'a str,
    pub(super) provider: &'static Provider,
    pub(super) upstream: &'a str,
    pub(super) params: &'a Node,
    /// The credential that it names.
    pub(super) credential: Option<Credential<'a>>,
    /// The name of a credential that the config doesn't have.
    pub(super) lost: Option<&'a Node>,
    pub(super) info: Option<&'a Node>,
    pub(super) prices: [Option<Exact>; 3],
    pub(super) units: Option<Units>,
    pub(super) slots: Option<i64>,
    pub(super) output_max: Option<i64>,
    pub(super) context: Option<i64>,
}

/// Provisioned units, as LiteLLM's "Azure PTU Flat Cost Attribution" states them.
#[derive(Debug)]
pub(super) struct Units {
    pub(super) count: Option<i64>,
    pub(super) rate: Option<Exact>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
}

/// The keys of prices in the order of the fleet file's `input`, `cached`, `output`.
const PRICES: [&str; 3] = ["input_cost_per_token", "cache_read_input_token_cost", "output_cost_per_token"];
const UNITS: [&str; 4] = ["ptu_count", "cost_per_ptu_per_hour", "ptu_effective_from", "ptu_effective_to"];
/// Keys that have a place in a fleet file.
const KEPT: &[&str] = &[
    "model",
    "api_base",
    "base_url",
    "api_key",
    "api_version",
    "organization",
    "max_tokens",
    "max_parallel_requests",
    "custom_llm_provider",
    "vertex_project",
    "vertex_location",
    "litellm_credential_name",
];
const KEPT_INFO: &[&str] =
    &["mode", "max_input_tokens", "max_output_tokens", "supports_function_calling", "supports_vision", "supports_response_schema"];

/// What a model may be for.
const MODES: [&str; 4] = ["chat", "completion", "embedding", "responses"];

/// Why a key of a deployment has no place in a fleet file.
pub(super) fn why_left(name: &str) -> &'static str {
    match name {
        "rpm" | "tpm" => {
            "an endpoint's limit is how many requests run at once (`slots`); limits a minute belong to keys, teams and the fleet"
        }
        "order" | "weight" => "Baseload goes by what the next request costs under the contracts, not by an order or a weight",
        "base_model" => "it names an entry of LiteLLM's price list; state the prices in the contract",
        "team_id" => "contracts belong to the fleet; a team gets its share by [teams] and its keys",
        "timeout" | "stream_timeout" | "num_retries" | "max_retries" | "cooldown_time" => "Baseload has its own",
        "vertex_credentials" => "name the key of each endpoint by `key`",
        _ => "a fleet file has no such key",
    }
}

/// Reads an entry; `None`, with a finding, when Baseload can't call what it names.
pub(super) fn read<'a>(
    node: &'a Node,
    index: usize,
    credentials: &BTreeMap<&str, Credential<'a>>,
    page: &mut Page,
) -> Result<Option<Deployment<'a>>, ImportError> {
    let path = format!("model_list[{index}]");
    let must = |node: &'a Node, name: &str, example: &str| {
        let missing = || ImportError::at(node.line, format!("`{path}` has no `{name}`"), format!("write {example}"));
        node.get(name).ok_or_else(missing)
    };
    let text = |node: &'a Node, name: &str| {
        let wrong = || ImportError::at(node.line, format!("`{name}` of `{path}` is no text"), "write a name, in quotes if need be");
        node.text().ok_or_else(wrong)
    };
    let group = text(must(node, "model_name", "`model_name: gpt-4o`: what clients ask for")?, "model_name")?;
    let params = must(node, "litellm_params", "`litellm_params:` with a `model` below it")?;
    let model = text(must(params, "model", "`model: openai/gpt-4o`: a provider and its name for the model")?, "model")?;
    let info = node.get("model_info");
    let mode = info.and_then(|it| it.get("mode")).and_then(Node::text).or_else(|| provider::other_mode(model));
    if let Some(mode) = mode.filter(|mode| !MODES.contains(mode)) {
        page.left(node.line, format!("{path}: Baseload serves no `{}`", names::shown(mode)));
        return Ok(None);
    }
    let stated = params.get("custom_llm_provider").and_then(Node::text);
    let (provider, upstream) = match provider::of(model, stated) {
        Named::Known(provider, upstream) => (provider, upstream),
        Named::Not(prefix, why) => {
            let prefix = names::shown(prefix);
            page.left(node.line, format!("{path}, `{}`: provider `{prefix}` is not possible: {why}", names::shown(group)));
            return Ok(None);
        }
    };
    if group.contains('*') || upstream.contains('*') {
        page.left(node.line, format!("{path}: a wildcard names no model; list those that clients may use"));
        return Ok(None);
    }
    let name = params.stated("litellm_credential_name");
    let credential = name.and_then(Node::text).and_then(|name| credentials.get(name)).copied();
    let mut read = Deployment {
        line: node.line,
        path,
        group,
        provider,
        upstream,
        params,
        credential,
        lost: name.filter(|_| credential.is_none()),
        info,
        prices: [None; 3],
        units: None,
        slots: None,
        output_max: None,
        context: None,
    };
    read.figures(page);
    read.leave(page, node);
    Ok(Some(read))
}

impl<'a> Deployment<'a> {
    /// A key of `litellm_params`, or else of the credential that they name, or else of `model_info`.
    pub(super) fn get(&self, name: &str) -> Option<&'a Node> {
        self.param(name).or_else(|| self.info?.stated(name))
    }

    /// A key of `litellm_params`, or else of the credential that they name: they go before it, as in LiteLLM.
    pub(super) fn param(&self, name: &str) -> Option<&'a Node> {
        self.params.stated(name).or_else(|| self.credential?.get(name))
    }

    /// Where such a key stands.
    pub(super) fn place(&self, name: &str) -> String {
        match self.credential.filter(|it| self.params.stated(name).is_none() && it.get(name).is_some()) {
            Some(credential) => credential.place(name),
            None => format!("{}.litellm_params.{name}", self.path),
        }
    }

    /// Whether the address is another than that of the vendor whose API is spoken there.
    pub(super) fn elsewhere(&self) -> bool {
        let host = |url: &str| url.split("://").nth(1).map(|rest| rest.split('/').next().unwrap_or_default().to_lowercase());
        let stated = self.get("api_base").or_else(|| self.get("base_url")).and_then(Node::text);
        self.provider.key.is_some() && self.provider.url.zip(stated).is_some_and(|(own, stated)| host(own) != host(stated))
    }

    fn figures(&mut self, page: &mut Page) {
        self.prices = PRICES.map(|name| self.price(page, name, 1_000_000));
        self.slots = self.count(page, "max_parallel_requests", SLOTS_MAX);
        self.output_max = self.count(page, "max_output_tokens", TOKENS_MAX).or_else(|| self.count(page, "max_tokens", TOKENS_MAX));
        self.context = self.count(page, "max_input_tokens", TOKENS_MAX);
        if UNITS.iter().any(|name| self.get(name).is_some()) {
            let from = self.instant(page, "ptu_effective_from");
            let to = self.instant(page, "ptu_effective_to");
            let (count, rate) = (self.count(page, "ptu_count", UNITS_MAX), self.price(page, "cost_per_ptu_per_hour", 1));
            self.units = Some(Units { count, rate, from, to });
        }
    }

    /// A price times so many, in nano-units.
    fn price(&self, page: &mut Page, name: &str, times: i64) -> Option<Exact> {
        let node = self.get(name)?;
        let most = Exact::parse(&PRICE_MAX.to_string())?;
        let found = node.text().and_then(Exact::parse).and_then(|it| it.times(times)).filter(|it| !it.is_negative() && *it <= most);
        match found {
            None => page.left(node.line, format!("{}.{name}: no price that a fleet file takes", self.path)),
            Some(exact) if exact != exact.to_nanos() => page.left(node.line, format!("{}.{name}: rounded to a billionth", self.path)),
            Some(_) => {}
        }
        found.map(Exact::to_nanos)
    }

    fn count(&self, page: &mut Page, name: &str, most: i64) -> Option<i64> {
        let node = self.get(name)?;
        let found = node.text().and_then(Exact::parse).and_then(Exact::whole).filter(|count| (1..=most).contains(count));
        if found.is_none() {
            page.left(node.line, format!("{}.{name}: not a whole number from 1 to {most}", self.path));
        }
        found
    }

    /// A date, or an instant in UTC, as TOML writes it.
    fn instant(&self, page: &mut Page, name: &str) -> Option<String> {
        let node = self.get(name)?;
        let text = node.text().unwrap_or_default().trim();
        let in_reach = |year: i16| (1970..=2200).contains(&year);
        let date = (text.len() == 10).then(|| text.parse::<Date>().ok()).flatten().filter(|it| in_reach(it.year()));
        let instant = text.parse::<Timestamp>().ok().and_then(|it| Timestamp::from_second(it.as_second()).ok());
        let instant = instant.filter(|it| in_reach(it.to_zoned(jiff::tz::TimeZone::UTC).year()));
        let found = date.map(|date| date.to_string()).or_else(|| instant.map(|it| it.to_string()));
        if found.is_none() {
            page.left(node.line, format!("{}.{name}: not a date, or an instant with its offset, that a fleet file takes", self.path));
        }
        found
    }

    /// Lists every key that the fleet file has no place for.
    fn leave(&self, page: &mut Page, node: &Node) {
        for (name, value) in node.rows().iter().filter(|(name, _)| !["model_name", "litellm_params", "model_info"].contains(&name.as_str()))
        {
            page.left(value.line, format!("{}.{}: {}", self.path, names::shown(name), why_left(name)));
        }
        let sections = [("litellm_params", Some(self.params), KEPT), ("model_info", self.info, KEPT_INFO)];
        for (section, node, kept) in sections {
            for (name, value) in node.map(Node::rows).unwrap_or_default() {
                let both = PRICES.contains(&name.as_str()) || UNITS.contains(&name.as_str()) || KEPT_INFO.contains(&name.as_str());
                if !kept.contains(&name.as_str()) && !both {
                    page.left(value.line, format!("{}.{section}.{}: {}", self.path, names::shown(name), why_left(name)));
                } else if section == "litellm_params" && name == "max_tokens" && self.get("max_output_tokens").is_some() {
                    page.left(value.line, format!("{}.{section}.max_tokens: `max_output_tokens` is kept in its place", self.path));
                }
            }
        }
    }

    /// What the model can do, as far as the config says it.
    pub(super) fn capabilities(&self) -> (Vec<String>, bool) {
        let says = |name: &str| self.get(name).and_then(Node::text).map(|text| text.eq_ignore_ascii_case("true"));
        let stated = |found: &[&str]| found.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        match self.get("mode").and_then(Node::text) {
            Some("embedding") => return (stated(&["embeddings"]), true),
            Some("completion") => return (stated(&["completions"]), true),
            Some("responses") => return (stated(&["chat", "tools", "responses"]), false),
            _ => {}
        }
        let flags = [("supports_function_calling", "tools"), ("supports_response_schema", "json-schema"), ("supports_vision", "vision")];
        let known = flags.iter().all(|(name, _)| says(name).is_some());
        let mut found = stated(&["chat"]);
        for (name, capability) in flags {
            let default = capability == "tools";
            found.extend(says(name).unwrap_or(default).then(|| capability.to_owned()));
        }
        (found, known)
    }
}
