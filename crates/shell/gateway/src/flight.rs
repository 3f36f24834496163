//! One request under way: its [`Life`], and what must be put right however it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dispatch::{
    Action, Ask, AttemptId, Decision, ENDPOINTS_MAX, Event, Failure, Fault, KeyId, Known, Life, Outcome, Question, Reason, Record, Refusal,
    Seen, SeenAll, Settlement, decide,
};
use fleet::{ContractId, Dialect, EndpointId, ServiceTier, TeamId, TokenWeights};
use market::Tokens;
use units::{Instant, Money};

use crate::admission::{Ticket, UnderWay};
use crate::call::Missed;
use crate::counters::Counters;
use crate::keys::Key;
use crate::limits::{BUDGET_RACES_MAX, RETRY_AFTER_MAX};
use crate::meter::Tally;
use crate::peek::{Peek, Streaming};
use crate::prefix::Prefixes;
use crate::snapshot::Snapshot;
use crate::state::{Place, State};
use crate::trace::Trace;
use crate::{logged, seen};

/// What to do next with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Decide,
    Call(EndpointId),
    Fail(Failure),
    Nothing,
}

/// Why a decision could not be taken.
pub(crate) enum Undecided {
    Refusal(Box<Refusal>),
    /// As a refusal, but some endpoint is only full: it may be asked again.
    Full(Box<Refusal>),
    /// Others spend the budget faster than it can be reserved.
    Spent,
    /// The budget is shared, and this gateway has not heard of its part of it.
    Unleased,
    /// The journal did not take it, so it is not to have any effect.
    NoJournal,
    /// The key that it came with is good no more.
    KeyGone,
}

/// Where a request went and at what price: what the answer's head says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen {
    pub attempt: AttemptId,
    pub endpoint: EndpointId,
    pub contract: ContractId,
    pub marginal: Money,
}

/// An attempt under way.
struct Attempt {
    endpoint: EndpointId,
    began: Instant,
    /// Where the meter sees its work; `None` where no time is held.
    tally: Option<Arc<Tally>>,
    units: Units,
    sent: Sent,
    /// Whether the life of the request was told that it was sent, and what was read of it.
    told_sent: bool,
    told_read: bool,
}

/// Weighted tokens that an attempt takes from provisioned units when it begins, whose they are, and what they handle a minute; zero without units.
type Units = (i64, ContractId, i64);

/// What is known of a call while nobody looks at it: also where it is given up, as when its client leaves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent(Arc<Marks>);

#[derive(Debug, Default)]
struct Marks {
    /// The most output tokens that it was sent with; zero before.
    output_max: AtomicU32,
    /// What the upstream said it read; zero before.
    input: AtomicU32,
    cached: AtomicU32,
}

impl Sent {
    /// It is being sent.
    pub fn mark(&self, output_max: u32) {
        self.0.output_max.store(output_max.max(1), Ordering::Relaxed);
    }

    /// Nothing of it left after all.
    pub fn clear(&self) {
        self.0.output_max.store(0, Ordering::Relaxed);
    }

    /// Its upstream said what it read.
    pub fn read(&self, read: Tokens) {
        self.0.cached.store(read.cached, Ordering::Relaxed);
        self.0.input.store(read.input, Ordering::Relaxed);
    }
}

/// What the attempts of a request heard so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum PushedBack {
    #[default]
    Nothing,
    /// Only that there is too much of what is ours (429), and the least time after which one may be asked again.
    Always(Option<Duration>),
    /// Other things, too.
    NotAlways,
}

impl PushedBack {
    fn then(self, fault: Fault) -> Self {
        let Fault::Busy { retry_after_ms } = fault else { return Self::NotAlways };
        let again = (retry_after_ms > 0).then(|| again(retry_after_ms));
        match self {
            Self::Nothing => Self::Always(again),
            Self::Always(before) => Self::Always(before.into_iter().chain(again).min()),
            Self::NotAlways => self,
        }
    }
}

