//! What is refused of every response, whoever answers it: what would have to be remembered, and tools that run elsewhere.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::extras::Tool;
use crate::responses::refuse;
use crate::{Unsupported, extras};

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    store: Option<&'a RawValue>,
    #[serde(borrow, default)]
    background: Option<&'a RawValue>,
    #[serde(borrow, default)]
    previous_response_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    conversation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
}

/// The name of the model that a body asks for, if it can be read at all.
#[must_use]
pub fn model(body: &[u8]) -> Option<Cow<'_, str>> {
    #[derive(Deserialize)]
    struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
    let fields: Fields<'_> = serde_json::from_slice(body).ok()?;
    serde_json::from_str::<Name<'_>>(fields.model?.get()).ok().map(|name| name.0)
}

/// Refuses what needs an earlier response to be remembered, and tools that run at the supplier.
///
/// # Errors
/// With the name of the first such field.
pub fn stateless(body: &[u8]) -> Result<(), Unsupported> {
    let fields = match serde_json::from_slice::<Fields<'_>>(body) {
        Ok(fields) => fields,
        // Two readers might each take another.
        Err(error) if error.is_data() => return refuse(twice(&error), "It is given twice, or its object can't be read."),
        // What is no JSON is told by whoever reads the whole of it.
        Err(_) => return Ok(()),
    };
    if is_set(fields.store, "store")? {
        return refuse("store", "Responses are not stored here: send 'store': false.");
    }
    if is_set(fields.background, "background")? {
        return refuse("background", "Responses are not run in the background here; use a batch for work that can wait.");
    }
    let remembered =
        [("previous_response_id", fields.previous_response_id), ("conversation", fields.conversation), ("prompt", fields.prompt)];
    for (param, raw) in remembered {
        if raw.is_some() {
            return refuse(param, format!("'{param}' refers to what is stored at OpenAI; send the whole input instead."));
        }
    }
    extras::check_tools("tools", fields.tools, runs_at_client)?;
    // Items of the input may bring tools too; an input that is a text is none.
    let items = fields.input.filter(|raw| raw.get().starts_with('['));
    extras::check_tools("input", items, |item| match item.kind() {
        Some("additional_tools" | "tool_search_output") => extras::check_tools("tools", item.tools, runs_at_client).is_ok(),
        _ => true,
    })
}

