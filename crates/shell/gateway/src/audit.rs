//! `/api/ledger/verify`: the live audit.

use std::sync::Arc;

use serde_json::json;

use crate::envelope::Refused;
use crate::state::State;

/// Checks what was added to the books since it was asked last, away from the threads that serve requests.
pub(crate) async fn serve(state: &Arc<State>) -> Result<Vec<u8>, Refused> {
    let asked = Arc::clone(state);
    let found = tokio::task::spawn_blocking(move || asked.recorder.journal.audit()).await;
    let Ok(Ok(Some(found))) = found else { return Err(Refused::overloaded()) };
    let findings: Vec<String> = found.findings.iter().map(ToString::to_string).collect();
    let document = json!({ "holds": found.holds(), "entries": found.entries, "settled": found.settled, "postings": found.postings,
        "head_number": found.head.number, "head": found.head.hash.to_string(), "wrong": found.wrong, "findings": findings });
    Ok(document.to_string().into_bytes())
}
