//! The life of a request, from top to bottom: who asks, what for, where it goes, what comes back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dispatch::{Ask, Failure, PassedOver, Reason, Refusal, RequestId};
use fleet::{Capability, Fleet, ModelId, ServiceTier};
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
use hyper::header::HeaderValue;
use hyper::{Request, StatusCode};
use ledger::Scope;
use market::Tokens;
use units::Instant;

use crate::admission::{Counted, Rates, Ticket, Visit, Waiting};
use crate::answer::Whole;
use crate::body::{Answer, Streaming};
use crate::call::Answered;
use crate::envelope::Refused;
use crate::flight::{Flight, Next, Undecided};
use crate::keys::Key;
use crate::learnt::{BYTES_PER_TOKEN_MOST, Learnt};
use crate::memory::{self, Memory, Unread};
use crate::messages::Told;
use crate::peek::{Call, Peek};
use crate::race::{self, Unanswered};
use crate::relay::Relay;
use crate::responses;
use crate::shadow;
use crate::snapshot::Snapshot;
use crate::state::{Place, State};
use crate::trace::Trace;
use crate::translate::{self, Passage, Said};

/// An answer on its way out, with what its head says about where it came from.
pub(crate) struct Served {
    pub status: StatusCode,
    pub body: Answer,
    pub kind: &'static str,
    pub source: Option<Source>,
    /// How much is left of the key's rates.
    pub rates: Rates,
}

impl Served {
    /// A document.
    pub fn json(document: &serde_json::Value) -> Self {
        let body = Answer::from(Bytes::from(document.to_string()));
        Self { status: StatusCode::OK, body, kind: "application/json", source: None, rates: Rates::default() }
    }
}

/// Where an answer came from.
pub(crate) struct Source {
    pub endpoint: HeaderValue,
    pub contract: HeaderValue,
    pub marginal_price: HeaderValue,
}

/// Serves one inference call.
pub(crate) async fn serve(
    state: Arc<State>,
    call: Call,
    id: RequestId,
    visit: &Arc<Visit>,
    request: Request<Incoming>,
) -> Result<Served, Refused> {
    let snapshot = state.snapshot.load_full();
    let (head, body) = request.into_parts();
    let key = snapshot.keys.admit(&head.headers, state.clock.now(), Scope::Inference)?;
    let place = state.admit()?;
    let body = read(&state, (&key.counted()?.room, state.limits.body_bytes_max), body).await?;
    answer_to(&state, &snapshot, key, place, Some(visit), id, Asking { call, head: &head.headers, body, tier: None }).await
}

/// A body with what it asks for, and the head that it came with.
pub(crate) struct Asking<'a> {
    pub call: Call,
    pub head: &'a HeaderMap,
    pub body: Bytes,
    /// The class of service, where the body has no say in it.
    pub tier: Option<ServiceTier>,
}

/// Answers one inference call of a key that was let in: a request that came from an address, or a line of a batch.
pub(crate) async fn answer_to(
    state: &Arc<State>,
    snapshot: &Arc<Snapshot>,
    key: &Key,
    place: Place,
    visit: Option<&Arc<Visit>>,
    id: RequestId,
    asking: Asking<'_>,
) -> Result<Served, Refused> {
    let (asking, told) = responses::door(state, snapshot, &key.counted()?.room, id, asking)?;
    let served = answer_as_asked(state, snapshot, key, place, visit, id, asking).await;
    match told {
        Some(told) => responses::tell(told, served),
        None => served,
    }
}

/// The same in the words that its upstreams are asked in.
async fn answer_as_asked(
    state: &Arc<State>,
    snapshot: &Arc<Snapshot>,
    key: &Key,
    place: Place,
    visit: Option<&Arc<Visit>>,
    id: RequestId,
    asking: Asking<'_>,
) -> Result<Served, Refused> {
    let Asking { call, head, body, tier } = asking;
    let mut peek = Peek::parse(call, &body)?;
    peek.tier = tier.unwrap_or(peek.tier);
    let ask = ask(state, snapshot, key, id, &peek)?;
    let wish = if state.shadow { Some(shadow::wish(snapshot, head, ask.model)?) } else { None };
    let Counted { belongs, under_way, room } = key.counted()?;
    let output = state.learnt(ask.model).likely(ask.output_max, peek.output_max.is_some());
    let ticket = Ticket::take(belongs, &ask, output, state).await?;
    let under_way = state.gate.enter(ask.tier, under_way, visit, &state.limits).await?;
    let said = Said::new(snapshot, ask.model, call, (&body, room), &peek);
    let mut flight = Flight::new(Arc::clone(state), Arc::clone(snapshot), (place, under_way), ticket, key, ask, &peek);
    flight.wish = wish;
    flight.barred = said.barred();
    flight.trace = Trace::of(head, call);
    fly(flight, head, &said).await
}

