//! Server-sent events: finds where events end, however the bytes were cut on their way.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::limits::EVENT_MAX;

/// An event was longer than [`EVENT_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Whether an event goes on to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Forward,
    Strip,
}

/// Splits a byte stream into events. An event ends at an empty line; lines end in LF or CRLF.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// The beginning of an event whose end has not come yet.
    partial: BytesMut,
    scan: Scan,
}

/// How far the partial event has been looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    line: usize,
    seen: usize,
}

impl Scan {
    /// The end of the next event in `bytes`.
    fn next_end(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(found) = memchr::memchr(b'\n', &bytes[self.seen..]) {
            let end = self.seen + found;
            let empty = matches!(&bytes[self.line..end], b"" | b"\r");
            (self.line, self.seen) = (end + 1, end + 1);
            if empty {
                return Some(end + 1);
            }
        }
        self.seen = bytes.len();
        None
    }
}

impl Splitter {
    /// Takes what came, shows each whole event to `judge`, and queues what goes on: neighbours in one piece, uncopied.
    pub fn feed(&mut self, came: Bytes, out: &mut VecDeque<Bytes>, judge: &mut dyn FnMut(&[u8]) -> Verdict) -> Result<(), TooLong> {
        let gathered = !self.partial.is_empty();
        let (ends, scan) = if gathered {
            self.partial.extend_from_slice(&came);
            ends(&self.partial, self.scan)
        } else {
            ends(&came, Scan::default())
        };
        let whole = ends.last().copied().unwrap_or(0);
        let events = if gathered {
            self.partial.split_to(whole).freeze()
        } else {
            self.partial.extend_from_slice(&came[whole..]);
            came.slice(..whole)
        };
        self.scan = Scan { line: scan.line - whole, seen: scan.seen - whole };
        forward(&events, &ends, out, judge);
        if self.partial.len() > EVENT_MAX { Err(TooLong) } else { Ok(()) }
    }

    /// Whether an event has begun and not ended.
    pub fn is_mid_event(&self) -> bool {
        !self.partial.is_empty()
    }
}

fn ends(bytes: &[u8], mut scan: Scan) -> (Vec<usize>, Scan) {
    let mut ends = Vec::new();
    while let Some(end) = scan.next_end(bytes) {
        ends.push(end);
    }
    (ends, scan)
}

fn forward(events: &Bytes, ends: &[usize], out: &mut VecDeque<Bytes>, judge: &mut dyn FnMut(&[u8]) -> Verdict) {
    let mut run: Range<usize> = 0..0;
    for end in ends {
        let event = run.end..*end;
        match judge(&events[event.clone()]) {
            Verdict::Forward => run.end = event.end,
            Verdict::Strip => {
                out.extend((!run.is_empty()).then(|| events.slice(run)));
                run = event.end..event.end;
            }
        }
    }
    out.extend((!run.is_empty()).then(|| events.slice(run)));
}

/// The data of an event: its `data:` lines, joined.
pub(crate) fn data(event: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
    let mut lines = event.split(|byte| *byte == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line).strip_prefix(b"data:")?;
        Some(line.strip_prefix(b" ").unwrap_or(line))
    });
    let first = lines.next()?;
    let Some(second) = lines.next() else { return Some(first.into()) };
    let mut joined = [first, b"\n", second].concat();
    for line in lines {
        joined.push(b'\n');
        joined.extend_from_slice(line);
    }
    Some(joined.into())
}
