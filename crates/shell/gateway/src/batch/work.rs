//! A batch whose lines run: where they stand, and what they were answered.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use fleet::ModelId;

use crate::batch::Desk;
use crate::batch::check::{Line, lines};
use crate::batch::order::Batch;
use crate::batch::queue::Queue;
use crate::batch::results::Results;
use crate::state::State;

/// A batch whose lines are running.
pub(crate) struct Work {
    /// `None` when the fleet has it no more.
    pub model: Option<ModelId>,
    pub input: Arc<File>,
    /// Where each line stands in the input.
    pub lines: Vec<Range<u64>>,
    pub queue: Queue,
    pub results: Arc<Mutex<Results>>,
}

impl Work {
    /// Reads where each line stands, and which of them have an answer already.
    pub fn open(state: &State, desk: &Desk, batch: &Batch) -> io::Result<Self> {
        let (mut places, mut named) = (Vec::new(), None);
        let snapshot = state.snapshot.load();
        let read = lines(desk.files.content(&batch.input_file_id)?, state.limits.line_bytes_max(), &mut |place, text| {
            if named.is_none() {
                named = Line::read(text).and_then(|line| Some(dialect::responses::model(line.body?.get().as_bytes())?.into_owned()));
            }
            places.push(place);
        })?;
        let model = snapshot.model(&named.filter(|_| read.is_ok()).ok_or(io::ErrorKind::InvalidData)?);
        let (mut answered, mut good) = (vec![false; places.len()], 0);
        let results = Results::open(&desk.batches.results_path(&batch.id), &mut |result| {
            if let Some(answered) = answered.get_mut(result.line as usize) {
                *answered = true;
                good += u32::from(result.good);
            }
        })?;
        let total = u32::try_from(answered.iter().filter(|answered| **answered).count()).unwrap_or(u32::MAX);
        desk.batches.change(&batch.id, |batch| (batch.completed, batch.failed) = (good, total - good))?;
        let queue = Queue::new((0..).zip(&answered).filter(|(_, answered)| !**answered).map(|(line, _)| line));
        let (input, results) = (Arc::new(desk.files.content(&batch.input_file_id)?), Arc::new(Mutex::new(results)));
        Ok(Self { model, input, lines: places, queue, results })
    }
}
