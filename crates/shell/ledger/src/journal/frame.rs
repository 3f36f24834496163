//! One record as bytes: magic, length, checksum, payload.

use dispatch::Record;
use postcard::ser_flavors::Flavor;

use crate::error::LedgerError;
use crate::journal::before::{Fifth, Fourth, Second, Third};
use crate::journal::wire::{Read, Written};

/// The longest record; a reader never allocates more for one, whatever its length field says.
pub const RECORD_BYTES_MAX: usize = 4 << 20;

/// Three letters and the version of the payload's format.
const MAGIC: [u8; 4] = *b"BLJ\x06";

/// Magic, length and checksum, four bytes each.
pub(super) const HEAD_BYTES: usize = 12;

/// What a payload says.
pub(super) enum Decoded {
    Whole(Record),
    /// Prices may stand elsewhere.
    Read(Read),
}

/// The head of a frame, as it was read.
pub(super) struct Head {
    magic: [u8; 4],
    length: [u8; 4],
    checksum: u32,
}

impl Head {
    /// Splits the head into its parts; `None` when this is no head of ours or the length is out of range.
    pub(super) fn read(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        let [m0, m1, m2, m3, l0, l1, l2, l3, c0, c1, c2, c3] = *bytes;
        let head = Self { magic: [m0, m1, m2, m3], length: [l0, l1, l2, l3], checksum: u32::from_le_bytes([c0, c1, c2, c3]) };
        (head.magic[..3] == MAGIC[..3] && head.length() <= RECORD_BYTES_MAX).then_some(head)
    }

    pub(super) fn length(&self) -> usize {
        usize::try_from(u32::from_le_bytes(self.length)).unwrap_or(usize::MAX)
    }

    /// Whether `payload` is what was written.
    pub(super) fn matches(&self, payload: &[u8]) -> bool {
        checksum(self.magic, self.length, payload) == self.checksum
    }

    /// Decodes a payload that [`Self::matches`].
    pub(super) fn decode(&self, payload: &[u8]) -> Result<Decoded, LedgerError> {
        Ok(match self.magic[3] {
            5 => Decoded::Read(postcard::from_bytes::<Fifth>(payload)?.into()),
            4 => Decoded::Read(postcard::from_bytes::<Fourth>(payload)?.into()),
            3 => Decoded::Whole(postcard::from_bytes::<Third>(payload)?.into()),
            2 => Decoded::Whole(postcard::from_bytes::<Second>(payload)?.into()),
            version if version == MAGIC[3] => Decoded::Read(postcard::from_bytes(payload)?),
            version if version > MAGIC[3] => {
                return Err(LedgerError::Newer { found: i64::from(version), known: i64::from(MAGIC[3]) });
            }
            // No program that wrote an earlier format was ever released.
            version => return Err(LedgerError::Older { found: i64::from(version), oldest: 2 }),
        })
    }
}

fn checksum(magic: [u8; 4], length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&magic);
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}

/// A payload as it grows. Most of what comes are numbers of a few bytes, for which a call that copies takes longer than they do.
struct Payload<'a>(&'a mut Vec<u8>);

impl Flavor for Payload<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        match bytes.len() {
            0..=8 => bytes.iter().for_each(|byte| self.0.push(*byte)),
            _ => self.0.extend_from_slice(bytes),
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Frames a record with all that it says.
pub(crate) fn encode(record: &Record) -> Result<Vec<u8>, LedgerError> {
    let mut frame = Vec::new();
    encode_into(record, None, &mut frame)?;
    Ok(frame)
}

/// Frames a record in place of what `frame` held: with the prices that it saw, or with the place in the same segment of the decision that has
/// the same.
pub(super) fn encode_into(record: &Record, prices_at: Option<u64>, frame: &mut Vec<u8>) -> Result<(), LedgerError> {
    frame.clear();
    frame.resize(HEAD_BYTES, 0);
    postcard::serialize_with_flavor(&Written::of(record, prices_at), Payload(frame))?;
    let payload = &frame[HEAD_BYTES..];
    let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= RECORD_BYTES_MAX);
    let length = length.ok_or(LedgerError::TooLong { bytes: payload.len(), limit: RECORD_BYTES_MAX })?.to_le_bytes();
    let checksum = checksum(MAGIC, length, payload).to_le_bytes();
    frame[..4].copy_from_slice(&MAGIC);
    frame[4..8].copy_from_slice(&length);
    frame[8..HEAD_BYTES].copy_from_slice(&checksum);
    Ok(())
}

/// A payload of some format, framed.
#[cfg(test)]
pub(super) fn framed(magic: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_le_bytes();
    [&magic, &length, &checksum(magic, length, payload).to_le_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use dispatch::HeldTime;
    use fleet::{FleetVersion, Id};
    use units::Span;

    use super::*;

    /// What is read of a record that a program of some format wrote.
    fn read(record: &Record, format: u8) -> Result<Record, LedgerError> {
        let frame = encode(record).expect("it is encoded");
        let (head, payload) = frame.split_first_chunk::<HEAD_BYTES>().expect("a head");
        let Head { mut magic, length, .. } = Head::read(head).expect("a head of ours");
        magic[3] = format;
        let head = Head { magic, length, checksum: checksum(magic, length, payload) };
        assert!(head.matches(payload));
        Ok(match head.decode(payload)? {
            Decoded::Whole(record) => record,
            Decoded::Read(read) => read.with(None).expect("held time has no prices"),
        })
    }

    #[test]
    fn formats_from_the_second_to_ours_are_read_and_others_refused_by_number() {
        let held = HeldTime {
            endpoint: Id::from_index(1),
            fleet: FleetVersion([7; 32]),
            span: Span::ALWAYS,
            usage: Vec::new(),
            shares: Vec::new(),
        };
        let record = Record::Held(held);
        for format in [2, 3, 4, 5, 6] {
            assert_eq!(read(&record, format).expect("it is read"), record, "format {format}");
        }
        assert!(matches!(read(&record, 1), Err(LedgerError::Older { found: 1, oldest: 2 })));
        assert!(matches!(read(&record, 7), Err(LedgerError::Newer { found: 7, known: 6 })));
    }
}