/// One request under way. Dropping it is the client going away: an attempt under way is settled then, and only once.
pub(crate) struct Flight {
    pub state: Arc<State>,
    /// The newest that there was when it was decided last.
    pub snapshot: Arc<Snapshot>,
    pub ask: Ask,
    prompt_bytes: usize,
    prefixes: Prefixes,
    streamed: bool,
    weights: TokenWeights,
    pub key: KeyId,
    key_ends: Instant,
    /// The team that its key belongs to.
    pub team: Option<TeamId>,
    life: Life,
    attempt: Option<Attempt>,
    pub chosen: Option<Chosen>,
    /// Where its caller would have sent it, in shadow mode.
    pub wish: Option<EndpointId>,
    /// Dialects that the request can't be said in.
    pub barred: Vec<Dialect>,
    pub trace: Trace,
    /// Whether an attempt so far was booked with tokens.
    pub paid: bool,
    pushed_back: PushedBack,
    /// Whether it was begun beside another attempt, which was late.
    is_second: bool,
    /// Until its life is over.
    places: Option<(Place, UnderWay)>,
    pub ticket: Ticket,
}

impl Flight {
    pub fn new(
        state: Arc<State>,
        snapshot: Arc<Snapshot>,
        places: (Place, UnderWay),
        ticket: Ticket,
        key: &Key,
        ask: Ask,
        peek: &Peek<'_>,
    ) -> Box<Self> {
        let bound = Tokens { output: ask.output_max, ..ask.tokens };
        let life = Life::new(ask.id, snapshot.fleet.version, bound);
        let weights = snapshot.fleet.models[ask.model].weights;
        let (prompt_bytes, streamed) = (if peek.teaches { peek.prompt_bytes } else { 0 }, peek.streaming != Streaming::No);
        let (prefixes, places) = (Prefixes::of(peek.prompt), Some(places));
        Box::new(Self {
            state,
            snapshot,
            ask,
            prompt_bytes,
            prefixes,
            streamed,
            weights,
            key: key.id,
            key_ends: key.ends(),
            team: key.team,
            life,
            attempt: None,
            chosen: None,
            wish: None,
            barred: Vec::new(),
            trace: Trace::default(),
            paid: false,
            pushed_back: PushedBack::default(),
            is_second: false,
            places,
            ticket,
        })
    }

    /// Chooses an endpoint, journals the choice, and only then lets it have an effect.
    pub fn decide(&mut self) -> Result<Next, Undecided> {
        let now = self.state.clock.now();
        if !self.is_let_in(now) {
            self.step(Event::Refused);
            return Err(Undecided::KeyGone);
        }
        let mut question = self.question(now);
        let decision = Box::new(self.reserve(&mut question)?);
        let units = self.units_of(&question, &decision);
        let attempt = self.life.next_attempt();
        let record = Record::Decided { attempt, key: self.key, question, decision };
        if self.state.recorder.intend(&record).is_err() {
            self.ticket.release();
            self.step(Event::Refused);
            return Err(Undecided::NoJournal);
        }
        let Record::Decided { decision, .. } = record else { unreachable!("it was built as a decision") };
        self.begin(now, &decision, units);
        let Decision { endpoint, contract, in_units, list, .. } = *decision;
        self.state.recent.push(now, attempt, self.ask.model, self.ask.tier, *decision);
        Ok(self.step_at(now, Event::Decided { endpoint, contract, in_units, list }))
    }

    /// Looks at what has changed since it came or was decided last, as it may have waited for minutes: whether its key is still good. The
    /// fleet stays what it is for as long as a process runs.
    fn is_let_in(&mut self, now: Instant) -> bool {
        let before = std::mem::replace(&mut self.snapshot, self.state.snapshot.load_full());
        if !Arc::ptr_eq(&before.keys, &self.snapshot.keys) {
            self.key_ends = self.snapshot.keys.by_id(self.key, now).map_or(Instant::MIN, Key::ends);
        }
        now < self.key_ends
    }

