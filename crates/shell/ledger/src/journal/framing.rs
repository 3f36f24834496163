//! Framing records for one journal after another, with the prices that decisions saw written once a segment.

use dispatch::{Question, Record};
use fleet::ModelId;
use market::EndpointPrice;

use super::frame::encode_into;
use super::wire::Prices;
use super::writer::{Done, Journal, When};
use crate::entry::Entry;
use crate::error::LedgerError;

/// The room for framing that is kept from one record to the next.
const FRAME_KEPT: usize = 64 << 10;
/// Models whose prices are kept in mind; with more, some are written more often.
const MODELS_MAX: usize = 64;

/// What a thread needs to frame records. What it knows of prices is its own: nothing is shared, so nothing is locked.
#[derive(Default)]
pub(crate) struct Framing {
    frame: Vec<u8>,
    /// The newest prices that this thread wrote, by model.
    written: Vec<Prior>,
}

/// A decision that was written with its prices.
struct Prior {
    journal: u64,
    segment: u32,
    offset: u64,
    model: ModelId,
    prices: Prices,
}

impl Framing {
    /// Appends a record.
    pub(crate) fn append(&mut self, journal: &Journal, record: &Record, mut entry: Entry, when: When) -> Result<(), LedgerError> {
        if let Record::Decided { question, .. } = record
            && let Some((segment, offset)) = self.prior(journal.number(), question)
        {
            encode_into(record, Some(offset), &mut self.frame)?;
            match journal.append(&self.frame, Some(segment), entry, when)? {
                Done::Appended(_) => return Ok(()),
                Done::NotThere(back) => entry = *back,
            }
        }
        encode_into(record, None, &mut self.frame)?;
        let done = journal.append(&self.frame, None, entry, when)?;
        // One record in a million is long: its room is not kept.
        self.frame.shrink_to(FRAME_KEPT);
        if let (Record::Decided { question, .. }, Done::Appended(began)) = (record, done) {
            self.written.retain(|prior| (prior.journal, prior.model) != (journal.number(), question.ask.model));
            if self.written.len() >= MODELS_MAX {
                self.written.clear();
            }
            let (prices, model) = (prices(question).copied().collect(), question.ask.model);
            self.written.push(Prior { journal: journal.number(), segment: began.segment, offset: began.offset, model, prices });
        }
        Ok(())
    }

    /// Where the same prices were written.
    fn prior(&self, journal: u64, question: &Question) -> Option<(u32, u64)> {
        let prior = self.written.iter().find(|prior| (prior.journal, prior.model) == (journal, question.ask.model))?;
        prices(question).eq(&prior.prices).then_some((prior.segment, prior.offset))
    }
}

fn prices(question: &Question) -> impl Iterator<Item = &Option<EndpointPrice>> {
    question.seen.iter().map(|seen| &seen.price)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dispatch::{AttemptId, Decision, KeyId, RequestId, Rule};
    use fleet::Fleet;
    use market::TokenPrices;
    use testkit::crowd;

    use super::*;
    use crate::journal::{Next, Position, SegmentReader, segments};

    /// A decision for a request of that number, which saw list prices of that much an input token everywhere.
    fn decided(fleet: &Fleet, number: u128, price: i64) -> Record {
        let mut question = crowd::question(fleet);
        question.ask.id = RequestId(number);
        for seen in &mut question.seen {
            let price = seen.price.map(|told| EndpointPrice { energy: TokenPrices { input: price, ..told.energy }, ..told });
            seen.price = price;
        }
        let (endpoint, contract) = (fleet.endpoints.id("p1").expect("it is there"), fleet.contracts.id("c1").expect("it is there"));
        let (cost, list) = (dispatch::Cost::default(), TokenPrices::default());
        let decision =
            Decision { endpoint, in_units: false, contract, cost, list, rule: Rule::Policy, passed_over: Vec::new(), advice: None };
        let attempt = AttemptId { request: RequestId(number), attempt: 1 };
        Record::Decided { attempt, key: KeyId(1), question: Box::new(question), decision: Box::new(decision) }
    }

    fn journal(folder: &Path, segment_bytes: u64) -> Journal {
        Journal::open(folder, Position::default(), segment_bytes).expect("a new journal")
    }

    /// All records from the beginning of each segment, with where each begins.
    fn read(folder: &Path) -> Vec<(Record, Position)> {
        let mut found = Vec::new();
        for segment in segments(folder).expect("there are some") {
            let mut reader = SegmentReader::open(folder, Position { segment, offset: 0 }).expect("it is there");
            while let Next::Record(record, began) = reader.next().expect("it can be read") {
                found.push((*record, began));
            }
        }
        found
    }

    #[test]
    fn decisions_are_read_with_the_prices_that_they_saw_wherever_those_stand() {
        let fleet = crowd::fleet(4);
        let (first, second) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        // So short that prices are written again in each segment.
        let journals = [journal(first.path(), 700), journal(second.path(), 1 << 20)];
        let (mut framing, mut written) = (Framing::default(), Vec::new());
        for (number, price) in (0..).zip([7, 7, 7, 8, 8, 7, 7, 9, 9, 9, 9, 9]) {
            let record = decided(&fleet, number, price);
            for journal in &journals {
                framing.append(journal, &record, Entry::of(&record), When::Now).expect("there is room");
            }
            written.push(record);
        }
        for folder in [first.path(), second.path()] {
            let read = read(folder);
            assert!(read.iter().map(|(record, _)| record).eq(&written));
            for (record, began) in read {
                // By itself, as it is explained.
                let mut reader = SegmentReader::open(folder, began).expect("it is there");
                assert!(matches!(reader.next(), Ok(Next::Record(found, _)) if *found == record));
            }
        }
        assert!(segments(first.path()).expect("there are some").len() > 2);
        let lengths = read(second.path()).windows(2).map(|pair| pair[1].1.offset - pair[0].1.offset).collect::<Vec<_>>();
        let long = lengths.iter().map(|length| *length > lengths[1] * 2).collect::<Vec<_>>();
        assert_eq!(long, [true, false, false, true, false, true, false, true, false, false, false], "{lengths:?}");
    }

    #[test]
    fn a_decision_whose_prices_stand_nowhere_is_no_whole_record() {
        let (fleet, folder) = (crowd::fleet(4), tempfile::tempdir().expect("a folder"));
        let record = decided(&fleet, 1, 7);
        for at in [0, 5, 1 << 40] {
            let journal = journal(folder.path(), 1 << 20);
            let mut frame = Vec::new();
            encode_into(&record, Some(at), &mut frame).expect("short enough");
            journal.append(&frame, None, Entry::of(&record), When::Now).expect("there is room");
            let mut reader = SegmentReader::open(folder.path(), Position::default()).expect("it is there");
            assert!(matches!(reader.next(), Ok(Next::Broken)), "{at}");
        }
    }
}
