//! Every code has a broken fleet that shows it, and no text makes the reader panic.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use fleet::{CODES, FILE_BYTES_MAX, Severity, parse};
use proptest::prelude::*;

const HEAD: &str = "format = 1\nname = \"lab\"\ncurrency = \"USD\"\n";

/// The codes that a text is shown.
fn codes(text: &str) -> BTreeSet<&'static str> {
    parse(text).diagnostics.iter().map(|it| it.code).collect()
}

/// Texts too large to keep as files.
fn large() -> [String; 3] {
    let comment = format!("{HEAD}# {}\n", "x".repeat(FILE_BYTES_MAX));
    let mut rows = HEAD.to_owned();
    for row in 0..65_536 {
        writeln!(rows, "[regions.r{row}]\njurisdiction = \"EU\"").expect("a string takes it");
    }
    let mut keys = HEAD.to_owned();
    for key in 0..600 {
        writeln!(keys, "zz{key} = 1").expect("a string takes it");
    }
    [comment, rows, keys]
}

#[test]
fn every_code_is_shown_by_a_broken_fleet_and_explained() {
    let mut shown: BTreeSet<_> = large().iter().flat_map(|text| codes(text)).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/broken");
    #[expect(clippy::disallowed_methods, reason = "the test reads the broken fleets; the core itself reads no file")]
    for file in std::fs::read_dir(folder).expect("the folder is there") {
        shown.extend(codes(&std::fs::read_to_string(file.expect("a file").path()).expect("it can be read")));
    }
    let explained: BTreeSet<_> = CODES.iter().map(|info| info.code).collect();
    assert_eq!(explained.len(), CODES.len(), "a code is explained twice");
    assert_eq!(shown, explained);
    for info in CODES {
        assert!(![info.title, info.explanation, info.wrong, info.right].contains(&""), "{} is not explained whole", info.code);
    }
}

/// Texts of the largest size whose mistakes would take for ever if any were compared with all others.
fn hostile() -> [String; 5] {
    let list = |item: &str| item.repeat(FILE_BYTES_MAX / item.len() - 100);
    let names = (0..40_000).fold(String::new(), |names, row| {
        names + &format!("[models.m{row}]\nparameters = \"x\"\n[endpoints.e{row}]\nmodel = \"n{row}\"\n")
    });
    [
        format!("{HEAD}[contracts.a]\npools = [{}]", list("\"a\",")),
        format!("{HEAD}{}", list("a = = b\n")),
        format!("{HEAD}{}", list("k = \"sk-aaaaaaaaaaaaaaaa\n")),
        format!("{HEAD}{}", &names[..names.len().min(FILE_BYTES_MAX - 1_000)]),
        format!(
            "{HEAD}[models.a]\nparameters = \"1 B\"\ncontext = 1\naliases = [{}]",
            (0..60_000).fold(String::new(), |all, row| all + &format!("\"a{}\",", row / 2))
        ),
    ]
}

#[test]
fn hostile_texts_end() {
    hostile().iter().for_each(|text| check(text));
}

#[test]
fn limits_hold() {
    for text in large() {
        let parsed = parse(&text);
        assert!(parsed.fleet.is_none());
        assert!(parsed.diagnostics.len() <= 501, "{}", parsed.diagnostics.len());
    }
    assert!(parse(&format!("{HEAD}x = {}", "[".repeat(100_000))).fleet.is_none());
}

/// Reads a text, and checks what holds of every answer.
fn check(text: &str) {
    let parsed = parse(text);
    let sound = parsed.diagnostics.iter().all(|it| it.severity != Severity::Error);
    assert_eq!(parsed.fleet.is_some(), sound, "a fleet there is, or an error");
    for it in &parsed.diagnostics {
        assert!(it.span.start <= it.span.end && it.span.end <= text.len(), "{it:?}");
        assert!(!it.message.is_empty() && !it.hint.is_empty(), "{it:?}");
    }
    assert!(parsed.diagnostics.is_sorted_by_key(|it| it.span.start));
    assert_eq!(fleet::masked(text, &parsed.diagnostics).len(), text.len());
}

