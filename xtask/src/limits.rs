//! Files of at most 700 lines, functions of at most 70.

use crate::finding::Finding;
use crate::source::blank;
use crate::tree::Tree;

const FILE_LINES_MAX: usize = 700;
const FUNCTION_LINES_MAX: usize = 70;

/// Reports every Rust file and function that is too long.
pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.ending(".rs").flat_map(|(path, text)| check_file(path, text)).collect()
}

fn check_file(path: &str, text: &str) -> Vec<Finding> {
    let lines = text.lines().count();
    let file = (lines > FILE_LINES_MAX).then(|| Finding::of(path, format!("{lines} lines, at most {FILE_LINES_MAX}: what is it two of?")));
    let functions = functions(&blank(text)).into_iter().filter(|function| function.lines > FUNCTION_LINES_MAX).map(|function| {
        let text = format!("`{}` has {} lines, at most {FUNCTION_LINES_MAX}: what is it two of?", function.name, function.lines);
        Finding::at(path, function.line, text)
    });
    file.into_iter().chain(functions).collect()
}

struct Function {
    name: String,
    line: usize,
    lines: usize,
}

/// Every function with a body in blanked source.
fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let starts_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let name: String = code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !starts_word || name.is_empty() {
            continue;
        }
        if let Some(end) = body_end(&code[at..]) {
            let line = 1 + code[..at].matches('\n').count();
            found.push(Function { name, line, lines: 1 + code[at..at + end].matches('\n').count() });
        }
    }
    found
}

/// Where the body closes; `None` for a declaration without one.
fn body_end(code: &str) -> Option<usize> {
    let mut braces = 0_usize;
    let mut brackets = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' if braces <= 1 => return Some(at),
            '}' => braces -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{FILE_LINES_MAX, check};
    use crate::tree::Tree;

    fn found(text: &str) -> Vec<String> {
        check(&Tree::of(&[("a.rs", text)])).iter().map(ToString::to_string).collect()
    }

    fn function(lines: usize) -> String {
        format!("\nfn long(x: [u8; 2]) {{\n{}}}\n", "    step(\"}\");\n".repeat(lines - 2))
    }

    #[test]
    fn a_function_of_71_lines_is_found_and_one_of_70_is_not() {
        assert_eq!(found(&function(71)), ["a.rs:2: `long` has 71 lines, at most 70: what is it two of?"]);
        assert_eq!(found(&function(70)), [""; 0]);
    }

    #[test]
    fn a_declaration_has_no_length() {
        assert_eq!(found(&format!("trait T {{ fn f(&self); }}\n{}", "const X: u8 = 1;\n".repeat(80))), [""; 0]);
    }

    #[test]
    fn a_file_of_701_lines_is_found() {
        assert_eq!(found(&"\n".repeat(FILE_LINES_MAX + 1)), ["a.rs: 701 lines, at most 700: what is it two of?"]);
        assert_eq!(found(&"\n".repeat(FILE_LINES_MAX)), [""; 0]);
    }
}
