//! OpenAI's request told in another dialect and read back: messages, tools and everything else are kept, byte for byte where it matters.

use dialect::openai::Most;
use dialect::{anthropic, openai};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::gemini;

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z \"\\\\\n]{1,12}", Just("\u{e9}\u{1F600}\u{2028}".to_owned()), Just("{\"type\":\"tool_use\"}".to_owned())]
}

/// Arguments as a model may write them: spaces, large numbers and the order of keys are its own.
const WRITTEN: [&str; 3] = ["{}", "{\"z\": 1.0,  \"a\":123456789012345678901234567890}", "{ \"x\" : [1e400, -0.0, \"\\u00e9\"] }"];
/// Arguments that the tests' own reader of Gemini writes again as they were.
const PLAIN: [&str; 2] = ["{}", "{\"z\":1.0,\"a\":[2,\"x\"]}"];

fn user() -> impl Strategy<Value = Value> {
    let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    prop_oneof![
        text().prop_map(|text| json!({"role": "user", "content": text})),
        (text(), text()).prop_map(move |(one, two)| {
            json!({"role": "user", "content": [{"type": "text", "text": one}, picture, {"type": "text", "text": two}]})
        }),
    ]
}

/// What the model said, and what its tools answered.
fn turn(arguments: &'static [&'static str]) -> impl Strategy<Value = Vec<Value>> {
    let calls = prop::collection::vec(("[a-z]{1,6}", prop::sample::select(arguments), text()), 0..3);
    (prop::option::of(text()), calls, 0..1000_u32).prop_map(|(said, calls, number)| {
        let id = |index: usize| format!("call_{number}_{index}");
        let made: Vec<Value> = calls
            .iter()
            .enumerate()
            .map(|(index, (name, arguments, _))| {
                json!({"id": id(index), "type": "function", "function": {"name": name, "arguments": arguments}})
            })
            .collect();
        let said = said.or_else(|| made.is_empty().then(|| "nothing".to_owned()));
        let mut message = json!({"role": "assistant", "content": said});
        if !made.is_empty() {
            message["tool_calls"] = made.into();
        }
        let results =
            calls.iter().enumerate().map(|(index, (.., text))| json!({"role": "tool", "tool_call_id": id(index), "content": text}));
        std::iter::once(message).chain(results).collect()
    })
}

fn messages(arguments: &'static [&'static str]) -> impl Strategy<Value = Vec<Value>> {
    let system = text().prop_map(|text| json!({"role": "system", "content": text}));
    (prop::option::of(system), prop::collection::vec((user(), turn(arguments)), 0..4), user()).prop_map(|(system, turns, last)| {
        let turns = turns.into_iter().flat_map(|(user, turn)| std::iter::once(user).chain(turn));
        system.into_iter().chain(turns).chain(std::iter::once(last)).collect()
    })
}

/// What else a request may say that both other dialects have a word for.
fn settings() -> impl Strategy<Value = Map<String, Value>> {
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "description": "d", "parameters": {"type": "object", "x": 1.0}}});
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    let said = [
        ("max_tokens", json!(77)),
        ("stop", json!(["a", "b"])),
        ("temperature", json!(0.25)),
        ("top_p", json!(0.5)),
        ("reasoning_effort", json!("low")),
        ("tools", json!([tool("f"), tool("g")])),
        ("response_format", json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": true}})),
        ("stream", json!(true)),
    ];
    let choices = vec![json!("auto"), json!("none"), json!("required"), json!({"type": "function", "function": {"name": "f"}})];
    (prop::sample::subsequence(said.to_vec(), 0..=8), prop::option::of(prop::sample::select(choices))).prop_map(|(said, choice)| {
        let mut fields: Map<String, Value> = said.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        if let Some(choice) = choice.filter(|_| fields.contains_key("tools")) {
            fields.insert("tool_choice".to_owned(), choice);
        }
        if fields.contains_key("stream") {
            fields.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        fields
    })
}

fn request(mut fields: Map<String, Value>, messages: Vec<Value>) -> Value {
    fields.insert("model".to_owned(), json!("m"));
    fields.insert("messages".to_owned(), messages.into());
    fields.into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn by_way_of_anthropic(fields in settings(), messages in messages(&WRITTEN), parallel in any::<bool>()) {
        let mut request = request(fields, messages);
        request["user"] = json!("u");
        if parallel && request.get("tool_choice").is_some_and(|choice| choice != "none") {
            request["parallel_tool_calls"] = json!(false);
        }
        let before = request.to_string();
        let there = anthropic::write(&openai::read(&before).expect("it can be said")).expect("it can be said").body("m", 77);
        let there = String::from_utf8(there).expect("JSON is text");
        let read = anthropic::read(&there).expect("what we write we can read");
        let back: Value = serde_json::from_slice(&openai::write(&read).expect("it can be said").body("m", Most::Tokens)).expect("JSON");
        // Messages must have a most of tokens.
        request["max_tokens"] = json!(77);
        prop_assert_eq!(back, request);
    }

    #[test]
    fn by_way_of_gemini(fields in settings(), messages in messages(&PLAIN)) {
        let request = request(fields, messages);
        let before = request.to_string();
        let there = dialect::gemini::write(&openai::read(&before).expect("it can be said")).expect("it can be said").body();
        let mut want = request;
        // These stand in the URL.
        for name in ["model", "stream", "stream_options"] {
            want.as_object_mut().expect("an object").remove(name);
        }
        prop_assert_eq!(gemini::as_openai(&there), want);
    }
}

#[test]
fn arguments_of_tools_keep_every_byte() {
    let arguments = "{ \"z\": 1.0,  \"a\":123456789012345678901234567890 }";
    let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}});
    let messages = json!([{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "c", "content": ""}]);
    let body = json!({"model": "m", "messages": messages}).to_string();
    let chat = openai::read(&body).expect("it can be said");
    for there in
        [anthropic::write(&chat).expect("it can be said").body("m", 1), dialect::gemini::write(&chat).expect("it can be said").body()]
    {
        let there = String::from_utf8(there).expect("text");
        assert!(there.contains(arguments), "{there}");
    }
}
