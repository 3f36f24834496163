//! One attempt of a request; where its class asks for it, a second one beside it when the first is late. Whose content comes first
//! goes on, and both are metered.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dispatch::Fault;
use fleet::ServiceTier;
use hyper::HeaderMap;

use crate::call::{self, Answered, Asked, Missed};
use crate::envelope::Refused;
use crate::flight::{Flight, Next};
use crate::peek::{Call, Streaming};
use crate::picker::Share;
use crate::translate::Said;

/// What there is to do without an answer.
pub(crate) enum Unanswered {
    /// Go on with the request.
    Next(Next),
    /// The request itself is at fault.
    Refused(Refused),
}

/// Calls the endpoint that was decided on, and waits until there is content; the flight is then that of the attempt that has it.
pub(crate) async fn attempt(flight: &mut Flight, head: &HeaderMap, said: &Said<'_>) -> Result<Answered, Unanswered> {
    match flight.hedge_after() {
        None => called(flight, head, said).await.map_err(|missed| unanswered(flight, missed)),
        // Few requests hedge: what that remembers is not kept beside every request.
        Some(patience) => Box::pin(hedged(flight, head, said, patience)).await,
    }
}

/// An attempt, and another beside it when it has no content for as long as that.
async fn hedged(flight: &mut Flight, head: &HeaderMap, said: &Said<'_>, patience: Duration) -> Result<Answered, Unanswered> {
    let mut first = pin!(called(flight, head, said));
    if let Ok(answered) = tokio::time::timeout(patience, &mut first).await {
        return answered.map_err(|missed| unanswered(flight, missed));
    }
    // Where there is nowhere else to go, what was decided on is waited for.
    let second = flight.hedge().map(|mut second| (second.decide(), second));
    let Some((Ok(Next::Call(_)), mut second)) = second else {
        return first.await.map_err(|missed| unanswered(flight, missed));
    };
    let mut other = pin!(called(&second, head, said));
    // Of two that have content at once it is the first: who wins is no toss-up.
    tokio::select! {
        biased;
        answered = &mut first => match answered {
            Err(missed @ (Missed::Fault(_) | Missed::Said { .. } | Missed::Here { .. })) => {
                // Even where that was its last attempt, the one beside it goes on in its place.
                let places = flight.lend_places();
                let next = flight.missed(&missed);
                let answered = other.await;
                flight.take_places(places);
                match answered {
                    Ok(answered) => {
                        flight.give_way(second);
                        Ok(answered)
                    }
                    Err(beside) => {
                        flight.failed_beside(second, &beside);
                        Err(either(next, [missed, beside]))
                    }
                }
            }
            answered => {
                second.outrun();
                answered.map_err(|missed| unanswered(flight, missed))
            }
        },
        answered = &mut other => match answered {
            Ok(answered) => {
                flight.give_way(second);
                Ok(answered)
            }
            Err(beside) => {
                flight.failed_beside(second, &beside);
                first.await.map_err(|missed| either(flight.missed(&missed), [missed, beside]))
            }
        },
    }
}

fn unanswered(flight: &mut Flight, missed: Missed) -> Unanswered {
    let next = flight.missed(&missed);
    missed.refusal().map_or(Unanswered::Next(next), Unanswered::Refused)
}

/// What there is to do when both have failed: where one says that the request is at fault, no other endpoint would do better, and what this
/// machine lacked for one it lacks for the next.
fn either(next: Next, mut legs: [Missed; 2]) -> Unanswered {
    legs.sort_by_key(|missed| !matches!(missed, Missed::Client(_)));
    legs.into_iter().find_map(Missed::refusal).map_or(Unanswered::Next(next), Unanswered::Refused)
}

/// One call, which holds on to nothing of its flight.
fn called<'a>(flight: &Flight, head: &'a HeaderMap, said: &'a Said<'_>) -> impl Future<Output = Result<Answered, Missed>> + use<'a> {
    let (state, snapshot) = (Arc::clone(&flight.state), Arc::clone(&flight.snapshot));
    let (chosen, id, model, output_max) = (flight.chosen, flight.ask.id, flight.ask.model, flight.ask.output_max);
    let (tier, key, team, trace, sent) = (flight.ask.tier, flight.key, flight.team, flight.trace, flight.sent());
    // A batch's line is tried again instead, where that can help.
    let in_shadow = flight.wish.is_some() && tier != ServiceTier::Batch;
    // What only says that an answer is to come wins no race.
    let kept = flight.hedge_after().is_none().then_some(state.limits.prelude_timeout);
    async move {
        let chosen = chosen.ok_or(Fault::Unreachable)?;
        let upstream = snapshot.upstream(chosen.endpoint).ok_or(Fault::Unreachable)?;
        let model = upstream.model.as_deref().unwrap_or_else(|| snapshot.fleet.models.name(model));
        let (peek, most) = (said.peek(), Said::most(said.call(), upstream, output_max));
        let body = said.body(upstream, model, most)?;
        // A copy takes as much memory again.
        let body = said.kept(body);
        let asked = Asked {
            id,
            call: said.call(),
            body: body.ok_or_else(|| Missed::Here { fault: Fault::Unreachable, refused: Refused::overloaded() })?,
            model,
            now: state.clock.now(),
            head,
            streamed: peek.streaming != Streaming::No,
            // A response is one, whatever a field says that it doesn't have.
            choices: if said.call() == Call::Responses { 1 } else { peek.choices },
            strip_usage: matches!(peek.streaming, Streaming::AddUsage(_)),
            share: upstream.picker.map(|picker| Share::of(picker, tier, key, team.map(|team| snapshot.fleet.teams.name(team)))),
            in_shadow,
            kept,
            sent: (sent, most),
            trace: if state.is_traced(trace) { trace.header(chosen.attempt) } else { None },
        };
        call::call(&state, upstream, asked).await
    }
}
