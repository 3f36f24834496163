//! A stream on its way from an upstream to a client, event by event.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use dispatch::Fault;
use market::Tokens;
use memchr::memmem;
use tokio::time::{Instant, Sleep, timeout_at};

use crate::answer::Heard;
use crate::flight::Sent;
use crate::limits::{EVENT_MAX, Limits};
use crate::spoken::{Ear, Spoken};
use crate::sse::{self, Splitter, Verdict};

/// What a stream has said so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Events with output.
    pub counted: u32,
    pub reported: Option<Tokens>,
    /// What the upstream said it read, before it said all.
    read: Option<Tokens>,
    /// Choices that have come to their end.
    finished: u32,
    /// Events with data.
    events: usize,
    done: bool,
    error: bool,
    /// The error was passed on as the answer's own end.
    is_told: bool,
    /// Whether anything has come that another upstream can't say again.
    begun: bool,
    /// Whether what comes is passed on: content has begun, or what came before it was kept for long enough.
    open: bool,
}

impl Progress {
    /// Whether the upstream said `[DONE]`.
    pub fn is_done(self) -> bool {
        self.done
    }

    /// Whether content has begun.
    pub fn has_begun(self) -> bool {
        self.begun
    }
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// As it should; with `[DONE]` still to be sent when the upstream left it out.
    Whole {
        done_sent: bool,
    },
    Failed(Fault),
    /// The upstream said itself that it failed, in its client's words, and what that used.
    Told,
}

/// Why a stream ended before it began, and the error event that said so, if one did.
pub(crate) struct Unbegun {
    pub fault: Fault,
    pub said: Bytes,
}

/// What comes next out of a stream.
pub(crate) enum Next {
    Events(Bytes),
    End(Ending),
}

/// What a stream is read by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Whether the client did not ask for usage.
    pub strip_usage: bool,
    /// How many choices are to come.
    pub choices: u32,
    /// When it has to have content.
    pub until: Instant,
    /// How long what says nothing yet is kept, so that another upstream can still answer; `None` for as long as it takes.
    pub kept: Option<Duration>,
}

