//! Streams, whole, cut into pieces anywhere, and cut short anywhere.

use dialect::anthropic::{Overhearing, Telling};
use dialect::{Foreign, Hearing, NoAnswer, Usage};
use proptest::prelude::*;
use serde_json::json;

use crate::told::{Told, about, hear, told};

const ANTHROPIC: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude\",\"usage\":",
    "{\"input_tokens\":11,\"cache_read_input_tokens\":5,\"cache_creation_input_tokens\":2,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"x\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"\u{e9}\u{1F600}!\"}}\r\n\r\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\":1}\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":3,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"g\",\"input\":{}}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":3}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":9}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

const GEMINI: &str = concat!(
    "data: {\"responseId\":\"r1\",\"modelVersion\":\"gem\",\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"hidden\",\"thought\":true}]}}]}\r\n\r\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\u{e9}\u{1F600}\"},{\"text\":\"!\"}]}}],\"usageMetadata\":{\"promptTokenCount\":18}}\r\n\r\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"id\":\"t1\",\"name\":\"f\",\"args\":{\"a\":1}}}]}}]}\r\n\r\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"id\":\"t2\",\"name\":\"g\"}}]},\"finishReason\":\"STOP\"}],",
    "\"usageMetadata\":{\"promptTokenCount\":18,\"cachedContentTokenCount\":5,\"candidatesTokenCount\":6,\"thoughtsTokenCount\":3}}\r\n\r\n",
);

/// What both say.
fn want() -> Told {
    let call = |id: &str, name: &str, arguments: &str| (id.to_owned(), name.to_owned(), arguments.to_owned());
    Told {
        text: "\u{e9}\u{1F600}!".to_owned(),
        calls: [(0, call("t1", "f", "{\"a\":1}")), (1, call("t2", "g", "{}"))].into(),
        finish: Some("tool_calls".to_owned()),
        usage: Some((18, 5, 9)),
        done: true,
    }
}

#[test]
fn a_stream_says_the_same_wherever_it_is_cut() {
    for (from, stream) in [(Foreign::Anthropic, ANTHROPIC), (Foreign::Gemini, GEMINI)] {
        let bytes = stream.as_bytes();
        let whole = hear(from, [bytes]).expect("a good stream");
        assert_eq!(told(&whole), want(), "{from:?}");
        assert_eq!(hear(from, bytes.chunks(1)), Ok(whole.clone()), "{from:?}, byte by byte");
        for at in 0..=bytes.len() {
            let (before, after) = bytes.split_at(at);
            assert_eq!(hear(from, [before, after]), Ok(whole.clone()), "{from:?}, cut at {at}");
        }
    }
}

#[test]
fn a_stream_cut_short_never_ends_well() {
    // Of Anthropic's last event only the empty line may be missing; Gemini's last has the end and everything else.
    for (from, stream) in [(Foreign::Anthropic, ANTHROPIC), (Foreign::Gemini, GEMINI)] {
        for at in 0..stream.len() {
            let heard = hear(from, [&stream.as_bytes()[..at]]).expect("what came is good");
            assert!(!told(&heard).done, "{from:?}, cut short at {at}");
        }
    }
}

/// What becomes of a stream that fails.
fn check(from: Foreign, stream: &str, want: NoAnswer) {
    assert_eq!(hear(from, [stream.as_bytes()]), Err(want), "{stream}");
}

#[test]
fn errors_in_a_stream_say_whether_another_may_do_better() {
    let anthropic = |kind: &str| format!("data: {{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\"message\":\"no\"}}}}\n\n");
    check(Foreign::Anthropic, &anthropic("overloaded_error"), NoAnswer::Overloaded);
    check(Foreign::Anthropic, &anthropic("rate_limit_error"), NoAnswer::Busy);
    check(Foreign::Anthropic, &anthropic("api_error"), NoAnswer::Failed);
    check(Foreign::Anthropic, "data: nonsense\n\n", NoAnswer::Unread);
    check(Foreign::Gemini, "data: {\"error\":{\"code\":503}}\n\n", NoAnswer::Overloaded);
    check(Foreign::Gemini, "data: {\"error\":{\"code\":429}}\n\n", NoAnswer::Busy);
    check(Foreign::Gemini, "data: {\"error\":{\"code\":500}}\n\n", NoAnswer::Failed);
    check(Foreign::Gemini, "data: nonsense\n\n", NoAnswer::Unread);
    check(Foreign::Gemini, &format!("data: {}", "x".repeat(dialect::EVENT_BYTES_MAX)), NoAnswer::Failed);
}

