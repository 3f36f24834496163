//! A batch as it is kept and as its client sees it.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dispatch::KeyId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::batch::shelf::{forget, make, read_all, replace};
use crate::peek::Call;

/// How far a batch is, in OpenAI's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Validating,
    Failed,
    InProgress,
    Finalizing,
    Completed,
    Expired,
    Cancelling,
    Cancelled,
}

impl Status {
    /// Whether nothing more happens to it.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Failed | Self::Completed | Self::Expired | Self::Cancelled)
    }
}

/// What is wrong with an input file, where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Flaw {
    pub code: String,
    pub message: String,
    pub param: Option<String>,
    pub line: Option<u32>,
}

/// A batch. Times are in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub id: String,
    pub key: KeyId,
    pub endpoint: String,
    pub input_file_id: String,
    pub status: Status,
    pub flaws: Vec<Flaw>,
    pub output_file_id: Option<String>,
    pub error_file_id: Option<String>,
    pub created_at: i64,
    pub expires_at: i64,
    /// When it came to be as it is, by status.
    pub since: BTreeMap<String, i64>,
    pub total: u32,
    pub completed: u32,
    pub failed: u32,
    pub metadata: Option<Map<String, Value>>,
}

impl Batch {
    /// Which inference call its lines are.
    pub fn call(&self) -> Option<Call> {
        call(&self.endpoint)
    }

    /// Goes on to a status.
    pub fn become_at(&mut self, status: Status, now: i64) {
        self.status = status;
        let word = serde_json::to_value(status).ok().and_then(|word| word.as_str().map(str::to_owned));
        self.since.extend(word.map(|word| (word, now)));
    }

    /// As OpenAI shows it.
    pub fn shown(&self) -> Value {
        let since = |status: &str| self.since.get(status);
        let errors = (!self.flaws.is_empty()).then(|| json!({ "object": "list", "data": self.flaws }));
        json!({
            "id": self.id, "object": "batch", "endpoint": self.endpoint, "errors": errors,
            "input_file_id": self.input_file_id, "completion_window": "24h", "status": self.status,
            "output_file_id": self.output_file_id, "error_file_id": self.error_file_id,
            "created_at": self.created_at, "in_progress_at": since("in_progress"), "expires_at": self.expires_at,
            "finalizing_at": since("finalizing"), "completed_at": since("completed"), "failed_at": since("failed"),
            "expired_at": since("expired"), "cancelling_at": since("cancelling"), "cancelled_at": since("cancelled"),
            "request_counts": { "total": self.total, "completed": self.completed, "failed": self.failed },
            "metadata": self.metadata,
        })
    }
}

/// The call that a batch's endpoint names.
pub(crate) fn call(endpoint: &str) -> Option<Call> {
    match endpoint {
        "/v1/chat/completions" => Some(Call::Chat),
        "/v1/completions" => Some(Call::Completions),
        "/v1/embeddings" => Some(Call::Embeddings),
        "/v1/responses" => Some(Call::Responses),
        _ => None,
    }
}

/// Every batch.
#[derive(Debug)]
pub(crate) struct Batches {
    folder: PathBuf,
    rows: Mutex<BTreeMap<String, Batch>>,
}

impl Batches {
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        make(&folder)?;
        let rows = read_all::<Batch>(&folder)?.into_iter().map(|batch| (batch.id.clone(), batch)).collect();
        Ok(Self { folder, rows: Mutex::new(rows) })
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<String, Batch>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A key's batch.
    pub fn find(&self, key: KeyId, id: &str) -> Option<Batch> {
        self.rows().get(id).filter(|batch| batch.key == key).cloned()
    }

    /// Batches that something may still happen to, oldest first.
    pub fn under_way(&self) -> Vec<Batch> {
        let mut found: Vec<Batch> = self.rows().values().filter(|batch| !batch.status.is_over()).cloned().collect();
        found.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        found
    }

    /// Every batch of a key.
    pub fn of(&self, key: KeyId) -> Vec<Batch> {
        self.rows().values().filter(|batch| batch.key == key).cloned().collect()
    }

    /// Whether some batch under way reads a file.
    pub fn reads(&self, file: &str) -> bool {
        self.rows().values().any(|batch| batch.input_file_id == file && !batch.status.is_over())
    }

    /// Keeps a batch as it is now: durable once it returns.
    pub fn keep(&self, batch: Batch) -> io::Result<()> {
        // Held while it is written: of two changes at once, both the row and the file have the later.
        let mut rows = self.rows();
        if let Err(error) = replace(&self.folder, &batch.id, &batch) {
            // It may be there all the same; its client hears that it is not.
            forget(&self.folder, &batch.id);
            return Err(error);
        }
        rows.insert(batch.id.clone(), batch);
        Ok(())
    }

    /// Changes a batch, durably.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut Batch)) -> io::Result<Option<Batch>> {
        let mut rows = self.rows();
        let Some(batch) = rows.get_mut(id) else { return Ok(None) };
        let mut changed = batch.clone();
        change(&mut changed);
        replace(&self.folder, id, &changed)?;
        *batch = changed.clone();
        Ok(Some(changed))
    }

    /// Counts an answered line; the count is found again in the results, so nothing is written.
    pub fn count(&self, id: &str, good: bool) {
        if let Some(batch) = self.rows().get_mut(id) {
            *(if good { &mut batch.completed } else { &mut batch.failed }) += 1;
        }
    }

    /// Where a batch's results are written.
    pub fn results_path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.results"))
    }
}
