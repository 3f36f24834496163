//! One attempt of a request; where its class asks for it, a second one beside it when the first is late. Whose content comes first
//! goes on, and both are metered.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dispatch::Fault;
use hyper::HeaderMap;

use crate::call::{self, Answered, Asked, Missed};
use crate::envelope::Refused;
use crate::flight::{Flight, Next};
use crate::peek::Streaming;
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
    tokio::select! {
        answered = &mut first => match answered {
            Err(Missed::Fault(fault)) => {
                // Even where that was its last attempt, the one beside it goes on in its place.
                let places = flight.lend_places();
                let next = flight.failed(fault);
                let answered = other.await;
                flight.take_places(places);
                match answered {
                    Ok(answered) => {
                        flight.give_way(second);
                        Ok(answered)
                    }
                    Err(missed) => {
                        flight.failed_beside(second, &missed);
                        Err(Unanswered::Next(next))
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
            Err(missed) => {
                flight.failed_beside(second, &missed);
                first.await.map_err(|missed| unanswered(flight, missed))
            }
        },
    }
}

fn unanswered(flight: &mut Flight, missed: Missed) -> Unanswered {
    let next = flight.missed(&missed);
    match missed {
        Missed::Fault(_) => Unanswered::Next(next),
        Missed::Client(refused) | Missed::Here { refused, .. } => Unanswered::Refused(refused),
    }
}

/// One call, which holds on to nothing of its flight.
fn called<'a>(flight: &Flight, head: &'a HeaderMap, said: &'a Said<'_>) -> impl Future<Output = Result<Answered, Missed>> + use<'a> {
    let (state, snapshot) = (Arc::clone(&flight.state), Arc::clone(&flight.snapshot));
    let (chosen, id, model, output_max) = (flight.chosen, flight.ask.id, flight.ask.model, flight.ask.output_max);
    let (tier, key, team) = (flight.ask.tier, flight.key, flight.team);
    async move {
        let chosen = chosen.ok_or(Fault::Unreachable)?;
        let upstream = snapshot.upstream(chosen.endpoint).ok_or(Fault::Unreachable)?;
        let model = upstream.model.as_deref().unwrap_or_else(|| snapshot.fleet.models.name(model));
        let peek = said.peek();
        let asked = Asked {
            id,
            call: said.call(),
            body: said.body(upstream, model, output_max)?,
            model,
            now: state.clock.now(),
            head,
            streamed: peek.streaming != Streaming::No,
            strip_usage: matches!(peek.streaming, Streaming::AddUsage(_)),
            share: upstream.picker.map(|picker| Share::of(picker, tier, key, team.map(|team| snapshot.fleet.teams.name(team)))),
        };
        call::call(&state, upstream, asked).await
    }
}
