//! A streamed answer: events of the batch thread as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use serde_json::Value;
use tokio::sync::mpsc::Receiver;

use crate::error::ApiError;
use crate::inbox::{Event, Usage};
use crate::reply::Head;
use crate::request::Shape;

/// The lines that end every stream that ended well.
const DONE: &str = "data: [DONE]\n\n";

/// Sums the usage of all choices: the prompt is the same for each and counts once.
pub fn add_usage(sum: &mut Usage, choice: Usage) {
    sum.prompt = choice.prompt;
    sum.cached = sum.cached.max(choice.cached);
    sum.completion += choice.completion;
}

/// The body of a streamed answer. Dropping it, as a closed connection does, cancels what it waits for.
pub struct Answer {
    head: Head,
    events: Receiver<(u16, Event)>,
    first: Option<(u16, Event)>,
    /// For each choice, whether its first chunk is out.
    opened: Vec<bool>,
    unfinished: u16,
    usage: Usage,
    tell_usage: bool,
    lines: VecDeque<String>,
}

impl Answer {
    /// The answer that begins with the event `first`; the others follow from `events`.
    pub fn new(head: Head, first: (u16, Event), events: Receiver<(u16, Event)>, choices: u16, tell_usage: bool) -> Self {
        let (opened, usage, lines) = (vec![false; usize::from(choices)], Usage::default(), VecDeque::new());
        Self { head, events, first: Some(first), opened, unfinished: choices, usage, tell_usage, lines }
    }

    fn say(&mut self, value: &Value) {
        self.lines.push_back(format!("data: {value}\n\n"));
    }

    fn hear(&mut self, index: u16, event: Event) {
        if self.head.shape == Shape::Chat && !std::mem::replace(&mut self.opened[usize::from(index)], true) {
            self.say(&self.head.opening(index));
        }
        match event {
            Event::Piece(piece) => self.say(&self.head.delta(index, &piece)),
            Event::Finished { finish, usage } => {
                self.say(&self.head.ending(index, finish));
                add_usage(&mut self.usage, usage);
                self.unfinished -= 1;
                if self.unfinished == 0 {
                    if self.tell_usage {
                        self.say(&self.head.usage(self.usage));
                    }
                    self.lines.push_back(DONE.to_owned());
                }
            }
            Event::Failed(failure) => self.break_off(&failure.into()),
        }
    }

    fn break_off(&mut self, error: &ApiError) {
        self.say(&error.envelope());
        self.unfinished = 0;
    }
}

impl Stream for Answer {
    type Item = Result<String, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Poll::Ready(Some(Ok(line)));
            }
            if self.unfinished == 0 {
                return Poll::Ready(None);
            }
            let event = match self.first.take() {
                Some(event) => Some(event),
                None => ready!(self.events.poll_recv(context)),
            };
            match event {
                Some((index, event)) => self.hear(index, event),
                None => self.break_off(&ApiError::internal("the engine ended")),
            }
        }
    }
}