const LAPTOP: &str = include_str!("../../../../fleets/laptop.toml");
const ORACLE: &str = include_str!("../../../../fleets/deals/oracle.toml");

const STARTER: &str = include_str!("../../../../fleets/starter.toml");
const GUIDE: &str = include_str!("../../../../docs/fleet-file.md");

/// Values that one or another key could have, and most can't.
const VALUES: &[&str] = &[
    "0",
    "-1",
    "1",
    "9223372036854775807",
    "99999999999999999999",
    "0x10",
    "1.5",
    "-0.0",
    "1e99",
    "inf",
    "nan",
    "true",
    "\"\"",
    "\"x\"",
    "\"1 GW\"",
    "\"-1 GW\"",
    "\"0 USD\"",
    "\"999999999999999 USD\"",
    "\"1 EUR/year\"",
    "\"1 USD/0 days\"",
    "\"5 tokens\"",
    "\"120 %\"",
    "\"signed\"",
    "\"term\"",
    "\"1 minute\"",
    "\"1000000000 years\"",
    "0000-01-01",
    "9999-12-31",
    "9999-12-31T23:59:60-23:59",
    "12:00:00",
    "[]",
    "[[]]",
    "[1]",
    "[\"x\"]",
    "[{}]",
    "[{ from = 0000-01-01, is = \"1 W\" }, { from = 9999-12-31, is = 3 }]",
    "{}",
    "{ value = 1 }",
    "{ low = \"1 MW\", high = \"2 MW\" }",
    "{ env = \"A\" }",
    "{ env = \"sk-aaaaaaaaaaaaaaaaaaaa\" }",
    "{ kind = \"process\" }",
    "{ by = 2026-06-30, starts = [2027-01-01, 1] }",
    "{ likelihood = \"40 %\", months = 12 }",
    "{ every_months = 3, until = 9999-12-31, growth = \"20 %\" }",
    "{ owed = \"1 USD\", limit = \"2 EUR\", rate = \"8 %\" }",
    "\"38 GUSD/GW\"",
    "{ time_zone = \"Africa/Monrovia\", period = \"quarter\" }",
    "{ to = \"x\" }",
    "{ rate = \"1 USD/kWh\" }",
    "{ from = 1, is = 1 }",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn any_value_behind_any_key_is_read_or_explained(which in 0..4_usize, line in any::<proptest::sample::Index>(), value in 0..VALUES.len()) {
        let guide: String = GUIDE.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
        let good = [LAPTOP, ORACLE, STARTER, guide.as_str()][which];
        let keys: Vec<_> = good.lines().enumerate().filter(|(_, line)| line.contains(" = ") && !line.starts_with([' ', '#'])).collect();
        let (number, line) = keys[line.index(keys.len())];
        let key = line.split(" = ").next().expect("it has one");
        let edited: Vec<_> = good.lines().enumerate().map(|(at, it)| if at == number { format!("{key} = {}", VALUES[value]) } else { it.to_owned() }).collect();
        check(&edited.join("\n"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_text_panics(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn nothing_like_toml_panics(text in "([a-z\\[\\]{}=\"'.,0-9\\-:# \n]|format = 1\n|\\[contracts\\.a\\]\n|floor = |= \\[\\{ from = 2026-01-01, is = ){0,60}") {
        check(&text);
    }

    #[test]
    fn no_edit_of_a_good_fleet_panics(at in 0..LAPTOP.len(), oracle in any::<bool>(), edit in prop_oneof![Just(String::new()), any::<char>().prop_map(String::from), "[0-9\"=\\[\\]{}.\\-\n]"]) {
        let good = if oracle { ORACLE } else { LAPTOP };
        let at = at.min(good.len() - 1);
        let mut text = good.to_owned();
        if good.is_char_boundary(at) && good.is_char_boundary(at + 1) {
            text.replace_range(at..=at, &edit);
        }
        check(&text);
    }
}