    /// Decides on what the accounts can pay, and sets the money aside on the endpoint that will bill. Where others took it in the meantime,
    /// it is decided again on what they left.
    fn reserve(&mut self, question: &mut Question) -> Result<Decision, Undecided> {
        for _ in 0..BUDGET_RACES_MAX {
            question.funds = self.ticket.funds(question.now);
            let decided = decide(&self.snapshot.fleet, question);
            #[cfg(test)]
            crate::simulation::decided(&decided);
            let decision = match decided {
                Ok(decision) => decision,
                Err(refusal) if refusal.passed_over.iter().any(|passed| passed.reason == Reason::Full) => {
                    return Err(Undecided::Full(Box::new(refusal)));
                }
                Err(refusal) if self.may_be_leased(&refusal, question.now) => {
                    self.state.lease_wanted.notify_one();
                    return Err(Undecided::Full(Box::new(refusal)));
                }
                Err(refusal) => {
                    self.step(Event::Refused);
                    if short(&refusal).is_some() && self.ticket.is_unleased(question.now) {
                        return Err(Undecided::Unleased);
                    }
                    return Err(Undecided::Refusal(Box::new(refusal)));
                }
            };
            let cost = question.funds.map_or(Money::ZERO, |funds| funds.cost(decision.list, question.ask.tokens.input));
            if self.ticket.reserve(cost, question.now).is_err() {
                continue;
            }
            // What the caller chose it gets, down or not.
            if self.state.counters(decision.endpoint).enter(question.now) || self.wish.is_some() {
                return Ok(decision);
            }
            // Another request took the probe between the look and now.
            self.ticket.release();
            if let Some(seen) = question.seen.iter_mut().find(|seen| seen.endpoint == decision.endpoint) {
                seen.health = self.state.counters(decision.endpoint).health(question.now);
            }
        }
        self.step(Event::Refused);
        Err(Undecided::Spent)
    }

    /// Whether only a lease stands in the way of the cheapest endpoint that the accounts can't pay.
    fn may_be_leased(&self, refusal: &Refusal, now: Instant) -> bool {
        let left = self.ticket.funds(now).map_or(Money::ZERO, |funds| funds.left.at_least_zero());
        short(refusal).is_some_and(|short| self.ticket.may_be_leased(left + short, now))
    }

    /// What is known of every endpoint of the model.
    fn question(&self, now: Instant) -> Box<Question> {
        let sheet = self.snapshot.sheet.as_deref();
        let endpoints = self.snapshot.endpoints(self.ask.model);
        // What lies beyond the most that a decision looks at is not seen: such a fleet is refused when it is read.
        let endpoints = &endpoints[..endpoints.len().min(ENDPOINTS_MAX)];
        let mut question = Box::new(Question {
            now,
            fleet: self.snapshot.fleet.version,
            policy: self.snapshot.policy,
            valid_until: sheet.map_or(now, |sheet| sheet.valid_until),
            usable_until: sheet.map_or(now, |sheet| sheet.usable_until),
            ask: self.ask.clone(),
            wish: self.wish,
            funds: None,
            seen: SeenAll::with_capacity(endpoints.len()),
        });
        for endpoint in endpoints {
            question.seen.push(self.seen(*endpoint, now));
        }
        question.ask.tokens.cached = question.seen.iter().map(|seen| seen.cached_tokens).max().unwrap_or(0);
        question
    }

    fn seen(&self, endpoint: EndpointId, now: Instant) -> Seen {
        let cached_tokens = self.cached(self.state.counters(endpoint), now);
        let expressible = !self.barred.contains(&self.snapshot.fleet.endpoints[endpoint].dialect);
        Seen { cached_tokens, expressible, tried: self.life.tried(endpoint), ..seen::observed(&self.state, &self.snapshot, endpoint, now) }
    }

    /// Input tokens that the endpoint is expected to have in its cache; the last one is always read anew.
    fn cached(&self, counters: &Counters, now: Instant) -> u32 {
        match counters.remembered.held(&self.prefixes, self.uptime(now)) {
            0 => 0,
            bytes => self.state.learnt(self.ask.model).input(bytes).min(self.ask.tokens.input.saturating_sub(1)),
        }
    }

    fn uptime(&self, now: Instant) -> Duration {
        Duration::from_micros(self.state.uptime_us(now))
    }

    /// How long to wait for the first content before a second endpoint is asked beside it; `None` for ever.
    pub fn hedge_after(&self) -> Option<Duration> {
        let may = self.ask.tier == ServiceTier::Priority && self.wish.is_none();
        if may { self.snapshot.hedge(self.ask.model) } else { None }
    }

    /// The flight of one attempt more, beside the one under way.
    pub fn hedge(&mut self) -> Option<Self> {
        let life = self.life.hedge()?;
        Some(Self {
            state: Arc::clone(&self.state),
            snapshot: Arc::clone(&self.snapshot),
            ask: self.ask.clone(),
            prompt_bytes: self.prompt_bytes,
            prefixes: self.prefixes.clone(),
            streamed: self.streamed,
            weights: self.weights,
            key: self.key,
            key_ends: self.key_ends,
            team: self.team,
            life,
            attempt: None,
            chosen: None,
            wish: None,
            barred: self.barred.clone(),
            trace: self.trace,
            paid: false,
            pushed_back: PushedBack::default(),
            is_second: true,
            places: None,
            ticket: self.ticket.beside(),
        })
    }

