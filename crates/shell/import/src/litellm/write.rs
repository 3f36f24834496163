//! The deployments of a config as models, endpoints, parties and contracts.

use std::collections::{BTreeMap, BTreeSet};

use crate::exact::Exact;
use crate::litellm::deployment::Deployment;
use crate::litellm::secret::Secrets;
use crate::litellm::settings;
use crate::litellm::url::{self, Base};
use crate::names::{self, Names};
use crate::page::{Page, list, quoted};
use crate::yaml::{Node, Value};

/// What stands where a price is not known: dearer than any real one, so that nothing is drawn there by mistake.
const PRICE_UNKNOWN: &str = "100 USD/1M tokens";
/// As many as a fleet file takes for granted.
const SLOTS_UNKNOWN: &str = "16";
const SLOTS_WHY: &str = "how many requests run there at once; the config states no limit, and past this one they wait";
/// Vertex's tokens last an hour; a command is run again every few minutes.
const VERTEX_KEY: &str = "{ command = [\"gcloud\", \"auth\", \"print-access-token\"] }";
const START_UNKNOWN: &str = "2025-01-01";
const END_UNKNOWN: &str = "2035-01-01";

/// An endpoint's names in the file.
struct Named<'a> {
    deployment: &'a Deployment<'a>,
    model: String,
    endpoint: String,
}

/// Writes the whole file.
pub(super) fn fleet<'a>(page: &mut Page, root: &Node, deployments: &'a [Deployment<'a>], secrets: &mut Secrets<'a>) {
    page.comment("Made by `baseload import litellm`. What stands before an `unknown` mark is a placeholder: write what is true, and");
    page.comment("take the mark away. `baseload check` reads the file without any network.");
    page.comment("");
    page.set("format", "1");
    page.unknown("name", "\"imported\"", None, "what you call the fleet");
    page.set("currency", "\"USD\"");
    let mut groups: Vec<&str> = Vec::new();
    for deployment in deployments {
        if !groups.contains(&deployment.group) {
            groups.push(deployment.group);
        }
    }
    let (mut models, mut endpoints) = (Names::default(), Names::default());
    let names: BTreeMap<&str, String> = groups.iter().map(|group| (*group, models.take(group, "model"))).collect();
    let named: Vec<Named<'_>> = deployments
        .iter()
        .filter_map(|deployment| {
            let model = names.get(deployment.group)?.clone();
            let endpoint = endpoints.take(&format!("{model}-{}", deployment.provider.party), "endpoint");
            Some(Named { deployment, model, endpoint })
        })
        .collect();
    let parties: BTreeSet<_> = deployments.iter().map(|it| it.provider.party).collect();
    for party in parties {
        page.table("parties", party);
        page.set("roles", "[\"supplier\"]");
    }
    let aliases = settings::aliases(page, root, &groups);
    let mut taken = Taken { models, aliases: BTreeSet::new() };
    for group in &groups {
        let of: Vec<_> = named.iter().filter(|it| it.deployment.group == *group).collect();
        model(page, group, &of, aliases.get(group).map(Vec::as_slice).unwrap_or_default(), &mut taken);
    }
    for it in &named {
        endpoint(page, it, secrets);
    }
    for it in &named {
        contracts(page, it);
    }
}

/// The names that clients may already use.
struct Taken {
    models: Names,
    aliases: BTreeSet<String>,
}

