//! Texts that people write: figures, fleet files, bills, configs of others, and changes to a fleet file.

use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use units::{Amount, Bytes, Currency, Flops, Joules, Share, UnitRate, Watts};

use crate::what_if;

/// Every price, amount and limit that is read prints as what reads the same; what is physical prints to a thousandth of its unit, and what is
/// printed stays what it is.
pub fn units(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for line in text.lines() {
        prints_back::<Amount>(line);
        prints_back::<Currency>(line);
        prints_near::<Watts>(line);
        prints_near::<Joules>(line);
        prints_near::<Bytes>(line);
        prints_near::<Flops>(line);
        prints_back::<UnitRate>(line);
        prints_back::<Share>(line);
        prints_back::<fleet::PerMinute>(line);
        prints_back::<fleet::Budget>(line);
    }
}

fn prints_back<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    let Ok(read) = text.parse::<T>() else { return };
    let printed = read.to_string();
    assert!(printed.parse::<T>().is_ok_and(|again| again == read), "{text:?} is {read:?} and prints as {printed:?}");
}

fn prints_near<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    let Ok(read) = text.parse::<T>() else { return };
    let printed = read.to_string();
    assert!(printed.parse::<T>().is_ok(), "{text:?} is {read:?} and prints as {printed:?}, which can't be read");
    prints_back::<T>(&printed);
}

/// A fleet file is read the same twice, each diagnostic lies in it, and one that is valid stays so however its lines end.
pub fn fleet(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (first, again) = (fleet::parse(&text), fleet::parse(&text));
    assert_eq!(first.diagnostics, again.diagnostics, "the same text says the same");
    assert_eq!(first.fleet.as_ref().map(|it| it.version), again.fleet.as_ref().map(|it| it.version));
    let has_errors = first.diagnostics.iter().any(|it| it.severity == fleet::Severity::Error);
    assert_eq!(first.fleet.is_none(), has_errors, "a fleet is there unless something is wrong: {:?}", first.diagnostics);
    for diagnostic in &first.diagnostics {
        assert!(text.get(diagnostic.span.clone()).is_some(), "{diagnostic:?} lies beside the text");
        assert!(fleet::CODES.iter().any(|info| info.code == diagnostic.code), "{diagnostic:?} is explained nowhere");
    }
}

/// A bill is read without regard to how its lines end, and a fleet that is made of it parses.
pub fn focus(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let lines = ledger::read_invoice(text.as_bytes());
    if !text.contains(['"', '\r']) {
        let windows = ledger::read_invoice(text.replace('\n', "\r\n").as_bytes());
        assert_eq!(lines.as_ref().ok(), windows.as_ref().ok(), "how lines end makes no difference");
        assert_eq!(import::focus(&text), import::focus(&text.replace('\n', "\r\n")), "how lines end makes no difference");
    }
    imported(import::focus, &text);
}

/// A fleet that is made of a LiteLLM config parses.
pub fn litellm(bytes: &[u8]) {
    imported(import::litellm, &String::from_utf8_lossy(bytes));
}

fn imported(read: fn(&str) -> Result<import::Imported, import::ImportError>, text: &str) {
    let first = read(text);
    assert_eq!(first, read(text), "the same text gives the same fleet");
    if let Ok(imported) = first {
        let parsed = fleet::parse(&imported.fleet);
        assert!(parsed.fleet.is_some(), "{:?} of\n{}", parsed.diagnostics, imported.fleet);
    }
}

/// What is changed, where the input names no other file.
const FLEET: &str = include_str!("../../../fleets/starter.toml");

/// A change leaves a file that is TOML, and the same change to the same text gives the same; taking away what was there can't be done twice.
///
/// The input is a change, or a change, an empty line, and the file.
pub fn paths(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (change, file) = match text.split_once("\n\n") {
        Some((change, file)) => (Cow::Borrowed(change), file),
        None => (text, FLEET),
    };
    let Ok(changed) = what_if::apply(file, &change) else { return };
    assert_eq!(what_if::apply(file, &change).ok().as_ref(), Some(&changed), "the same change gives the same");
    assert!(changed.parse::<toml_edit::DocumentMut>().is_ok(), "{change:?} leaves no TOML:\n{changed}");
    if change.split_once('=').is_some_and(|(_, to)| to.trim() == "none") {
        assert!(what_if::apply(&changed, &change).is_err(), "{change:?} takes away what it took");
    }
    // A tornado puts figures in the same way.
    drop(what_if::put(file, &change, "1"));
}
