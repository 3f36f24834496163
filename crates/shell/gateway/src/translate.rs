//! A request in the words of every dialect that its model's endpoints speak, and answers told back.

use std::sync::Arc;

use bytes::Bytes;
use dialect::{About, Chat, Foreign, Unsupported, anthropic, gemini, openai};
use dispatch::{Fault, RequestId};
use fleet::{Dialect, ModelId, StreamUsage};

use crate::answer::{self, Whole};
use crate::depth;
use crate::envelope::Refused;
use crate::generated;
use crate::limits::OUTPUT_MAX_UNSAID;
use crate::memory::{self, Memory};
use crate::peek::{Call, Peek};
use crate::snapshot::Snapshot;
use crate::splice;
use crate::upstream::Upstream;

/// How an upstream's answers reach the client of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// As they are, in OpenAI's dialect.
    Own,
    /// Told in OpenAI's words.
    Translated(Foreign),
    /// As they are, in Anthropic's dialect.
    Messages,
}

impl Passage {
    pub fn of(call: Call, dialect: Dialect) -> Self {
        match (call, dialect) {
            (Call::Messages, Dialect::Anthropic) => Self::Messages,
            (_, Dialect::OpenAi | Dialect::Azure) => Self::Own,
            (_, Dialect::Anthropic) => Self::Translated(Foreign::Anthropic),
            (_, Dialect::Gemini) => Self::Translated(Foreign::Gemini),
        }
    }

    /// Reads a whole answer and gives it as OpenAI's clients get it, or Anthropic's where it passes as it is.
    pub fn whole(self, body: Bytes, about: impl Fn() -> About) -> Result<(Bytes, Whole), Fault> {
        let body = match self {
            Self::Own => body,
            Self::Translated(foreign) => Bytes::from(foreign.answer(&body, &about()).map_err(fault)?),
            Self::Messages => {
                let reported = anthropic::reported(&body).map_err(fault)?.map(tokens);
                let read = Whole::new(reported, || generated::bytes(&body));
                return Ok((body, read));
            }
        };
        let read = answer::whole(&body)?;
        Ok((body, read))
    }
}

pub(crate) fn fault(no: dialect::NoAnswer) -> Fault {
    match no {
        dialect::NoAnswer::Busy => Fault::Busy { retry_after_ms: 0 },
        dialect::NoAnswer::Overloaded => Fault::Overloaded { retry_after_ms: 0 },
        dialect::NoAnswer::Failed => Fault::Broken,
        dialect::NoAnswer::Fruitless(used) => Fault::Fruitless { used: used.map(tokens), is_late: false },
        dialect::NoAnswer::Unread => Fault::Lost,
    }
}

pub(crate) fn tokens(usage: dialect::Usage) -> market::Tokens {
    market::Tokens { input: usage.input, cached: usage.cached, output: usage.output }
}

/// What an answer is called that its upstream gave no name.
pub(crate) fn about(id: RequestId, created: units::Instant, model: &str) -> About {
    About { id: format!("chatcmpl-{:032x}", id.0), created: created.micros().div_euclid(1_000_000), model: model.to_owned() }
}

/// A request, and what of it can't be said in which dialect.
pub(crate) struct Said<'a> {
    call: Call,
    /// For what is made of it.
    room: &'a Arc<Memory>,
    body: &'a Bytes,
    peek: &'a Peek<'a>,
    /// As all dialects mean it; `None` while every endpoint speaks the client's own.
    chat: Option<Chat<'a>>,
    barred: Vec<(Dialect, Unsupported)>,
}

impl<'a> Said<'a> {
    /// Reads a request as far as the dialects of its model's endpoints want it read.
    pub fn new(snapshot: &Snapshot, model: ModelId, call: Call, (body, room): (&'a Bytes, &'a Arc<Memory>), peek: &'a Peek<'a>) -> Self {
        let mut said = Self { call, room, body, peek, chat: None, barred: Vec::new() };
        for endpoint in snapshot.endpoints(model) {
            let dialect = snapshot.fleet.endpoints[*endpoint].dialect;
            let own = match call {
                Call::Messages => dialect == Dialect::Anthropic,
                _ => matches!(dialect, Dialect::OpenAi | Dialect::Azure),
            };
            if !own && !said.bars(dialect) {
                said.try_in(dialect);
            }
        }
        said
    }

