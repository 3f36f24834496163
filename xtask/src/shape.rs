//! `lib.rs` is a table of contents, and no file or module has a name that says nothing.

use crate::finding::Finding;
use crate::source::blank;
use crate::tree::Tree;

const SAYS_NOTHING: [&str; 6] = ["utils", "util", "common", "helper", "helpers", "manager"];

/// Reports each `lib.rs` that holds more than a table of contents, and each empty name.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let contents = tree.ending("/src/lib.rs").flat_map(|(path, text)| check_contents(path, text));
    contents.chain(tree.files().flat_map(|(path, text)| check_names(path, text))).collect()
}

fn check_contents(path: &str, text: &str) -> Vec<Finding> {
    let undocumented = (!text.starts_with("//!")).then(|| Finding::at(path, 1, "begins without `//!`: say what the crate is for"));
    let code = blank(text);
    let mut line = 1;
    let mut findings: Vec<Finding> = undocumented.into_iter().collect();
    for item in code.split_inclusive(';') {
        let item_line = line + item[..item.len() - item.trim_start().len()].matches('\n').count();
        line += item.matches('\n').count();
        if !is_contents(item.trim()) {
            findings.push(Finding::at(path, item_line, "`lib.rs` is a table of contents: only `mod` and `use`"));
        }
    }
    findings
}

fn is_contents(item: &str) -> bool {
    let mut rest = item;
    while rest.starts_with('#') {
        rest = rest.split_once(']').map_or("", |(_, after)| after.trim_start());
    }
    let rest = rest.strip_prefix("pub(crate)").or_else(|| rest.strip_prefix("pub")).unwrap_or(rest).trim_start();
    rest.is_empty() || (rest.ends_with(';') && (rest.starts_with("mod ") || rest.starts_with("use ") || rest.starts_with("extern crate ")))
}

fn check_names(path: &str, text: &str) -> Vec<Finding> {
    let advice = |name: &str| format!("`{name}` says nothing: name it after what it does");
    let parts = path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    let mut findings: Vec<Finding> = parts.filter(|part| SAYS_NOTHING.contains(part)).map(|part| Finding::of(path, advice(part))).collect();
    if path.ends_with(".rs") {
        for (index, line) in blank(text).lines().enumerate() {
            let inline = line.split_once("mod ").and_then(|(_, after)| after.split([' ', '{', ';']).next());
            findings.extend(inline.filter(|name| SAYS_NOTHING.contains(name)).map(|name| Finding::at(path, index + 1, advice(name))));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tree::Tree;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&Tree::of(&[(path, text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_table_of_contents_passes() {
        let text = "//! What it is.\n\n#![forbid(unsafe_code)]\nmod a;\n#[cfg(test)]\nmod b;\npub(crate) use a::{\n    X,\n    Y,\n};\n";
        assert_eq!(found("crates/x/src/lib.rs", text), [""; 0]);
    }

    #[test]
    fn logic_in_lib_rs_is_found_with_its_line() {
        let expected = ["crates/x/src/lib.rs:4: `lib.rs` is a table of contents: only `mod` and `use`"];
        assert_eq!(found("crates/x/src/lib.rs", "//! What it is.\nmod a;\n\npub fn f() {}\n"), expected);
    }

    #[test]
    fn a_crate_without_a_word_on_its_purpose_is_found() {
        assert_eq!(found("crates/x/src/lib.rs", "mod a;\n"), ["crates/x/src/lib.rs:1: begins without `//!`: say what the crate is for"]);
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        let name = SAYS.concat();
        let expected = format!("crates/x/src/{name}.rs: `{name}` says nothing: name it after what it does");
        assert_eq!(found(&format!("crates/x/src/{name}.rs"), ""), [expected]);
        let expected = format!("a.rs:2: `{name}` says nothing: name it after what it does");
        assert_eq!(found("a.rs", &format!("\npub mod {name} {{}}\n")), [expected]);
        assert_eq!(found("a.rs", &format!("// mod {name};\nmod {name}_of_delivery;\n")), [""; 0]);
    }

    const SAYS: [&str; 2] = ["com", "mon"];
}
