//! The life of a request: events in, actions out. The gateway is a loop around it with no opinions.

use arrayvec::ArrayVec;
use fleet::{ContractId, EndpointId, FleetVersion};
use market::{TokenPrices, Tokens};
use serde::{Deserialize, Serialize};
use units::Instant;

use crate::ask::RequestId;
use crate::record::{AttemptId, Known, Outcome, Settlement};

/// The most attempts that one request may take.
pub const ATTEMPTS_MAX: u8 = 8;

/// Whose fault a failed attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// The upstream did not accept the connection: nothing was sent.
    Unreachable,
    /// The connection broke after the request was sent: what the upstream did is unknown.
    Lost,
    /// It took longer than allowed.
    TimedOut,
    /// It takes no more of what is ours (429): back-pressure, not an error.
    Busy {
        /// When it says to come back, in milliseconds; zero when it doesn't.
        retry_after_ms: u32,
    },
    /// It has too much to do, whoever asks (503, 529): back-pressure too, which says nothing of what we may take.
    Overloaded {
        /// When it says to come back, in milliseconds; zero when it doesn't.
        retry_after_ms: u32,
    },
    /// It took the request and let go of it for another: back-pressure, and what it had done of it is unknown.
    Evicted,
    /// It failed (5xx), or refused our own credentials or address (401, 403, 404).
    Broken,
    /// It began to answer with success and nothing came of it: its model failed, or took longer than allowed. By itself that says nothing of
    /// what another request would get there.
    Fruitless {
        /// What it says it used, where it does.
        used: Option<Tokens>,
        /// Whether it was given up for the time that it took.
        is_late: bool,
    },
    /// The request itself is at fault (other 4xx): no other endpoint would do better.
    Client,
}

/// What happened to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A decision was taken and is in the journal.
    Decided {
        /// The endpoint it chose.
        endpoint: EndpointId,
        /// The contract that pays.
        contract: ContractId,
        /// Whether units of that take it, which prices the tokens as well.
        in_units: bool,
        /// Its list prices there.
        list: TokenPrices,
    },
    /// No endpoint is eligible.
    Refused,
    /// It was sent to the upstream, which can have done nothing of it before.
    Sent {
        /// The most output tokens that it was sent with.
        output_max: u32,
    },
    /// The upstream said how much input it read, and how much of that from a cache, before it said all.
    Read {
        /// Input tokens, those from a cache among them.
        input: u32,
        /// Of these, read from a cache.
        cached: u32,
    },
    /// The client heard that the upstream is about to answer: no other can answer any more.
    Opened,
    /// The upstream began to answer with success.
    Content,
    /// So many output tokens have passed, as counted, and perhaps usage as reported.
    Progress {
        /// Output tokens counted so far.
        counted: u32,
        /// What the upstream reported, once it did.
        reported: Option<Tokens>,
    },
    /// The answer ended as it should.
    Ended,
    /// The attempt failed.
    Failed(Fault),
    /// The client went away.
    ClientGone,
    /// The attempt that was made beside this one had content first.
    Outrun,
}

/// Why a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No endpoint was eligible, or all that were have failed: try again later.
    NoCapacity,
    /// The request is at fault; the upstream's own answer says how.
    Client,
    /// The upstream was lost after its client had heard of it: end the stream with an error event, never cleanly.
    Cut,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask `decide` again, with what was tried marked, and journal the answer.
    Decide,
    /// Call this endpoint.
    Call {
        /// Which attempt this is, from 1.
        attempt: u8,
        /// Which endpoint.
        endpoint: EndpointId,
    },
    /// Post the attempt's end to the ledger.
    Settle(Settlement),
    /// Stop the upstream's work.
    Cancel,
    /// Tell the client.
    Fail(Failure),
    /// Nothing is left to do.
    Done,
}

/// At most so many actions follow one event.
pub type Actions = ArrayVec<Action, 4>;

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Deciding,
    Calling,
    Answering,
    Over,
}

