//! Server-sent events, however their bytes were cut on the way: bytes in, the data of whole events out.

use crate::NoAnswer;

/// The most bytes of one event.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// Finds the events in a stream of bytes. Lines end in LF or CRLF; an event ends at an empty line.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The data of the event that has not ended yet.
    data: Vec<u8>,
    has_data: bool,
}

impl Events {
    /// Takes what came and shows `hear` the data of each event that ended.
    pub fn feed(&mut self, came: &[u8], hear: &mut dyn FnMut(&[u8]) -> Result<(), NoAnswer>) -> Result<(), NoAnswer> {
        for piece in came.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.len() + self.data.len() > EVENT_BYTES_MAX {
                return Err(NoAnswer::Failed);
            }
            if piece.ends_with(b"\n") {
                self.end_line(hear)?;
            }
        }
        Ok(())
    }

    fn end_line(&mut self, hear: &mut dyn FnMut(&[u8]) -> Result<(), NoAnswer>) -> Result<(), NoAnswer> {
        let line = std::mem::take(&mut self.line);
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.is_empty() {
            let had = std::mem::take(&mut self.has_data);
            let data = std::mem::take(&mut self.data);
            return if had { hear(&data) } else { Ok(()) };
        }
        if let Some(more) = text.strip_prefix(b"data:") {
            if std::mem::replace(&mut self.has_data, true) {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(more.strip_prefix(b" ").unwrap_or(more));
        }
        Ok(())
    }
}
