//! `SECURITY.md` names tests that exist.

use crate::finding::Finding;
use crate::invariants::{missing, named};
use crate::tree::Tree;

const PAGE: &str = "SECURITY.md";
/// What the page calls the folder that most of its tests are in, and where that is.
const SHORT: (&str, &str) = ("gateway/", "crates/shell/gateway/tests/gateway/");

/// Reports each test that `SECURITY.md` names in vain.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let page = tree.text(PAGE).unwrap_or_default();
    let (mut findings, mut is_held) = (Vec::new(), false);
    for (index, line) in page.lines().enumerate() {
        for (path, test) in named(line) {
            is_held = true;
            let path = path.strip_prefix(SHORT.0).map_or_else(|| path.to_owned(), |rest| format!("{}{rest}", SHORT.1));
            findings.extend(missing(tree, PAGE, index + 1, &path, test));
        }
    }
    if !is_held {
        findings.push(Finding::of(PAGE, "names no tests"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tree::Tree;

    fn found(page: &str) -> Vec<String> {
        let gateway = "crates/shell/gateway/tests/gateway/edges.rs";
        let tree = Tree::of(&[
            ("SECURITY.md", page),
            ("a.rs", "fn holds() {}"),
            (gateway, "async fn refused() {}"),
            ("b.py", "def test_b(self):"),
        ]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn tests_that_exist_pass_by_their_short_names_too() {
        assert_eq!(found("`a.rs::holds`, `gateway/edges.rs::refused`\nand `b.py::test_b`, in `gateway/`\n"), [""; 0]);
    }

    #[test]
    fn a_test_that_does_not_exist_is_found() {
        assert_eq!(found("words\n`a.rs::holds`, `a.rs::hold`\n"), ["SECURITY.md:2: there is no `hold` in `a.rs`"]);
        let gone = "SECURITY.md:1: there is no `gone` in `crates/shell/gateway/tests/gateway/edges.rs`";
        assert_eq!(found("`gateway/edges.rs::gone`\n"), [gone]);
    }

    #[test]
    fn a_page_that_names_none_is_found() {
        assert_eq!(found("`cargo xtask tidy` and `a.rs`\n"), ["SECURITY.md: names no tests"]);
        assert_eq!(found(""), ["SECURITY.md: names no tests"]);
    }
}
