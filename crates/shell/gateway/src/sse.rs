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

/// The byte order mark that a stream may begin with, as far as it may still come: it is no part of the first event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(&'static [u8]);

impl Default for Mark {
    fn default() -> Self {
        Self("\u{feff}".as_bytes())
    }
}

impl Mark {
    /// What came, without the mark. Half a mark is nothing that an event begins with, so it may go too.
    pub fn strip(&mut self, came: &Bytes) -> Bytes {
        let marked = came.iter().zip(self.0).take_while(|(byte, mark)| byte == mark).count();
        self.0 = if marked < came.len() { &[] } else { self.0.get(marked..).unwrap_or_default() };
        came.slice(marked..)
    }
}

/// Splits a byte stream into events. An event ends at an empty line; lines end in LF or CRLF.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// The beginning of an event whose end has not come yet.
    partial: BytesMut,
    scan: Scan,
    /// Where the events end that came last: kept for its room.
    ends: Vec<usize>,
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
        let scan = if gathered {
            self.partial.extend_from_slice(&came);
            find_ends(&self.partial, self.scan, &mut self.ends)
        } else {
            find_ends(&came, Scan::default(), &mut self.ends)
        };
        let whole = self.ends.last().copied().unwrap_or(0);
        let events = if gathered {
            self.partial.split_to(whole).freeze()
        } else {
            self.partial.extend_from_slice(&came[whole..]);
            came.slice(..whole)
        };
        self.scan = Scan { line: scan.line - whole, seen: scan.seen - whole };
        forward(&events, &self.ends, out, judge);
        if self.partial.len() > EVENT_MAX { Err(TooLong) } else { Ok(()) }
    }

    /// Whether an event has begun and not ended.
    pub fn is_mid_event(&self) -> bool {
        !self.partial.is_empty()
    }
}

fn find_ends(bytes: &[u8], mut scan: Scan, ends: &mut Vec<usize>) -> Scan {
    ends.clear();
    while let Some(end) = scan.next_end(bytes) {
        ends.push(end);
    }
    scan
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
    let mut lines = lines(event).filter_map(|line| {
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

/// What stands before, between and behind line feeds.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut from, mut ends) = (0, memchr::memchr_iter(b'\n', text).chain([text.len()]));
    std::iter::from_fn(move || {
        let end = ends.next()?;
        let line = &text[from..end];
        from = end + 1;
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds `stream` cut at `cuts`; gives the events that were judged and the bytes that went on.
    fn run(stream: &[u8], cuts: &[usize], strip: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>, bool) {
        let (mut splitter, mut out, mut events) = (Splitter::default(), VecDeque::new(), Vec::new());
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).chain([0, stream.len()]).collect();
        places.sort_unstable();
        for pair in places.windows(2) {
            let judge = &mut |event: &[u8]| {
                events.push(event.to_vec());
                if memchr::memmem::find(event, strip).is_some() { Verdict::Strip } else { Verdict::Forward }
            };
            splitter.feed(Bytes::copy_from_slice(&stream[pair[0]..pair[1]]), &mut out, judge).expect("short events");
        }
        (events, out.into_iter().flatten().collect(), splitter.is_mid_event())
    }

    fn check(stream: &str, events: usize, forwarded: &str, mid_event: bool) {
        let (judged, went, mid) = run(stream.as_bytes(), &[], b"strip");
        assert_eq!((judged.len(), String::from_utf8_lossy(&went).as_ref(), mid), (events, forwarded, mid_event), "{stream:?}");
    }

    #[test]
    fn events_end_at_empty_lines() {
        check("data: a\n\ndata: b\n\n", 2, "data: a\n\ndata: b\n\n", false);
        check("data: a\r\n\r\ndata: b\r\n\r\n", 2, "data: a\r\n\r\ndata: b\r\n\r\n", false);
        check("data: a\n\ndata: strip\n\ndata: c\n\n", 3, "data: a\n\ndata: c\n\n", false);
        check("data: a\n\ndata: b\n", 1, "data: a\n\n", true);
        check(": comment\n\n", 1, ": comment\n\n", false);
        check("", 0, "", false);
    }

    #[test]
    fn one_mark_before_the_first_event_is_stripped_wherever_it_is_cut() {
        let check = |pieces: &[&[u8]], want: &[u8]| {
            let mut mark = Mark::default();
            let out: Vec<u8> = pieces.iter().flat_map(|piece| mark.strip(&Bytes::copy_from_slice(piece))).collect();
            assert_eq!(out, want, "{pieces:?}");
        };
        let marked = "\u{feff}data: a\n\n".as_bytes();
        check(&[marked], b"data: a\n\n");
        check(&marked.chunks(1).collect::<Vec<_>>(), b"data: a\n\n");
        check(&[b"", marked], b"data: a\n\n");
        check(&[b"data: \xef\xbb\xbf", b"\xef\xbb\xbf"], b"data: \xef\xbb\xbf\xef\xbb\xbf");
        check(&["\u{feff}\u{feff}x".as_bytes()], "\u{feff}x".as_bytes());
        check(&[b"da", b"ta"], b"data");
    }

    #[test]
    fn the_data_of_an_event_is_its_data_lines() {
        let data = |event: &str| data(event.as_bytes()).map(|data| String::from_utf8_lossy(&data).into_owned());
        assert_eq!(data("event: x\r\ndata: a\r\n\r\n").as_deref(), Some("a"));
        assert_eq!(data("data:a\ndata: b\ndata:\n\n").as_deref(), Some("a\nb\n"));
        assert_eq!(data(": comment\n\n"), None);
    }

    #[test]
    fn an_event_too_long_is_refused() {
        let (mut splitter, mut out) = (Splitter::default(), VecDeque::new());
        let piece = Bytes::from(vec![b'x'; 64 * 1024]);
        let fed = (0..=EVENT_MAX / piece.len()).find(|_| splitter.feed(piece.clone(), &mut out, &mut |_| Verdict::Forward).is_err());
        assert_eq!(fed, Some(EVENT_MAX / piece.len()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn cuts_make_no_difference(
            lines in prop::collection::vec(prop::sample::select(vec!["", "data: a", "data: strip", "data: \u{e9}\u{1F600}", ": c", "id: 1"]), 0..20),
            ends in prop::collection::vec(any::<bool>(), 20),
            cuts in prop::collection::vec(any::<usize>(), 0..20),
        ) {
            let stream: String = lines.iter().zip(ends).map(|(line, crlf)| format!("{line}{}", if crlf { "\r\n" } else { "\n" })).collect();
            let whole = run(stream.as_bytes(), &[], b"strip");
            prop_assert_eq!(run(stream.as_bytes(), &cuts, b"strip"), whole.clone());
            let each: Vec<usize> = (0..stream.len()).collect();
            prop_assert_eq!(run(stream.as_bytes(), &each, b"strip"), whole);
        }
    }
}
