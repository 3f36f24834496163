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
use crate::memory;
use crate::peek::Call;
use crate::request::{self, Asking};
use crate::state::State;

/// When a line that could not be served is tried again, unless it is told otherwise.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// When a key that has nothing to spend is tried again.
const SPENT_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How often a line may be paid for without an answer: what refuses it then is its answer.
const PAID_TRIES_MAX: u32 = 3;
/// When a result that could not be kept is tried to be kept again: the disk is full, most likely.
const KEEP_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A line that is to run.
pub(crate) struct Job {
    pub key: KeyId,
    pub call: Call,
    pub input: Arc<File>,
    pub place: Range<u64>,
    pub line: u32,
    /// How often it was paid for without an answer.
    pub paid: u32,
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
    /// It has none yet, and was paid for all the same.
    Paid(Duration),
    /// It has none yet, for its key can't pay for it before then, nor perhaps for any other.
    Held(Duration),
}

/// Runs one line, and keeps its result before anybody hears of it.
pub(crate) async fn run(state: Arc<State>, job: Job) -> Ran {
    let Job { key, call, input, place, line, paid, id, results } = job;
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
    drop(text);
    let named = request.to_string();
    let asked = Box::pin(ask(&state, key, request, call, body)).await;
    let answered = match &asked {
        Ok(body) => match Answered::good(line, &id, &custom_id, &named, body) {
            Some(answered) => Some(answered),
            None => Answered::refused(line, &id, &custom_id, &named, &Refused::untold()),
        },
        Err(refused) => match again(refused, paid) {
            Some(later) => return later,
            None => Answered::refused(line, &id, &custom_id, &named, refused),
        },
    };
    let Some(answered) = answered else { return Ran::Later(AGAIN_AFTER) };
    // Until it is kept, the answer has its share of what bodies may take.
    let ran = keep(Arc::new(answered), results).await;
    drop(asked);
    ran
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

/// When a line is tried again that was refused, and was paid for so often before; `None` where the refusal is its answer.
fn again(refused: &Refused, paid: u32) -> Option<Ran> {
    let (status, after) = (refused.status.as_u16(), |usual: Duration| refused.retry_after.unwrap_or(usual).max(AGAIN_AFTER));
    match refused.code.as_deref() {
        // A budget is whole again one day, and what others have reserved of it comes back sooner.
        Some("insufficient_quota") if status == 429 => Some(Ran::Held(after(SPENT_AGAIN_AFTER))),
        _ if refused.for_good || status != 429 && status != 408 && status < 500 => None,
        Some("rate_limit_exceeded" | "no_lease") => Some(Ran::Held(after(SPENT_AGAIN_AFTER))),
        _ if !refused.paid => Some(Ran::Later(after(AGAIN_AFTER))),
        _ if paid + 1 >= PAID_TRIES_MAX => None,
        _ => Some(Ran::Paid(after(AGAIN_AFTER))),
    }
}

async fn ask(state: &Arc<State>, key: KeyId, id: RequestId, call: Call, body: bytes::Bytes) -> Result<bytes::Bytes, Refused> {
    let snapshot = state.snapshot.load_full();
    let key = snapshot.keys.by_id(key, state.clock.now()).ok_or_else(Refused::bad_key)?;
    let place = state.admit()?;
    // It takes of the room that its key has, as a client's does.
    let body = memory::made(body, &key.counted()?.room).ok_or_else(Refused::overloaded)?;
    let head = HeaderMap::new();
    let asking = Asking { call, head: &head, body, tier: Some(ServiceTier::Batch) };
    let served = request::answer_to(state, &snapshot, key, place, None, id, asking).await?;
    // An answer's body can't fail.
    let whole = served.body.collect().await.unwrap_or_else(|never| match never {});
    Ok(whole.to_bytes())
}

/// Does what waits for a disk away from the threads that serve; `None` when it panicked.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(refused: &Refused, paid: u32, want: Option<Ran>) {
        assert_eq!(again(refused, paid), want, "{refused:?}, paid for {paid} times before");
    }

    #[test]
    fn a_line_is_tried_again_while_that_can_help_and_is_not_paid_for_too_often() {
        let (soon, minute) = (Some(Ran::Later(AGAIN_AFTER)), Duration::from_secs(60));
        let lost = Refused::no_capacity("lost", Duration::from_secs(1));
        let paid = Refused { paid: true, ..lost.clone() };
        check(&lost, 99, soon);
        check(&paid, 0, Some(Ran::Paid(AGAIN_AFTER)));
        check(&paid, 1, Some(Ran::Paid(AGAIN_AFTER)));
        check(&paid, 2, None);
        check(&Refused::no_journal(), 2, soon);
        for answer in [Refused::untold(), Refused::answer_too_large(1), Refused::no_model("gone"), Refused::bad_key()] {
            check(&answer, 0, None);
        }
        check(&Refused::over_budget(), 0, Some(Ran::Held(minute)));
        check(&Refused::rate_limited(String::new()).again_after(minute * 2), 0, Some(Ran::Held(minute * 2)));
        check(&Refused::rate_limited("more than a minute's".to_owned()).for_good(), 0, None);
    }
}
