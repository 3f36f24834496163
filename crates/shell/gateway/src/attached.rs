//! What a prompt carries beside its text, such as images: many bytes, of which a model makes few tokens.
//!
//! Only what stands where a call has attachments is one. Everywhere else, in a text or the arguments of a tool, a model reads base64 as the
//! text that it is, and pays for all of it.

use std::fmt;
use std::ops::AddAssign;

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

/// How much longer a prompt is than what counts of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Over {
    pub all: usize,
    /// Of these, bytes of PDFs and other files. How many pages one has doesn't show, and each is read as its text and as an image: Anthropic says
    /// 1,500 to 3,000 tokens and an image of some 1,600. Where base64 counts as text that is a page of 18 kB of it, which few pages are below.
    pub documents: usize,
}

impl Over {
    /// What is attached as this medium.
    fn of(media: &str, all: usize) -> Self {
        let is_document = !["image", "audio", "video"].iter().any(|kind| media.starts_with(kind));
        Self { all, documents: if is_document { all } else { 0 } }
    }
}

impl AddAssign for Over {
    fn add_assign(&mut self, more: Self) {
        self.all += more.all;
        self.documents += more.documents;
    }
}

/// How much longer a prompt is than what counts of it. What can't be read, or is said in other letters, counts whole.
pub(crate) fn over_in(prompt: &str) -> Over {
    let says = |what: &str| memmem::find(prompt.as_bytes(), what.as_bytes()).is_some();
    // Most have none, and are not read again.
    if prompt.len() <= COUNTS_AS || !says(MARKER) && !says("\"data\"") { Over::default() } else { list(prompt, LEVELS) }
}

/// What is over in a list of messages or parts; a text has none.
fn list(text: &str, levels: usize) -> Over {
    if levels == 0 || !text.starts_with('[') {
        return Over::default();
    }
    serde_json::Deserializer::from_str(text).deserialize_seq(Parts(levels - 1)).unwrap_or_default()
}

/// Sums over the parts of a list, which have lists themselves down to that many levels; one part is held at a time.
struct Parts(usize);

impl<'de> Visitor<'de> for Parts {
    type Value = Over;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of parts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Over, A::Error> {
        let mut over = Over::default();
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
    fn over(&self, levels: usize) -> Over {
        let mut over = Over::default();
        // OpenAI's responses have the URL itself, its chats an object with it.
        let url = |raw| Holder::read(raw).map_or(Some(raw), |holder| holder.url);
        let seen_or_heard = [self.image_url, self.audio_url, self.video_url].into_iter().flatten().filter_map(url).map(in_url);
        let audio = self.input_audio.and_then(|raw| Holder::read(raw)?.data).map(|data| in_field(data).max(in_url(data)));
        over.all += seen_or_heard.chain(audio).sum::<usize>();
        let file = self.file.and_then(|raw| Holder::read(raw)?.file_data);
        for file in self.document_url.and_then(url).into_iter().chain(self.file_data).chain(file) {
            over += data_url(file).map_or_else(Over::default, |(media, base64)| Over::of(media, over_of(base64)));
        }
        let source = self.source.and_then(Holder::read);
        over += source.as_ref().map_or_else(Over::default, Holder::sourced);
        for parts in [self.content, self.output, source.and_then(|source| source.content)].into_iter().flatten() {
            over += list(parts.get(), levels);
        }
        over
    }
}

impl<'a> Holder<'a> {
    fn read(raw: &'a RawValue) -> Option<Self> {
        if raw.get().starts_with('{') { serde_json::from_str(raw.get()).ok() } else { None }
    }

    /// Anthropic's images and documents; the `data` of a document of type `text` is its text.
    fn sourced(&self) -> Over {
        let is_base64 = self.r#type.is_some_and(|kind| kind.get() == "\"base64\"");
        let media = self.media_type.map(|media| media.get().trim_start_matches('"')).filter(|media| is_base64 && is_no_text(media));
        media.zip(self.data).map_or_else(Over::default, |(media, data)| Over::of(media, in_field(data)))
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

/// The medium of a data URL that is no text, and its base64.
fn data_url(raw: &RawValue) -> Option<(&str, &str)> {
    let data = raw.get().strip_prefix("\"data:").and_then(|rest| rest.split_once(MARKER));
    data.filter(|(media, _)| is_no_text(media))
}

/// What is over in a data URL.
fn in_url(raw: &RawValue) -> usize {
    data_url(raw).map_or(0, |(_, base64)| over_of(base64))
}

/// What is over in a string that is base64 and nothing else.
fn in_field(raw: &RawValue) -> usize {
    raw.get().strip_prefix('"').map_or(0, over_of)
}

/// How much longer base64 is, up to the quote that closes its string, than what counts of it; nothing where it is something else.
fn over_of(base64: &str) -> usize {
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
        let over = over_in(&prompt);
        assert_eq!(over.all, times * (long.len() - COUNTS_AS), "{}", &prompt[..80.min(prompt.len())]);
        let is_document = ["pdf", "\"file"].iter().any(|word| prompt.contains(word));
        assert_eq!(over.documents, if is_document { over.all } else { 0 }, "{}", &prompt[..80.min(prompt.len())]);
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
        let small = said(r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}"#);
        assert_eq!(over_in(&small), Over::default());
        let pictures = r#"{"type":"file","file":{"file_data":"data:image/png;base64,BASE64"}}"#.replace("BASE64", &"A".repeat(7_000));
        assert_eq!(over_in(&said(&pictures)), Over { all: 1_000, documents: 0 }, "it is a picture, whatever it is called");
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
