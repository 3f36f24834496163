//! Rust source with its comments and literals blanked, so that the other rules may count braces and look for names.

/// `text` with every character of a comment, string or character literal replaced by a space; lines stay where they are.
pub fn blank(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < characters.len() {
        let end = literal_end(&characters, at);
        if end > at {
            out.extend(characters[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(characters[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` itself when none begins there.
fn literal_end(text: &[char], at: usize) -> usize {
    let next = |ahead: usize| text.get(at + ahead).copied();
    let in_word = at > 0 && (text[at - 1].is_alphanumeric() || text[at - 1] == '_');
    match (text[at], next(1)) {
        ('/', Some('/')) => position(text, at, |rest| rest[0] == '\n'),
        ('/', Some('*')) => block_end(text, at),
        ('"', _) => quoted_end(text, at + 1, '"'),
        ('r', Some('"' | '#')) if !in_word || text[at - 1] == 'b' => raw_end(text, at),
        ('\'', Some('\\')) => quoted_end(text, at + 1, '\''),
        // A lifetime has no quote after its first character.
        ('\'', Some(_)) if next(2) == Some('\'') => at + 3,
        _ => at,
    }
}

fn position(text: &[char], from: usize, found: impl Fn(&[char]) -> bool) -> usize {
    (from..text.len()).find(|at| found(&text[*at..])).unwrap_or(text.len())
}

fn block_end(text: &[char], at: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = at;
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

fn quoted_end(text: &[char], from: usize, quote: char) -> usize {
    let mut at = from;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            c if c == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// The end of `r"…"` or `r#"…"#`; `at` itself for a raw identifier.
fn raw_end(text: &[char], at: usize) -> usize {
    let hashes = text[at + 1..].iter().take_while(|c| **c == '#').count();
    if text.get(at + 1 + hashes) != Some(&'"') {
        return at;
    }
    let closes = |rest: &[char]| rest[0] == '"' && rest.len() > hashes && rest[1..=hashes].iter().all(|c| *c == '#');
    (position(text, at + hashes + 2, closes) + hashes + 1).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::blank;

    fn check(text: &str, expected: &str) {
        assert_eq!(blank(text), expected);
    }

    #[test]
    fn comments_and_literals_are_blanked_and_lines_stay() {
        check("a // {\nb", "a     \nb");
        check("a /* { /* } */ \n */ b", "a              \n    b");
        check("f(\"{\\\"\", '{', '\\'', x)", "f(     ,    ,     , x)");
        check("r#\"{\"# b", "       b");
        check("br\"{\" b", "b     b");
    }

    #[test]
    fn lifetimes_and_raw_identifiers_are_code() {
        check("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}");
        check("r#type for\"\"", "r#type for  ");
    }

    #[test]
    fn what_never_closes_ends_with_the_text() {
        check("/* a", "    ");
        check("\"a\\", "   ");
        check("r##\"a\"#", "       ");
    }
}