#[test]
fn a_model_that_fails_says_what_it_used() {
    for word in ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER"] {
        let end = |usage: &str| format!(r#"{{"candidates":[{{"finishReason":"{word}"}}]{usage}}}"#);
        let said = end(r#","usageMetadata":{"promptTokenCount":18,"thoughtsTokenCount":300}"#);
        let used = Some(Usage { input: 18, cached: 0, output: 300, reasoning: 300 });
        for (event, want) in [(end(""), NoAnswer::Fruitless(None)), (said, NoAnswer::Fruitless(used))] {
            check(Foreign::Gemini, &format!("data: {event}\n\n"), want);
            assert_eq!(Foreign::Gemini.answer(event.as_bytes(), &about()), Err(want), "{event}");
        }
    }
}

#[test]
fn nothing_is_told_before_the_first_content() {
    let (begin, _) = ANTHROPIC
        .split_at(ANTHROPIC.find("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1").expect("it is there"));
    assert_eq!(hear(Foreign::Anthropic, [begin.as_bytes()]).as_deref(), Ok(b": ping\n\n".as_slice()));
    let thought = &GEMINI[..GEMINI.find("\r\n\r\n").expect("several events") + 4];
    assert_eq!(hear(Foreign::Gemini, [thought.as_bytes()]).as_deref(), Ok(b"".as_slice()));
}

#[test]
fn who_passes_a_stream_on_hears_its_usage_and_its_end() {
    let mut ear = Overhearing::default();
    let heard: Vec<_> = ANTHROPIC
        .replace("\r\n", "\n")
        .split("\n\n")
        .filter_map(|event| event.split_once("data: "))
        .map(|(_, data)| ear.event(data.as_bytes()))
        .collect();
    assert_eq!(heard.iter().filter(|heard| heard.content).count(), 4);
    let [.., finish, done] = heard.as_slice() else { unreachable!("there are many") };
    assert!(finish.finish && !finish.done && done.done);
    assert_eq!(finish.reported, Some(Usage { input: 18, cached: 5, output: 9, reasoning: 0 }));
    assert!(ear.event(b"nonsense").error.is_some());
}

/// What is known of usage at the end of a stream of Messages with these two usages: by who passes it on, and by OpenAI's clients.
#[test]
fn usage_that_was_not_said_is_not_taken_for_none() {
    let check = |start: &str, last: &str, want: Option<(u64, u64, u64)>| {
        let start = format!(r#"{{"type":"message_start","message":{{"id":"m"{start}}}}}"#);
        let last = format!(r#"{{"type":"message_delta","delta":{{"stop_reason":"end_turn"}}{last}}}"#);
        let mut ear = Overhearing::default();
        _ = ear.event(start.as_bytes());
        let heard = ear.event(last.as_bytes());
        let counts = |usage: Usage| (usage.input.into(), usage.cached.into(), usage.output.into());
        assert_eq!((heard.finish, heard.reported.map(counts)), (true, want), "{start} {last}");
        let stream = format!("data: {start}\n\ndata: {last}\n\ndata: {{\"type\":\"message_stop\"}}\n\n");
        let told = told(&hear(Foreign::Anthropic, [stream.as_bytes()]).expect("a good stream"));
        assert_eq!((told.usage, told.done), (want, true), "{stream}");
    };
    let input = r#","usage":{"input_tokens":11,"output_tokens":1}"#;
    check(input, r#","usage":{"output_tokens":9}"#, Some((11, 0, 9)));
    check("", r#","usage":{"input_tokens":11,"output_tokens":9}"#, Some((11, 0, 9)));
    check(input, "", None);
    check(input, r#","usage":{}"#, None);
    check("", r#","usage":{"output_tokens":9}"#, None);
    check("", "", None);
}

/// A stream of Gemini's that is given up has cost what its last event says, thoughts included.
#[test]
fn what_was_used_so_far_is_known_before_the_end() {
    let check = |events: &[&str], want: Option<Usage>| {
        let (mut hearing, mut out) = (Hearing::new(Foreign::Gemini, about()), Vec::new());
        for usage in events {
            let event = format!(r#"data: {{"candidates":[{{"content":{{"parts":[{{"text":"x"}}]}}}}]{usage}}}"#);
            hearing.feed(format!("{event}\n\n").as_bytes(), &mut out).expect("a good stream");
        }
        assert_eq!(hearing.usage(), want, "{events:?}");
    };
    let prompt = r#","usageMetadata":{"promptTokenCount":18}"#;
    let thought = r#","usageMetadata":{"promptTokenCount":18,"thoughtsTokenCount":300}"#;
    let both = r#","usageMetadata":{"promptTokenCount":18,"candidatesTokenCount":4,"thoughtsTokenCount":300}"#;
    check(&[""], None);
    check(&[prompt], None);
    check(&[prompt, thought, ""], Some(Usage { input: 18, cached: 0, output: 300, reasoning: 300 }));
    check(&[thought, both], Some(Usage { input: 18, cached: 0, output: 304, reasoning: 300 }));
    check(&[r#","usageMetadata":{}"#], None);
}

/// Tells OpenAI's stream in Anthropic's words, in pieces, and hears it again.
fn there_and_back<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut telling, mut anthropic) = (Telling::new(about()), Vec::new());
    for piece in pieces {
        telling.feed(piece, &mut anthropic);
    }
    hear(Foreign::Anthropic, [anthropic.as_slice()]).expect("a good stream")
}

#[test]
fn what_anthropics_clients_are_told_means_the_same() {
    let openai = hear(Foreign::Anthropic, [ANTHROPIC.as_bytes()]).expect("a good stream");
    let whole = there_and_back([openai.as_slice()]);
    assert_eq!(told(&whole), want());
    for at in 0..=openai.len() {
        let (before, after) = openai.split_at(at);
        assert_eq!(there_and_back([before, after]), whole, "cut at {at}");
        assert!(at == openai.len() || !told(&there_and_back([before])).done, "cut short at {at}");
    }
}

/// The calls, by their ids and arguments, that Anthropic's clients are told of these deltas.
fn check_calls(deltas: &[serde_json::Value], want: &[(&str, &str)]) {
    let event = |delta: &serde_json::Value| format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":{delta}}}}}]}}\n\n");
    let stream: String = deltas.iter().map(event).chain(["data: [DONE]\n\n".to_owned()]).collect();
    let told = told(&there_and_back([stream.as_bytes()]));
    let calls: Vec<(&str, &str)> = told.calls.values().map(|(id, _, arguments)| (id.as_str(), arguments.as_str())).collect();
    assert_eq!(calls, want, "{stream}");
}

#[test]
fn calls_without_a_number_or_with_the_same_are_told_apart_by_their_ids() {
    let whole = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
    let numbered = |id: &str, arguments: &str| json!({"index": 0, "id": id, "function": {"name": "f", "arguments": arguments}});
    let two = [("a", "{\"x\":1}"), ("b", "{}")];
    let [a, b] = two.map(|(id, arguments)| whole(id, arguments));
    check_calls(&[json!([a, b])], &two);
    check_calls(&[json!([a]), json!([b])], &two);
    check_calls(&two.map(|(id, arguments)| json!([numbered(id, arguments)])), &two);
    let more = |more: serde_json::Value| json!([more]);
    let begun = json!([whole("a", "{\"x\":")]);
    check_calls(&[begun.clone(), more(json!({"function": {"arguments": "1}"}})), json!([b])], &two);
    check_calls(&[begun.clone(), more(json!({"id": "", "function": {"name": "", "arguments": "1}"}})), json!([b])], &two);
    // Some give each delta of a call an id of its own.
    check_calls(&[begun, more(json!({"index": 0, "id": "z", "function": {"arguments": "1}"}})), json!([b])], &two);
}

#[test]
fn a_failure_is_told_in_anthropics_words_and_nothing_after_it() {
    let (mut telling, mut out) = (Telling::new(about()), Vec::new());
    telling.feed(b"data: {\"error\":{\"message\":\"lost\",\"type\":\"server_error\"}}\n\ndata: [DONE]\n\n", &mut out);
    let text = String::from_utf8(out).expect("text");
    assert_eq!(text, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"lost\"}}\n\n");
    assert!(telling.is_over());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), gemini in any::<bool>(), sse in any::<bool>()) {
        let from = if gemini { Foreign::Gemini } else { Foreign::Anthropic };
        let stream = if sse { [b"data: ".as_slice(), &bytes, b"\n\n"].concat() } else { bytes };
        // That it is refused is fine too.
        _ = hear(from, [stream.as_slice()]).is_ok();
        _ = from.answer(&stream, &about()).is_ok();
        Telling::new(about()).feed(&stream, &mut Vec::new());
    }
}
