//! Bytes of a journal: frames whole and torn, and payloads that are records.

use dispatch::Record;

use super::count_whole_frames;
use super::frame::{Decoded, HEAD_BYTES, Head, encode};
use crate::entry::Entry;

/// A record that can be read is written, read and written again as the same bytes; of a frame that is cut or followed by anything, nothing else
/// is read.
pub fn journal(bytes: &[u8]) {
    let here = count_whole_frames(bytes);
    assert!(here * HEAD_BYTES <= bytes.len(), "frames don't overlap");
    let Ok(record) = postcard::from_bytes::<Record>(bytes) else { return };
    // What is booked of it says as much as it does.
    drop(Entry::of(&record));
    let Ok(frame) = encode(&record) else { return };
    let read = read(&frame);
    assert_eq!(read.as_ref(), Some(&record), "what is written is read");
    assert_eq!(read.and_then(|record| encode(&record).ok()).as_ref(), Some(&frame), "and written again as it was");
    assert_eq!(count_whole_frames(&[&frame, bytes].concat()), 1 + here, "what follows is read by itself");
    // Its own bytes may look like frames.
    let within = count_whole_frames(&frame[HEAD_BYTES..frame.len() - 1]);
    assert_eq!(count_whole_frames(&frame[..frame.len() - 1]), within, "a cut frame is none");
}

/// The record of a frame.
fn read(frame: &[u8]) -> Option<Record> {
    let (head, payload) = frame.split_first_chunk::<HEAD_BYTES>()?;
    let head = Head::read(head)?;
    if head.length() != payload.len() || !head.matches(payload) {
        return None;
    }
    match head.decode(payload).ok()? {
        Decoded::Whole(record) => Some(record),
        Decoded::Read(read) => read.with(None),
    }
}