    /// When to come back, where all that was heard was back-pressure of suppliers (429); the inner `None` where they didn't say.
    pub fn pushed_back(&self) -> Option<Option<Duration>> {
        if let PushedBack::Always(again) = self.pushed_back { Some(again) } else { None }
    }

    /// Its places, where it may be over before they are needed no more.
    pub fn lend_places(&mut self) -> Option<(Place, UnderWay)> {
        self.places.take()
    }

    /// Its places again.
    pub fn take_places(&mut self, places: Option<(Place, UnderWay)>) {
        self.places = places;
    }

    /// The attempt beside this one had content first: it goes on in this one's place.
    pub fn give_way(&mut self, to: Self) {
        let mut outrun = std::mem::replace(self, to);
        self.places = outrun.places.take();
        outrun.outrun();
    }

    /// The attempt beside this one had content first.
    pub fn outrun(&mut self) {
        self.step(Event::Outrun);
    }

    /// The attempt beside this one failed.
    pub fn failed_beside(&mut self, mut other: Self, missed: &Missed) {
        if let Some(chosen) = other.chosen {
            self.life.mark_tried(chosen.endpoint);
        }
        self.pushed_back = self.pushed_back.then(missed.fault());
        other.missed(missed);
    }

    /// The attempt got no answer.
    pub fn missed(&mut self, missed: &Missed) -> Next {
        match missed {
            // It says nothing of the endpoint.
            Missed::Here { fault, .. } => self.step(Event::Failed(*fault)),
            Missed::Fault(_) | Missed::Client(_) | Missed::Said { .. } => self.failed(missed.fault()),
        }
    }

    /// Counts an attempt in.
    fn begin(&mut self, now: Instant, decision: &Decision, units: Units) {
        let endpoint = decision.endpoint;
        let counters = self.state.counters(endpoint);
        counters.busy.enter(self.state.uptime_us(now));
        counters.begun.fetch_add(1, Ordering::Relaxed);
        self.take_units(now, units);
        let (_, contract, per_minute) = units;
        let bucket = if per_minute > 0 { self.state.buckets.of(contract, self.ask.model) } else { None };
        let (attempt, held) = (self.life.next_attempt(), bucket.is_some() || self.snapshot.may_hold(endpoint));
        let held_at = bucket.and_then(|bucket| bucket.held_at).unwrap_or(endpoint);
        let tally = held.then(|| Arc::new(Tally::new(attempt, held_at, contract, bucket.is_some())));
        if tally.as_ref().is_some_and(|tally| self.state.tallies.try_send(Arc::clone(tally)).is_err()) {
            self.state.lost_tallies.fetch_add(1, Ordering::Relaxed);
        }
        self.attempt = Some(Attempt { endpoint, began: now, tally, units, sent: Sent::default(), told_sent: false, told_read: false });
        self.chosen = Some(Chosen { attempt, endpoint, contract: decision.contract, marginal: decision.cost.marginal });
    }

    /// What a decision is expected to take of its payer's units: what the endpoint has in its cache weighs as such.
    fn units_of(&self, question: &Question, decision: &Decision) -> Units {
        let seen = question.seen.iter().find(|seen| seen.endpoint == decision.endpoint);
        let per_minute = seen.and_then(|seen| decision.payer(seen)).map_or(0, |payer| payer.units_per_minute);
        let cached = seen.map_or(0, |seen| seen.cached_tokens.min(self.ask.tokens.input));
        (weigh(self.weights, Tokens { cached, ..self.ask.tokens }), decision.contract, per_minute)
    }

    /// Takes weighted tokens from a contract's units, or gives some back.
    fn take_units(&self, now: Instant, (weighted, contract, per_minute): Units) {
        if let Some(bucket) = self.state.buckets.of(contract, self.ask.model).filter(|_| per_minute > 0) {
            bucket.take(now, weighted, per_minute);
        }
    }

    /// Where whoever sends the attempt says so.
    pub fn sent(&self) -> Sent {
        self.attempt.as_ref().map(|attempt| attempt.sent.clone()).unwrap_or_default()
    }

    /// The client heard that an answer is to come.
    pub fn opened(&mut self, now: Instant) {
        self.step_at(now, Event::Opened);
    }

