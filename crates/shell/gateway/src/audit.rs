//! `/api/ledger/verify`: the live audit, of the books and of what this process has open.

use std::sync::Arc;

use dispatch::audit::{Reading, over};
use ledger::Verification;
use serde_json::json;

use crate::envelope::Refused;
use crate::limits::OWED_MAX;
use crate::state::State;

/// Checks what was added to the books since it was asked last, away from the threads that serve requests.
pub(crate) async fn serve(state: &Arc<State>) -> Result<Vec<u8>, Refused> {
    let asked = Arc::clone(state);
    let found = tokio::task::spawn_blocking(move || asked.recorder.journal.audit(asked.clock.now())).await;
    let Ok(Ok(Some(found))) = found else { return Err(Refused::overloaded()) };
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
    use super::*;

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
