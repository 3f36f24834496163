//! A batch as it is kept and as its client sees it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dispatch::KeyId;
use market::Tokens;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::batch::shelf::{forget, make, read_all, replace};
use crate::limits::{BATCHES_BYTES_MAX, BATCHES_KEPT_MAX, BATCHES_KEY_BYTES_MAX};
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

/// The tokens of a batch's answers, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Used {
    pub input: u64,
    pub cached: u64,
    pub output: u64,
    /// Of the output, what was thought.
    pub thought: u64,
}

impl Used {
    /// With those of one more answer.
    pub fn and(self, (tokens, thought): (Tokens, u32)) -> Self {
        Self {
            input: self.input + u64::from(tokens.input),
            cached: self.cached + u64::from(tokens.cached),
            output: self.output + u64::from(tokens.output),
            thought: self.thought + u64::from(thought),
        }
    }

    /// As OpenAI shows it.
    fn shown(self) -> Value {
        json!({
            "input_tokens": self.input, "input_tokens_details": { "cached_tokens": self.cached },
            "output_tokens": self.output, "output_tokens_details": { "reasoning_tokens": self.thought },
            "total_tokens": self.input + self.output,
        })
    }
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
    /// What the fleet calls the model of its lines, once they were checked.
    pub model: Option<String>,
    /// What its answers used, once it is over; `None` also where one of them didn't say.
    pub used: Option<Used>,
}

impl Batch {
    /// Which inference call its lines are.
    pub fn call(&self) -> Option<Call> {
        call(&self.endpoint)
    }

    /// About how much memory it takes, in bytes: mostly what its client said and was told.
    fn bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let flaws = self.flaws.iter().map(|flaw| size_of::<Flaw>() + flaw.code.len() + flaw.message.len() + text(&flaw.param));
        let pairs = self.metadata.iter().flatten();
        let metadata = pairs.map(|(name, value)| size_of::<(String, Value)>() + name.len() + value.as_str().map_or(0, str::len));
        let names = self.id.len() + self.endpoint.len() + self.input_file_id.len() + text(&self.model);
        let since = self.since.len() * size_of::<(String, i64, String)>();
        size_of::<Self>() + names + text(&self.output_file_id) + text(&self.error_file_id) + since + flaws.chain(metadata).sum::<usize>()
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
            "metadata": self.metadata, "model": self.model, "usage": self.used.map(Used::shown),
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

/// How much of batches is kept.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Of one key, how many and about how many bytes.
    of_key: (usize, usize),
    /// Bytes of all keys together.
    bytes: usize,
}

/// What a key's batches take: how many they are, their bytes, and of these the ones of batches that are over.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    count: usize,
    bytes: usize,
    over: usize,
}

/// Every batch.
#[derive(Debug)]
pub(crate) struct Batches {
    folder: PathBuf,
    room: Room,
    rows: Mutex<BTreeMap<String, Arc<Batch>>>,
    /// Held while something is written: of two changes at once, both the row and the file have the later. Who only looks doesn't wait for it.
    writing: Mutex<()>,
}

