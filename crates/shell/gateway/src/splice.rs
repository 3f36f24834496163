//! Changes a body by byte ranges: what is not changed passes through byte for byte.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use fleet::StreamUsage;

use crate::peek::{Edit, Peek, Streaming};

/// The body as the upstream gets it: its own name for the model, and usage asked for, unless it refuses to be asked.
pub(crate) fn for_upstream(body: &Bytes, peek: &Peek<'_>, model: &str, usage: StreamUsage) -> Bytes {
    let mut edits = Vec::with_capacity(2);
    if peek.model != model {
        let text = serde_json::to_string(model).expect("a string can always be written as JSON");
        edits.push(Edit { range: peek.model_at.clone(), text: text.into() });
    }
    edits.extend(peek.unstored.clone());
    match (&peek.streaming, usage) {
        (Streaming::AddUsage(edit), StreamUsage::Asked) => edits.push(edit.clone()),
        // After what is put at the same place: of two edits there the empty range comes first.
        (_, StreamUsage::Always) => edits.extend(peek.options_at.as_ref().map(|value| without(body, value))),
        (Streaming::No | Streaming::WithUsage, StreamUsage::Asked) => {}
    }
    splice(body, edits)
}

/// Takes the field whose value stands there out of an object that has another one.
fn without(body: &[u8], value: &Range<usize>) -> Edit {
    let quote = |before: usize| body[..before].iter().rposition(|byte| *byte == b'"').unwrap_or(0);
    // A key can't have quotes in it that are not its own: it was read as this one.
    let key = quote(quote(value.start));
    let (before, after) = (body[..key].trim_ascii_end(), body[value.end..].trim_ascii_start());
    let range = match after.strip_prefix(b",") {
        Some(rest) => key..body.len() - rest.len(),
        None => before.len().saturating_sub(1)..value.end,
    };
    Edit { range, text: "".into() }
}

