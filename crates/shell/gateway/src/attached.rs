//! What a prompt carries beside its text, such as images: many bytes, of which a model makes few tokens.
//!
//! Only what stands where a call has attachments is one. Everywhere else, in a text or the arguments of a tool, a model reads base64 as the
//! text that it is, and pays for all of it.

use std::fmt;

use memchr::memmem;
use serde::Deserialize;
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Whatever is attached counts as that much text: about 1,500 tokens, as a large image is to most models.
const COUNTS_AS: usize = 6_000;
/// Messages have parts, and those that are results of tools have parts again.
const LEVELS: usize = 3;
/// What stands before the base64 of a data URL.
const MARKER: &str = ";base64,";

/// How much longer a prompt is than what counts of it. What can't be read, or is said in other letters, counts whole.
pub(crate) fn bytes(prompt: &str) -> usize {
    let says = |what: &str| memmem::find(prompt.as_bytes(), what.as_bytes()).is_some();
    // Most have none, and are not read again.
    if prompt.len() <= COUNTS_AS || !says(MARKER) && !says("\"data\"") { 0 } else { list(prompt, LEVELS) }
}

/// What is over in a list of messages or parts; a text has none.
fn list(text: &str, levels: usize) -> usize {
    if levels == 0 || !text.starts_with('[') {
        return 0;
    }
    serde_json::Deserializer::from_str(text).deserialize_seq(Parts(levels - 1)).unwrap_or(0)
}

/// Sums over the parts of a list, which have lists themselves down to that many levels; one part is held at a time.
struct Parts(usize);

impl<'de> Visitor<'de> for Parts {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of parts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<usize, A::Error> {
        let mut over = 0;
        while let Some(part) = parts.next_element::<Part<'de>>()? {
            over += part.over(self.0);
        }
        Ok(over)
    }
}

/// A message, an item or a part of one, as far as something may be attached to it.
#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output: Option<&'a RawValue>,
    #[serde(borrow, default)]
    image_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    audio_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    video_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    document_url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    file_data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    file: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input_audio: Option<&'a RawValue>,
    #[serde(borrow, default)]
    source: Option<&'a RawValue>,
}

/// What an attachment stands in.
#[derive(Deserialize)]
struct Holder<'a> {
    #[serde(borrow, default)]
    r#type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    media_type: Option<&'a RawValue>,
    /// Of a document that is made of parts itself.
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    file_data: Option<&'a RawValue>,
}

impl Part<'_> {
    fn over(&self, levels: usize) -> usize {
        let lists = [self.content, self.output].into_iter().flatten().map(|raw| list(raw.get(), levels));
        let urls =
            [self.image_url, self.audio_url, self.video_url, self.document_url].into_iter().flatten().map(|raw| match Holder::read(raw) {
                // OpenAI's responses have the URL itself, its chats an object with it.
                Some(holder) => holder.url.map_or(0, in_url),
                None => in_url(raw),
            });
        let file = self.file.and_then(|raw| Holder::read(raw)?.file_data);
        let files = self.file_data.into_iter().chain(file).map(in_url);
        let audio = self.input_audio.and_then(|raw| Holder::read(raw)?.data).map_or(0, |data| in_field(data).max(in_url(data)));
        let source = self
            .source
            .and_then(Holder::read)
            .map_or(0, |source| source.sourced() + source.content.map_or(0, |content| list(content.get(), levels)));
        lists.chain(urls).chain(files).sum::<usize>() + audio + source
    }
}

impl<'a> Holder<'a> {
    fn read(raw: &'a RawValue) -> Option<Self> {
        if raw.get().starts_with('{') { serde_json::from_str(raw.get()).ok() } else { None }
    }

    /// Anthropic's images and documents; the `data` of a document of type `text` is its text.
    fn sourced(&self) -> usize {
        let is_base64 = self.r#type.is_some_and(|kind| kind.get() == "\"base64\"");
        let is_media = self.media_type.is_some_and(|media| is_no_text(media.get().trim_start_matches('"')));
        self.data.filter(|_| is_base64 && is_media).map_or(0, in_field)
    }
}

/// Whether a medium is one that models make tokens of by its size or length, or isn't said where only such a one can stand. Of a text in base64,
/// as some take it, they read every word.
fn is_no_text(media: &str) -> bool {
    // A slash may be escaped.
    let kinds =
        ["image", "audio", "video", "application/pdf", r"application\/pdf", "application/octet-stream", r"application\/octet-stream"];
    media.is_empty() || kinds.iter().any(|kind| media.starts_with(kind))
}

/// What is over in a data URL.
fn in_url(raw: &RawValue) -> usize {
    let data = raw.get().strip_prefix("\"data:").and_then(|rest| rest.split_once(MARKER));
    data.filter(|(media, _)| is_no_text(media)).map_or(0, |(_, base64)| over(base64))
}

/// What is over in a string that is base64 and nothing else.
fn in_field(raw: &RawValue) -> usize {
    raw.get().strip_prefix('"').map_or(0, over)
}