    fn try_in(&mut self, dialect: Dialect) {
        let read = if self.chat.is_some() { Ok(()) } else { self.read() };
        let written = read.and_then(|()| match (&self.chat, dialect) {
            (Some(chat), Dialect::OpenAi | Dialect::Azure) => openai::write(chat).map(drop),
            (Some(chat), Dialect::Anthropic) => anthropic::write(chat).map(drop),
            (Some(chat), Dialect::Gemini) => gemini::write(chat).map(drop),
            (None, _) => Ok(()),
        });
        if let Err(unsupported) = written {
            self.barred.push((dialect, unsupported));
        }
    }

    fn read(&mut self) -> Result<(), Unsupported> {
        let unreadable = |message: &str| Unsupported { param: "model".to_owned(), message: message.to_owned() };
        let text = std::str::from_utf8(self.body).map_err(|_| unreadable("The body is not text."))?;
        // Few of its values may take many times the room of its text.
        depth::tree(self.body).map_err(|refused| Unsupported { param: self.call.prompt().to_owned(), message: refused.message })?;
        self.chat = Some(match self.call {
            Call::Chat => openai::read(text)?,
            Call::Messages => anthropic::read(text)?,
            _ => return Err(unreadable("The endpoints of this model have no such call; use chat completions.")),
        });
        Ok(())
    }

    fn bars(&self, dialect: Dialect) -> bool {
        self.barred.iter().any(|(barred, _)| *barred == dialect)
    }

    /// The dialects that the request can't be said in.
    pub fn barred(&self) -> Vec<Dialect> {
        self.barred.iter().map(|(dialect, _)| *dialect).collect()
    }

    /// What a client is told whose request can be said to no endpoint.
    pub fn refusal(&self) -> Option<Refused> {
        self.barred.first().map(|(_, Unsupported { param, message })| Refused::unsupported(param, message.clone()))
    }

    pub fn call(&self) -> Call {
        self.call
    }

    /// A body that was made for an upstream, with the room that it takes; `None` when there is not so much. The client's own has room already.
    pub fn kept(&self, body: Bytes) -> Option<Bytes> {
        if body.as_ptr() == self.body.as_ptr() { Some(body) } else { memory::made(body, self.room) }
    }

    pub fn peek(&self) -> &Peek<'a> {
        self.peek
    }

    /// The most output tokens that an upstream is asked for, of those that were reckoned with: Anthropic's wants to be told.
    pub fn most(call: Call, upstream: &Upstream, reckoned: u32) -> u32 {
        match (call, upstream.dialect) {
            (Call::Messages, _) | (_, Dialect::OpenAi | Dialect::Azure | Dialect::Gemini) => reckoned,
            (_, Dialect::Anthropic) => upstream.output_max.unwrap_or(OUTPUT_MAX_UNSAID).min(reckoned).max(1),
        }
    }

    /// The body as an upstream gets it, which calls the model `model` and is asked for at most `most` output tokens where it wants to be told.
    pub fn body(&self, upstream: &Upstream, model: &str, most: u32) -> Result<Bytes, Fault> {
        let spliced = || Ok(splice::for_upstream(self.body, self.peek, model, upstream.stream_usage));
        let Some(chat) = &self.chat else { return spliced() };
        let written = match (self.call, upstream.dialect) {
            (Call::Messages, Dialect::OpenAi | Dialect::Azure) => openai::write(chat).map(|chat| match upstream.stream_usage {
                StreamUsage::Asked => chat.body(model, upstream.most),
                StreamUsage::Always => chat.unasked().body(model, upstream.most),
            }),
            (Call::Messages, Dialect::Anthropic) | (_, Dialect::OpenAi | Dialect::Azure) => return spliced(),
            (_, Dialect::Anthropic) => anthropic::write(chat).map(|chat| chat.body(model, most)),
            (_, Dialect::Gemini) => gemini::write(chat).map(|chat| chat.body()),
        };
        // Such an endpoint is not eligible, so it isn't chosen either.
        written.map(Bytes::from).map_err(|_| Fault::Broken)
    }
}