fn model(page: &mut Page, group: &str, of: &[&Named<'_>], stated: &[(&str, usize)], taken: &mut Taken) {
    let Some(first) = of.first() else { return };
    page.table("models", &first.model);
    let mut aliases = Vec::new();
    let own = (first.model != group && !names::looks_secret(group)).then_some((group, first.deployment.line));
    for (alias, line) in own.iter().chain(stated) {
        if taken.models.has(alias) || !taken.aliases.insert((*alias).to_owned()) {
            page.left(*line, format!("alias `{}`: the name is taken", names::shown(alias)));
        } else {
            aliases.push((*alias).to_owned());
        }
    }
    if !aliases.is_empty() {
        page.set("aliases", &list(&aliases));
    }
    let line = Some(first.deployment.line);
    page.unknown("parameters", "\"1 B\"", line, "how many it has; only planning and engines of your own ask");
    let contexts: BTreeSet<_> = of.iter().filter_map(|it| it.deployment.context).collect();
    match contexts.first() {
        Some(least) => page.set("context", &least.to_string()),
        None => page.unknown("context", "128000", line, "tokens of the longest prompt and answer together"),
    }
    if contexts.len() > 1 {
        page.left(first.deployment.line, format!("models.{}.context: its deployments differ; the least is kept", first.model));
    }
    let (capabilities, known) = first.deployment.capabilities();
    if of.iter().any(|it| it.deployment.capabilities().0 != capabilities) {
        page.left(
            first.deployment.line,
            format!("models.{}.capabilities: its deployments differ; those of the first are kept", first.model),
        );
    }
    if known {
        page.set("capabilities", &list(&capabilities));
    } else {
        page.unknown("capabilities", &list(&capabilities), line, "what it can do; a request that needs more is refused");
    }
}

fn endpoint<'a>(page: &mut Page, named: &Named<'a>, secrets: &mut Secrets<'a>) {
    let it = named.deployment;
    let line = Some(it.line);
    page.table("endpoints", &named.endpoint);
    page.say("model", &named.model);
    if it.provider.dialect != "openai" {
        page.say("dialect", it.provider.dialect);
    }
    let version = it.get("api_version").filter(|_| it.provider.dialect == "azure");
    let stated = ["api_base", "base_url"].into_iter().find_map(|name| Some((name, it.get(name)?)));
    // A version makes it a deployment of Azure's older surface, unless it names the new one.
    let versioned = version.and_then(Node::text).is_some_and(|text| !matches!(text, "v1" | "preview" | "latest"));
    let base = match stated {
        None if it.provider.is_vertex() => {
            let stated = |name: &str| it.get(name).and_then(Node::text);
            url::vertex(stated("vertex_project"), stated("vertex_location"))
        }
        _ => url::base(stated.and_then(|(_, node)| node.text()), it.provider, versioned),
    };
    match base {
        Base::Known(url) => page.say("url", &url),
        Base::Stripped(url, user) => {
            page.say("url", &url);
            let (path, line) = stated.map_or((it.path.clone(), it.line), |(name, node)| (it.place(name), node.line));
            page.left(line, format!("{path}: what is before `@` or after `?` is not kept"));
            if user {
                secrets.tell(page, path, line, "a user or password in it; left out of the file");
            }
        }
        Base::Unknown(url, why) => page.unknown("url", &quoted(&url), stated.map(|(_, node)| node.line).or(line), &why),
    }
    if let Some(version) = version.filter(|_| versioned) {
        match version.text().filter(|text| is_version(text)) {
            Some(text) => page.say("api_version", text),
            None => page.unknown("api_version", "\"2024-10-21\"", Some(version.line), "the config does not state it as a date"),
        }
    } else if let Some(node) = it.get("api_version").filter(|_| version.is_none()) {
        page.left(node.line, format!("{}.api_version: only Azure has versions", it.path));
    }
    if names::looks_secret(it.upstream) {
        page.unknown("upstream_model", &quoted(&named.model), line, "what the config states looks like a secret");
    } else if it.upstream != named.model {
        page.say("upstream_model", it.upstream);
    }
    if let Some(most) = it.output_max {
        page.set("output_max", &most.to_string());
    }
    if it.provider.says_usage() {
        page.say("stream_usage", "always");
    }
    key(page, named, secrets);
    if let Some(node) = it.get("organization") {
        match node.text().filter(|text| it.provider.dialect == "openai" && names::is_visible(text)) {
            Some(text) if text.starts_with("os.environ/") => {
                page.unknown("organization", "\"org-4711\"", Some(node.line), "the config takes it from the environment")
            }
            Some(text) => page.say("organization", text),
            None => page.left(node.line, format!("{}.organization: only OpenAI's dialect has a field for it", it.path)),
        }
    }
    match it.slots {
        Some(slots) => page.set("slots", &slots.to_string()),
        None => page.unknown("slots", SLOTS_UNKNOWN, line, SLOTS_WHY),
    }
}

fn is_version(text: &str) -> bool {
    let date = text.strip_suffix("-preview").unwrap_or(text);
    date.len() == 10 && date.parse::<jiff::civil::Date>().is_ok()
}

