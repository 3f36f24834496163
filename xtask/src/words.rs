//! Words that no file holds: hosts of package registries, marks of work left, lints switched off; in tests also pauses
//! and fixed ports. Each is written here in pieces, so that this file does not break its own rule.

use crate::finding::Finding;
use crate::source::blank;
use crate::tree::Tree;

const HOSTS: [&str; 6] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("npm", "js.org"),
    concat!("npm", "js.com"),
    concat!("deb.", "debian.org"),
];
const WORK_LEFT: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
const PAUSE: &str = concat!("sle", "ep(");
const LOOPBACK: &str = "127.0.0.1:";

/// Reports each such word.
pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.files().filter(|(path, _)| !is_generated(path)).flat_map(|(path, text)| check_file(path, text)).collect()
}

/// Cargo writes its registry's name into the lock by itself, hashes spell anything, and data is not ours to word.
fn is_generated(path: &str) -> bool {
    path.ends_with("Cargo.lock") || path.starts_with("data/")
}

fn check_file(path: &str, text: &str) -> Vec<Finding> {
    let is_rust = path.ends_with(".rs");
    let code = if is_rust { blank(text) } else { text.to_owned() };
    let is_test = path.starts_with("tests/") || path.contains("/tests/");
    let tests_from = if is_test { Some(0) } else { code.lines().position(|line| is_rust && line.trim() == "#[cfg(test)]") };
    let mut findings = Vec::new();
    for (index, (line, code)) in text.lines().zip(code.lines()).enumerate() {
        let in_tests = tests_from.is_some_and(|from| index >= from);
        let faults = [
            HOSTS.iter().find(|host| line.contains(**host)).map(|host| format!("names a package registry's host, {host}")),
            WORK_LEFT.iter().find(|word| !is_hashes(path) && has_word(line, word)).map(|word| format!("{word}: do it or open an issue")),
            (is_rust && switches_off(code)).then(|| "switches a lint off: say `expect` with a reason".to_owned()),
            (in_tests && code.contains(PAUSE)).then(|| "a test does not pause: wait for what it waits for".to_owned()),
            (in_tests && opens(code) && fixed_port(line)).then(|| "a test takes a free port: bind port 0".to_owned()),
        ];
        findings.extend(faults.into_iter().flatten().map(|text| Finding::at(path, index + 1, text)));
    }
    findings
}

fn is_hashes(path: &str) -> bool {
    path.ends_with("package-lock.json") || path.ends_with("requirements.txt")
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(is_part) && !line[at + word.len()..].starts_with(is_part))
}

fn switches_off(code: &str) -> bool {
    let attribute = code.trim_start();
    (attribute.starts_with("#[") || attribute.starts_with("#!["))
        && has_word(attribute, concat!("al", "low"))
        && !attribute.contains("expect(")
}

/// Whether a line binds or calls an address; one that is only read or shown may have any port.
fn opens(code: &str) -> bool {
    ["bind(", "connect(", "listen("].iter().any(|word| code.to_lowercase().contains(word))
}

fn fixed_port(line: &str) -> bool {
    line.match_indices(LOOPBACK).any(|(at, _)| line[at + LOOPBACK.len()..].starts_with(|c: char| ('1'..='9').contains(&c)))
}

#[cfg(test)]
mod tests {
    use super::{HOSTS, LOOPBACK, PAUSE, WORK_LEFT, check};
    use crate::tree::Tree;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(&[(path, text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn hosts_of_registries_are_found_in_any_file() {
        for host in HOSTS {
            let expected = format!("README.md:2: names a package registry's host, {host}");
            assert_eq!(found("README.md", &format!("\nfrom https://{host}/x\n")), [expected]);
        }
        assert_eq!(found("Cargo.lock", HOSTS[0]), [""; 0]);
    }

    #[test]
    fn marks_of_work_left_are_found_as_whole_words() {
        for word in WORK_LEFT {
            assert_eq!(found("a.rs", &format!("// {word}: later\n")), [format!("a.rs:1: {word}: do it or open an issue")]);
            assert_eq!(found("a.rs", &format!("// {word}S\n")), [""; 0]);
            assert_eq!(found("tests/package-lock.json", &format!("+{word}/\n")), [""; 0]);
        }
    }

    #[test]
    fn a_lint_switched_off_is_found_and_an_expected_one_is_not() {
        let word = ["al", "low"].concat();
        let expected = ["a.rs:1: switches a lint off: say `expect` with a reason"];
        assert_eq!(found("a.rs", &format!("#[{word}(dead_code)]\n")), expected);
        assert_eq!(found("a.rs", &format!("#![cfg_attr(test, {word}(dead_code))]\n")), expected);
        assert_eq!(found("a.rs", "#[expect(dead_code, reason = \"shown\")]\n"), [""; 0]);
        assert_eq!(found("a.rs", &format!("fn f() {{ {word}(); }}\n")), [""; 0]);
    }

    #[test]
    fn a_pause_is_found_in_tests_alone() {
        let pause = format!("std::thread::{PAUSE}x);\n");
        let text = "a test does not pause: wait for what it waits for";
        assert_eq!(found("src/a.rs", &format!("{pause}#[cfg(test)]\n{pause}")), [format!("src/a.rs:3: {text}")]);
        assert_eq!(found("tests/kill.py", &pause), [format!("tests/kill.py:1: {text}")]);
        assert_eq!(found("crates/x/tests/a.rs", &format!("// {pause}")), [""; 0]);
    }

    #[test]
    fn a_fixed_port_is_found_in_tests_alone() {
        let line = format!("let a = TcpListener::bind(\"{LOOPBACK}80\");\n");
        assert_eq!(found("crates/x/tests/a.rs", &line), ["crates/x/tests/a.rs:1: a test takes a free port: bind port 0"]);
        assert_eq!(found("src/a.rs", &line), [""; 0]);
        assert_eq!(found("tests/a.py", &format!("listen(\"{LOOPBACK}0\")")), [""; 0]);
        assert_eq!(found("tests/a.py", &format!("read(\"{LOOPBACK}80\")")), [""; 0]);
    }
}