/// Whether a tool runs at the client, so that it is paid for by the token alone. What may run in either place says where.
fn runs_at_client(tool: &Tool<'_>) -> bool {
    #[derive(Deserialize)]
    struct Environment<'a> {
        #[serde(borrow)]
        r#type: Cow<'a, str>,
    }
    match tool.kind() {
        Some("function" | "custom" | "local_shell" | "apply_patch" | "computer" | "computer_use_preview") => true,
        Some("tool_search") => tool.execution.is_some_and(|raw| raw.get() == "\"client\""),
        Some("shell") => {
            let environment = tool.environment.and_then(|raw| serde_json::from_str::<Environment<'_>>(raw.get()).ok());
            environment.is_some_and(|environment| environment.r#type == "local")
        }
        Some("namespace") => {
            let is_named = |tool: &Tool<'_>| matches!(tool.kind(), Some("function" | "custom"));
            extras::check_tools("tools", tool.tools, is_named).is_ok()
        }
        _ => false,
    }
}

/// What a flag says. Another value than true or false might be read as either by a supplier.
fn is_set(raw: Option<&RawValue>, name: &str) -> Result<bool, Unsupported> {
    match raw.map(RawValue::get) {
        Some("true") => Ok(true),
        Some("false") | None => Ok(false),
        Some(_) => refuse(name, format!("'{name}' should be true or false.")),
    }
}

/// The field that an error says is there twice.
fn twice(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("duplicate field `").and_then(|rest| rest.split('`').next()).unwrap_or("body").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, param: Option<&str>) {
        assert_eq!(stateless(body.as_bytes()).err().map(|refused| refused.param).as_deref(), param, "{body}");
    }

    #[test]
    fn what_needs_memory_or_runs_elsewhere_is_refused_by_name() {
        check(r#"{"store":false,"background":false,"previous_response_id":null,"tools":[{"type":"function"},{"type":"custom"}]}"#, None);
        check(r#"{"store":true}"#, Some("store"));
        check(r#"{"background":true}"#, Some("background"));
        for strange in ["1", "0", r#""true""#, r#""false""#, "[]", "{}"] {
            check(&format!(r#"{{"store":{strange}}}"#), Some("store"));
            check(&format!(r#"{{"store":false,"background":{strange}}}"#), Some("background"));
        }
        check(r#"{"store":null,"background":null}"#, None);
        check(r#"{"previous_response_id":"resp_1"}"#, Some("previous_response_id"));
        check(r#"{"conversation":"conv_1"}"#, Some("conversation"));
        check(r#"{"prompt":{"id":"pmpt_1"}}"#, Some("prompt"));
        check(r#"{"tools":[{"type":"function"},{"type":"web_search"}]}"#, Some("tools[1].type"));
        check(r#"{"tools":[{}]}"#, Some("tools[0].type"));
        for unread in [r#"[{"type":"web_search","type":"web_search"}]"#, r#"[{"type":7}]"#, r#"["web_search"]"#, r#"{"type":"web_search"}"#]
        {
            check(&format!(r#"{{"tools":{unread}}}"#), Some("tools"));
        }
        check(r#"{"tools":null,"input":"x"}"#, None);
        check(r#"{"background":true,"background":true}"#, Some("background"));
        check(r#"{"conversation":"conv_1","c\u006fnversation":null}"#, Some("conversation"));
        check("nonsense", None);
    }

    #[test]
    fn tools_that_run_at_the_client_pass_and_those_that_may_run_elsewhere_say_where() {
        let tool = |tool: &str, passes: bool| {
            let param = (!passes).then_some("tools[1].type");
            check(&format!(r#"{{"tools":[{{"type":"function","name":"f"}},{tool}]}}"#), param);
        };
        for kind in ["local_shell", "apply_patch", "computer", "computer_use_preview"] {
            tool(&format!(r#"{{"type":"{kind}","display_width":1024}}"#), true);
        }
        for (more, passes) in
            [(r#","execution":"client""#, true), (r#","execution":"server""#, false), ("", false), (r#","execution":7"#, false)]
        {
            tool(&format!(r#"{{"type":"tool_search"{more}}}"#), passes);
        }
        for (environment, passes) in [
            (r#"{"type":"local","skills":[]}"#, true),
            (r#"{"type":"container_auto"}"#, false),
            (r#"{"type":"container_auto","type":"local"}"#, false),
            (r#""local""#, false),
            ("null", false),
        ] {
            tool(&format!(r#"{{"type":"shell","environment":{environment}}}"#), passes);
        }
        tool(r#"{"type":"shell"}"#, false);
        for (tools, passes) in [
            (r#"[{"type":"function","name":"g"},{"type":"custom","name":"h"}]"#, true),
            (r#"[{"type":"function","name":"g"},{"type":"web_search"}]"#, false),
            (r#"[{"type":"namespace","tools":[]}]"#, false),
            ("7", false),
        ] {
            tool(&format!(r#"{{"type":"namespace","name":"n","tools":{tools}}}"#), passes);
        }
    }

    #[test]
    fn tools_that_the_input_brings_are_looked_at_too() {
        let item = |item: &str, param: Option<&str>| check(&format!(r#"{{"input":[{{"role":"user","content":"x"}},{item}]}}"#), param);
        for kind in ["additional_tools", "tool_search_output"] {
            item(&format!(r#"{{"type":"{kind}","tools":[{{"type":"function","name":"f"}}]}}"#), None);
            item(&format!(r#"{{"type":"{kind}","tools":[{{"type":"web_search"}}]}}"#), Some("input[1].type"));
            item(&format!(r#"{{"type":"{kind}","tools":[],"tools":[]}}"#), Some("input"));
        }
        item(r#"{"type":"function_call_output","output":"x","tools":[{"type":"web_search"}]}"#, None);
        check(r#"{"input":"tools"}"#, None);
        check(r#"{"input":7}"#, None);
    }

    #[test]
    fn the_model_is_found_with_its_escapes_read() {
        assert_eq!(model(br#"{"input":"x","model":"a\u0062"}"#).as_deref(), Some("ab"));
        assert_eq!(model(br#"{"model":7}"#), None);
        assert_eq!(model(b"[]"), None);
    }
}
