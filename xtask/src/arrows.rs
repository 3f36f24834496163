//! Which crate may use which: the table in `ARCHITECTURE.md` is the law, and every `Cargo.toml` is held to it.

use std::collections::BTreeMap;

use toml::Table;

use crate::finding::Finding;
use crate::tree::Tree;

const MAP: &str = "ARCHITECTURE.md";
/// What the core may take from others, each for the reason in the workspace's `Cargo.toml`.
const CORE_TAKES: [&str; 9] = ["arrayvec", "jiff", "libm", "serde", "serde_json", "sha2", "strsim", "thiserror", "toml"];
const CORE_TESTS_TAKE: [&str; 3] = ["expect-test", "insta", "proptest"];
/// The only crate that knows every other: it wires them.
const WIRING: &str = "crates/shell/baseload";

/// A row of the map: where a crate lies, and what it may use of ours.
struct Row {
    folder: String,
    line: usize,
    uses: Vec<String>,
}

/// Reports each arrow that the map doesn't have, and each row that breaks the rules of the map itself.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let rows = rows(tree.text(MAP).unwrap_or_default());
    let mut findings = check_rows(tree, &rows);
    for (path, text) in tree.ending("Cargo.toml") {
        let folder = path.trim_end_matches("Cargo.toml").trim_end_matches('/');
        match (text.parse::<Table>(), rows.iter().find(|row| row.folder == folder)) {
            (Err(error), _) => findings.push(Finding::of(path, error.message())),
            (Ok(manifest), Some(row)) => findings.extend(check_manifest(path, &manifest, row, &rows)),
            (Ok(manifest), None) if manifest.contains_key("package") => findings.push(Finding::of(path, format!("has no row in {MAP}"))),
            (Ok(_), None) => {}
        }
    }
    findings
}

/// The rows whose first cell is the folder of a crate.
fn rows(map: &str) -> Vec<Row> {
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let row = |(index, line): (usize, &str)| {
        let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
        let folder = quoted(cells.first()?).into_iter().next()?;
        let is_crate = folder.starts_with("crates/") || folder == "xtask" || folder == "fuzz";
        is_crate.then(|| Row { folder, line: index + 1, uses: quoted(cells.get(2).unwrap_or(&"")) })
    };
    map.lines().enumerate().filter_map(row).collect()
}

fn name(folder: &str) -> &str {
    folder.rsplit('/').next().unwrap_or(folder)
}

fn check_rows(tree: &Tree, rows: &[Row]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut above: BTreeMap<&str, &str> = BTreeMap::new();
    for row in rows {
        if tree.text(&format!("{}/Cargo.toml", row.folder)).is_none() {
            findings.push(Finding::at(MAP, row.line, format!("`{}` has no Cargo.toml", row.folder)));
        }
        for used in &row.uses {
            let fault = match above.get(used.as_str()) {
                None => Some(format!("`{used}` does not stand above `{}`: arrows point up", row.folder)),
                Some(folder) if row.folder.starts_with("crates/core/") && !folder.starts_with("crates/core/") => {
                    Some(format!("the core never uses `{folder}`"))
                }
                Some(folder) if row.folder.starts_with("crates/shell/") && row.folder != WIRING => {
                    let known = folder.starts_with("crates/core/") || *folder == "crates/shell/ledger";
                    (!known).then(|| format!("a shell knows the core and `ledger`, never `{folder}`"))
                }
                Some(_) => None,
            };
            findings.extend(fault.map(|text| Finding::at(MAP, row.line, text)));
        }
        above.insert(name(&row.folder), &row.folder);
    }
    findings
}

fn check_manifest(path: &str, manifest: &Table, row: &Row, rows: &[Row]) -> Vec<Finding> {
    let ours = |used: &str| rows.iter().any(|row| name(&row.folder) == used);
    let is_core = row.folder.starts_with("crates/core/");
    let mut findings = Vec::new();
    for (used, for_tests) in dependencies(manifest) {
        let may = row.uses.contains(&used) || (for_tests && used == "testkit");
        if ours(&used) && !may {
            findings.push(Finding::of(path, format!("uses `{used}`, which its row in {MAP} does not name")));
        }
        let known = CORE_TAKES.contains(&used.as_str()) || (for_tests && CORE_TESTS_TAKE.contains(&used.as_str()));
        if is_core && !ours(&used) && !known {
            findings.push(Finding::of(path, format!("takes `{used}`: the core takes almost nothing from others")));
        }
    }
    findings
}