/// Reads the whole body, within its limits. It is kept until there is content: another upstream may need it again.
pub(crate) async fn read(state: &State, (room, limit): (&Arc<Memory>, usize), body: Incoming) -> Result<Bytes, Refused> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Refused::too_large(limit));
    }
    match tokio::time::timeout(state.limits.body_timeout, memory::whole(body, limit, room)).await {
        Ok(Ok(whole)) => Ok(whole),
        Ok(Err(Unread::TooLong)) => Err(Refused::too_large(limit)),
        Ok(Err(Unread::NoRoom)) => Err(Refused::overloaded()),
        Ok(Err(Unread::Ended(_))) => Err(Refused::bad_body("The request body ended before it was complete.")),
        Err(_) => Err(Refused::too_slow()),
    }
}

/// What dispatch needs to know of the request.
fn ask(state: &State, snapshot: &Snapshot, key: &Key, id: RequestId, peek: &Peek<'_>) -> Result<Ask, Refused> {
    let model = snapshot.model(&peek.model).filter(|model| key.allows(*model)).ok_or_else(|| Refused::no_model(&peek.model))?;
    let learnt = state.learnt(model);
    let input = learnt.input(peek.prompt_bytes);
    let context = snapshot.fleet.models[model].context;
    // No more comes than a context holds, whatever is asked for.
    let output_max = match peek.output_max {
        Some(stated) => stated.min(context.saturating_mul(peek.choices)),
        None => context.saturating_sub(input).max(1).saturating_mul(peek.choices),
    };
    let tokens = Tokens { input: with_documents(learnt, peek, input, context), cached: 0, output: learnt.output(output_max) };
    let input_least = u32::try_from(peek.context_bytes).unwrap_or(u32::MAX) / BYTES_PER_TOKEN_MOST;
    let (sequence, scope) = (state.next_sequence(), key.scope(model));
    Ok(Ask { id, sequence, model, tier: peek.tier, needs: peek.needs, tokens, input_least, output_max, scope })
}

/// The input with what its files may come to by their size, which a context holds at most.
fn with_documents(learnt: &Learnt, peek: &Peek<'_>, input: u32, context: u32) -> u32 {
    if peek.document_bytes == 0 { input } else { learnt.input(peek.prompt_bytes + peek.document_bytes).min(context).max(input) }
}

/// Answers a request, or says why it has no answer and whether that is paid for all the same.
async fn fly(mut flight: Box<Flight>, head: &HeaderMap, said: &Said<'_>) -> Result<Served, Refused> {
    match begin(&mut flight, head, said).await {
        Ok(answered) => answer(flight, answered, said.call()),
        Err(refused) => Err(Refused { paid: flight.paid, ..refused }),
    }
}

/// Decides, calls and moves on until there is content or nowhere left to go.
async fn begin(flight: &mut Flight, head: &HeaderMap, said: &Said<'_>) -> Result<Answered, Refused> {
    let (mut next, mut line) = (Next::Decide, Line::of(flight)?);
    loop {
        next = match next {
            Next::Decide => match line.decide(flight, said).await {
                Ok(next) => next,
                Err(refused) => return Err(refused.with_rates(flight.ticket.rates(flight.state.clock.now()))),
            },
            Next::Call(_) => match race::attempt(flight, head, said).await {
                Ok(answered) => return Ok(answered),
                Err(Unanswered::Next(next)) => next,
                Err(Unanswered::Refused(refused)) => return Err(refused),
            },
            Next::Fail(Failure::NoCapacity | Failure::Client | Failure::Cut) | Next::Nothing => {
                return Err(match flight.pushed_back() {
                    Some(again) => Refused::pushed_back(again.unwrap_or(RETRY_SOON)),
                    None => Refused::no_capacity("Every endpoint that could take the request has failed.", RETRY_SOON),
                });
            }
        };
    }
}

/// The line for an endpoint of the model that has room: a request stands in it only while all that could take it are full.
struct Line(Option<Waiting>);

impl Line {
    /// Behind those who wait already, if there are any.
    fn of(flight: &Flight) -> Result<Self, Refused> {
        let (state, ask) = (&flight.state, &flight.ask);
        let behind = state.rooms.is_ahead(ask.model, ask.tier);
        behind.then(|| state.rooms.join(ask.model, ask.tier, &state.limits)).transpose().map(Self)
    }