impl Batches {
    /// Opens a folder of batches, and clears away what is left of those that are over or unknown.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        Self::with_room(folder, Room { of_key: (BATCHES_KEPT_MAX, BATCHES_KEY_BYTES_MAX), bytes: BATCHES_BYTES_MAX })
    }

    fn with_room(folder: PathBuf, room: Room) -> io::Result<Self> {
        make(&folder)?;
        let rows: BTreeMap<_, _> = read_all::<Batch>(&folder)?.into_iter().map(|batch| (batch.id.clone(), Arc::new(batch))).collect();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let goes_on = |id: &str| rows.get(id).is_some_and(|batch| !batch.status.is_over());
            let is_left = match path.extension().and_then(|ending| ending.to_str()) {
                Some("results") => !path.file_stem().and_then(|id| id.to_str()).is_some_and(goes_on),
                ending => ending == Some("part"),
            };
            if is_left {
                fs::remove_file(path)?;
            }
        }
        Ok(Self { folder, room, rows: Mutex::new(rows), writing: Mutex::new(()) })
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Batch>>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A key's batch.
    pub fn find(&self, key: KeyId, id: &str) -> Option<Arc<Batch>> {
        self.rows().get(id).filter(|batch| batch.key == key).cloned()
    }

    /// Batches that something may still happen to, oldest first.
    pub fn under_way(&self) -> Vec<Arc<Batch>> {
        self.oldest_first(|batch| !batch.status.is_over())
    }

    /// Every batch of a key, oldest first.
    pub fn of(&self, key: KeyId) -> Vec<Arc<Batch>> {
        self.oldest_first(|batch| batch.key == key)
    }

    fn oldest_first(&self, wanted: impl Fn(&Batch) -> bool) -> Vec<Arc<Batch>> {
        let mut found: Vec<Arc<Batch>> = self.rows().values().filter(|batch| wanted(batch)).cloned().collect();
        found.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        found
    }

    /// Whether some batch under way reads a file.
    pub fn reads(&self, file: &str) -> bool {
        self.rows().values().any(|batch| batch.input_file_id == file && !batch.status.is_over())
    }

    /// Whether those under way leave room for one more: only what is over is forgotten.
    pub fn has_room(&self) -> bool {
        self.under_way().iter().map(|batch| batch.bytes()).sum::<usize>() < self.room.bytes
    }

    /// Keeps a batch as it is now: durable once it returns. Older ones that are over make room for it.
    pub fn keep(&self, batch: Batch) -> io::Result<()> {
        let _writing = self.writing();
        if let Err(error) = replace(&self.folder, &batch.id, &batch) {
            // It may be there all the same; its client hears that it is not.
            forget(&self.folder, &batch.id);
            return Err(error);
        }
        let key = batch.key;
        self.rows().insert(batch.id.clone(), Arc::new(batch));
        self.make_room(key);
        Ok(())
    }

    /// Forgets the oldest batches that are over: of a key past what it may have, then of whoever has most of them, past what all may.
    fn make_room(&self, key: KeyId) {
        while let Some(gone) = self.beyond(key) {
            // Should a kill bring it back, it goes with the next.
            forget(&self.folder, &gone);
            self.rows().remove(&gone);
        }
    }

    /// The batch that has to go first, if any has.
    fn beyond(&self, key: KeyId) -> Option<String> {
        let rows = self.rows();
        let mut keys = BTreeMap::<KeyId, Held>::new();
        for batch in rows.values() {
            let (held, bytes) = (keys.entry(batch.key).or_default(), batch.bytes());
            held.count += 1;
            held.bytes += bytes;
            held.over += if batch.status.is_over() { bytes } else { 0 };
        }
        let own = keys.get(&key).filter(|own| own.over > 0 && (own.count > self.room.of_key.0 || own.bytes > self.room.of_key.1));
        let is_full = keys.values().map(|held| held.bytes).sum::<usize>() > self.room.bytes;
        let whose = match own {
            Some(_) => key,
            None if is_full => keys.iter().filter(|(_, held)| held.over > 0).max_by_key(|(_, held)| held.over).map(|(key, _)| *key)?,
            None => return None,
        };
        let over = rows.values().filter(|batch| batch.key == whose && batch.status.is_over());
        over.min_by_key(|batch| (batch.created_at, &batch.id)).map(|batch| batch.id.clone())
    }

    /// Forgets the batches of the keys that are so and that are over.
    pub fn forget_of(&self, is_so: impl Fn(KeyId) -> bool) {
        let _writing = self.writing();
        for gone in self.oldest_first(|batch| is_so(batch.key) && batch.status.is_over()) {
            // Should a kill bring it back, it goes with the next sweep.
            forget(&self.folder, &gone.id);
            self.rows().remove(&gone.id);
        }
    }

    /// Changes a batch, durably.
    pub fn change(&self, id: &str, change: impl FnOnce(&mut Batch)) -> io::Result<Option<Arc<Batch>>> {
        let _writing = self.writing();
        let Some(before) = self.rows().get(id).cloned() else { return Ok(None) };
        let mut changed = Batch::clone(&before);
        change(&mut changed);
        replace(&self.folder, id, &changed)?;
        let mut rows = self.rows();
        // Lines may have been counted since.
        if let Some(now) = rows.get(id) {
            changed.completed += now.completed - before.completed;
            changed.failed += now.failed - before.failed;
        }
        let changed = Arc::new(changed);
        rows.insert(id.to_owned(), Arc::clone(&changed));
        drop(rows);
        // It may say more than before, such as what is wrong with its lines.
        self.make_room(changed.key);
        Ok(Some(changed))
    }

    /// Counts an answered line; the count is found again in the results, so nothing is written.
    pub fn count(&self, id: &str, good: bool) {
        if let Some(batch) = self.rows().get_mut(id) {
            let batch = Arc::make_mut(batch);
            *(if good { &mut batch.completed } else { &mut batch.failed }) += 1;
        }
    }

    /// Where a batch's results are written.
    pub fn results_path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.results"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(number: i64, status: Status) -> Batch {
        Batch {
            id: format!("batch_{number}"),
            key: KeyId(1),
            endpoint: "/v1/chat/completions".to_owned(),
            input_file_id: "file-1".to_owned(),
            status,
            flaws: Vec::new(),
            output_file_id: None,
            error_file_id: None,
            created_at: number,
            expires_at: number + 9,
            since: BTreeMap::new(),
            total: 9,
            completed: 0,
            failed: 0,
            metadata: None,
            model: None,
            used: None,
        }
    }

    /// The numbers of the key's batches, oldest first, after these were made one after another; and again after a restart.
    fn check(made: &[(i64, Status)], most: usize, want: &[i64]) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kept = |batches: &Batches| batches.of(KeyId(1)).iter().map(|batch| batch.created_at).collect::<Vec<_>>();
        let room = Room { of_key: (most, usize::MAX), bytes: usize::MAX };
        let batches = Batches::with_room(folder.path().to_owned(), room).expect("a new folder");
        for (number, status) in made {
            batches.keep(batch(*number, *status)).expect("room");
        }
        assert_eq!(kept(&batches), want, "{made:?}");
        assert_eq!(kept(&Batches::open(folder.path().to_owned()).expect("it is there")), want, "{made:?}");
    }

    #[test]
    fn the_oldest_batches_that_are_over_make_room() {
        use Status::{Completed, Failed, InProgress};
        check(&[(1, Completed), (2, Failed), (3, Completed)], 3, &[1, 2, 3]);
        check(&[(1, Completed), (2, Failed), (3, Completed), (4, InProgress)], 3, &[2, 3, 4]);
        check(&[(1, InProgress), (2, Completed), (3, Completed), (4, InProgress)], 2, &[1, 4]);
        check(&[(1, InProgress), (2, InProgress), (3, InProgress)], 2, &[1, 2, 3]);
    }

    /// What stays of batches with so many bytes of metadata, each by its key and number, in the order in which they were made.
    #[test]
    fn what_clients_say_of_batches_takes_no_more_room_than_it_may() {
        use Status::{Completed, InProgress};
        let check = |made: &[(u32, i64, Status)], want: &[(u32, i64)]| {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let room = Room { of_key: (99, 35_000), bytes: 60_000 };
            let batches = Batches::with_room(folder.path().to_owned(), room).expect("a new folder");
            for (key, number, status) in made {
                let metadata = Map::from_iter([("said".to_owned(), Value::String("x".repeat(10_000)))]);
                let made = Batch { key: KeyId(*key), metadata: Some(metadata), ..batch(*number, *status) };
                batches.keep(made).expect("room");
            }
            let kept: Vec<_> = batches.oldest_first(|_| true).iter().map(|batch| (batch.key.0, batch.created_at)).collect();
            assert_eq!((kept.as_slice(), batches.has_room()), (want, true), "{made:?}");
        };
        check(&[(1, 1, Completed), (1, 2, Completed), (1, 3, Completed), (1, 4, Completed)], &[(1, 2), (1, 3), (1, 4)]);
        check(&[(1, 1, Completed), (1, 2, InProgress), (1, 3, InProgress), (1, 4, InProgress)], &[(1, 2), (1, 3), (1, 4)]);
        let of_three = [(1, 1, Completed), (1, 2, Completed), (1, 3, Completed), (2, 4, Completed), (2, 5, Completed), (3, 6, Completed)];
        check(&of_three, &[(1, 2), (1, 3), (2, 4), (2, 5), (3, 6)]);
    }

    #[test]
    fn flaws_take_of_the_same_room() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let room = Room { of_key: (99, 15_000), bytes: 15_000 };
        let batches = Batches::with_room(folder.path().to_owned(), room).expect("a new folder");
        batches.keep(batch(1, Status::Completed)).expect("room");
        batches.keep(batch(2, Status::InProgress)).expect("room");
        let flaw = Flaw { code: "c".to_owned(), message: "m".repeat(20_000), param: None, line: None };
        batches.change("batch_2", |batch| batch.flaws.push(flaw)).expect("room");
        assert_eq!(batches.oldest_first(|_| true).len(), 1, "the one that was over has gone");
        assert!(!batches.has_room(), "and what is under way stays");
    }

    #[test]
    fn results_go_with_their_batch() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let batches = Batches::open(folder.path().to_owned()).expect("a new folder");
        let made = [(1, Status::Completed), (2, Status::InProgress)];
        for (number, status) in made {
            batches.keep(batch(number, status)).expect("room");
        }
        for name in ["batch_1.results", "batch_2.results", "batch_3.results", "batch_2.part"] {
            fs::write(folder.path().join(name), "").expect("room");
        }
        drop(batches);
        let batches = Batches::open(folder.path().to_owned()).expect("it is there");
        let left = (1..=3).map(|number| batches.results_path(&format!("batch_{number}")).exists()).collect::<Vec<_>>();
        assert_eq!((left.as_slice(), folder.path().join("batch_2.part").exists()), (&[false, true, false][..], false));
    }

    /// Whoever looks does not wait for whoever writes, and what is counted meanwhile stays counted.
    #[test]
    fn who_looks_does_not_wait_for_the_disk() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let batches = Batches::open(folder.path().to_owned()).expect("a new folder");
        batches.keep(batch(1, Status::InProgress)).expect("room");
        let changed = batches.change("batch_1", |changing| {
            changing.become_at(Status::Cancelling, 5);
            assert_eq!(batches.find(KeyId(1), "batch_1").map(|found| found.status), Some(Status::InProgress), "not before it is written");
            batches.count("batch_1", true);
        });
        let changed = changed.expect("room").expect("it is there");
        assert_eq!((changed.status, changed.completed), (Status::Cancelling, 1));
        assert_eq!(batches.find(KeyId(1), "batch_1"), Some(changed));
    }
}
