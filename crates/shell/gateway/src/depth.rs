//! How deep a body's JSON goes, before anything is made of it.

use memchr::memchr2;

use crate::envelope::Refused;
use crate::limits::JSON_DEPTH_MAX;

/// Refuses a body that goes deeper than the limit; whether it is JSON at all is for its reader to say.
pub(crate) fn check(body: &[u8]) -> Result<(), Refused> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = body.get(at) {
        at += 1;
        match byte {
            b'"' => at = string_end(body, at),
            b'[' | b'{' if depth == JSON_DEPTH_MAX => {
                return Err(Refused::bad_body(format!("The body of your request goes deeper than {JSON_DEPTH_MAX} levels.")));
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

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
}