/// The life of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    request: RequestId,
    fleet: FleetVersion,
    /// Input tokens estimated and the most output: the bounds when nothing else is known.
    bound: Tokens,
    state: State,
    /// The attempt under way, and the last number that was given to any.
    attempt: u8,
    numbers: u8,
    /// Whether it may make one attempt only, beside that of another life.
    beside: bool,
    endpoint: Option<(EndpointId, ContractId)>,
    in_units: bool,
    list: TokenPrices,
    tried: ArrayVec<EndpointId, { ATTEMPTS_MAX as usize }>,
    started: Instant,
    /// The most output tokens that the attempt was sent with, once it was.
    sent: Option<u32>,
    /// Input tokens that its upstream said it read, and of these from a cache.
    read: Option<(u32, u32)>,
    first_content: Option<Instant>,
    counted: u32,
    reported: Option<Tokens>,
}

impl Life {
    /// A request that has arrived and been admitted; the first thing to do is [`Action::Decide`].
    #[must_use]
    pub fn new(request: RequestId, fleet: FleetVersion, bound: Tokens) -> Self {
        Self {
            request,
            fleet,
            bound,
            state: State::Deciding,
            attempt: 0,
            numbers: 0,
            beside: false,
            endpoint: None,
            in_units: false,
            list: TokenPrices::default(),
            tried: ArrayVec::new(),
            started: Instant::default(),
            sent: None,
            read: None,
            first_content: None,
            counted: 0,
            reported: None,
        }
    }

    /// The attempt that the next decision is for.
    #[must_use]
    pub fn next_attempt(&self) -> AttemptId {
        AttemptId { request: self.request, attempt: self.numbers + 1 }
    }

    /// The life of one attempt more, made beside the one under way on another endpoint: its number is not given again, and when it fails
    /// its life is over. `None` where nothing is under way without content, or no attempt is left.
    #[must_use]
    pub fn hedge(&mut self) -> Option<Self> {
        if self.state != State::Calling || self.numbers >= ATTEMPTS_MAX {
            return None;
        }
        let beside = Self { state: State::Deciding, beside: true, ..self.clone() };
        self.numbers += 1;
        Some(beside)
    }

    /// Marks an endpoint as tried: by the attempt beside this one, which failed.
    pub fn mark_tried(&mut self, endpoint: EndpointId) {
        if !self.tried(endpoint) && !self.tried.is_full() {
            self.tried.push(endpoint);
        }
    }

    /// Whether this request tried an endpoint already.
    #[must_use]
    pub fn tried(&self, endpoint: EndpointId) -> bool {
        self.tried.contains(&endpoint)
    }

    /// Whether it has ended: nothing that happens has any effect then.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Same state, same time, same event: same actions. What comes after the end is ignored.
    pub fn step(&mut self, now: Instant, event: Event) -> Actions {
        let mut actions = Actions::new();
        if let (State::Calling | State::Answering, Event::Failed(Fault::Fruitless { used, .. })) = (self.state, event) {
            self.reported = used.or(self.reported);
        }
        match (self.state, event) {
            (State::Deciding, Event::Decided { endpoint, contract, in_units, list }) => {
                (self.endpoint, self.in_units, self.list) = (Some((endpoint, contract)), in_units, list);
                actions.push(self.call(now, endpoint));
            }
            (State::Deciding, Event::Refused) => self.end(&mut actions, Some(Failure::NoCapacity)),
            (State::Deciding, Event::ClientGone) => self.end(&mut actions, None),
            (State::Calling, Event::Sent { output_max }) => self.sent = Some(output_max),
            (State::Calling | State::Answering, Event::Read { input, cached }) => self.read = Some((input, cached.min(input))),
            (State::Calling, Event::Opened) => self.state = State::Answering,
            (State::Calling | State::Answering, Event::Content) => {
                self.state = State::Answering;
                // A clock that was set back makes no duration negative.
                self.first_content = self.first_content.or(Some(now.max(self.started)));
            }
            (State::Calling | State::Answering, Event::Progress { counted, reported }) => {
                self.counted = self.counted.max(counted);
                self.reported = reported.or(self.reported);
            }
            (State::Calling | State::Answering, Event::Ended) => {
                actions.push(self.settle(now, Outcome::Answered, true));
                self.end(&mut actions, None);
            }
            (State::Calling, Event::Failed(fault)) => self.move_on(now, fault, &mut actions),
            (State::Answering, Event::Failed(_)) => {
                actions.push(self.settle(now, Outcome::Cut, true));
                self.end(&mut actions, Some(Failure::Cut));
            }
            (State::Calling | State::Answering, Event::ClientGone) => {
                actions.push(self.settle(now, Outcome::ClientGone, true));
                actions.push(Action::Cancel);
                self.end(&mut actions, None);
            }
            (State::Calling | State::Answering, Event::Outrun) => {
                actions.push(self.settle(now, Outcome::Outrun, true));
                actions.push(Action::Cancel);
                self.end(&mut actions, None);
            }
            (State::Deciding, Event::Outrun) => self.end(&mut actions, None),
            (State::Over, _) | (State::Deciding | State::Calling | State::Answering, _) => {}
        }
        actions
    }