    /// Decides as soon as some endpoint has room.
    async fn decide(&mut self, flight: &mut Flight, said: &Said<'_>) -> Result<Next, Refused> {
        // Whether somebody said that there may be room: only then is there anything to pass on.
        let mut told = self.0.is_some();
        if let Some(waiting) = &self.0 {
            waiting.turn().await?;
        }
        loop {
            match flight.decide() {
                Ok(next) => {
                    self.0 = None;
                    return Ok(next);
                }
                Err(Undecided::Full(_)) => {}
                Err(undecided) => return Err(refusal(flight, undecided, said)),
            }
            match &self.0 {
                // Who is first once in line looks again at once: room that came in between woke nobody. Who isn't leaves that to the first.
                None => {
                    let waiting = self.0.insert(flight.state.rooms.join(flight.ask.model, flight.ask.tier, &flight.state.limits)?);
                    if !waiting.is_first() {
                        waiting.turn().await?;
                        told = true;
                    }
                }
                Some(waiting) => {
                    if told {
                        waiting.pass();
                    }
                    waiting.turn().await?;
                    told = true;
                }
            }
        }
    }
}

/// The answer's body, and the source that its head names.
fn answer(mut flight: Box<Flight>, answered: Answered, call: Call) -> Result<Served, Refused> {
    let source = flight.chosen.and_then(|chosen| {
        let snapshot = &flight.snapshot;
        Some(Source {
            endpoint: snapshot.endpoint_name(chosen.endpoint),
            contract: snapshot.contract_name(chosen.contract),
            marginal_price: format!("{} {}", chosen.marginal, snapshot.fleet.currency).try_into().ok()?,
        })
    });
    let now = flight.state.clock.now();
    match &answered {
        Answered::Stream(relay, _) if !relay.progress().has_begun() => flight.opened(now),
        Answered::Stream(..) | Answered::Whole(..) | Answered::Untold(_) => flight.content(now),
    }
    let rates = flight.ticket.rates(now);
    let (body, kind) = match answered {
        Answered::Whole(body, read) => {
            whole(&mut flight, now, read);
            (Answer::from(body), "application/json")
        }
        Answered::Untold(read) => {
            whole(&mut flight, now, read);
            return Err(Refused::untold().with_rates(rates));
        }
        Answered::Stream(relay, passage) => (stream(flight, *relay, passage, call), "text/event-stream; charset=utf-8"),
    };
    Ok(Served { status: StatusCode::OK, body, kind, source, rates })
}

/// An answer came whole.
fn whole(flight: &mut Flight, now: Instant, read: Whole) {
    let learnt = flight.state.learnt(flight.ask.model);
    let counted = if read.output_bytes > 0 { learnt.input(read.output_bytes).min(flight.ask.output_max) } else { 0 };
    flight.progress(now, counted, read.reported);
    flight.ended(now);
}

/// A stream's body, in the words of its client.
fn stream(flight: Box<Flight>, relay: Relay, passage: Passage, call: Call) -> Answer {
    if call != Call::Messages {
        return Answer::Stream(Box::new(Streaming::new(relay, flight, call)));
    }
    let model = flight.snapshot.fleet.models.name(flight.ask.model);
    let about = translate::about(flight.ask.id, flight.state.clock.now(), model);
    Answer::Messages(Box::new(Told::new(Streaming::new(relay, flight, call), passage, about)))
}

/// When to come back when nothing better is known.
const RETRY_SOON: Duration = Duration::from_secs(1);
/// When to come back where a contract has to begin first.
const RETRY_UNPAID: Duration = Duration::from_secs(60);

/// What a client is told when a request goes nowhere.
fn refusal(flight: &Flight, undecided: Undecided, said: &Said<'_>) -> Refused {
    let refusal = match undecided {
        Undecided::NoJournal => return Refused::no_journal(),
        Undecided::KeyGone => return Refused::bad_key(),
        Undecided::Spent => return Refused::over_budget(),
        Undecided::Unleased => return Refused::unleased(RETRY_SOON),
        Undecided::Refusal(refusal) | Undecided::Full(refusal) => refusal,
    };
    let reasons = || refusal.passed_over.iter().map(|passed| passed.reason);
    if reasons().all(never)
        && reasons().any(|reason| reason == Reason::Inexpressible)
        && let Some(refused) = said.refusal()
    {
        return refused;
    }
    if let Some(again) = pushed_back(flight, &refusal) {
        return Refused::pushed_back(again);
    }
    let refused = explain(&refusal, &flight.snapshot.fleet, flight.ask.model, flight.state.clock.now());
    if refused.param.as_deref() == Some(Call::Chat.prompt()) { refused.about(said.call().prompt()) } else { refused }
}

