//! The end of the journal after whatever happened: what is whole, and what has to go.
//!
//! Records past what the ledger has booked may never have been synced. After a power cut their pages may be there in any
//! order: the first place that holds no whole record is the end, and what follows it is set aside, never read as if it were whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Next, Position, SegmentReader, count_whole_frames, segment_path, segments};
use crate::error::{LedgerError, at};

/// What the journal holds past a position.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) end: Position,
    pub(crate) records: usize,
    /// Bytes of an incomplete record at the very end.
    pub(crate) torn_bytes: u64,
    /// Bytes after a hole, and the whole records among them.
    pub(crate) aside_bytes: u64,
    pub(crate) aside_records: usize,
    /// The newest segment.
    last: u32,
    pub(crate) unsynced: Vec<Arc<File>>,
}

/// Reads the journal from a committed position to its end.
pub(crate) fn inspect(folder: &Path, from: Position) -> Result<Found, LedgerError> {
    let mut found = Found { end: from, ..Found::default() };
    let segments = segments(folder)?;
    let Some(last) = segments.last().copied() else {
        return if from == Position::default() { Ok(found) } else { Err(missing(folder, from)) };
    };
    if segments.binary_search(&from.segment).is_err() {
        return Err(missing(folder, from));
    }
    found.last = last;
    for segment in from.segment..=last {
        let start = Position { segment, offset: if segment == from.segment { from.offset } else { 0 } };
        let path = segment_path(folder, segment);
        let file = File::open(&path).map_err(at(&path))?;
        let length = file.metadata().map_err(at(&path))?.len();
        if length < start.offset {
            return Err(LedgerError::Damaged { path, offset: length });
        }
        let mut reader = SegmentReader::open(folder, start)?;
        let whole = loop {
            match reader.next()? {
                Next::Record(..) => found.records += 1,
                Next::End => break true,
                Next::Broken => break false,
            }
        };
        found.end = reader.position();
        found.unsynced.push(Arc::new(file));
        if !whole {
            found.look_past_the_end(folder)?;
            break;
        }
    }
    Ok(found)
}

impl Found {
    /// Says what follows the first place that holds no whole record: the rest of one, or a hole with more behind it.
    fn look_past_the_end(&mut self, folder: &Path) -> Result<(), LedgerError> {
        let mut rest = self.rest(folder)?;
        let here = count_whole_frames(rest.get(1..).unwrap_or_default());
        if here == 0 && self.end.segment == self.last {
            self.torn_bytes = rest.len() as u64;
            return Ok(());
        }
        self.aside_records = here;
        self.aside_bytes = rest.len() as u64;
        for segment in self.end.segment + 1..=self.last {
            let path = segment_path(folder, segment);
            rest = fs::read(&path).map_err(at(&path))?;
            self.aside_records += count_whole_frames(&rest);
            self.aside_bytes += rest.len() as u64;
        }
        Ok(())
    }

    fn rest(&self, folder: &Path) -> Result<Vec<u8>, LedgerError> {
        let path = segment_path(folder, self.end.segment);
        let file = File::open(&path).map_err(at(&path))?;
        let length = file.metadata().map_err(at(&path))?.len();
        let mut rest = vec![0; usize::try_from(length - self.end.offset).unwrap_or(0)];
        file.read_exact_at(&mut rest, self.end.offset).map_err(at(&path))?;
        Ok(rest)
    }

    /// Makes the journal end where its whole records do. What is behind a hole is kept under `aside`, on disk before it goes.
    pub(crate) fn cut(&self, folder: &Path, aside: &Path) -> Result<(), LedgerError> {
        if self.aside_bytes > 0 {
            DirBuilder::new().recursive(true).mode(0o700).create(aside).map_err(at(aside))?;
            keep(&aside.join(format!("{:08}-{}.part", self.end.segment, self.end.offset)), &self.rest(folder)?)?;
            for segment in self.end.segment + 1..=self.last {
                let path = segment_path(folder, segment);
                keep(&aside.join(format!("{segment:08}-0.part")), &fs::read(&path).map_err(at(&path))?)?;
            }
            sync(aside)?;
            // From the newest on, so that being killed in between leaves no gap.
            for segment in (self.end.segment + 1..=self.last).rev() {
                let path = segment_path(folder, segment);
                fs::remove_file(&path).map_err(at(&path))?;
            }
            sync(folder)?;
        }
        if self.aside_bytes + self.torn_bytes > 0 {
            let path = segment_path(folder, self.end.segment);
            let file = OpenOptions::new().write(true).open(&path).map_err(at(&path))?;
            file.set_len(self.end.offset).and_then(|()| file.sync_all()).map_err(at(&path))?;
        }
        Ok(())
    }
}

fn keep(path: &PathBuf, bytes: &[u8]) -> Result<(), LedgerError> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(at(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(path))
}

fn sync(folder: &Path) -> Result<(), LedgerError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(at(folder))
}

fn missing(folder: &Path, position: Position) -> LedgerError {
    LedgerError::Missing { what: segment_path(folder, position.segment).display().to_string() }
}

#[cfg(test)]
mod tests {
    use dispatch::{AttemptId, HeldTime, Known, Outcome, Record, RequestId, Settlement};
    use fleet::{FleetVersion, Id};
    use market::Tokens;
    use proptest::prelude::*;
    use units::{Instant, Money, Quantity, Span};

    use super::*;
    use crate::journal::{RECORD_BYTES_MAX, encode};

