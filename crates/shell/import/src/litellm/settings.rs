//! Everything of a config beside its models: aliases are kept, the rest is listed.

use std::collections::BTreeMap;

use crate::names;
use crate::page::Page;
use crate::yaml::{Node, Value};

/// The tables of aliases, in the order in which LiteLLM goes by them.
const ALIASES: [(&str, &str); 2] = [("litellm_settings", "model_alias_map"), ("router_settings", "model_group_alias")];

/// Why a setting has no place in a fleet file.
fn why_left(section: &str, name: &str) -> &'static str {
    match (section, name) {
        (_, "fallbacks" | "default_fallbacks" | "context_window_fallbacks" | "content_policy_fallbacks") => {
            "Baseload moves a request on among the endpoints of the model that was asked for, never to another model"
        }
        ("general_settings", "master_key") => "keys are made by `baseload key create`",
        ("general_settings", "database_url") => "Baseload keeps its own ledger in its state directory",
        ("router_settings", "routing_strategy") => "Baseload goes by what the next request costs under the contracts",
        ("router_settings", "redis_host" | "redis_port" | "redis_password" | "redis_url") => "Baseload needs no Redis",
        (_, "num_retries" | "timeout" | "request_timeout" | "allowed_fails" | "cooldown_time" | "retry_after") => "Baseload has its own",
        (_, "max_budget" | "budget_duration") => "write `[limits]` with a `budget`, as in \"100 USD/month\"",
        ("litellm_settings", "drop_params") => "Baseload sends a request where all that it asks for is known",
        ("litellm_settings", "callbacks" | "success_callback" | "failure_callback") => "Baseload calls nobody",
        ("environment_variables", _) => "set it where `baseload up` starts",
        ("include", _) => "other files are not read: import each, or put their models into this one",
        _ => "a fleet file has no such key",
    }
}

/// Lists each setting; every top-level key but the models and the credentials.
pub(super) fn leave(page: &mut Page, root: &Node) {
    let elsewhere = |name: &str, node: &Node| name == "model_list" || (name == "credential_list" && matches!(node.value, Value::List(_)));
    for (section, node) in root.rows().iter().filter(|(name, node)| !elsewhere(name, node)) {
        let shown = names::shown(section);
        if let Value::Table(rows) = &node.value {
            let aliases = |name: &str, value: &Node| ALIASES.contains(&(section.as_str(), name)) && matches!(value.value, Value::Table(_));
            for (name, value) in rows.iter().filter(|(name, value)| !aliases(name, value)) {
                let path = format!("{shown}.{}", names::shown(name));
                page.left(value.line, format!("{path}: {}", why_left(section, name)));
            }
        } else if !matches!(node.value, Value::Null) {
            page.left(node.line, format!("{shown}: {}", why_left(section, "")));
        }
    }
}

/// The aliases that the settings have, by the name that they stand for, each with its line.
pub(super) fn aliases<'a>(page: &mut Page, root: &'a Node, groups: &[&str]) -> BTreeMap<&'a str, Vec<(&'a str, usize)>> {
    let mut found: BTreeMap<&str, Vec<(&str, usize)>> = BTreeMap::new();
    for (section, table) in ALIASES {
        let rows = root.get(section).and_then(|it| it.get(table)).map(Node::rows).unwrap_or_default();
        for (alias, node) in rows {
            let of = node.text().or_else(|| node.get("model").and_then(Node::text));
            let path = format!("{section}.{table}.{}", names::shown(alias));
            match of {
                Some(of) if groups.contains(&of) && !groups.contains(&alias.as_str()) && !names::looks_secret(alias) => {
                    found.entry(of).or_default().push((alias, node.line));
                    if node.get("hidden").is_some() {
                        page.left(node.line, format!("{path}.hidden: every alias is listed"));
                    }
                }
                Some(of) if groups.contains(&of) => page.left(node.line, format!("{path}: the name is taken by a model")),
                _ => page.left(node.line, format!("{path}: it stands for no model that was imported")),
            }
        }
    }
    found
}
