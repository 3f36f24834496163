//! Every invariant names a test that exists, or says which issue will bring one.

use crate::finding::Finding;
use crate::tree::Tree;

const PAGE: &str = "INVARIANTS.md";

/// Reports each invariant of `INVARIANTS.md` that no test tries to break, and each test that it names in vain.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let page = tree.text(PAGE).unwrap_or_default();
    let mut findings = Vec::new();
    let mut number = 0;
    let mut open: Option<usize> = None;
    for (index, line) in page.lines().enumerate() {
        let at = index + 1;
        if let Some(title) = line.strip_prefix("## ") {
            findings.extend(open.take().map(unheld));
            number += 1;
            open = Some(at);
            if !title.starts_with(&format!("{number}. ")) {
                findings.push(Finding::at(PAGE, at, format!("invariant {number} comes next")));
            }
        }
        for (path, test) in named(line) {
            open = None;
            findings.extend(missing(tree, PAGE, at, path, test));
        }
        if line.contains("not yet: ") {
            open = None;
        }
    }
    findings.extend(open.map(unheld));
    if number == 0 {
        findings.push(Finding::of(PAGE, "has no invariants"));
    }
    findings
}

fn unheld(line: usize) -> Finding {
    Finding::at(PAGE, line, "names neither a test nor `not yet: ` and when")
}

/// The tests that a line names, each by its file and its own name.
pub fn named(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.split('`').skip(1).step_by(2).filter_map(|quoted| quoted.split_once("::"))
}

/// Reports a test that a page names and its file lacks.
pub fn missing(tree: &Tree, page: &str, line: usize, path: &str, test: &str) -> Option<Finding> {
    let starts = [format!("fn {test}("), format!("def {test}("), format!("test(\"{test}\"")];
    let exists = tree.text(path).is_some_and(|text| starts.iter().any(|start| text.contains(start)));
    (!exists).then(|| Finding::at(page, line, format!("there is no `{test}` in `{path}`")))
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tree::Tree;

    fn found(page: &str) -> Vec<String> {
        let tree = Tree::of(&[("INVARIANTS.md", page), ("a.rs", "fn holds() {}"), ("b.py", "def test_b(self):")]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn tests_that_exist_and_issues_to_come_pass() {
        assert_eq!(found("## 1. A\nby `a.rs::holds` and `b.py::test_b`\n## 2. B\nnot yet: issue 3\n"), [""; 0]);
    }

    #[test]
    fn a_test_that_does_not_exist_is_found() {
        assert_eq!(found("## 1. A\n`a.rs::hold`\n"), ["INVARIANTS.md:2: there is no `hold` in `a.rs`"]);
        assert_eq!(found("## 1. A\n`c.rs::holds`\n"), ["INVARIANTS.md:2: there is no `holds` in `c.rs`"]);
    }

    #[test]
    fn an_invariant_that_nothing_holds_is_found() {
        let unheld = "names neither a test nor `not yet: ` and when";
        assert_eq!(found("## 1. A\n## 2. B\nwords\n"), [format!("INVARIANTS.md:1: {unheld}"), format!("INVARIANTS.md:2: {unheld}")]);
        assert_eq!(found(""), ["INVARIANTS.md: has no invariants"]);
    }

    #[test]
    fn a_number_left_out_is_found() {
        assert_eq!(found("## 2. A\nnot yet: issue 3\n"), ["INVARIANTS.md:1: invariant 1 comes next"]);
    }
}