fn key<'a>(page: &mut Page, named: &Named<'a>, secrets: &mut Secrets<'a>) {
    let it = named.deployment;
    let env = |name: &str| format!("{{ env = {} }}", quoted(name));
    let own = format!("{}_API_KEY", names::variable(&named.endpoint));
    let Some(node) = it.param("api_key") else {
        if let Some(lost) = it.lost {
            let place = if it.provider.is_vertex() { VERTEX_KEY.to_owned() } else { env(it.provider.key.unwrap_or(&own)) };
            page.unknown("key", &place, Some(lost.line), "`litellm_credential_name` names nothing in the config's `credential_list`");
            return;
        }
        match it.provider.key {
            None if it.provider.is_vertex() => {
                page.unknown("key", VERTEX_KEY, Some(it.line), "what prints a token of an account that may use the project")
            }
            Some(name) if it.elsewhere() => {
                page.unknown("key", &env(name), Some(it.line), "LiteLLM takes this one, but the address is not the vendor's")
            }
            Some(name) => page.set("key", &env(name)),
            None => {}
        }
        return;
    };
    if let Some(lost) = it.lost {
        page.left(lost.line, format!("{}.litellm_params.litellm_credential_name: it names nothing in `credential_list`", it.path));
    }
    match &node.value {
        Value::Text(text) => match text.strip_prefix("os.environ/") {
            Some(name) if names::is_variable(name) => page.set("key", &env(name)),
            Some(_) => page.unknown("key", &env(&own), Some(node.line), "the config names no environment variable"),
            None => {
                let name = secrets.variable(text, own);
                let what = format!("in clear text; the file names {name}: set that to a new key");
                secrets.tell(page, it.place("api_key"), node.line, &what);
                page.set("key", &env(&name));
            }
        },
        _ => page.unknown("key", &env(&own), Some(node.line), "what the config states is no text"),
    }
}

/// The contract that pays for an endpoint: on demand at the stated prices, or provisioned units.
fn contracts(page: &mut Page, named: &Named<'_>) {
    let it = named.deployment;
    let line = Some(it.line);
    page.table("contracts", &named.endpoint);
    if it.elsewhere() {
        page.unknown("party", &quoted(it.provider.party), line, "who is paid: the address is not the vendor's");
    } else {
        page.say("party", it.provider.party);
    }
    page.say("preset", if it.units.is_some() { "provisioned" } else { "on-demand" });
    page.set("endpoints", &list(std::slice::from_ref(&named.endpoint)));
    let Some(units) = &it.units else {
        prices(page, it);
        page.unknown("start", START_UNKNOWN, line, "its first day");
        page.unknown("end", END_UNKNOWN, line, "the first day after it");
        return;
    };
    match units.count {
        Some(count) => page.set("units", &count.to_string()),
        None => page.unknown("units", "1", line, "how many are provisioned"),
    }
    page.unknown("tokens_per_unit_minute", "2500", line, "tokens that one unit handles a minute, by the supplier's table for the model");
    match units.rate {
        Some(rate) => page.say("rate", &format!("{rate} USD/unit-hour")),
        None => page.unknown("rate", "\"1 USD/unit-hour\"", line, "what a unit costs an hour"),
    }
    // Both dates are written alike, so their texts compare as they do.
    let term = units.from.as_deref().zip(units.to.as_deref()).is_none_or(|(from, to)| from[..10] < to[..10]);
    if !term {
        page.left(it.line, format!("{}: ptu_effective_to is not after ptu_effective_from", it.path));
    }
    let from = units.from.as_deref().filter(|from| term && &from[..10] < END_UNKNOWN);
    let to = units.to.as_deref().filter(|to| term && from.unwrap_or(START_UNKNOWN)[..10] < to[..10]);
    match from {
        Some(from) => page.set("start", from),
        None => page.unknown("start", START_UNKNOWN, line, "its first day"),
    }
    match to {
        Some(to) => page.set("end", to),
        None => page.unknown("end", END_UNKNOWN, line, "the first day after it"),
    }
    if it.prices.iter().flatten().any(|price| *price != Exact::ZERO) {
        page.left(
            it.line,
            format!("{}: prices per token beside provisioned units: write an on-demand contract and name it as `overflow`", it.path),
        );
    }
}

fn prices(page: &mut Page, it: &Deployment<'_>) {
    let [input, cached, output] = it.prices;
    let embeds = it.capabilities().0 == ["embeddings"];
    for (name, price) in [("input", input), ("cached", cached), ("output", output)] {
        match price {
            Some(price) => page.say(name, &format!("{price} USD/1M tokens")),
            None if name == "cached" => {}
            None if name == "output" && embeds && input.is_some() => page.say(name, "0 USD/1M tokens"),
            None => {
                let why = "LiteLLM takes it from its own price list; dear here, so that nothing goes there by mistake";
                page.unknown(name, &quoted(PRICE_UNKNOWN), Some(it.line), why);
            }
        }
    }
}
