//! `/api/ledger/verify`: the live audit, of the books and of what this process has open.

use std::sync::Arc;

use dispatch::audit::{Reading, over};
use ledger::Verification;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::envelope::Refused;
use crate::limits::{AUDITS_MAX, OWED_MAX};
use crate::state::State;

/// The audits that may run: each takes one of the threads that names of upstreams are looked up on too.
#[derive(Debug)]
pub(crate) struct Audits(Arc<Semaphore>);

impl Default for Audits {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AUDITS_MAX)))
    }
}

impl Audits {
    /// Runs an audit away from the threads that serve requests. Its place is taken until it ends, also where nobody waits for it any more.
    async fn run<T: Send + 'static>(&self, audit: impl FnOnce() -> T + Send + 'static) -> Result<T, Refused> {
        let place = Arc::clone(&self.0).try_acquire_owned().map_err(|_| Refused::audited())?;
        let run = tokio::task::spawn_blocking(move || {
            let found = audit();
            drop(place);
            found
        });
        run.await.map_err(|_| Refused::overloaded())
    }
}

/// Checks what was added to the books since it was asked last.
pub(crate) async fn serve(state: &Arc<State>) -> Result<Vec<u8>, Refused> {
    let asked = Arc::clone(state);
    let found = state.audits.run(move || asked.recorder.journal.audit(asked.clock.now())).await?;
    let Ok(Some(found)) = found else { return Err(Refused::overloaded()) };
    Ok(render(&found, &readings(state)))
}

/// What is open now of what has a cap that nothing may pass, not even for a moment.
pub(crate) fn readings(state: &State) -> [Reading; 5] {
    let (limits, reading) = (&state.limits, |what, most: usize, cap: usize| Reading { what, most: most as u64, cap: cap as u64 });
    let models = state.snapshot.load().fleet.models.len();
    [
        reading("requests under way", state.gate.under_way(), limits.in_flight_max),
        reading("requests in line for a place", state.gate.waiting(), limits.queue_max),
        reading("requests in line for an endpoint", state.rooms.waiting(), limits.queue_max.saturating_mul(models)),
        reading("bytes of bodies", limits.bodies_bytes_max.saturating_sub(state.memory.left()), limits.bodies_bytes_max),
        reading("records that the journal has not taken", state.recorder.owed(), OWED_MAX),
    ]
}

fn render(found: &Verification, readings: &[Reading]) -> Vec<u8> {
    let over: Vec<String> = over(readings).collect();
    let wrong = found.wrong + over.len() as u64;
    let findings: Vec<String> = found.findings.iter().map(ToString::to_string).chain(over).collect();
    let caps: Vec<_> = readings.iter().map(|Reading { what, most, cap }| json!({ "what": what, "now": most, "cap": cap })).collect();
    let document = json!({ "holds": wrong == 0, "entries": found.entries, "settled": found.settled, "postings": found.postings,
        "records": found.records, "replayed": found.replayed, "head_number": found.head.number, "head": found.head.hash.to_string(),
        "caps": caps, "wrong": wrong, "findings": findings });
    document.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn so_many_audits_run_at_once_also_when_nobody_waits_for_them() {
        let audits = Audits::default();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let ended = Arc::new(std::sync::Mutex::new(ended));
        for _ in 0..AUDITS_MAX {
            let ended = Arc::clone(&ended);
            let mut asked = Box::pin(audits.run(move || ended.lock().is_ok_and(|ended| ended.recv().is_ok())));
            // Whoever asked leaves while it runs.
            assert!(asked.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        let refused = audits.run(|| ()).await.expect_err("the places are taken");
        assert_eq!((refused.status.as_u16(), refused.code.as_deref()), (503, Some("audit_running")));
        assert!(refused.retry_after.is_some());
        end.send(()).expect("an audit waits for it");
        drop(audits.0.acquire().await.expect("it is never closed"));
        assert_eq!(audits.run(|| 7).await, Ok(7));
    }

    #[test]
    fn a_passed_cap_is_found_beside_sound_books() {
        let found = |most| {
            let document = render(&Verification::default(), &[Reading { what: "requests under way", most, cap: 8 }]);
            serde_json::from_slice::<serde_json::Value>(&document).expect("JSON")
        };
        let (sound, passed) = (found(8), found(9));
        assert_eq!((&sound["holds"], &sound["findings"]), (&json!(true), &json!([])));
        assert_eq!((&passed["holds"], &passed["wrong"]), (&json!(false), &json!(1)));
        assert_eq!(passed["findings"], json!(["requests under way: 9 of at most 8"]));
    }
}
