//! The names of fields that some parsers read whatever their case. A request is never routed by one field and answered by another.

use std::borrow::Cow;

use crate::envelope::Refused;

/// Fields of a body that decide where it goes, what it may take and what is metered.
const ROUTED: [&str; 29] = [
    "model",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "n_predict",
    "n",
    "best_of",
    "tools",
    "response_format",
    "logprobs",
    "service_tier",
    "messages",
    "prompt",
    "input",
    "instructions",
    "text",
    "store",
    "system",
    "output_config",
    "previous_response_id",
    "background",
    "web_search_options",
    "mcp_servers",
    "speed",
    "inference_geo",
    "modalities",
    "audio",
];
/// One level below.
const ROUTED_WITHIN: [&str; 1] = ["include_usage"];

/// Refuses a name that differs from a routed one by its case only, as Go's parser takes it for the same. `name` is as it stands between its
/// quotes, at that depth.
pub(crate) fn check(name: &[u8], depth: usize) -> Result<(), Refused> {
    if name.iter().all(|byte| !byte.is_ascii_uppercase() && *byte != b'\\' && byte.is_ascii()) {
        return Ok(());
    }
    let quoted = [b"\"", name, b"\""].concat();
    // What can't be read is refused by who reads it.
    let Ok(name) = serde_json::from_slice::<Cow<'_, str>>(&quoted) else { return Ok(()) };
    let folded: String = name.chars().map(fold).collect();
    let routed = if depth == 1 { ROUTED.as_slice() } else { &ROUTED_WITHIN };
    match routed.iter().find(|routed| **routed == folded && **routed != name) {
        Some(routed) => Err(Refused::invalid(
            routed,
            format!("'{name}' is '{routed}' in other letters, which some servers take for the same. Please write '{routed}'."),
        )),
        None => Ok(()),
    }
}

/// The letter that Go's parser takes it for.
fn fold(letter: char) -> char {
    match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_parser_takes_for_a_routed_field_is_refused() {
        for (name, depth, good) in [
            ("model", 1, true),
            ("Model", 1, false),
            ("MAX_TOKENS", 1, false),
            (r"\u004dodel", 1, false),
            (r"\u006dodel", 1, true),
            ("me\u{17f}sages", 1, false),
            ("max_to\u{212a}ens", 1, false),
            ("Models", 1, true),
            ("größe", 1, true),
            (r"\ud800", 1, true),
            ("Model", 2, true),
            ("Include_Usage", 2, false),
            ("include_usage", 2, true),
        ] {
            assert_eq!(check(name.as_bytes(), depth).is_ok(), good, "{name} at {depth}");
        }
    }

    #[test]
    fn the_refusal_says_what_was_written_and_what_to_write() {
        let refused = check(br"\u004dodel", 1).expect_err("it is taken for the same");
        let body = String::from_utf8(refused.body().to_vec()).expect("text");
        assert!(body.contains("'Model' is 'model' in other letters") && body.contains("Please write 'model'."), "{body}");
    }
}
