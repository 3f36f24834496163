//! How much a whole answer says, where its upstream doesn't say what it used: its text, its thoughts and its calls, and nothing of what
//! stands around them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Bytes of what was generated, in the choices of a chat, the items of a response or an answer of Messages. What is nested too deeply to be
/// read, and what comes behind it, counts no more.
pub(crate) fn bytes(json: &[u8]) -> usize {
    let mut bytes = 0;
    _ = Part { bytes: &mut bytes, is_said: false }.deserialize(&mut serde_json::Deserializer::from_slice(json));
    bytes
}

/// A value within an answer.
struct Part<'a> {
    bytes: &'a mut usize,
    /// Whether a string here was generated.
    is_said: bool,
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        *self.bytes += if self.is_said { text.len() } else { 0 };
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Part { bytes: self.bytes, is_said: self.is_said })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut thought = 0;
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            match key.as_ref() {
                "content" | "text" | "refusal" | "thinking" | "summary" | "name" | "arguments" => {
                    map.next_value_seed(Part { bytes: self.bytes, is_said: true })?;
                }
                // The same thought under several names, for clients that know one of them.
                "reasoning" | "reasoning_content" | "reasoning_details" => {
                    let mut bytes = 0;
                    map.next_value_seed(Part { bytes: &mut bytes, is_said: true })?;
                    thought = thought.max(bytes);
                }
                // What a tool is called with: text, or JSON that was generated as such.
                "input" => *self.bytes += map.next_value::<&RawValue>()?.get().len(),
                "message" | "tool_calls" | "function" | "function_call" | "custom" => {
                    map.next_value_seed(Part { bytes: self.bytes, is_said: false })?;
                }
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        *self.bytes += thought;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, want: usize) {
        assert_eq!(bytes(json.as_bytes()), want, "{json}");
    }

    #[test]
    fn what_was_generated_counts_and_nothing_else() {
        check(r#"[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]"#, 5);
        check(r#"[{"text":"he\"llo\u00e9","logprobs":{"tokens":["a"],"text":"b"}},{"text":"x"}]"#, 9);
        let logprobs = r#"{"content":[{"token":"hello","logprob":-0.1,"bytes":[104],"top_logprobs":[{"token":"hello"}]}]}"#;
        check(&format!(r#"[{{"logprobs":{logprobs},"message":{{"content":"hello","refusal":null}}}}]"#), 5);
        check(r#"[{"message":{"content":[{"type":"text","text":"ab"}],"reasoning":"thought","reasoning_content":"thought"}}]"#, 9);
        check(
            r#"[{"message":{"content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]}}]"#,
            3,
        );
        // Of a response, and of Messages.
        check(
            r#"[{"type":"reasoning","summary":[{"type":"summary_text","text":"so"}],"encrypted_content":"xyz"},{"type":"message","content":[{"type":"output_text","text":"hi","annotations":[{"title":"t"}]}]}]"#,
            4,
        );
        check(
            r#"{"id":"m","model":"x","content":[{"type":"thinking","thinking":"so","signature":"s"},{"type":"tool_use","id":"t","name":"f","input":{"a":1}}]}"#,
            10,
        );
        for nothing in ["[]", "[1]", "null", "", "\"text\"", r#"[{"message":{"content":null}}]"#] {
            check(nothing, 0);
        }
    }

    #[test]
    fn what_stands_too_deep_ends_the_count() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        check(&format!(r#"[{{"message":{{"content":"hello"}}}},{{"message":{{"content":{deep}}}}},{{"text":"no"}}]"#), 5);
    }
}