    fn record(request: u128, shares: usize) -> Record {
        let attempt = AttemptId { request: RequestId(request), attempt: 1 };
        let version = FleetVersion([7; 32]);
        if shares > 0 {
            let span = Span { from: Instant::from_micros(1), to: Instant::from_micros(2) };
            let shares = vec![(attempt, Quantity::new(9)); shares];
            return Record::Held(HeldTime { endpoint: Id::from_index(1), fleet: version, span, usage: Vec::new(), shares });
        }
        Record::Settled(Settlement {
            attempt,
            endpoint: Id::from_index(0),
            in_units: false,
            contract: Id::from_index(0),
            fleet: version,
            outcome: Outcome::Answered,
            tokens: Tokens { input: 300, cached: 1, output: 7 },
            known: Known::Reported,
            list: Money::ZERO,
            started: Instant::from_micros(5),
            first_content: Some(Instant::from_micros(6)),
            ended: Instant::from_micros(7),
        })
    }

    /// A log of these records and where each ends.
    fn log(records: &[Record]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends) = (Vec::new(), vec![0]);
        for record in records {
            bytes.extend(encode(record).expect("short enough"));
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    /// What is found in a folder with this one segment: whole records, their end, torn bytes, and whole records behind a hole.
    fn find(folder: &Path, bytes: &[u8]) -> (usize, u64, u64, usize) {
        let path = segment_path(folder, 0);
        // A file that is emptied and written again is brought to disk by some file systems when it is closed; a new one is not.
        _ = fs::remove_file(&path);
        fs::write(&path, bytes).expect("written");
        let found = inspect(folder, Position::default()).expect("read");
        (found.records, found.end.offset, found.torn_bytes, found.aside_records)
    }

    /// Each history writes a file for every byte of a log: a share of those that a pure property has.
    const SHARE: u32 = 160;
    /// With each change.
    const HISTORIES: u32 = 20_000;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(HISTORIES.div_ceil(SHARE)))]

        #[test]
        fn a_log_cut_anywhere_gives_back_its_whole_records(shares in proptest::collection::vec(0..4_usize, 1..5)) {
            let folder = tempfile::tempdir().expect("a folder");
            let records: Vec<_> = (0..).zip(&shares).map(|(request, shares)| record(request, *shares)).collect();
            let (bytes, ends) = log(&records);
            for cut in 0..=bytes.len() {
                let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
                let torn = (cut - ends[whole]) as u64;
                prop_assert_eq!(find(folder.path(), &bytes[..cut]), (whole, ends[whole] as u64, torn, 0), "cut at {}", cut);
            }
        }

        #[test]
        fn what_is_behind_a_flipped_bit_is_set_aside_and_counted(
            shares in proptest::collection::vec(0..4_usize, 1..5), bit in 0..8_u32,
        ) {
            let folder = tempfile::tempdir().expect("a folder");
            let records: Vec<_> = (0..).zip(&shares).map(|(request, shares)| record(request, *shares)).collect();
            let (bytes, ends) = log(&records);
            let last = records.len() - 1;
            for place in 0..bytes.len() {
                let mut flipped = bytes.clone();
                flipped[place] ^= 1 << bit;
                let hit = ends.iter().rposition(|end| *end <= place).expect("the first record begins at zero");
                let torn = if hit == last { (bytes.len() - ends[hit]) as u64 } else { 0 };
                prop_assert_eq!(find(folder.path(), &flipped), (hit, ends[hit] as u64, torn, last - hit), "flipped at {}", place);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn bytes_that_are_no_record_are_torn(noise in proptest::collection::vec(any::<u8>(), 1..400)) {
            let folder = tempfile::tempdir().expect("a folder");
            let (bytes, ends) = log(&[record(1, 0), record(2, 2)]);
            let found = find(folder.path(), &[bytes.as_slice(), &noise].concat());
            prop_assert_eq!(found, (2, ends[2] as u64, noise.len() as u64, 0));
        }

        #[test]
        fn what_is_written_is_read_back(request in any::<u128>(), shares in 0..50_usize) {
            let folder = tempfile::tempdir().expect("a folder");
            let written = record(request, shares);
            fs::write(segment_path(folder.path(), 0), encode(&written).expect("short enough")).expect("written");
            let mut reader = SegmentReader::open(folder.path(), Position::default()).expect("there");
            let read = reader.next().expect("read");
            prop_assert!(matches!(read, Next::Record(read, _) if *read == written));
        }
    }

    #[test]
    fn a_record_past_the_limit_is_refused() {
        let long = record(1, RECORD_BYTES_MAX / 2);
        assert!(matches!(encode(&long), Err(LedgerError::TooLong { limit: RECORD_BYTES_MAX, .. })));
    }

    #[test]
    fn a_hole_between_segments_is_no_journal() {
        let folder = tempfile::tempdir().expect("a folder");
        let (bytes, _) = log(&[record(1, 0)]);
        for segment in [0, 2] {
            fs::write(segment_path(folder.path(), segment), &bytes).expect("written");
        }
        assert!(matches!(inspect(folder.path(), Position::default()), Err(LedgerError::Missing { .. })));
        fs::write(segment_path(folder.path(), 1), &bytes[..bytes.len() - 1]).expect("written");
        let found = inspect(folder.path(), Position::default()).expect("read");
        assert_eq!((found.end, found.records, found.aside_records), (Position { segment: 1, offset: 0 }, 1, 1), "torn, and not the last");
        let aside = folder.path().join("aside");
        found.cut(folder.path(), &aside).expect("cut");
        let found = inspect(folder.path(), Position::default()).expect("read");
        assert_eq!((found.records, found.torn_bytes, found.aside_bytes), (1, 0, 0));
        assert_eq!(fs::read(aside.join("00000002-0.part")).expect("kept"), bytes);
        assert_eq!(fs::read(aside.join("00000001-0.part")).expect("kept"), bytes[..bytes.len() - 1]);
    }
}
