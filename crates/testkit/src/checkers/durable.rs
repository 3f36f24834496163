//! I14: the intent before the effect, and what a client was told survives.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dispatch::{AttemptId, Outcome, RequestId};
use fleet::EndpointId;

use super::{Booked, Breach, Call, Invariant, Lost, Told};

/// I14: `intents` says when each attempt's decision was in the journal, by the same clock as the calls. No upstream is called before
/// that, and whatever a client got to its end is booked as answered, but for what a power cut took.
#[must_use]
pub fn check_durable(
    intents: &BTreeMap<(RequestId, EndpointId), (AttemptId, Duration)>,
    booked: &[Booked],
    calls: &[Call],
    told: &[Told],
    lost: &Lost,
) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut find = |what: String| breaches.push(Breach::new(Invariant::I14, what));
    for call in calls {
        match intents.get(&(call.request, call.endpoint)) {
            None => find(format!("{} was asked of {:?} without an intent", call.request, call.endpoint)),
            Some((attempt, at)) if *at > call.at => find(format!("attempt {attempt} was called before its intent was written")),
            Some(_) => {}
        }
    }
    let there: BTreeSet<_> = booked.iter().map(|row| row.attempt).collect();
    for (attempt, _) in intents.values() {
        if !lost.contains(attempt) && !there.contains(attempt) {
            find(format!("the intent of attempt {attempt} was journaled and is gone"));
        }
    }
    let mut rows: BTreeMap<_, Vec<_>> = BTreeMap::new();
    booked.iter().for_each(|row| rows.entry(row.attempt.request).or_default().push(row));
    for told in told.iter().filter(|told| told.whole && told.status == Some(200)) {
        let Some(request) = told.request else { continue };
        // Where it isn't said who answered, any of them may have.
        let of = rows.get(&request).into_iter().flatten().filter(|row| told.endpoint.is_none_or(|endpoint| endpoint == row.endpoint));
        let outcomes: Vec<_> = of.filter_map(|row| row.settled).map(|settled| settled.outcome).collect();
        if !outcomes.contains(&Outcome::Answered) && !lost.iter().any(|lost| lost.request == request) {
            find(format!("{request} was answered to the end, and is booked as {outcomes:?}"));
        }
    }
    breaches
}
