//! What suppliers bill beside tokens, which no contract here has a price for: refused, as nobody would meter it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::Unsupported;

/// Refuses what runs at the supplier of a chat completion, and an answer that is spoken, whose tokens have prices of their own.
///
/// # Errors
/// With the name of the first such field.
pub fn of_chat(
    tools: Option<&RawValue>,
    web_search_options: Option<&RawValue>,
    modalities: Option<&RawValue>,
    audio: Option<&RawValue>,
) -> Result<(), Unsupported> {
    check_tools("tools", tools, |tool| tool.kind().is_none_or(|kind| matches!(kind, "function" | "custom")))?;
    if is_said(web_search_options) {
        return elsewhere("web_search_options", "a search");
    }
    let is_text = |raw: &RawValue| serde_json::from_str::<[&str; 1]>(raw.get()).is_ok_and(|only| only == ["text"]);
    if is_said(modalities.filter(|raw| !is_text(raw))) {
        return priced_otherwise("modalities", "[\"text\"]");
    }
    if is_said(audio) { priced_otherwise("audio", "left out") } else { Ok(()) }
}

/// Refuses what runs at the supplier of Anthropic's Messages, and a speed or a place that is billed at other prices.
///
/// # Errors
/// With the name of the first such field.
pub fn of_messages(
    tools: Option<&RawValue>,
    mcp_servers: Option<&RawValue>,
    speed: Option<&RawValue>,
    inference_geo: Option<&RawValue>,
) -> Result<(), Unsupported> {
    // Those that search among the tools themselves are paid for by the token alone.
    let by_version = ["bash_", "text_editor_", "computer_", "browser_toolset_", "memory_", "tool_search_tool_"];
    check_tools("tools", tools, |tool| {
        tool.kind().is_none_or(|kind| kind == "custom" || by_version.iter().any(|name| kind.starts_with(name)))
    })?;
    if is_said(mcp_servers.filter(|raw| serde_json::from_str::<[IgnoredAny; 0]>(raw.get()).is_err())) {
        return elsewhere("mcp_servers", "tools");
    }
    if is_said(speed.filter(|raw| raw.get() != "\"standard\"")) {
        return priced_otherwise("speed", "'standard'");
    }
    if is_said(inference_geo.filter(|raw| raw.get() != "\"global\"")) {
        return priced_otherwise("inference_geo", "'global'");
    }
    Ok(())
}

fn is_said(raw: Option<&RawValue>) -> bool {
    raw.is_some_and(|raw| raw.get() != "null")
}

fn priced_otherwise(param: &str, wanted: &str) -> Result<(), Unsupported> {
    let message = format!("'{param}' should be {wanted}: anything else is billed at prices that are not known here.");
    Err(Unsupported { param: param.to_owned(), message })
}

fn elsewhere(param: &str, what: &str) -> Result<(), Unsupported> {
    let message = format!("'{param}' asks for {what} that would run at the supplier and not here.");
    Err(Unsupported { param: param.to_owned(), message })
}

/// Refuses a list of tools, the field `field`, with one that does not run at the client.
pub(crate) fn check_tools(field: &str, tools: Option<&RawValue>, runs_at_client: impl Fn(&Tool<'_>) -> bool) -> Result<(), Unsupported> {
    let Some(tools) = tools.filter(|raw| raw.get() != "null") else { return Ok(()) };
    // What isn't understood here might be by the supplier.
    let Ok(found) = serde_json::Deserializer::from_str(tools.get()).deserialize_seq(Tools(runs_at_client)) else {
        let message = format!("'{field}' should be an array of objects, each with one 'type'.");
        return Err(Unsupported { param: field.to_owned(), message });
    };
    let Some((index, kind)) = found else { return Ok(()) };
    let param = format!("{field}[{index}].type");
    let message = format!("'{param}' is '{kind}': such tools run at the supplier and not here.");
    Err(Unsupported { param, message })
}

/// What a tool says of where it runs.
#[derive(Deserialize)]
pub(crate) struct Tool<'a> {
    #[serde(borrow, default)]
    r#type: Option<Cow<'a, str>>,
    /// Who runs a search among tools.
    #[serde(borrow, default)]
    pub execution: Option<&'a RawValue>,
    /// Where a shell runs.
    #[serde(borrow, default)]
    pub environment: Option<&'a RawValue>,
    /// What is grouped under one name.
    #[serde(borrow, default)]
    pub tools: Option<&'a RawValue>,
}