/// Whether an endpoint that is passed over for this can never take the request.
fn never(reason: Reason) -> bool {
    matches!(reason, Reason::ContextTooLong { .. } | Reason::Lacks(_) | Reason::OutOfScope | Reason::Inexpressible)
}

/// When to come back, where nothing but suppliers that take no more of what is ours (429) keeps a request from every endpoint that could ever
/// take it: those that it tried, and those that are left alone for what they said to others.
fn pushed_back(flight: &Flight, refusal: &Refusal) -> Option<Duration> {
    let (now, tried) = (flight.state.clock.now(), flight.pushed_back());
    let mut waits = Vec::new();
    for passed in &refusal.passed_over {
        match passed.reason {
            Reason::Tried => waits.push(tried?.unwrap_or(RETRY_SOON)),
            Reason::Down { until } if flight.state.counters(passed.endpoint).is_pushed_back(now) => waits.push(until.since(now)),
            Reason::Down { .. } | Reason::Probing | Reason::Full | Reason::OverBudget { .. } | Reason::Dearer { .. } => return None,
            _ => {}
        }
    }
    waits.into_iter().min()
}

/// The reason that all endpoints share, when it is the request's own; else that there is no capacity, and when there may be.
fn explain(refusal: &Refusal, fleet: &Fleet, model: ModelId, now: Instant) -> Refused {
    let model = fleet.models.name(model);
    let reasons = || refusal.passed_over.iter().map(|passed| passed.reason);
    let shared = |is: fn(Reason) -> bool| !refusal.passed_over.is_empty() && reasons().all(is);
    if shared(|reason| reason == Reason::OutOfScope) {
        return Refused::no_model(model);
    }
    let too_long = |reason| matches!(reason, Reason::ContextTooLong { .. });
    let lacking = |reason| matches!(reason, Reason::Lacks(_));
    if shared(|reason| matches!(reason, Reason::ContextTooLong { .. } | Reason::Lacks(_) | Reason::OutOfScope)) {
        if let Some(Reason::ContextTooLong { limit }) = reasons().find(|reason| too_long(*reason)) {
            return Refused::context_too_long(limit);
        }
        if let Some(Reason::Lacks(capability)) = reasons().find(|reason| lacking(*reason)) {
            let (param, what) = param_of(capability);
            return Refused::unsupported(param, format!("The model '{model}' does not support {what}."));
        }
    }
    // Where nothing but money is missing, waiting does not help; an endpoint that only is down or was tried may be paid for later.
    let lasting = |reason| matches!(reason, Reason::OverBudget { .. } | Reason::OutOfScope | Reason::NoContract | Reason::Exclusive { .. });
    if reasons().all(lasting) && reasons().any(|reason| matches!(reason, Reason::OverBudget { .. })) {
        return Refused::over_budget();
    }
    // Where one is in force all the same, its price is not known yet or its units are used up for the moment.
    let in_force = |endpoint| fleet.covering(endpoint).into_iter().any(|id| fleet.contracts[id].in_force(now));
    let unpaid = |passed: &PassedOver| match passed.reason {
        Reason::NoContract => !in_force(passed.endpoint),
        reason => never(reason) || matches!(reason, Reason::Exclusive { .. }),
    };
    if refusal.passed_over.iter().all(unpaid) && reasons().any(|reason| reason == Reason::NoContract) {
        let message = format!("No contract in force pays for the model '{model}' at the moment.");
        return Refused::no_capacity(message, RETRY_UNPAID);
    }
    let back = reasons().filter_map(|reason| match reason {
        Reason::Down { until } => Some(until.since(now)),
        _ => None,
    });
    let wait = back.min().unwrap_or(RETRY_SOON).max(Duration::from_millis(100));
    Refused::no_capacity(format!("No endpoint of the model '{model}' can take the request now. Please try again."), wait)
}

fn param_of(capability: Capability) -> (&'static str, &'static str) {
    match capability {
        Capability::Chat => ("messages", "chat completions"),
        Capability::Completions => ("prompt", "completions"),
        Capability::Embeddings => ("input", "embeddings"),
        Capability::Tools => ("tools", "tools"),
        Capability::JsonSchema => ("response_format", "structured output"),
        Capability::Vision => ("messages", "images"),
        Capability::Logprobs => ("logprobs", "log probabilities"),
        Capability::MultipleChoices => ("n", "more than one choice"),
        Capability::Responses => ("input", "responses"),
    }
}