    /// The upstream began to answer.
    pub fn content(&mut self, now: Instant) {
        if let Some(attempt) = &self.attempt {
            let counters = self.state.counters(attempt.endpoint);
            counters.began();
            counters.remembered.read(&self.prefixes, self.uptime(now));
        }
        self.step_at(now, Event::Content);
        self.progress(now, 0, None);
    }

    /// Tokens have passed.
    pub fn progress(&mut self, now: Instant, counted: u32, reported: Option<Tokens>) {
        if let Some(attempt) = &self.attempt {
            let so_far = reported.unwrap_or(Tokens { output: counted, ..self.ask.tokens });
            attempt.tally.iter().for_each(|tally| tally.add_up_to(weigh(self.weights, so_far)));
        }
        self.step_at(now, Event::Progress { counted, reported });
    }

    /// The answer ended as it should.
    pub fn ended(&mut self, now: Instant) {
        self.step_at(now, Event::Ended);
    }

    /// The attempt failed.
    pub fn failed(&mut self, fault: Fault) -> Next {
        if let Some(attempt) = &self.attempt {
            let (counters, now) = (self.state.counters(attempt.endpoint), self.state.clock.now());
            match fault {
                Fault::Unreachable => counters.failed(attempt.began, now, true),
                Fault::Lost | Fault::TimedOut | Fault::Broken => counters.failed(attempt.began, now, false),
                // A model may think for as long; an upstream where others have content far sooner hangs, as where a client had left.
                Fault::Fruitless { is_late: true, .. } if counters.hangs(self.streamed, now.since(attempt.began)) => {
                    counters.failed(attempt.began, now, false);
                }
                Fault::Busy { retry_after_ms: 0 } | Fault::Overloaded { retry_after_ms: 0 } | Fault::Evicted | Fault::Fruitless { .. } => {}
                Fault::Busy { retry_after_ms } => counters.pushed_back_until(now + again(retry_after_ms)),
                Fault::Overloaded { retry_after_ms } => counters.busy_until(now + again(retry_after_ms)),
                Fault::Client => counters.succeeded(),
            }
        }
        self.pushed_back = self.pushed_back.then(fault);
        let units = self.attempt.as_ref().map(|attempt| attempt.units).filter(|(.., per_minute)| *per_minute > 0);
        let next = self.step(Event::Failed(fault));
        // After what this attempt took has been given back: by the supplier's count it does not fit.
        if let (Fault::Busy { retry_after_ms }, Some((weight, contract, per_minute))) = (fault, units)
            && let Some(bucket) = self.state.buckets.of(contract, self.ask.model)
        {
            bucket.refused(self.state.clock.now(), weight, per_minute, Duration::from_millis(retry_after_ms.into()));
        }
        next
    }

    /// Tells the life of the request what happened now.
    fn step(&mut self, event: Event) -> Next {
        self.step_at(self.state.clock.now(), event)
    }

    /// Tells the life of the request what happened; settles at once, and says what else there is to do.
    fn step_at(&mut self, now: Instant, event: Event) -> Next {
        self.tell_sent(now);
        let mut next = Next::Nothing;
        let actions = self.life.step(now, event);
        #[cfg(test)]
        crate::simulation::stepped(&event, &actions);
        if actions.contains(&Action::Done) {
            self.places = None;
        }
        for action in actions {
            match action {
                Action::Settle(settlement) => self.settle(settlement),
                Action::Decide => next = Next::Decide,
                Action::Call { endpoint, .. } => next = Next::Call(endpoint),
                Action::Fail(failure) => next = Next::Fail(failure),
                // Dropping the upstream's body or call cancels it; whoever holds it drops it with this.
                Action::Cancel | Action::Done => {}
            }
        }
        next
    }

    /// Tells the life of the request that its attempt was sent, and what was read of it, once it was.
    fn tell_sent(&mut self, now: Instant) {
        let Some(attempt) = &mut self.attempt else { return };
        let marks = &attempt.sent.0;
        let (output_max, input) = (marks.output_max.load(Ordering::Relaxed), marks.input.load(Ordering::Relaxed));
        let sent = (output_max > 0 && !std::mem::replace(&mut attempt.told_sent, output_max > 0)).then_some(Event::Sent { output_max });
        let cached = marks.cached.load(Ordering::Relaxed);
        let read = (input > 0 && !std::mem::replace(&mut attempt.told_read, input > 0)).then_some(Event::Read { input, cached });
        for event in sent.into_iter().chain(read) {
            let actions = self.life.step(now, event);
            #[cfg(test)]
            crate::simulation::stepped(&event, &actions);
            debug_assert!(actions.is_empty(), "it is only noted");
        }
    }

