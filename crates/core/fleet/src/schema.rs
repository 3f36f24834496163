//! The keys of the file for editors (a JSON Schema) and for people (a reference), from the one declaration in `keys`.

use core::fmt::Write as _;
use std::collections::BTreeSet;

use crate::keys::{Key, NOTE, Need, Shape, example};
use crate::parse::{FILE, SECRET};

const NO_FAIL: &str = "a string takes all that is written to it";

/// A JSON Schema (2020-12) of the fleet file, for completion and checks in editors.
#[must_use]
pub fn schema() -> String {
    let root = table(FILE);
    let body = root.strip_prefix('{').expect("a table's schema is an object");
    format!(
        "{{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"Baseload fleet\",\"$defs\":{{\"note\":{},\"secret\":{}}},{body}",
        table(NOTE),
        table(SECRET)
    )
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c.is_control() => write!(json, "\\u{:04x}", u32::from(c)).expect(NO_FAIL),
            c => json.push(c),
        }
    }
    json + "\""
}

fn table(keys: &[Key]) -> String {
    let property = |key: &Key| {
        let about = match key.need {
            Need::Default(default) => format!("{} (default: {default})", key.about),
            Need::Required | Need::Optional => key.about.to_owned(),
        };
        let shape = value(key.shape);
        let body = shape.strip_prefix('{').expect("a shape's schema is an object");
        format!("{}:{{\"description\":{},{body}", quoted(key.name), quoted(&about))
    };
    let properties: Vec<_> = keys.iter().map(property).collect();
    let required: Vec<_> = keys.iter().filter(|key| matches!(key.need, Need::Required)).map(|key| quoted(key.name)).collect();
    format!(
        "{{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{{{}}},\"required\":[{}]}}",
        properties.join(","),
        required.join(",")
    )
}

fn value(shape: Shape) -> String {
    let list = |item: &str| format!("{{\"type\":\"array\",\"items\":{item}}}");
    let any = |first: &str, second: &str| format!("{{\"anyOf\":[{first},{second}]}}");
    let word = |words: &[&str]| format!("{{\"enum\":[{}]}}", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(","));
    let text = "{\"type\":\"string\"}";
    match shape {
        Shape::Text(_) | Shape::Name(_) => text.to_owned(),
        Shape::Plain => "{\"type\":[\"string\",\"number\"]}".to_owned(),
        Shape::Flag => "{\"type\":\"boolean\"}".to_owned(),
        // Editors hand a TOML date to the schema as a text, or as no JSON type at all.
        Shape::Date => "{\"title\":\"date\"}".to_owned(),
        Shape::Dates => list("{\"title\":\"date\"}"),
        Shape::Figure(example) => figure(example),
        Shape::Ramp(example) => any(&figure(example), &list(&step(example))),
        Shape::Word(words) => word(words),
        Shape::Words(words) => list(&word(words)),
        Shape::Texts | Shape::Names(_) => list(text),
        Shape::Table(keys) => table(keys),
        Shape::Tables(keys) => any(&table(keys), &list(&table(keys))),
        Shape::Named(keys) => format!("{{\"type\":\"object\",\"additionalProperties\":{}}}", table(keys)),
        Shape::Either(first, second) => any(&value(*first), &value(*second)),
        Shape::Secret => "{\"$ref\":\"#/$defs/secret\"}".to_owned(),
    }
}

fn step(example: &str) -> String {
    let is = figure(example);
    format!(
        "{{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{{\"from\":{{}},\"is\":{is}}},\"required\":[\"from\",\"is\"]}}"
    )
}

fn figure(example: &str) -> String {
    let plain = if example.starts_with('"') { "string" } else { "number" };
    let example = if example.starts_with('"') { example.to_owned() } else { example.replace('_', "") };
    format!("{{\"examples\":[{example}],\"anyOf\":[{{\"type\":\"{plain}\"}},{{\"$ref\":\"#/$defs/note\"}}]}}")
}

/// Every key of the file with its unit or words, default and meaning, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Keys of the fleet file\n\nMade from the declaration that the reader itself uses, by `cargo test -p fleet`. The guide is [fleet-file.md](fleet-file.md).\n",
    );
    section(&mut page, "(top of the file)", FILE, &mut BTreeSet::new());
    section(&mut page, "(any figure, in place of the plain one)", NOTE, &mut BTreeSet::new());
    section(&mut page, "(a secret)", SECRET, &mut BTreeSet::new());
    page
}

fn section(page: &mut String, path: &str, keys: &'static [Key], done: &mut BTreeSet<String>) {
    if !done.insert(path.to_owned()) {
        return;
    }
    write!(page, "\n## {path}\n\n| key | value | default | meaning |\n|---|---|---|---|\n").expect(NO_FAIL);
    for key in keys {
        let default = match key.need {
            Need::Required => "required".to_owned(),
            Need::Optional => String::new(),
            Need::Default(default) => default.replace('|', "\\|"),
        };
        writeln!(page, "| `{}` | {} | {default} | {} |", key.name, shown(key.shape), key.about).expect(NO_FAIL);
    }
    let below = if path.starts_with('(') { String::new() } else { format!("{path}.") };
    for key in keys {
        let inner = |shape: Shape| match shape {
            Shape::Table(keys) | Shape::Tables(keys) => Some((format!("{below}{}", key.name), keys)),
            Shape::Named(keys) => Some((format!("{below}{}.NAME", key.name), keys)),
            _ => None,
        };
        let found = match key.shape {
            Shape::Either(first, second) => inner(*first).or_else(|| inner(*second)),
            shape => inner(shape),
        };
        if let Some((path, keys)) = found {
            section(page, &path, keys, done);
        }
    }
}

fn shown(shape: Shape) -> String {
    match shape {
        Shape::Text(_) | Shape::Date | Shape::Flag => format!("{} `{}`", kind(shape), example(shape)),
        Shape::Plain => "figure, such as `\"4.5 GW\"` or `12`".to_owned(),
        Shape::Figure(it) => format!("`{it}`"),
        Shape::Ramp(it) => format!("`{it}`, or dated steps `[{{ from = 2026-01-01, is = {it} }}, ..]`"),
        Shape::Word(words) => words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", "),
        Shape::Words(words) => format!("list of {}", shown(Shape::Word(words))),
        Shape::Texts => "list of texts".to_owned(),
        Shape::Dates => format!("list of dates, as in `{}`", example(shape)),
        Shape::Name(it) => format!("name of {}", it.one()),
        Shape::Names(it) => format!("names, each of {}", it.one()),
        Shape::Table(_) => "table".to_owned(),
        Shape::Tables(_) => "table, or list of them".to_owned(),
        Shape::Named(_) => "tables by name".to_owned(),
        Shape::Either(first, second) => format!("{}; or {}", shown(*first), shown(*second)),
        Shape::Secret => "where the secret is: `{ env = \"NAME\" }`".to_owned(),
    }
}

const fn kind(shape: Shape) -> &'static str {
    match shape {
        Shape::Date => "date, as in",
        Shape::Flag => "`true` or `false`, as in",
        _ => "text, as in",
    }
}
