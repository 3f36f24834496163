//! Secrets of a config that stand in clear text: none comes along, and each is told of, wherever it stands.

use std::collections::{BTreeMap, BTreeSet};

use crate::finding::{Finding, Kind};
use crate::names;
use crate::page::Page;
use crate::yaml::{Node, Value};

/// Ends of the names of keys whose text is a secret whatever it looks like.
const ENDS: &[&str] = &[
    "key",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "token",
    "credential",
    "credentials",
    "authorization",
    "auth_value",
    "cookie",
    "salt",
];
/// Words of names that end so and hold a figure, or what all may see.
const PLAIN: &[&str] = &["cost", "max", "min", "public"];
/// How texts begin that LiteLLM takes for the place of a secret.
const PLACES: &[&str] = &["os.environ/", "oidc/"];

/// What was done about secrets so far.
#[derive(Debug, Default)]
pub(super) struct Secrets<'a> {
    /// The variable that each key becomes.
    variables: BTreeMap<&'a str, String>,
    /// Where those stand that were told of.
    told: BTreeSet<String>,
}

impl<'a> Secrets<'a> {
    /// The variable for a key: that which the same key has already, or else `own`.
    pub(super) fn variable(&mut self, key: &'a str, own: String) -> String {
        self.variables.entry(key).or_insert(own).clone()
    }

    /// A finding for a secret, and what became of it.
    pub(super) fn tell(&mut self, page: &mut Page, place: String, line: usize, what: &str) {
        page.find(Finding { kind: Kind::Secret, line: Some(line), what: format!("{place}: {what}"), money: None });
        self.told.insert(place);
    }

    /// Tells of all that were not told of yet.
    pub(super) fn tell_rest(&self, page: &mut Page, root: &Node) {
        self.walk(page, &mut String::new(), "", root);
    }

    /// A node at a path, behind a key of a name; what is in a list is behind the key of the list.
    fn walk(&self, page: &mut Page, path: &mut String, name: &str, node: &Node) {
        let end = path.len();
        match &node.value {
            Value::Text(text) if in_clear(name, text) && !self.told.contains(path) => {
                let what = format!("{path}: in clear text; it does not come along, and whoever saw the config knows it");
                page.find(Finding { kind: Kind::Secret, line: Some(node.line), what, money: None });
            }
            Value::Null | Value::Text(_) => {}
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    path.push_str(&format!("[{index}]"));
                    self.walk(page, path, name, item);
                    path.truncate(end);
                }
            }
            Value::Table(rows) => {
                for (name, value) in rows {
                    let point = if end == 0 { "" } else { "." };
                    path.push_str(&format!("{point}{}", names::shown(name)));
                    self.walk(page, path, name, value);
                    path.truncate(end);
                }
            }
        }
    }
}

/// Whether the text behind a key is a secret in clear text.
fn in_clear(name: &str, text: &str) -> bool {
    if text.is_empty() || PLACES.iter().any(|place| text.starts_with(place)) {
        return false;
    }
    // A switch is none, and credentials may be the name of a file.
    let switch = ["true", "false"].iter().any(|it| text.eq_ignore_ascii_case(it));
    let file = name.to_lowercase().trim_end_matches('s').ends_with("credential") && is_file(text);
    (is_secret(name) && !switch && !file) || has_password(text) || names::looks_secret(text)
}

/// Whether a key of such a name has a secret behind it.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase().replace('-', "_");
    ENDS.iter().any(|end| name.ends_with(end)) && !name.split('_').any(|word| PLAIN.contains(&word))
}

fn is_file(text: &str) -> bool {
    let spelled = text.starts_with(['/', '.', '~']) || text.rsplit_once('.').is_some_and(|(_, end)| end == "json");
    spelled && !text.contains(char::is_whitespace)
}

/// Whether a text is a URL with a password in it, before its `@` or in its query.
fn has_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let user = rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    user || query.split('&').filter_map(|pair| pair.split_once('=')).any(|(name, value)| !value.is_empty() && is_secret(name))
}

#[cfg(test)]
mod tests {
    use super::in_clear;

    #[test]
    fn secrets_are_told_from_what_is_called_alike() {
        for (name, text) in [
            ("api_key", "x"),
            ("AWS_SECRET_ACCESS_KEY", "wJalr"),
            ("Authorization", "Basic eDp5"),
            ("x-api-key", "abc"),
            ("redis_password", "1234"),
            ("vertex_credentials", "{\"private_key\": \"x\"}"),
            ("database_url", "postgresql://llm:pa55@db/litellm"),
            ("database_url", "postgresql://db/litellm?user=llm&password=pa55"),
            ("anything", "sk-1234567890abcdef"),
        ] {
            assert!(in_clear(name, text), "{name}: {text}");
        }
        for (name, text) in [
            ("api_key", ""),
            ("api_key", "os.environ/KEY"),
            ("azure_ad_token", "oidc/google/https://example.com"),
            ("output_cost_per_reasoning_token", "1e-6"),
            ("max_tokens", "100"),
            ("litellm_credential_name", "anth"),
            ("vertex_credentials", "/secrets/sa.json"),
            ("LANGFUSE_PUBLIC_KEY", "pk-lf-1"),
            ("key_management_system", "aws_kms"),
            ("disable_api_key", "True"),
            ("redis_url", "redis://cache:6379"),
        ] {
            assert!(!in_clear(name, text), "{name}: {text}");
        }
    }
}
