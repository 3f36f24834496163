//! Reading segments, one record at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dispatch::Record;

use super::frame::{Decoded, HEAD_BYTES, Head};
use super::wire::{self, Prices, Told};
use super::{Position, segment_path};
use crate::error::{LedgerError, at};

/// What stands next in a segment.
pub(crate) enum Next {
    /// A whole record, and where it began.
    Record(Box<Record>, Position),
    /// Nothing: the segment ends after a whole record.
    End,
    /// Bytes that are no whole record.
    Broken,
}

/// So many decisions' prices are kept in mind; what is older is looked up again.
const PRICES_MAX: usize = 256;

/// A segment being read.
pub(crate) struct SegmentReader {
    file: BufReader<File>,
    path: PathBuf,
    position: Position,
    payload: Vec<u8>,
    /// Prices that decisions saw, by where they stand.
    prices: BTreeMap<u64, Prices>,
}

impl SegmentReader {
    pub(crate) fn open(folder: &Path, from: Position) -> Result<Self, LedgerError> {
        let path = segment_path(folder, from.segment);
        let mut file = BufReader::new(File::open(&path).map_err(at(&path))?);
        file.seek(SeekFrom::Start(from.offset)).map_err(at(&path))?;
        Ok(Self { file, path, position: from, payload: Vec::new(), prices: BTreeMap::new() })
    }

    /// The end of the last whole record that was read.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    pub(crate) fn next(&mut self) -> Result<Next, LedgerError> {
        let mut head = [0; HEAD_BYTES];
        match self.fill(&mut head)? {
            0 => return Ok(Next::End),
            HEAD_BYTES => {}
            _ => return Ok(Next::Broken),
        }
        let Some(head) = Head::read(&head) else { return Ok(Next::Broken) };
        let mut payload = std::mem::take(&mut self.payload);
        payload.resize(head.length(), 0);
        let whole = self.fill(&mut payload)? == payload.len() && head.matches(&payload);
        let decoded = whole.then(|| head.decode(&payload)).transpose()?;
        let length = payload.len();
        self.payload = payload;
        let record = match decoded {
            Some(Decoded::Whole(record)) => Some(record),
            Some(Decoded::Read(read)) => self.with_prices(read)?,
            None => None,
        };
        let Some(record) = record else { return Ok(Next::Broken) };
        let began = self.position;
        self.position.offset += (HEAD_BYTES + length) as u64;
        Ok(Next::Record(Box::new(record), began))
    }

    /// A record with the prices that it saw, wherever in the segment they stand; `None` where they don't.
    fn with_prices(&mut self, read: wire::Read) -> Result<Option<Record>, LedgerError> {
        if self.prices.len() >= PRICES_MAX {
            self.prices.clear();
        }
        let at = match read.prices() {
            Some(Told::At(at)) => *at,
            Some(Told::Here(prices)) => {
                self.prices.insert(self.position.offset, prices.clone());
                return Ok(read.with(None));
            }
            None => return Ok(read.with(None)),
        };
        if !self.prices.contains_key(&at)
            && let Some(prices) = self.prices_at(at)?
        {
            self.prices.insert(at, prices);
        }
        Ok(read.with(self.prices.get(&at)))
    }

    /// The prices of a decision further up in the segment.
    fn prices_at(&self, at: u64) -> Result<Option<Prices>, LedgerError> {
        let (file, mut head) = (self.file.get_ref(), [0; HEAD_BYTES]);
        if at >= self.position.offset {
            return Ok(None);
        }
        file.read_exact_at(&mut head, at).map_err(crate::error::at(&self.path))?;
        let Some(head) = Head::read(&head) else { return Ok(None) };
        let mut payload = vec![0; head.length()];
        match file.read_exact_at(&mut payload, at + HEAD_BYTES as u64) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
            done => done.map_err(crate::error::at(&self.path))?,
        }
        if !head.matches(&payload) {
            return Ok(None);
        }
        Ok(match head.decode(&payload)? {
            Decoded::Read(read) => read.into_prices(),
            Decoded::Whole(_) => None,
        })
    }

    /// The error for a reader that stopped at bytes that should have been a record.
    pub(crate) fn damaged(&self) -> LedgerError {
        LedgerError::Damaged { path: self.path.clone(), offset: self.position.offset }
    }

    /// Fills as much of `buffer` as the file has, and says how much that was.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, LedgerError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(at(&self.path)(error)),
            }
        }
        Ok(filled)
    }
}

/// How many whole frames there are within `bytes`, wherever the first one begins.
pub(crate) fn count_whole_frames(bytes: &[u8]) -> usize {
    let (mut start, mut count) = (0, 0);
    while start + HEAD_BYTES <= bytes.len() {
        match whole_frame(&bytes[start..]) {
            Some(length) => {
                start += length;
                count += 1;
            }
            None => start += 1,
        }
    }
    count
}

/// Whether `bytes` are whole frames, one right after the other.
pub(super) fn are_whole_frames(mut bytes: &[u8]) -> bool {
    while let Some(length) = whole_frame(bytes) {
        bytes = &bytes[length..];
    }
    bytes.is_empty()
}

/// The length of the whole frame that `bytes` begin with.
fn whole_frame(bytes: &[u8]) -> Option<usize> {
    let (head, rest) = bytes.split_first_chunk()?;
    let head = Head::read(head)?;
    let payload = rest.get(..head.length()).filter(|payload| head.matches(payload))?;
    Some(HEAD_BYTES + payload.len())
}

/// The numbers of the segments in a folder, in order and without a gap.
pub(crate) fn segments(folder: &Path) -> Result<Vec<u32>, LedgerError> {
    let mut found = Vec::new();
    for file in folder.read_dir().map_err(at(folder))? {
        let name = file.map_err(at(folder))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".bl")).and_then(|number| number.parse::<u32>().ok());
        found.extend(number);
    }
    found.sort_unstable();
    match found.windows(2).find(|pair| pair[1] - pair[0] != 1) {
        Some(pair) => Err(LedgerError::Missing { what: segment_path(folder, pair[0] + 1).display().to_string() }),
        None => Ok(found),
    }
}

/// Calls `visit` with every whole record from `from` on; a record being written at the very end is left for next time.
pub(crate) fn for_each(
    folder: &Path,
    from: Position,
    mut visit: impl FnMut(Record, Position) -> Result<(), LedgerError>,
) -> Result<(), LedgerError> {
    let segments = segments(folder)?;
    for segment in segments.iter().copied().filter(|segment| *segment >= from.segment) {
        let offset = if segment == from.segment { from.offset } else { 0 };
        let mut reader = SegmentReader::open(folder, Position { segment, offset })?;
        loop {
            match reader.next()? {
                Next::Record(record, began) => visit(*record, began)?,
                Next::Broken if Some(&segment) != segments.last() => return Err(reader.damaged()),
                Next::End | Next::Broken => break,
            }
        }
    }
    Ok(())
}
