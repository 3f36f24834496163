//! What a stream of OpenAI's says, put together again.

use std::collections::BTreeMap;

use dialect::{About, Foreign, Hearing, NoAnswer};
use serde_json::Value;

/// What a stream has said.
#[derive(Debug, Default, PartialEq)]
pub struct Told {
    pub text: String,
    /// By index: id, name, arguments.
    pub calls: BTreeMap<u64, (String, String, String)>,
    pub finish: Option<String>,
    pub usage: Option<(u64, u64, u64)>,
    pub done: bool,
}

pub fn about() -> About {
    About { id: "answer-1".to_owned(), created: 7, model: "model-1".to_owned() }
}

/// Puts a stream of OpenAI's together.
pub fn told(stream: &[u8]) -> Told {
    let text = std::str::from_utf8(stream).expect("events are text");
    let mut told = Told::default();
    for data in text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")) {
        assert!(!told.done, "something comes after the end: {data}");
        if data == "[DONE]" {
            told.done = true;
            continue;
        }
        let chunk: Value = serde_json::from_str(data).expect("events are JSON");
        assert_eq!(chunk["object"], "chat.completion.chunk");
        if let Some(usage) = chunk["usage"].as_object() {
            let cached = &usage["prompt_tokens_details"]["cached_tokens"];
            let counts = [&usage["prompt_tokens"], cached, &usage["completion_tokens"]].map(|count| count.as_u64().expect("a count"));
            told.usage = Some(counts.into());
        }
        for choice in chunk["choices"].as_array().expect("choices") {
            told.text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
            for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                let (id, name, arguments) = told.calls.entry(call["index"].as_u64().expect("an index")).or_default();
                for (place, found) in [(id, &call["id"]), (name, &call["function"]["name"]), (arguments, &call["function"]["arguments"])] {
                    place.push_str(found.as_str().unwrap_or_default());
                }
            }
            told.finish = choice["finish_reason"].as_str().map(str::to_owned).or(told.finish);
        }
    }
    told
}

/// Hears a stream that comes in pieces, to its end.
pub fn hear<'a>(from: Foreign, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, NoAnswer> {
    let (mut hearing, mut out) = (Hearing::new(from, about()), Vec::new());
    for piece in pieces {
        hearing.feed(piece, &mut out)?;
    }
    hearing.end(&mut out);
    Ok(out)
}