impl Tool<'_> {
    /// Its type, which may be unsaid.
    pub fn kind(&self) -> Option<&str> {
        self.r#type.as_deref()
    }
}

/// Finds the first tool that does not run at the client, and its type; one is held at a time.
struct Tools<F>(F);

impl<'de, F: Fn(&Tool<'_>) -> bool> Visitor<'de> for Tools<F> {
    type Value = Option<(usize, String)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tools")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut tools: A) -> Result<Self::Value, A::Error> {
        let (mut found, mut index) = (None, 0);
        while let Some(tool) = tools.next_element::<Tool<'de>>()? {
            if found.is_none() && !(self.0)(&tool) {
                found = Some((index, tool.r#type.unwrap_or_default().into_owned()));
            }
            index += 1;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    fn refused(checked: Result<(), Unsupported>) -> String {
        checked.map_or_else(|refused| refused.param, |()| "-".to_owned())
    }

    #[test]
    fn tools_that_run_at_the_supplier_are_refused_by_name() {
        let check = |tools: &str, chat: &str, messages: &str| {
            let tools = raw(tools);
            let got = (refused(of_chat(Some(&tools), None, None, None)), refused(of_messages(Some(&tools), None, None, None)));
            assert_eq!((got.0.as_str(), got.1.as_str()), (chat, messages), "{tools}");
        };
        for nothing in ["null", "[]", r#"[{"name":"f","input_schema":{"type":"object"}}]"#, r#"[{"type":"custom"},{"type":null}]"#] {
            check(nothing, "-", "-");
        }
        check(r#"[{"type":"function"},{"type":"custom"}]"#, "-", "tools[0].type");
        for kind in [
            "bash_20250124",
            "text_editor_20250728",
            "computer_20250124",
            "memory_20250818",
            "tool_search_tool_bm25_20251119",
            "browser_toolset_20260801",
        ] {
            check(&format!(r#"[{{"name":"f"}},{{"type":"{kind}","name":"x"}}]"#), "tools[1].type", "-");
        }
        for kind in ["web_search_20250305", "web_fetch_20250910", "code_execution_20250522", "mcp_toolset", "web_search", ""] {
            check(&format!(r#"[{{"type":"custom"}},{{"type":"{kind}"}},{{"type":"x"}}]"#), "tools[1].type", "tools[1].type");
        }
        check(r#"[{"type":"custom","typ\u0065":"web_search_20250305"}]"#, "tools", "tools");
        for unread in [r#"["web_search"]"#, r#"{"type":"web_search"}"#, r#"[{"type":7}]"#] {
            check(unread, "tools", "tools");
        }
    }

    #[test]
    fn what_is_billed_beside_tokens_is_refused_by_name() {
        let chat = |options: &str| refused(of_chat(None, Some(&raw(options)), None, None));
        assert_eq!(["null", "{}", r#"{"search_context_size":"low"}"#].map(chat), ["-", "web_search_options", "web_search_options"]);
        let servers = |servers: &str| refused(of_messages(None, Some(&raw(servers)), None, None));
        assert_eq!(["null", "[]", r#"[{"type":"url","url":"u"}]"#].map(servers), ["-", "-", "mcp_servers"]);
        let speed = |speed: &str| refused(of_messages(None, None, Some(&raw(speed)), None));
        assert_eq!(["null", r#""standard""#, r#""fast""#].map(speed), ["-", "-", "speed"]);
        let place = |place: &str| refused(of_messages(None, None, None, Some(&raw(place))));
        assert_eq!(["null", r#""global""#, r#""us""#].map(place), ["-", "-", "inference_geo"]);
        let spoken = |kinds: &str, audio: &str| refused(of_chat(None, None, Some(&raw(kinds)), Some(&raw(audio))));
        for (kinds, audio, want) in [
            ("null", "null", "-"),
            (r#"[ "text" ]"#, "null", "-"),
            (r#"["text","audio"]"#, "null", "modalities"),
            (r#"["audio"]"#, r#"{"voice":"alloy"}"#, "modalities"),
            (r#"["text"]"#, r#"{"voice":"alloy"}"#, "audio"),
            (r#""text""#, "null", "modalities"),
        ] {
            assert_eq!(spoken(kinds, audio), want, "{kinds} {audio}");
        }
    }
}
