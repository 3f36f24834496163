//! I2 and I3: what is metered, beside what the upstreams themselves remember.

use std::collections::{BTreeMap, BTreeSet};

use dispatch::{Known, Outcome, Settlement};
use market::Tokens;

use super::{Booked, Breach, Call, Invariant, Lost, Told};

/// I2: each call that an upstream got is one attempt in the books, no attempt is there twice, and no request is answered twice. A request
/// never asks one endpoint twice, so the two name an attempt.
#[must_use]
pub fn check_once(booked: &[Booked], calls: &[Call], lost: &Lost) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let mut find = |what: String| breaches.push(Breach::new(Invariant::I2, what));
    let mut attempts = BTreeSet::new();
    let mut places = BTreeMap::new();
    for row in booked {
        if !attempts.insert(row.attempt) {
            find(format!("attempt {} is booked twice", row.attempt));
        }
        if let Some(other) = places.insert((row.attempt.request, row.endpoint), row.attempt).filter(|other| *other != row.attempt) {
            find(format!("attempts {other} and {} went to the same endpoint", row.attempt));
        }
        if row.settled.is_some_and(|settled| settled.attempt != row.attempt || settled.endpoint != row.endpoint) {
            find(format!("attempt {} is settled as another", row.attempt));
        }
    }
    let mut heard = BTreeSet::new();
    for call in calls {
        let place = (call.request, call.endpoint);
        if !heard.insert(place) {
            find(format!("{} was asked of {:?} twice", call.request, call.endpoint));
        }
        if !places.contains_key(&place) && !lost.iter().any(|lost| lost.request == call.request) {
            find(format!("{} was asked of {:?}, and no attempt is booked", call.request, call.endpoint));
        }
    }
    let mut answered = BTreeSet::new();
    for (row, settled) in booked.iter().filter_map(|row| Some((row, row.settled?))) {
        let is_heard = heard.contains(&(row.attempt.request, row.endpoint));
        if settled.known == Known::Reported && !is_heard {
            find(format!("attempt {} has tokens that no upstream reported", row.attempt));
        }
        if settled.outcome == Outcome::Answered {
            if !is_heard {
                find(format!("attempt {} is answered, and no upstream was asked", row.attempt));
            }
            if !answered.insert(row.attempt.request) {
                find(format!("{} is answered twice", row.attempt.request));
            }
        }
    }
    breaches
}

/// I3: the tokens of an attempt that ended well are what its upstream generated; of a broken one delivered <= metered <= generated; and
/// where only a bound is known nothing was read or generated beyond it. What a client was told is what is booked. An answer that comes
/// whole without usage is estimated: only its being marked so is checked.
#[must_use]
pub fn check_tokens(booked: &[Booked], calls: &[Call], told: &[Told]) -> Vec<Breach> {
    let calls: BTreeMap<_, _> = calls.iter().map(|call| ((call.request, call.endpoint), call)).collect();
    let heard: BTreeMap<_, _> = told.iter().filter_map(|told| Some(((told.request?, told.endpoint?), told.delivered))).collect();
    // Who answers tells what it came to, whether or not it is said who that was.
    let usage: BTreeMap<_, _> = told.iter().filter_map(|told| Some((told.request?, told.usage?))).collect();
    let mut breaches = Vec::new();
    for (row, settled) in booked.iter().filter_map(|row| Some((row, row.settled?))) {
        let place = (row.attempt.request, row.endpoint);
        let wrong = match calls.get(&place) {
            Some(call) => wrong_with(&settled, call, heard.get(&place).copied().unwrap_or(0)),
            None if settled.known == Known::Counted && settled.tokens != Tokens::default() => Some("counts what no upstream took"),
            None => None,
        };
        let is_answer = settled.outcome == Outcome::Answered;
        let is_told_otherwise = is_answer && usage.get(&row.attempt.request).is_some_and(|usage| *usage != settled.tokens);
        let wrong = wrong.or(is_told_otherwise.then_some("has other tokens than its client was told"));
        breaches.extend(wrong.map(|why| Breach::new(Invariant::I3, format!("attempt {} {why}: {settled:?}", row.attempt))));
    }
    breaches
}

fn wrong_with(settled: &Settlement, call: &Call, delivered: u32) -> Option<&'static str> {
    let output = settled.tokens.output;
    match settled.known {
        Known::Reported if call.reported != Some(settled.tokens) => Some("has other tokens than its upstream reported"),
        Known::Reported if output != call.generated => Some("has other tokens than were generated"),
        Known::Reported => None,
        Known::Counted if settled.outcome == Outcome::Answered && call.reported.is_some() => {
            Some("was answered with usage, and is counted")
        }
        Known::Counted if !call.streamed && output == 0 && call.generated > 0 => Some("counts nothing of what was generated"),
        Known::Counted if !call.streamed => None,
        Known::Counted if settled.outcome == Outcome::Answered && output != call.generated => Some("was answered, and counts otherwise"),
        Known::Counted if output < delivered => Some("counts less than was delivered"),
        Known::Counted if output > call.generated => Some("counts more than was generated"),
        Known::Counted => None,
        Known::Bounded if output < call.generated => Some("is bounded below what was generated"),
        Known::Bounded if settled.tokens.input < call.read => Some("is bounded below what was read"),
        Known::Bounded => None,
    }
}