    /// Posts an attempt's end, and counts it out.
    fn settle(&mut self, settlement: Settlement) {
        let Some(attempt) = self.attempt.take() else { return };
        self.paid |= settlement.tokens != Tokens::default();
        self.ticket.settle(settlement.list, settlement.tokens);
        let counters = self.state.counters(attempt.endpoint);
        counters.busy.leave(self.state.uptime_us(settlement.ended));
        if settlement.known != Known::Bounded {
            counters.add(settlement.tokens);
        }
        self.state.observed.ended(self.ask.tier, self.streamed, &settlement);
        self.state.trace(|fleet| self.trace.span(fleet, self.key, self.ask.model, &settlement), self.trace);
        logged::ended(&self.state, self.key, (self.ask.model, self.ask.tier), &settlement);
        match settlement.outcome {
            Outcome::Answered => {
                counters.answered.fetch_add(1, Ordering::Relaxed);
                counters.succeeded();
                counters.stayed(settlement.ended.since(settlement.started));
                if let Some(first) = settlement.first_content.filter(|_| self.streamed) {
                    counters.streamed(first.since(settlement.started), settlement.ended.since(first), settlement.tokens.output);
                }
                if settlement.known == dispatch::Known::Reported {
                    self.state.learnt(self.ask.model).learn(self.prompt_bytes, settlement.tokens);
                }
            }
            Outcome::ClientGone | Outcome::Outrun => {
                counters.abandoned.fetch_add(1, Ordering::Relaxed);
                let waited = settlement.ended.since(settlement.started);
                let is_silent = settlement.first_content.is_none();
                let hangs = match settlement.outcome {
                    // The second of two may have had no time at all.
                    Outcome::Outrun => is_silent && !self.is_second && counters.outrun(),
                    _ => is_silent && counters.hangs(self.streamed, waited),
                };
                if hangs {
                    counters.failed(settlement.started, settlement.ended, false);
                } else if settlement.outcome == Outcome::ClientGone && !is_silent {
                    // Its client had enough: nothing was wrong with it.
                    counters.succeeded();
                }
            }
            Outcome::Failed | Outcome::Cut | Outcome::Interrupted => {
                counters.failed.fetch_add(1, Ordering::Relaxed);
            }
        }
        // A bound is what a bill may say at worst, not work that was done: units stay taken as expected, and no more work is known than was seen.
        let is_known = settlement.known != Known::Bounded;
        let weighted = if is_known { weigh(self.weights, settlement.tokens) } else { 0 };
        attempt.tally.iter().for_each(|tally| tally.end(weighted));
        let (taken, contract, per_minute) = attempt.units;
        if is_known {
            self.take_units(settlement.ended, (weighted.saturating_sub(taken), contract, per_minute));
        }
        self.state.recorder.tell(Record::Settled(settlement));
        self.state.rooms.opened(self.ask.model);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.life.is_over() {
            self.step(Event::ClientGone);
        }
    }
}

/// How long an upstream is left alone that says so.
fn again(retry_after_ms: u32) -> Duration {
    Duration::from_millis(retry_after_ms.into()).min(RETRY_AFTER_MAX)
}

/// By how little money the request falls short somewhere, if that is what it lacks.
fn short(refusal: &Refusal) -> Option<Money> {
    let shorts =
        refusal.passed_over.iter().filter_map(|passed| if let Reason::OverBudget { short } = passed.reason { Some(short) } else { None });
    shorts.min()
}

/// Tokens as provisioned units and the split of a replica's time weigh them: in input tokens.
pub(crate) fn weigh(weights: TokenWeights, tokens: Tokens) -> i64 {
    let uncached = tokens.input.saturating_sub(tokens.cached);
    let parts = [(weights.input_ppm, uncached), (weights.cached_ppm, tokens.cached), (weights.output_ppm, tokens.output)];
    let ppm: i128 = parts.into_iter().map(|(ppm, tokens)| i128::from(ppm) * i128::from(tokens)).sum();
    i64::try_from(ppm.max(0) / 1_000_000).unwrap_or(i64::MAX)
}
