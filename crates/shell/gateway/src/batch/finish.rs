//! The end of a batch: its output and error files.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufWriter, Write};

use crate::batch::Desk;
use crate::batch::check::{Line, lines};
use crate::batch::order::{Batch, Status, Used};
use crate::batch::results::{self, never_ran};
use crate::batch::shelf::{self, FileRow};

/// Writes both files and ends the batch. The files' names follow from the batch's, so that doing it again after a kill
/// changes nothing.
pub(crate) fn finish(desk: &Desk, batch: &Batch, ending: Status, now: i64) -> io::Result<()> {
    if ending == Status::Completed && batch.status != Status::Finalizing {
        desk.batches.change(&batch.id, |batch| batch.become_at(Status::Finalizing, now))?;
    }
    let given = give(desk, batch, ending, now)?;
    desk.batches.change(&batch.id, |batch| {
        given.note(batch);
        batch.become_at(ending, now);
    })?;
    // Both files have it all now; what can't be removed only takes room.
    _ = fs::remove_file(desk.batches.results_path(&batch.id));
    Ok(())
}

/// What a batch gives when it is over.
#[derive(Default)]
pub(crate) struct Given {
    output: Option<String>,
    error: Option<String>,
    used: Option<Used>,
}

impl Given {
    pub fn note(self, batch: &mut Batch) {
        (batch.output_file_id, batch.error_file_id, batch.used) = (self.output, self.error, self.used);
    }
}

/// Writes what a batch's lines were answered, and what became of the others, into its files, and gives those that have anything in them. Of
/// one that fails only its answers are known.
pub(crate) fn give(desk: &Desk, batch: &Batch, ending: Status, now: i64) -> io::Result<Given> {
    let name = batch.id.trim_start_matches("batch_");
    let (output_id, error_id) = (format!("file-{name}-output"), format!("file-{name}-error"));
    let mut output = Draft::new(desk, batch, output_id)?;
    let mut error = Draft::new(desk, batch, error_id)?;
    let (mut answered, mut failed, mut used) = (BTreeSet::new(), None, Some(Used::default()));
    results::read(&desk.batches.results_path(&batch.id), &mut |result| {
        // A line is answered once; were it told twice, the first counts.
        if answered.insert(result.line) {
            let draft = if result.good { &mut output } else { &mut error };
            failed = failed.take().or(draft.line(result.says.get()).err());
            if result.good {
                used = used.zip(results::used(&result.says)).map(|(used, more)| used.and(more));
            }
        }
    })?;
    if matches!(ending, Status::Expired | Status::Cancelled) && batch.total > 0 {
        let mut number = 0;
        let all = lines(desk.files.content(&batch.input_file_id)?, usize::MAX - 1, &mut |_, text| {
            let line = number;
            number += 1;
            if !answered.contains(&line) {
                let custom_id = Line::read(text).and_then(|line| line.custom_id).unwrap_or_default().into_owned();
                let says = never_ran(&format!("batch_req_{name}_{line}"), &custom_id, ending == Status::Expired);
                failed = failed.take().or(error.line(&says.to_string()).err());
            }
        })?;
        all.map_err(|_| io::ErrorKind::InvalidData)?;
    }
    if let Some(failed) = failed {
        return Err(failed);
    }
    Ok(Given { output: output.keep(desk, batch, "output", now)?, error: error.keep(desk, batch, "error", now)?, used })
}

/// A file that is being written.
struct Draft {
    id: String,
    file: BufWriter<shelf::Draft>,
}

impl Draft {
    fn new(desk: &Desk, batch: &Batch, id: String) -> io::Result<Self> {
        let file = BufWriter::new(desk.files.draft(batch.key, &id)?);
        Ok(Self { id, file })
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        self.file.write_all(text.as_bytes())?;
        self.file.write_all(b"\n")
    }

    /// Keeps it under its id; one without a line is no file.
    fn keep(self, desk: &Desk, batch: &Batch, what: &str, now: i64) -> io::Result<Option<String>> {
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        if file.bytes() == 0 {
            return Ok(None);
        }
        let row = FileRow {
            id: self.id.clone(),
            key: batch.key,
            filename: format!("{}_{what}.jsonl", batch.id),
            purpose: "batch_output".to_owned(),
            bytes: file.bytes(),
            created_at: now,
        };
        desk.files.keep(file, row)?;
        Ok(Some(self.id))
    }
}