/// Applies edits whose ranges don't overlap.
fn splice(body: &Bytes, mut edits: Vec<Edit>) -> Bytes {
    if edits.is_empty() {
        return body.clone();
    }
    edits.sort_by_key(|edit| edit.range.start);
    let mut out = BytesMut::with_capacity(body.len() + edits.iter().map(|edit| edit.text.len()).sum::<usize>());
    let mut from = 0;
    for edit in &edits {
        out.extend_from_slice(&body[from..edit.range.start]);
        out.extend_from_slice(edit.text.as_bytes());
        from = edit.range.end;
    }
    out.extend_from_slice(&body[from..]);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::peek::Call;

    /// What the upstream gets for a body, when its name for the model is `upstream`.
    fn check(body: &str, want: &str) {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let peek = Peek::parse(Call::Chat, &bytes).expect("a good body");
        assert_eq!(for_upstream(&bytes, &peek, "upstream", StreamUsage::Asked), want, "{body}");
    }

    #[test]
    fn an_upstream_that_refuses_to_be_asked_for_usage_is_not_asked() {
        let check = |call: Call, body: &str, want: &str| {
            let bytes = Bytes::copy_from_slice(body.as_bytes());
            let peek = Peek::parse(call, &bytes).expect("a good body");
            assert_eq!(for_upstream(&bytes, &peek, "m", StreamUsage::Always), want, "{body}");
        };
        let stream = |options: &str| format!(r#"{{{options}"model":"m","messages":[{{"stream_options":1}}],"stream":true}}"#);
        for options in ["", r#""stream_options":{"include_usage":true},"#, "\"stream_opt\\u0069ons\" : null ,"] {
            check(Call::Chat, &stream(options), &stream(""));
        }
        let last = |options: &str| format!(r#"{{"messages":[],"stream":true,"model":"m"{options}}}"#);
        check(Call::Chat, &last(" , \n \"stream_options\": {\"include_usage\": false }"), &last(" "));
        let body = r#"{"stream_options":{},"model":"m","input":"x"}"#;
        check(Call::Responses, body, r#"{"store":false,"model":"m","input":"x"}"#);
    }

    #[test]
    fn only_the_named_ranges_change() {
        check(r#"{"model":"upstream","messages":[]}"#, r#"{"model":"upstream","messages":[]}"#);
        check("{ \"messages\":[] ,\n\"model\" : \"a\\u0041\" }", "{ \"messages\":[] ,\n\"model\" : \"upstream\" }");
        let stream = |options: &str| format!(r#"{{"stream":true,{options}"model":"m","messages":[{{"model":"inner"}}]}}"#);
        let want = |options: &str| stream(options).replace("\"m\"", "\"upstream\"");
        check(&stream(""), &want("").replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1));
        check(&stream(r#""stream_options":null,"#), &want(r#""stream_options":{"include_usage":true},"#));
        check(&stream(r#""stream_options":{ },"#), &want(r#""stream_options":{"include_usage":true },"#));
        check(&stream(r#""stream_options":{"x":1},"#), &want(r#""stream_options":{"include_usage":true,"x":1},"#));
        check(&stream(r#""stream_options":{"include_usage": false},"#), &want(r#""stream_options":{"include_usage": true},"#));
        check(&stream(r#""stream_options":{"include_usage":true},"#), &want(r#""stream_options":{"include_usage":true},"#));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
            prop::sample::select(vec!["model", "{", "\"", "\\", "\u{1F600}", "stream_options"]).prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((".{0,6}", inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// Writes an object with its keys in the given order, escapes and spaces as drawn.
    fn written(fields: &[(String, Value)], pretty: bool, escape: bool) -> String {
        let fields: Map<String, Value> = fields.iter().cloned().collect();
        let text = if pretty { serde_json::to_string_pretty(&fields) } else { serde_json::to_string(&fields) }.expect("JSON");
        // Any character may be written as an escape, also inside keys.
        if escape { text.replace("stream_options", "stream_opt\\u0069ons").replace("\"model\"", "\"\\u006dodel\"") } else { text }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn a_spliced_body_says_what_was_meant(
            others in prop::collection::vec(("[a-z\"\\\\ ]{1,8}", value()), 0..5),
            model in ".{1,12}",
            upstream in ".{1,12}",
            options in prop_oneof![
                Just(None),
                Just(Some(json!(null))),
                Just(Some(json!({}))),
                Just(Some(json!({"include_usage": false}))),
                Just(Some(json!({"include_usage": null}))),
                Just(Some(json!({"include_usage": true}))),
                Just(Some(json!({"include_obfuscation": true, "x": {"include_usage": false}}))),
            ],
            stream in any::<bool>(),
            at in 0..6_usize,
            (pretty, escape) in any::<(bool, bool)>(),
        ) {
            let routed = ["model", "stream", "stream_options", "messages", "n", "tools", "prompt", "logprobs"];
            let mut fields: Vec<(String, Value)> = others.into_iter().filter(|(key, _)| !routed.contains(&key.as_str())).collect();
            let ours = [("model", json!(model)), ("stream", json!(stream)), ("messages", json!([{"role": "user", "content": model}]))];
            let ours = ours.into_iter().chain(options.clone().map(|options| ("stream_options", options)));
            for (index, (key, value)) in ours.enumerate() {
                fields.insert((at + index).min(fields.len()), (key.to_owned(), value));
            }
            let body = Bytes::from(written(&fields, pretty, escape));
            let peek = Peek::parse(Call::Chat, &body).expect("a good body");
            let mut want: Value = serde_json::from_slice(&body).expect("JSON");
            want["model"] = json!(upstream);
            if stream {
                if !want["stream_options"].is_object() {
                    want["stream_options"] = json!({});
                }
                want["stream_options"]["include_usage"] = json!(true);
            }
            let spliced: Value = serde_json::from_slice(&for_upstream(&body, &peek, &upstream, StreamUsage::Asked)).expect("still JSON");
            prop_assert_eq!(spliced, want);
        }

        /// Tools, formats, settings and what nobody knows are the upstream's affair, in every call.
        #[test]
        fn every_call_passes_with_its_named_edits_only(
            others in prop::collection::vec(("[a-z_]{1,12}", value()), 0..6),
            call in prop::sample::select(vec![Call::Completions, Call::Embeddings, Call::Responses]),
            store in prop::sample::select(vec![None, Some(json!(null)), Some(json!(false))]),
            (pretty, at) in (any::<bool>(), 0..6_usize),
        ) {
            let routed = [
                "model", "stream", "stream_options", "n", "tools", "logprobs", "max_tokens", "max_completion_tokens", "response_format", "text",
                "service_tier", "messages", "prompt", "input", "instructions", "max_output_tokens", "store", "background",
                "previous_response_id", "conversation",
            ];
            let mut fields: Vec<(String, Value)> = others.into_iter().filter(|(key, _)| !routed.contains(&key.as_str())).collect();
            let store = store.filter(|_| call == Call::Responses);
            let tools = json!([{ "type": "function", "name": "f", "parameters": { "a": 1.5 } }]);
            let ours = [("model", json!("m")), (call.prompt(), json!("text")), ("seed", json!(7)), ("tools", tools), ("n", json!(1))];
            for (key, value) in ours.into_iter().chain(store.clone().map(|store| ("store", store))) {
                fields.insert(at.min(fields.len()), (key.to_owned(), value));
            }
            let body = Bytes::from(written(&fields, pretty, false));
            let peek = Peek::parse(call, &body).expect("a good body");
            prop_assert_eq!(for_upstream(&body, &peek, "m", StreamUsage::Asked) == body, call != Call::Responses || store == Some(json!(false)), "byte for byte");
            let mut want: Value = serde_json::from_slice(&body).expect("JSON");
            want["model"] = json!("upstream");
            if call == Call::Responses {
                want["store"] = json!(false);
            }
            let spliced: Value = serde_json::from_slice(&for_upstream(&body, &peek, "upstream", StreamUsage::Asked)).expect("still JSON");
            prop_assert_eq!(spliced, want);
        }

        #[test]
        fn a_routing_key_given_twice_is_refused(key in prop::sample::select(vec!["model", "stream", "stream_options", "max_tokens"]), escape in any::<bool>()) {
            let again = if escape { format!("\\u{:04x}{}", key.as_bytes()[0], &key[1..]) } else { key.to_owned() };
            let body = format!(r#"{{"messages":[],"{key}":null,"{again}":null}}"#);
            let refused = Peek::parse(Call::Chat, body.as_bytes()).expect_err("twice");
            prop_assert_eq!(refused.param.as_deref(), Some(key));
        }

        #[test]
        fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            // Bytes that happen to be a good body are fine too.
            for call in [Call::Chat, Call::Completions, Call::Embeddings, Call::Responses] {
                _ = Peek::parse(call, &body).is_ok();
            }
        }
    }
}