/// Every dependency by the name of its package, and whether only tests use it.
fn dependencies(manifest: &Table) -> Vec<(String, bool)> {
    let targets = manifest.get("target").and_then(|targets| targets.as_table()).into_iter().flatten();
    let tables = std::iter::once(manifest).chain(targets.filter_map(|(_, target)| target.as_table()));
    let mut found = Vec::new();
    for table in tables {
        for (kind, for_tests) in [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)] {
            for (key, value) in table.get(kind).and_then(|kind| kind.as_table()).into_iter().flatten() {
                let renamed = value.get("package").and_then(|package| package.as_str());
                found.push((renamed.unwrap_or(key).to_owned(), for_tests));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tree::Tree;

    const ROWS: &str = "| crate | what | may use |\n| `crates/core/units` | a | nothing |\n| `crates/core/fleet` | b | `units` |\n";

    fn found(rows: &str, fleet: &str) -> Vec<String> {
        let map = format!("{ROWS}{rows}");
        let files = [
            ("ARCHITECTURE.md", map.as_str()),
            ("Cargo.toml", "[workspace]\n"),
            ("crates/core/fleet/Cargo.toml", fleet),
            ("crates/core/units/Cargo.toml", "[package]\n[dependencies]\njiff.workspace = true\n"),
            ("crates/shell/gateway/Cargo.toml", if rows.contains("gateway") { "[package]" } else { "" }),
            ("crates/testkit/Cargo.toml", if rows.contains("testkit") { "[package]" } else { "" }),
            ("crates/shell/ledger/Cargo.toml", if rows.contains("ledger") { "[package]" } else { "" }),
        ];
        check(&Tree::of(&files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn arrows_of_the_map_pass() {
        let testkit = "| `crates/testkit` | c | `units` |";
        assert_eq!(found(testkit, "[dependencies]\nunits.workspace = true\n[dev-dependencies]\ntestkit.workspace = true\n"), [""; 0]);
        assert_eq!(found("", "[dependencies]\nunits.workspace = true\n[dev-dependencies]\nproptest = \"1\"\n"), [""; 0]);
    }

    #[test]
    fn an_arrow_that_the_map_lacks_is_found() {
        let expected = ["crates/core/fleet/Cargo.toml: uses `gateway`, which its row in ARCHITECTURE.md does not name"];
        assert_eq!(found("| `crates/shell/gateway` | c | `fleet` |", "[dependencies]\ngateway.workspace = true\n"), expected);
        let renamed = "[target.'cfg(unix)'.build-dependencies]\nx = { package = \"gateway\", path = \"..\" }\n";
        assert_eq!(found("| `crates/shell/gateway` | c | `fleet` |", renamed), expected);
    }

    #[test]
    fn the_core_takes_nothing_unlisted_from_others() {
        let expected = ["crates/core/fleet/Cargo.toml: takes `tokio`: the core takes almost nothing from others"];
        assert_eq!(found("", "[dependencies]\ntokio = \"1\"\n"), expected);
        assert_eq!(found("", "[dev-dependencies]\ntokio = \"1\"\n"), expected);
        let expected = ["crates/core/fleet/Cargo.toml: takes `proptest`: the core takes almost nothing from others"];
        assert_eq!(found("", "[dependencies]\nproptest = \"1\"\n"), expected);
    }

    #[test]
    fn rows_point_up_and_shells_do_not_know_each_other() {
        let down = "| `crates/shell/gateway` | c | `ledger` |\n| `crates/shell/ledger` | d | `units` |\n";
        assert_eq!(found(down, ""), ["ARCHITECTURE.md:4: `ledger` does not stand above `crates/shell/gateway`: arrows point up"]);
        let aside = "| `crates/shell/gateway` | c | `units` |\n| `crates/shell/ledger` | d | `gateway` |\n";
        let expected = ["ARCHITECTURE.md:5: a shell knows the core and `ledger`, never `crates/shell/gateway`"];
        assert_eq!(found(aside, ""), expected);
    }

    #[test]
    fn a_row_without_a_crate_and_a_crate_without_a_row_are_found() {
        let map = "| `crates/core/lost` | c | nothing |";
        let tree = Tree::of(&[("ARCHITECTURE.md", map), ("crates/new/Cargo.toml", "[package]")]);
        let found: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["ARCHITECTURE.md:1: `crates/core/lost` has no Cargo.toml", "crates/new/Cargo.toml: has no row in ARCHITECTURE.md"]
        );
    }
}
