//! Bodies of calls: what is read of them, and that a spliced body says the same but for what was meant.

use bytes::Bytes;
use fleet::StreamUsage;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::peek::{Call, Peek, Streaming};
use crate::splice;

const CALLS: [Call; 5] = [Call::Chat, Call::Completions, Call::Messages, Call::Embeddings, Call::Responses];
/// What the upstream calls the model.
const THEIRS: &str = "their \"model\"";

/// A body that is taken says the same to the upstream but for the model's name, `stream_options`, `store` and `service_tier`.
///
/// The first byte says which call it is.
pub fn chat(bytes: &[u8]) {
    let Some((which, body)) = bytes.split_first() else { return };
    let (call, body) = (CALLS[usize::from(*which) % CALLS.len()], Bytes::copy_from_slice(body));
    let Ok(peek) = Peek::parse(call, &body) else { return };
    let named: Option<String> = body.get(peek.model_at.clone()).and_then(|text| serde_json::from_slice(text).ok());
    assert_eq!(named.as_deref(), Some(&*peek.model), "the model stands where it is said to");
    assert!(peek.context_bytes <= peek.prompt_bytes, "no context is longer than all that is asked");
    let spliced = splice::for_upstream(&body, &peek, THEIRS, StreamUsage::Asked);
    assert!(serde_json::from_slice::<&RawValue>(&spliced).is_ok(), "still JSON");
    // Numbers past what a float holds and halves of surrogates pass through; no tree can be made of them.
    let Ok(mut meant) = serde_json::from_slice::<Value>(&body) else { return };
    meant["model"] = json!(THEIRS);
    if matches!(peek.streaming, Streaming::AddUsage(_)) {
        if !meant["stream_options"].is_object() {
            meant["stream_options"] = json!({});
        }
        meant["stream_options"]["include_usage"] = json!(true);
    }
    if peek.unstored.is_some() {
        meant["store"] = json!(false);
    }
    if let Some(fields) = meant.as_object_mut().filter(|_| call != Call::Messages) {
        fields.remove("service_tier");
    }
    let said: Value = serde_json::from_slice(&spliced).unwrap_or_default();
    assert_eq!(said, meant, "nothing else changes");
    if let Some(fields) = meant.as_object_mut().filter(|_| call != Call::Messages) {
        fields.remove("stream_options");
    }
    let unasked = splice::for_upstream(&body, &peek, THEIRS, StreamUsage::Always);
    let unasked: Value = serde_json::from_slice(&unasked).expect("still JSON");
    assert_eq!(unasked, meant, "nothing else is left out");
    let again = Peek::parse(call, &spliced);
    assert!(again.is_ok_and(|again| again.model == THEIRS && again.prompt == peek.prompt), "it can be taken again, and asks the same");
}