    fn call(&mut self, now: Instant, endpoint: EndpointId) -> Action {
        self.state = State::Calling;
        self.numbers += 1;
        self.attempt = self.numbers;
        self.mark_tried(endpoint);
        self.started = now;
        self.sent = None;
        self.read = None;
        self.first_content = None;
        self.counted = 0;
        self.reported = None;
        Action::Call { attempt: self.attempt, endpoint }
    }

    /// Before any content: the attempt is settled, and the request goes elsewhere while that can help.
    fn move_on(&mut self, now: Instant, fault: Fault, actions: &mut Actions) {
        let reached = matches!(fault, Fault::Lost | Fault::TimedOut | Fault::Evicted | Fault::Fruitless { .. });
        actions.push(self.settle(now, Outcome::Failed, reached));
        match fault {
            Fault::Client => self.end(actions, Some(Failure::Client)),
            _ if self.numbers >= ATTEMPTS_MAX || self.beside => self.end(actions, Some(Failure::NoCapacity)),
            Fault::Unreachable
            | Fault::Lost
            | Fault::TimedOut
            | Fault::Busy { .. }
            | Fault::Overloaded { .. }
            | Fault::Evicted
            | Fault::Fruitless { .. }
            | Fault::Broken => {
                self.state = State::Deciding;
                actions.push(Action::Decide);
            }
        }
    }

    fn end(&mut self, actions: &mut Actions, failure: Option<Failure>) {
        self.state = State::Over;
        actions.extend(failure.map(Action::Fail));
        actions.push(Action::Done);
    }

    /// What the upstream reported is the truth; else what passed through was counted; an upstream that was reached but
    /// showed nothing, or no more than that it began, is bounded by the request's own limits, and by what it said that it
    /// read. One that the request was never sent to did nothing.
    fn settle(&self, now: Instant, outcome: Outcome, reached: bool) -> Action {
        let (endpoint, contract) = self.endpoint.expect("only an attempt that was called is settled");
        let (input, cached) = self.read.unwrap_or((self.bound.input, 0));
        let (tokens, known) = match (self.reported, self.sent.filter(|_| reached)) {
            (Some(reported), _) => (reported, Known::Reported),
            (None, _) if reached && (self.counted > 0 || self.first_content.is_some() && outcome == Outcome::Answered) => {
                (Tokens { input, cached, output: self.counted }, Known::Counted)
            }
            (None, None) => (Tokens::default(), Known::Counted),
            (None, Some(output_max)) => (Tokens { input, cached, output: self.bound.output.min(output_max) }, Known::Bounded),
        };
        Action::Settle(Settlement {
            attempt: AttemptId { request: self.request, attempt: self.attempt },
            endpoint,
            contract,
            in_units: self.in_units,
            fleet: self.fleet,
            outcome,
            tokens,
            known,
            list: self.list.cost(tokens),
            started: self.started,
            first_content: self.first_content,
            ended: now.max(self.first_content.unwrap_or(self.started)),
        })
    }
}
