//! Values reach SQL as bound parameters: no text that is put together with values is handed to the database.

use crate::finding::Finding;
use crate::source::blank;
use crate::tree::Tree;

/// What takes SQL.
const TAKES_SQL: [&str; 15] = [
    ".prepare(",
    ".prepare_cached(",
    ".prepare_typed(",
    ".execute(",
    ".execute_batch(",
    ".execute_typed(",
    ".batch_execute(",
    ".query(",
    ".query_row(",
    ".query_row_and_then(",
    ".query_one(",
    ".query_opt(",
    ".query_raw(",
    ".query_typed(",
    ".simple_query(",
];
/// What puts text together with values.
const PUTS_TOGETHER: [&str; 3] = ["format!", "push_str(&", " + &"];
/// How SQL begins.
const VERBS: [&str; 9] = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "REPLACE ", "CREATE ", "DROP ", "ALTER ", "PRAGMA "];

/// Where SQL is put together from constants of the program itself, and from nothing else: looked at by hand.
const OWN_TEXT: [&str; 5] = [
    "crates/shell/ledger/src/rows.rs",
    "crates/shell/ledger/src/verify/chain.rs",
    "crates/shell/ledger/src/verify/corrections.rs",
    "crates/shell/ledger/src/verify/journal.rs",
    "crates/shell/ledger/src/verify/postings.rs",
];

/// Reports each call that takes such a text, and each `format!` that makes SQL.
pub fn check(tree: &Tree) -> Vec<Finding> {
    // Tests break databases on purpose.
    let is_judged = |path: &str| path.ends_with(".rs") && !path.contains("/tests/") && !OWN_TEXT.contains(&path);
    tree.files().filter(|(path, _)| is_judged(path)).flat_map(|(path, text)| check_file(path, text)).collect()
}

fn check_file(path: &str, text: &str) -> Vec<Finding> {
    let code = blank(text);
    let line = |at: usize| code[..at].matches('\n').count() + 1;
    let calls = TAKES_SQL.iter().flat_map(|call| code.match_indices(call).map(|(at, call)| (at, at + call.len())));
    let handed = calls.filter(|(_, from)| {
        let argument = first_argument(&code[*from..]);
        PUTS_TOGETHER.iter().any(|word| argument.contains(word))
    });
    let mut lines: Vec<usize> = handed.map(|(at, _)| line(at)).collect();
    // Blanking keeps every character's place, but not its bytes: literals are looked for line by line.
    let original: Vec<&str> = text.lines().collect();
    for (index, code) in code.lines().enumerate().filter(|(_, code)| code.contains("format!(")) {
        let ahead = original[index..].iter().take(2).copied().collect::<Vec<_>>().join(" ");
        let literal = ahead.split_once("format!(").map_or("", |(_, rest)| rest.trim_start().trim_start_matches(['r', '#']));
        if code.contains("format!(") && VERBS.iter().any(|verb| literal.strip_prefix('"').is_some_and(|sql| sql.starts_with(verb))) {
            lines.push(index + 1);
        }
    }
    lines.sort_unstable();
    lines.dedup();
    lines.into_iter().map(|line| Finding::at(path, line, "puts values into SQL: bind them as parameters")).collect()
}

/// The text up to the comma or bracket that ends the first argument.
fn first_argument(code: &str) -> &str {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => return &code[..at],
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => return &code[..at],
            _ => {}
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::tree::Tree;

    fn found(text: &str) -> Vec<String> {
        check(&Tree::of(&[("a.rs", text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_in_sql_are_found() {
        let said = |line: usize| [format!("a.rs:{line}: puts values into SQL: bind them as parameters")];
        let made = ["format", "!(\"DELETE FROM a WHERE b = '{c}'\")"].concat();
        assert_eq!(found(&format!("fn f() {{\n    x.execute(&{made}, [])?;\n}}\n")), said(2));
        assert_eq!(found(&format!("fn f() {{\n    let sql = {made};\n}}\n")), said(2));
        for call in super::TAKES_SQL {
            assert_eq!(found(&format!("fn f() {{\n    x{call}&(start + &name))?;\n}}\n")), said(2), "{call}");
        }
        assert_eq!(found(&["fn f() {\n    let sql = format", "!(\n        \"SELECT {a}\"\n    );\n}\n"].concat()), said(2));
    }

    #[test]
    fn bound_parameters_are_not() {
        assert_eq!(found("fn f() { x.execute(\"DELETE FROM a WHERE b = ?1\", [format!(\"{c}\")])?; }\n"), [""; 0]);
        assert_eq!(found("fn f() { say(format!(\"SELECTED {c}\")); }\n"), [""; 0]);
    }
}
