//! Changes a body by byte ranges: what is not changed passes through byte for byte.

use bytes::{Bytes, BytesMut};

use crate::peek::{Edit, Peek, Streaming};

/// The body as the upstream gets it: its own name for the model, and usage asked for.
pub(crate) fn for_upstream(body: &Bytes, peek: &Peek<'_>, model: &str) -> Bytes {
    let mut edits = Vec::with_capacity(2);
    if peek.model != model {
        let text = serde_json::to_string(model).expect("a string can always be written as JSON");
        edits.push(Edit { range: peek.model_at.clone(), text: text.into() });
    }
    if let Streaming::AddUsage(edit) = &peek.streaming {
        edits.push(edit.clone());
    }
    splice(body, edits)
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