/// The upstream's half of a stream: bytes in, whole events out.
pub(crate) struct Relay {
    body: Spoken,
    ear: Ear,
    splitter: Splitter,
    ready: VecDeque<Bytes>,
    progress: Progress,
    terms: Terms,
    /// Bytes that came before any answer began.
    early: usize,
    /// Since when something is kept that says nothing yet.
    kept_since: Option<Instant>,
    ending: Option<Ending>,
    /// The data of the event that was an error.
    error: Bytes,
    /// For the next sign of life before content, and for the next event after it.
    patience: [Duration; 2],
    heard_at: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Relay {
    /// Reads up to the first event that says anything: until then nothing has been sent, so another upstream can still answer. One that thinks says
    /// so now and then, if only to keep the connection open: whatever comes is waited for anew. What it says before is kept for as long as the
    /// terms have it: then the client hears that an answer is to come, and gets it from here or not at all.
    pub async fn begin(body: Spoken, ear: Ear, terms: Terms, limits: &Limits, sent: &Sent) -> Result<Self, Unbegun> {
        let mut relay = Self {
            body,
            ear,
            splitter: Splitter::default(),
            ready: VecDeque::new(),
            progress: Progress::default(),
            terms,
            early: 0,
            kept_since: None,
            ending: None,
            error: Bytes::new(),
            patience: [limits.first_token_timeout, limits.between_tokens_timeout],
            heard_at: Instant::now(),
            timer: None,
        };
        while !relay.progress.begun && relay.ending.is_none() {
            let (due, open_at) = (relay.due(), relay.kept_since.zip(terms.kept).map(|(since, kept)| since + kept));
            let came = timeout_at(open_at.map_or(due, |at| at.min(due)), std::future::poll_fn(|cx| relay.poll_body(cx))).await;
            relay.progress.read.into_iter().for_each(|read| sent.read(read));
            match came {
                Ok(()) => {}
                Err(_) if open_at.is_some_and(|at| at < due) => {
                    relay.progress.open = true;
                    return Ok(relay);
                }
                Err(_) => return Err(Unbegun { fault: relay.late(), said: relay.error }),
            }
        }
        let fault = match relay.ending {
            Some(Ending::Failed(fault)) if relay.ready.is_empty() || !relay.progress.begun => fault,
            Some(Ending::Told) if !relay.progress.begun => Fault::Fruitless { used: relay.progress.reported, is_late: false },
            Some(Ending::Whole { .. }) if !relay.progress.begun => Fault::Broken,
            _ => return Ok(relay),
        };
        Err(Unbegun { fault, said: relay.error })
    }

    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// The data of the event by which the upstream said that it failed; empty where it said nothing.
    pub fn error(&self) -> &[u8] {
        &self.error
    }

    /// Whether its events pass in Anthropic's dialect.
    pub fn is_anthropic(&self) -> bool {
        matches!(self.ear, Ear::Anthropic(..))
    }

    /// What comes next; after the end nothing does.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            if let Some(events) = self.ready.pop_front() {
                return Poll::Ready(Next::Events(events));
            }
            if let Some(ending) = self.ending {
                return Poll::Ready(Next::End(ending));
            }
            ready!(self.poll_patience(cx));
        }
    }

    /// Reads on, unless the upstream has been silent for too long.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_body(cx).is_ready() {
            return Poll::Ready(());
        }
        // The timer is not moved at every event, which would cost more than the event: it is looked at when it fires.
        let due = self.due();
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        ready!(timer.as_mut().poll(cx));
        if Instant::now() >= due {
            self.ending = Some(Ending::Failed(if self.progress.begun { Fault::TimedOut } else { self.late() }));
        } else {
            self.timer = Some(Box::pin(tokio::time::sleep_until(due)));
        }
        Poll::Ready(())
    }

    /// By when something has to come.
    fn due(&self) -> Instant {
        let [before, after] = self.patience;
        if self.progress.begun { self.heard_at + after } else { (self.heard_at + before).min(self.terms.until) }
    }

    /// Nothing came of it in time.
    fn late(&self) -> Fault {
        Fault::Fruitless { used: self.progress.reported, is_late: true }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.body.poll(cx) {
            Poll::Ready(Some(Ok(came))) => self.take(came),
            Poll::Ready(Some(Err(fault))) => self.ending = Some(Ending::Failed(fault)),
            Poll::Ready(None) => self.ending = Some(self.at_end()),
            // After `[DONE]` nobody waits for an upstream that holds its connection open.
            Poll::Pending if self.progress.done => self.ending = Some(self.at_end()),
            Poll::Pending => return Poll::Pending,
        }
        Poll::Ready(())
    }

    fn take(&mut self, came: Bytes) {
        let Progress { events: before, begun: was_begun, .. } = self.progress;
        if !self.progress.open {
            self.early += came.len();
        }
        let (progress, ear, error, strip_usage) = (&mut self.progress, &mut self.ear, &mut self.error, self.terms.strip_usage);
        let judged = self.splitter.feed(came, &mut self.ready, &mut |event| judge(progress, ear, error, strip_usage, event));
        self.progress.reported = self.body.used().or(self.progress.reported);
        self.progress.read = self.body.read().or(self.progress.read);
        // Neither a comment nor a part of an event is an answer that goes on. What another dialect says of that is not told here.
        if self.progress.events > before || !was_begun || !self.body.is_own() {
            self.heard_at = Instant::now();
        }
        if !self.ready.is_empty() && !self.progress.open {
            self.kept_since = self.kept_since.or(Some(self.heard_at));
        }
        if self.progress.begun && !was_begun {
            // From here on another patience counts.
            self.timer = None;
        }
        if self.progress.error {
            self.ending = Some(if self.progress.is_told { Ending::Told } else { Ending::Failed(self.ear.fault()) });
        } else if judged.is_err() || !self.progress.open && self.early > EVENT_MAX * (1 + self.progress.events.min(PRELUDES_MAX)) {
            // It answered with success, so it may bill what can't be read.
            self.ending = Some(Ending::Failed(Fault::Lost));
        }
    }

    /// The upstream closed: an answer that neither finished nor said `[DONE]` was lost, however politely.
    fn at_end(&self) -> Ending {
        let whole = self.progress.done || self.progress.finished >= self.terms.choices && !self.splitter.is_mid_event();
        if whole { Ending::Whole { done_sent: self.progress.done } } else { Ending::Failed(Fault::Lost) }
    }
}

/// So many events before an answer begins may each be as long as any.
const PRELUDES_MAX: usize = 3;

/// Reads one event, and says whether the client gets it.
fn judge(progress: &mut Progress, ear: &mut Ear, said: &mut Bytes, strip_usage: bool, event: &[u8]) -> Verdict {
    // What says nothing is not kept for an answer that may never begin.
    let Some(data) = sse::data(event) else { return if progress.open { Verdict::Forward } else { Verdict::Strip } };
    progress.events += 1;
    if progress.error || progress.done {
        return Verdict::Strip;
    }
    let heard = ear.hear(&data);
    progress.begun = progress.begun || ear.begins(&heard, &data);
    progress.open |= progress.begun;
    let Heard { done, error, content, finish, read, reported, is_told, usage_only } = heard;
    progress.done |= done;
    if error {
        (progress.error, progress.is_told) = (true, is_told);
        *said = Bytes::copy_from_slice(&data);
    }
    progress.finished = progress.finished.saturating_add(if finish { finishes(&data) } else { 0 });
    progress.counted = progress.counted.saturating_add(content.into());
    progress.reported = reported.or(progress.reported);
    progress.read = read.or(progress.read);
    let is_kept = is_told && progress.open;
    if error && !is_kept || usage_only && strip_usage { Verdict::Strip } else { Verdict::Forward }
}

/// How many choices end with an event that says a finish; where it has no reasons of OpenAI's, the only one.
fn finishes(data: &[u8]) -> u32 {
    let reasons = memmem::find_iter(data, b"\"finish_reason\"").filter(|at| {
        let rest = data[at + b"\"finish_reason\"".len()..].trim_ascii_start();
        rest.strip_prefix(b":").is_some_and(|value| value.trim_ascii_start().starts_with(b"\""))
    });
    u32::try_from(reasons.count()).unwrap_or(u32::MAX).max(1)
}
