//! One line of a batch: an ordinary inference request at tier `batch`, under the key that made the batch.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dispatch::{KeyId, RequestId};
use fleet::ServiceTier;
use http_body_util::BodyExt;
use hyper::HeaderMap;

use crate::batch::check::Line;
use crate::batch::results::{Answered, Results};
use crate::envelope::Refused;
use crate::ids;
use crate::peek::Call;
use crate::request::{self, Asking};
use crate::state::State;

/// When a line that could not be served is tried again, unless it is told otherwise.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// When a key that has nothing to spend is tried again.
const SPENT_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// When a result that could not be kept is tried to be kept again: the disk is full, most likely.
const KEEP_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A line that is to run.
pub(crate) struct Job {
    pub key: KeyId,
    pub call: Call,
    pub input: Arc<File>,
    pub place: Range<u64>,
    pub line: u32,
    /// What its result is called.
    pub id: String,
    pub results: Arc<Mutex<Results>>,
}

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ran {
    Answered {
        good: bool,
    },
    /// It has no result yet.
    Later(Duration),
    /// It has none yet, and no other line of its key would have one before then.
    Held(Duration),
}

/// Runs one line, and keeps its result before anybody hears of it.
pub(crate) async fn run(state: Arc<State>, job: Job) -> Ran {
    let Job { key, call, input, place, line, id, results } = job;
    let text = blocking(move || {
        let mut text = vec![0; usize::try_from(place.end - place.start).unwrap_or(0)];
        input.read_exact_at(&mut text, place.start).map(|()| text)
    });
    let Some(Ok(text)) = text.await else { return Ran::Later(AGAIN_AFTER) };
    // It was read when the batch was checked.
    let Some(read) = Line::read(&text) else { return Ran::Later(AGAIN_AFTER) };
    let custom_id = read.custom_id.unwrap_or_default().into_owned();
    let Some(request) = ids::draw(state.clock.now()) else { return Ran::Later(AGAIN_AFTER) };
    let body = bytes::Bytes::from(read.body.map_or_else(Vec::new, |body| body.get().as_bytes().to_vec()));
    let named = request.to_string();
    let answered = match Box::pin(ask(&state, key, request, call, body)).await {
        Ok(body) => match Answered::good(line, &id, &custom_id, &named, body) {
            Some(answered) => Some(answered),
            None => Answered::refused(line, &id, &custom_id, &named, &Refused::untold()),
        },
        Err(refused) if is_of_the_key(&refused) => return Ran::Held(refused.retry_after.unwrap_or(SPENT_AGAIN_AFTER).max(AGAIN_AFTER)),
        Err(refused) if is_passing(&refused) => return Ran::Later(refused.retry_after.unwrap_or(AGAIN_AFTER).max(AGAIN_AFTER)),
        Err(refused) => Answered::refused(line, &id, &custom_id, &named, &refused),
    };
    let Some(answered) = answered else { return Ran::Later(AGAIN_AFTER) };
    keep(Arc::new(answered), results).await
}

/// Keeps a result, however often that has to be tried: it is paid for, and to run the line again would pay for it twice.
async fn keep(answered: Arc<Answered>, results: Arc<Mutex<Results>>) -> Ran {
    loop {
        let (keeping, results) = (Arc::clone(&answered), Arc::clone(&results));
        match blocking(move || results.lock().unwrap_or_else(PoisonError::into_inner).append(&keeping)).await {
            Some(Ok(())) => return Ran::Answered { good: answered.good },
            _ => tokio::time::sleep(KEEP_AGAIN_AFTER).await,
        }
    }
}

/// Whether the same request may be served later.
fn is_passing(refused: &Refused) -> bool {
    let status = refused.status.as_u16();
    status == 429 || status == 408 || status >= 500
}

/// Whether it is for what the key may spend, whatever it asks for.
fn is_of_the_key(refused: &Refused) -> bool {
    matches!(refused.code.as_deref(), Some("insufficient_quota" | "rate_limit_exceeded" | "no_lease"))
}

async fn ask(state: &Arc<State>, key: KeyId, id: RequestId, call: Call, body: bytes::Bytes) -> Result<Vec<u8>, Refused> {
    let snapshot = state.snapshot.load_full();
    let key = snapshot.keys.by_id(key, state.clock.now()).ok_or_else(Refused::bad_key)?;
    let place = state.admit()?;
    let head = HeaderMap::new();
    let asking = Asking { call, head: &head, body, tier: Some(ServiceTier::Batch) };
    let served = request::answer_to(state, &snapshot, key, place, None, id, asking).await?;
    // An answer's body can't fail.
    let whole = served.body.collect().await.unwrap_or_else(|never| match never {});
    Ok(whole.to_bytes().to_vec())
}

/// Does what waits for a disk away from the threads that serve; `None` when it panicked.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}
