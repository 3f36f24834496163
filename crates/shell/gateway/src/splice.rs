//! Changes a body by byte ranges: what is not changed passes through byte for byte.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use fleet::StreamUsage;

use crate::peek::{Edit, Peek, Streaming};

/// The body as the upstream gets it: its own name for the model, usage asked for, unless it refuses to be asked, and no class of service,
/// which is said to us.
pub(crate) fn for_upstream(body: &Bytes, peek: &Peek<'_>, model: &str, usage: StreamUsage) -> Bytes {
    let mut edits = Vec::with_capacity(3);
    if peek.model != model {
        let text = serde_json::to_string(model).expect("a string can always be written as JSON");
        edits.push(Edit { range: peek.model_at.clone(), text: text.into() });
    }
    edits.extend(peek.unstored.clone());
    if let (Streaming::AddUsage(edit), StreamUsage::Asked) = (&peek.streaming, usage) {
        edits.push(edit.clone());
    }
    let options = peek.options_at.clone().filter(|_| usage == StreamUsage::Always);
    // After what is put at the same place: of two edits there the empty range comes first.
    edits.extend(without(body, options.into_iter().chain(peek.tier_at.clone()).collect()));
    splice(body, edits)
}

/// Takes the fields whose values stand there out of an object that has others.
fn without(body: &[u8], mut values: Vec<Range<usize>>) -> Vec<Edit> {
    values.sort_by_key(|value| value.start);
    let mut runs: Vec<Range<usize>> = Vec::with_capacity(values.len());
    for value in values {
        let key = key_of(body, &value);
        let after = body[value.end..].trim_ascii_start().strip_prefix(b",");
        let end = after.map_or(value.end, |rest| body.len() - rest.len());
        match runs.last_mut() {
            Some(run) if body[run.end..key].trim_ascii().is_empty() => run.end = end,
            _ => runs.push(key..end),
        }
    }
    for run in &mut runs {
        // Behind the last field there is no comma: the one before goes with it.
        if !body[..run.end].ends_with(b",") {
            run.start = body[..run.start].trim_ascii_end().len().saturating_sub(1);
        }
    }
    runs.into_iter().map(|range| Edit { range, text: "".into() }).collect()
}

/// Where the key of the field begins whose value stands there.
fn key_of(body: &[u8], value: &Range<usize>) -> usize {
    let quote = |before: usize| body[..before].iter().rposition(|byte| *byte == b'"').unwrap_or(0);
    // A key can't have quotes in it that are not its own: it was read as this one.
    quote(quote(value.start))
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
    fn the_class_of_service_is_said_to_us_alone() {
        let check = |call: Call, body: &str, want: &str, usage: StreamUsage| {
            let bytes = Bytes::copy_from_slice(body.as_bytes());
            let peek = Peek::parse(call, &bytes).expect("a good body");
            assert_eq!(for_upstream(&bytes, &peek, "m", usage), want, "{body}");
        };
        for tier in ["\"auto\"", "\"default\"", "\"flex\"", "\"priority\"", "\"scale\"", "null"] {
            let body = format!(r#"{{"model":"m","service_tier": {tier} , "messages":[{{"service_tier":"flex"}}]}}"#);
            check(Call::Chat, &body, r#"{"model":"m", "messages":[{"service_tier":"flex"}]}"#, StreamUsage::Asked);
        }
        let first = r#"{ "service_ti\u0065r":"flex", "model":"m","prompt":"x"}"#;
        check(Call::Completions, first, r#"{  "model":"m","prompt":"x"}"#, StreamUsage::Asked);
        let last = r#"{"model":"m","input":"x" , "service_tier" : "flex" }"#;
        check(Call::Embeddings, last, r#"{"model":"m","input":"x"  }"#, StreamUsage::Asked);
        let stored = r#"{"service_tier":"priority","store":null,"model":"m","input":"x"}"#;
        check(Call::Responses, stored, r#"{"store":false,"model":"m","input":"x"}"#, StreamUsage::Asked);
        let unstored = r#"{"service_tier":"priority","model":"m","input":"x"}"#;
        check(Call::Responses, unstored, r#"{"store":false,"model":"m","input":"x"}"#, StreamUsage::Asked);
        let messages = r#"{"model":"m","max_tokens":1,"messages":[],"service_tier":"standard_only"}"#;
        check(Call::Messages, messages, messages, StreamUsage::Asked);
        // Beside options that go too, in whatever order and place.
        let (tier, options) = (r#""service_tier":"flex""#, r#""stream_options":{"include_usage":true}"#);
        for (one, two) in [(tier, options), (options, tier)] {
            let model = r#""model":"m","messages":[],"stream":true"#;
            let want = format!("{{{model}}}");
            for body in [format!("{{{one},{two},{model}}}"), format!("{{{model},{one},{two}}}"), format!("{{{one},{model},{two}}}")] {
                check(Call::Chat, &body, &want, StreamUsage::Always);
            }
            let between = format!(r#"{{"stream":true,{one} , {two},"messages":[],"model":"m"}}"#);
            check(Call::Chat, &between, r#"{"stream":true,"messages":[],"model":"m"}"#, StreamUsage::Always);
            let apart = format!(r#"{{"stream":true,{one},"messages":[],{two},"model":"m"}}"#);
            check(Call::Chat, &apart, r#"{"stream":true,"messages":[],"model":"m"}"#, StreamUsage::Always);
        }
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
            (pretty, escape, always) in any::<(bool, bool, bool)>(),
            tier in prop::sample::select(vec![None, Some(json!(null)), Some(json!("flex"))]),
        ) {
            let usage = if always { StreamUsage::Always } else { StreamUsage::Asked };
            let routed = ["model", "stream", "stream_options", "messages", "n", "tools", "prompt", "logprobs"];
            let mut fields: Vec<(String, Value)> = others.into_iter().filter(|(key, _)| !routed.contains(&key.as_str())).collect();
            let ours = [("model", json!(model)), ("stream", json!(stream)), ("messages", json!([{"role": "user", "content": model}]))];
            let ours = ours.into_iter().chain(options.clone().map(|options| ("stream_options", options)));
            let ours = ours.chain(tier.map(|tier| ("service_tier", tier)));
            for (index, (key, value)) in ours.enumerate() {
                fields.insert((at + index).min(fields.len()), (key.to_owned(), value));
            }
            let body = Bytes::from(written(&fields, pretty, escape));
            let peek = Peek::parse(Call::Chat, &body).expect("a good body");
            let mut want: Value = serde_json::from_slice(&body).expect("JSON");
            want["model"] = json!(upstream);
            let fields = want.as_object_mut().expect("an object");
            fields.shift_remove("service_tier");
            if always {
                fields.shift_remove("stream_options");
            } else if stream {
                if !want["stream_options"].is_object() {
                    want["stream_options"] = json!({});
                }
                want["stream_options"]["include_usage"] = json!(true);
            }
            let spliced: Value = serde_json::from_slice(&for_upstream(&body, &peek, &upstream, usage)).expect("still JSON");
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