/// How much longer base64 is, up to the quote that closes its string, than what counts of it; nothing where it is something else.
fn over(base64: &str) -> usize {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'\\');
    let text = base64.strip_suffix('"').unwrap_or_default();
    if text.bytes().all(is_base64) { text.len().saturating_sub(COUNTS_AS) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much is over in a prompt whose `BASE64` is so many bytes, beyond what it counts as.
    fn check(prompt: &str, times: usize) {
        let long = "A/b+".repeat(5_000);
        let prompt = prompt.replace("BASE64", &long);
        assert_eq!(bytes(&prompt), times * (long.len() - COUNTS_AS), "{}", &prompt[..80.min(prompt.len())]);
    }

    #[test]
    fn what_is_attached_counts_as_a_little_text() {
        let said = |part: &str| format!(r#"[{{"role":"user","content":[{{"type":"text","text":"see"}},{part}]}}]"#);
        for part in [
            r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,BASE64"}}"#,
            r#"{"type":"image_url","image_url" : { "detail":"low", "url" : "data:image\/png;base64,BASE64" } }"#,
            r#"{"type":"video_url","video_url":{"url":"data:video/mp4;base64,BASE64"}}"#,
            r#"{"type":"audio_url","audio_url":{"url":"data:audio/wav;base64,BASE64"}}"#,
            r#"{"type":"input_audio","input_audio":{"data":"BASE64","format":"wav"}}"#,
            r#"{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,BASE64"}}"#,
            r#"{"type":"input_image","image_url":"data:image/png;base64,BASE64"}"#,
            r#"{"type":"input_file","file_data":"data:application\/pdf;base64,BASE64"}"#,
            r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"BASE64"}}"#,
            r#"{"type":"document","source":{"data" : "BASE64","type":"base64","media_type":"application/pdf"}}"#,
            r#"{"type":"input_audio","input_audio":{"data":"data:;base64,BASE64","format":"mp3"}}"#,
            r#"{"type":"document_url","document_url":"data:application/pdf;base64,BASE64"}"#,
            r#"{"type":"video_url","video_url":{"url":"data:application/octet-stream;base64,BASE64"}}"#,
            r#"{"type":"document","source":{"type":"content","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"BASE64"}}]}}"#,
            r#"{"type":"search_result","source":"here"},{"type":"tool_result","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"BASE64"}}]}"#,
        ] {
            check(&said(part), 1);
            check(&said(&format!("{part},{part}")), 2);
        }
        check(r#"[{"type":"function_call_output","output":[{"type":"input_image","image_url":"data:image/png;base64,BASE64"}]}]"#, 1);
        assert_eq!(bytes(&said(r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}"#)), 0, "it is small");
    }

    #[test]
    fn what_a_model_reads_as_text_counts_whole() {
        for prompt in [
            r#"[{"role":"user","content":";base64,BASE64"}]"#,
            r#"[{"role":"user","content":"data:image/png;base64,BASE64"}]"#,
            r#"[{"role":"user","content":[{"type":"text","text":"data:image/png;base64,BASE64"}]}]"#,
            r#"[{"role":"user","content":[{"type":"input_text","text":";base64,BASE64"}]}]"#,
            r#"[{"role":"user","content":"x","data":"BASE64"}]"#,
            r#"[{"role":"user","content":"x","name":"data:image/png;base64,BASE64"}]"#,
            r#"[{"role":"user","content":"{\"image_url\":{\"url\":\"data:image/png;base64,BASE64\"}}"}]"#,
            // Arguments of tools, and what they answered.
            r#"[{"role":"assistant","content":[{"type":"tool_use","input":{"data":"BASE64"}}]}]"#,
            r#"[{"role":"assistant","content":[{"type":"tool_use","input":{"image_url":{"url":"data:image/png;base64,BASE64"}}}]}]"#,
            r#"[{"role":"assistant","tool_calls":[{"function":{"image_url":{"url":"data:image/png;base64,BASE64"}}}]}]"#,
            r#"[{"type":"function_call_output","output":"data:image/png;base64,BASE64"}]"#,
            // Texts in base64, and a text that is said to be data.
            r#"[{"content":[{"image_url":{"url":"data:text/plain;base64,BASE64"}}]}]"#,
            r#"[{"content":[{"type":"file","file":{"file_data":"data:text/csv;base64,BASE64"}}]}]"#,
            r#"[{"content":[{"type":"document","source":{"type":"text","media_type":"text/plain","data":"BASE64"}}]}]"#,
            r#"[{"content":[{"type":"image","source":{"type":"base64","media_type":"text/plain","data":"BASE64"}}]}]"#,
            // No base64 to its end, and what is no data.
            r#"[{"content":[{"image_url":{"url":"data:image/png;base64,BASE64 and more"}}]}]"#,
            r#"[{"content":[{"image_url":{"url":"https://example.com/?;base64,BASE64"}}]}]"#,
            // Said twice, or cut off: nobody knows what it is.
            r#"[{"content":[{"image_url":{"url":"x"},"image_url":{"url":"data:image/png;base64,BASE64"}}]}]"#,
            r#"[{"content":[{"image_url":{"url":"data:image/png;base64,BASE64"#,
            r#"["data:image/png;base64,BASE64"]"#,
            r#""data:image/png;base64,BASE64""#,
            "BASE64",
        ] {
            check(prompt, 0);
        }
    }

    #[test]
    fn no_prompt_goes_too_deep() {
        let part = r#"{"image_url":"data:image/png;base64,BASE64"}"#;
        let nested = |levels: usize| format!("{}[{part}]{}", r#"[{"content":"#.repeat(levels), "}]".repeat(levels));
        check(&nested(LEVELS - 1), 1);
        check(&nested(LEVELS), 0);
    }
}
