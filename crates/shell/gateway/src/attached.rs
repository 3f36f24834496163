//! What a prompt carries beside its text, such as images: many bytes, of which a model makes few tokens.

use memchr::memmem;

/// Whatever is attached counts as that much text: about 1,500 tokens, as a large image is to most models.
const COUNTS_AS: usize = 6_000;

/// How much longer a prompt is than what counts of it.
pub(crate) fn bytes(prompt: &str) -> usize {
    if prompt.len() <= COUNTS_AS {
        return 0;
    }
    // In a data URL, and as it stands in Anthropic's parts and in OpenAI's audio. In a string both would have their quotes escaped.
    let urls = memmem::find_iter(prompt.as_bytes(), b";base64,").map(|at| &prompt[at + b";base64,".len()..]);
    let fields = memmem::find_iter(prompt.as_bytes(), b"\"data\"").filter_map(|at| {
        let value = prompt[at + b"\"data\"".len()..].trim_start().strip_prefix(':')?;
        value.trim_start().strip_prefix('"')
    });
    urls.chain(fields).map(|rest| encoded(rest).saturating_sub(COUNTS_AS)).sum::<usize>().min(prompt.len())
}

/// How long the base64 is that `rest` begins with, up to the end of its string; nothing where it is something else. No further is looked
/// than the base64 goes, so however often a prompt says that some begins, it is read once.
fn encoded(rest: &str) -> usize {
    // A slash may be escaped.
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'\\');
    let length = rest.as_bytes().iter().take_while(|byte| is_base64(byte)).count();
    if rest.as_bytes().get(length) == Some(&b'"') { length } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_attached_counts_as_a_little_text() {
        let long = "A/b+".repeat(5_000);
        let over = long.len() - COUNTS_AS;
        for (prompt, expected) in [
            (format!(r#"[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{long}"}}}}]"#), over),
            (format!(r#"[{{"a":"data:image/png;base64,{long}"}},{{"b":"data:image/png;base64,{long}=="}}]"#), 2 * over + 2),
            (format!(r#"[{{"type":"base64","data" : "{long}"}}]"#), over),
            // A text, however it is wrapped.
            (format!(r#"[{{"data":"{long} and more"}}]"#), 0),
            (format!(r#"["data: \"{long}\""]"#), 0),
            (format!(r#"["see \"data\": \"{long}"]"#), 0),
            (long.clone(), 0),
            (format!(r#"["data:;base64,{long}"#), 0),
            (r#"["data:image/png;base64,AAAA"]"#.to_owned(), 0),
        ] {
            assert_eq!(bytes(&prompt), expected, "{}", &prompt[..40.min(prompt.len())]);
        }
    }

    /// Looked at to its end from each of these, it would take minutes.
    #[test]
    fn a_prompt_that_says_over_and_over_that_base64_begins_is_read_once() {
        for said in [";base64,", ";base64,A", "\"data\":\"", "\"data\":\";base64,", "\"data\" "] {
            let prompt = said.repeat((8 << 20) / said.len());
            let began = std::time::Instant::now();
            assert_eq!(bytes(&prompt), 0, "{said}");
            assert!(began.elapsed() < std::time::Duration::from_secs(10), "{said}");
        }
    }
}
