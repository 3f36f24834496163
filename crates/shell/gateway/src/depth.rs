//! How deep a body's JSON goes, and what its fields are called, before anything is made of it.

use memchr::memchr2;

use crate::envelope::Refused;
use crate::limits::{JSON_DEPTH_MAX, JSON_VALUES_MAX};
use crate::names;

/// Refuses a body that goes deeper than the limit, or has a field that others may take for another; whether it is JSON at all is for its
/// reader to say.
pub(crate) fn check(body: &[u8]) -> Result<(), Refused> {
    let (mut at, mut depth, mut objects, mut name_next) = (0, 0_usize, [false; NAMED], false);
    while let Some(byte) = body.get(at) {
        at += 1;
        match byte {
            b'"' => {
                let end = string_end(body, at);
                if std::mem::take(&mut name_next) {
                    names::check(&body[at..(end - 1).max(at)], depth)?;
                }
                at = end;
            }
            b',' => name_next = depth > 0 && objects.get(depth - 1).is_some_and(|is_object| *is_object),
            b'[' | b'{' if depth == JSON_DEPTH_MAX => {
                return Err(Refused::bad_body(format!("The body of your request goes deeper than {JSON_DEPTH_MAX} levels.")));
            }
            b'[' | b'{' => {
                if let Some(is_object) = objects.get_mut(depth) {
                    *is_object = *byte == b'{';
                }
                depth += 1;
                name_next = *byte == b'{' && depth <= NAMED;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Refuses a body of more values than may be made into a tree of them; gives the most that such a tree takes in memory.
pub(crate) fn tree(body: &[u8]) -> Result<usize, Refused> {
    let (mut at, mut values) = (0, 1_usize);
    while let Some(byte) = body.get(at) {
        at += 1;
        match byte {
            b'"' => at = string_end(body, at),
            b',' | b':' | b'[' | b'{' => values += 1,
            _ => {}
        }
    }
    if values > JSON_VALUES_MAX {
        return Err(Refused::bad_body(format!("The body of your request has more than {JSON_VALUES_MAX} values.")));
    }
    Ok(body.len() + values * VALUE_BYTES)
}

/// What one value of a tree takes beside its text: itself, and its part of what holds it.
const VALUE_BYTES: usize = 160;

/// Down to this depth names are looked at.
const NAMED: usize = 2;

/// Behind the closing quote of the string that begins at `from`.
fn string_end(body: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(found) = memchr2(b'"', b'\\', body.get(at..).unwrap_or_default()) {
        at += found + 1;
        if body[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    body.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_outside_strings_has_depth() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let good = [
            nested(JSON_DEPTH_MAX),
            format!("[{}]", "[],".repeat(1_000)),
            format!(r#"["\"{}"]"#, "[".repeat(1_000)),
            "\"".to_owned(),
            "\"\\".to_owned(),
        ];
        for text in good {
            assert!(check(text.as_bytes()).is_ok(), "{text}");
        }
        for text in [nested(JSON_DEPTH_MAX + 1), format!(r#"["\\",{}"#, "{".repeat(JSON_DEPTH_MAX)), "[{".repeat(100_000)] {
            assert!(check(text.as_bytes()).is_err());
        }
    }

    #[test]
    fn a_tree_is_reckoned_by_the_values_outside_strings() {
        let reckoned = |text: &str| tree(text.as_bytes()).ok();
        assert_eq!(reckoned(r#"{"a":[1,2],"b":",:[{"}"#), Some(22 + 7 * VALUE_BYTES));
        let many = |count: usize| format!("[{}0]", "0,".repeat(count));
        assert!(reckoned(&many(JSON_VALUES_MAX - 2)).is_some() && reckoned(&many(JSON_VALUES_MAX - 1)).is_none());
    }

    #[test]
    fn names_are_looked_at_where_they_are_names() {
        for (text, good) in [
            (r#"{"a":1,"Model":"m"}"#, false),
            (r#"{"a":{"b":[1,2]},"Model":"m"}"#, false),
            (r#"{"stream_options":{"x":0,"Include_Usage":false}}"#, false),
            (r#"{"a":"Model","b":["Model","Include_Usage"],"c":{"Model":1,"d":"Include_Usage","e":["Include_Usage"]}}"#, true),
            (r#"{"a":[{"Include_Usage":1}],"b":{"c":{"Include_Usage":1}}}"#, true),
            (r#"["Model","Include_Usage"]"#, true),
            (r#"{""#, true),
            (r#"{"Model"#, true),
        ] {
            assert_eq!(check(text.as_bytes()).is_ok(), good, "{text}");
        }
    }
}
