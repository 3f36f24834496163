//! Events, wherever their bytes were cut, and what is heard of them.

use std::collections::VecDeque;

use bytes::Bytes;
use fleet::Dialect;

use crate::peek::Call;
use crate::spoken::Ear;
use crate::sse::{Splitter, Verdict, data};
use crate::translate::Passage;

/// What a stream came to: events judged, bytes that went on, and whether an event is unfinished.
type Fed = (Vec<Vec<u8>>, Vec<u8>, bool);

/// Events end at empty lines, and cuts make no difference; what is heard of any event stops nothing.
///
/// The first byte says how long the pieces are.
pub fn sse(bytes: &[u8]) {
    let Some((piece, stream)) = bytes.split_first() else { return };
    let whole = feed([stream].into_iter());
    assert_eq!(whole, feed(stream.chunks(usize::from(*piece).max(1))), "cuts make a difference");
    assert_eq!(whole, by_lines(stream), "events are what lines say");
    for event in &whole.0 {
        let Some(data) = data(event) else { continue };
        for call in [Call::Chat, Call::Completions, Call::Messages, Call::Embeddings, Call::Responses] {
            for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
                let mut ear = Ear::of(call, Passage::of(call, dialect));
                let (first, again) = (ear.hear(&data), Ear::of(call, Passage::of(call, dialect)).hear(&data));
                assert_eq!(first.reported, again.reported, "an event says one thing");
                assert!(!first.usage_only || first.reported.is_some(), "usage that is not there is not stripped");
            }
        }
    }
}

/// What is kept from the client in these runs.
fn verdict(event: &[u8]) -> Verdict {
    if memchr::memmem::find(event, b"strip").is_some() { Verdict::Strip } else { Verdict::Forward }
}

fn feed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Fed {
    let (mut splitter, mut out, mut events) = (Splitter::default(), VecDeque::new(), Vec::new());
    for piece in pieces {
        let judge = &mut |event: &[u8]| {
            events.push(event.to_vec());
            verdict(event)
        };
        if splitter.feed(Bytes::copy_from_slice(piece), &mut out, judge).is_err() {
            break;
        }
    }
    (events, out.into_iter().flatten().collect(), splitter.is_mid_event())
}

/// The same, a line at a time.
fn by_lines(stream: &[u8]) -> Fed {
    let (mut events, mut went, mut event) = (Vec::new(), Vec::new(), Vec::new());
    for line in stream.split_inclusive(|byte| *byte == b'\n') {
        event.extend_from_slice(line);
        if matches!(line, b"\n" | b"\r\n") {
            let ended = std::mem::take(&mut event);
            if verdict(&ended) == Verdict::Forward {
                went.extend_from_slice(&ended);
            }
            events.push(ended);
        }
    }
    let unfinished = !event.is_empty();
    (events, went, unfinished)
}
