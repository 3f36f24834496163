//! Secrets: where they are may stand in the file, what they are may not.

use core::net::IpAddr;
use core::ops::Range;

use toml::de::{DeTable, DeValue};

use crate::address::is_forbidden;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::keys::{Key, Shape, may};
use crate::model::Secret;
use crate::reader::{Entry, Findings, Reader};

pub(crate) const SECRET: &[Key] = &[
    may("env", Shape::Text("NORTH_KEY"), "the environment variable that holds it"),
    may("file", Shape::Text("/run/secrets/north"), "the file that holds it"),
    may("command", Shape::Texts, "the command that prints it"),
];

/// How the keys of well-known services begin.
const PREFIXES: &[&str] = &[
    "sk-",
    "sk_",
    "pk_live_",
    "rk_live_",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
    "AIza",
    "hf_",
    "nvapi-",
    "gsk_",
    "xai-",
    "eyJ",
    "Bearer ",
    "-----BEGIN",
];
/// Words in the names of keys whose text is a secret whatever it looks like.
const NAMES: &[&str] = &["password", "passwd", "secret", "api_key", "apikey", "access_key", "private_key", "auth_token", "bearer"];

/// Where a secret is to be found.
pub(super) fn read(row: &Reader<'_>, entry: &Entry<'_>) -> Option<Secret> {
    if let DeValue::String(_) = entry.value {
        report(row.findings, entry.name(), &entry.span);
        return None;
    }
    let table = Reader::open(row.findings, SECRET, entry, &row.zone)?;
    if ["env", "file", "command"].iter().filter(|name| table.has(name)).count() != 1 {
        let hint = "write one of `{ env = \"NAME\" }`, `{ file = \"/path\" }` and `{ command = [\"...\"] }`";
        let message = format!("`{}` must say one place where the secret is", entry.name());
        row.add(Diagnostic::error(codes::ONE_OF, &entry.span, message, hint));
        return None;
    }
    let command: Vec<_> = table.texts("command").iter().map(|(_, word)| (*word).to_owned()).collect();
    if table.has("command") && command.is_empty() {
        row.add(Diagnostic::error(codes::RAMP_EMPTY, &table.span("command"), "`command` is empty", "write the command and its arguments"));
    }
    let env = table.text("env").filter(|name| {
        let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !fits {
            report(row.findings, "env", &table.span("env"));
        }
        fits
    });
    env.map(|name| Secret::Env(name.to_owned()))
        .or_else(|| table.text("file").map(|path| Secret::File(path.to_owned())))
        .or_else(|| (!command.is_empty()).then_some(Secret::Command(command)))
}

fn report(findings: &Findings<'_>, name: &str, span: &Range<usize>) {
    let hint = "name where it is instead: { env = \"NAME\" }, { file = \"/path\" } or { command = [\"...\"] }; if others saw this file, replace the key";
    let message = format!("`{name}` holds a secret, which must not stand in the file");
    findings.add(Diagnostic::error(codes::SECRET, span, message, hint).label("the text is not shown"));
}

/// Whether a text looks like a secret, as a fleet file may not hold it.
#[must_use]
pub fn looks_secret(text: &str) -> bool {
    PREFIXES.iter().any(|prefix| text.len() >= prefix.len() + 12 && text.starts_with(prefix)) && !text.contains("://")
}

/// Reports every text of the file that looks like a secret, wherever it stands.
pub(super) fn scan(findings: &Findings<'_>, table: &DeTable<'_>) {
    for (name, value) in table {
        let key = name.get_ref().to_lowercase();
        let named = NAMES.iter().any(|word| key.contains(word));
        scan_value(findings, name.get_ref(), named, value.get_ref(), &value.span());
    }
}

fn scan_value(findings: &Findings<'_>, name: &str, named: bool, value: &DeValue<'_>, span: &Range<usize>) {
    match value {
        DeValue::String(text) if looks_secret(text) || (named && !text.is_empty()) => report(findings, name, span),
        DeValue::Array(list) => list.iter().for_each(|it| scan_value(findings, name, named, it.get_ref(), &it.span())),
        DeValue::Table(table) => scan(findings, table),
        _ => {}
    }
}

/// Checks that a URL is one that requests may go to.
pub(super) fn check_url(row: &Reader<'_>, url: &str) {
    let Some(entry) = row.entry("url") else { return };
    let bad = |message: &str, hint: &str| row.add(Diagnostic::error(codes::URL, &entry.span, message, hint));
    let Some((scheme, rest)) = url.split_once("://") else {
        return bad("`url` has no scheme", "write the whole base URL, such as \"https://api.example.com/v1\"");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        let hint = "leave the user and password out and use `key = { env = \"NAME\" }`";
        let problem = Diagnostic::error(codes::SECRET, &entry.span, "`url` has a user or password in it", hint);
        return row.add(problem.label("the text is not shown"));
    }
    let host = if authority.starts_with('[') {
        authority.split(']').next().unwrap_or_default()
    } else {
        authority.split(':').next().unwrap_or_default()
    };
    let host = host.trim_start_matches('[');
    let address = host.parse::<IpAddr>().ok();
    let loopback = address.map_or(host == "localhost", |address| address.to_canonical().is_loopback());
    let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b));
    match scheme {
        _ if host.is_empty() || !plain => bad("`url` has no host", "write the whole base URL, such as \"https://api.example.com/v1\""),
        _ if rest.contains(['?', '#']) => bad("`url` has a query or fragment", "leave off what follows `?` or `#`"),
        "http" | "https" if address.is_some_and(is_forbidden) => {
            let message = "`url` names an address where clouds keep their machines' secrets, or none that can be asked";
            bad(message, "write the host's name or its own address: link-local and metadata addresses are never asked");
        }
        "https" => {}
        "http" if loopback => {}
        "http" => bad("`url` is not encrypted", "write https: http is only for this machine (127.0.0.1, [::1], localhost)"),
        _ => bad("`url` is neither https nor http", "write the whole base URL, such as \"https://api.example.com/v1\""),
    }
}

/// The text of a file with everything that is, or looks like, a secret made unreadable; every byte keeps its place.
#[must_use]
pub fn masked(text: &str, diagnostics: &[Diagnostic]) -> String {
    let mut hidden: Vec<Range<usize>> = diagnostics.iter().filter(|it| it.code == codes::SECRET).map(|it| it.span.clone()).collect();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if let Some((name, value)) = line.split_once('=') {
            let key = name.trim().to_lowercase();
            let named = NAMES.iter().any(|word| key.contains(word)) || (key == "key" && !value.trim_start().starts_with('{'));
            if named {
                hidden.push(start + name.len() + 1..start + line.len());
            }
        }
        for prefix in PREFIXES {
            let tokens = line
                .match_indices(prefix)
                .map(|(at, _)| (at, line[at..].find(['"', '\'', '\n', ' ', ',']).map_or(line.len(), |end| at + end)));
            hidden.extend(tokens.filter(|(at, end)| looks_secret(&line[*at..*end])).map(|(at, end)| start + at..start + end));
        }
        start += line.len();
    }
    let mut hide = vec![false; text.len()];
    for span in hidden {
        if let Some(bytes) = hide.get_mut(span) {
            bytes.fill(true);
        }
    }
    let shown = |at: usize, c: char| c.is_whitespace() || c == '"' || !hide[at];
    let mut masked = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        if shown(at, c) { masked.push(c) } else { masked.extend(core::iter::repeat_n('*', c.len_utf8())) }
    }
    masked
}
