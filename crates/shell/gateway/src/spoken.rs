//! The body of an upstream's stream as OpenAI's, whatever dialect it comes in.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dialect::anthropic::{Overheard, Overhearing};
use dialect::{About, Hearing};
use dispatch::Fault;
use hyper::body::Body;
use market::Tokens;

use crate::answer::{self, Heard};
use crate::peek::Call;
use crate::sse::Mark;
use crate::translate::{self, Passage};
use crate::wire::Coming;

/// A stream's body, piece by piece.
pub(crate) enum Spoken {
    /// As it comes.
    Own(Pieces),
    Translated(Box<Translated>),
}

/// A stream in another dialect, told in OpenAI's words.
pub(crate) struct Translated {
    body: Pieces,
    hearing: Hearing,
    ended: bool,
}

/// What comes, without the mark that it may begin with.
pub(crate) struct Pieces {
    body: Coming,
    mark: Mark,
}

impl Spoken {
    pub fn new(body: Coming, passage: Passage, about: impl Fn() -> About) -> Self {
        let body = Pieces { body, mark: Mark::default() };
        match passage {
            Passage::Own | Passage::Messages => Self::Own(body),
            Passage::Translated(foreign) => {
                Self::Translated(Box::new(Translated { body, hearing: Hearing::new(foreign, about()), ended: false }))
            }
        }
    }

    /// Whether what comes out is as it came in.
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }

    /// What the upstream says was used so far, where that does not stand in what is told.
    pub fn used(&self) -> Option<Tokens> {
        match self {
            Self::Own(_) => None,
            Self::Translated(translated) => translated.hearing.usage().map(translate::tokens),
        }
    }

    /// What the upstream says it read of the request, where that does not stand in what is told.
    pub fn read(&self) -> Option<Tokens> {
        match self {
            Self::Own(_) => None,
            Self::Translated(translated) => translated.hearing.read().map(translate::tokens),
        }
    }

    /// The next piece, which may be empty when the upstream said what OpenAI's clients aren't told.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        match self {
            Self::Own(body) => poll(body, cx),
            Self::Translated(translated) => translated.poll(cx),
        }
    }
}

fn poll(pieces: &mut Pieces, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
    Poll::Ready(match ready!(Pin::new(&mut pieces.body).poll_frame(cx)) {
        Some(Ok(frame)) => Some(Ok(pieces.mark.strip(&frame.into_data().unwrap_or_default()))),
        Some(Err(_)) => Some(Err(Fault::Lost)),
        None => None,
    })
}

impl Translated {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Fault>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let came = ready!(poll(&mut self.body, cx));
        let mut out = Vec::new();
        Poll::Ready(Some(match came {
            Some(Ok(came)) => self.hearing.feed(&came, &mut out).map(|()| Bytes::from(out)).map_err(translate::fault),
            Some(Err(fault)) => Err(fault),
            None => {
                self.ended = true;
                self.hearing.end(&mut out);
                Ok(Bytes::from(out))
            }
        }))
    }
}

/// Reads what passes by, in the dialect that it passes in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ear {
    OpenAi(answer::Hear),
    /// With what became of the upstream, should it fail.
    Anthropic(Overhearing, Fault),
}

impl Ear {
    pub fn of(call: Call, passage: Passage) -> Self {
        match passage {
            Passage::Messages => Self::Anthropic(Overhearing::default(), Fault::Broken),
            Passage::Own | Passage::Translated(_) => Self::OpenAi(answer::hearing(call)),
        }
    }

    /// Whether the client's answer begins with what was heard in `data`: until then another upstream can still give it.
    pub fn begins(self, heard: &Heard, data: &[u8]) -> bool {
        let says = heard.content || heard.finish || heard.done;
        match self {
            Self::OpenAi(_) => !heard.error && (says || !answer::is_prelude(data)),
            Self::Anthropic(..) => says,
        }
    }

    /// Whose fault it is that an error was heard.
    pub fn fault(self) -> Fault {
        match self {
            Self::OpenAi(_) => Fault::Broken,
            Self::Anthropic(_, fault) => fault,
        }
    }

    pub fn hear(&mut self, data: &[u8]) -> Heard {
        match self {
            Self::OpenAi(hear) => hear(data),
            Self::Anthropic(ear, fault) => {
                let Overheard { error, content, finish, done, read, reported } = ear.event(data);
                *fault = error.map_or(*fault, translate::fault);
                let (read, reported) = (read.map(translate::tokens), reported.map(translate::tokens));
                Heard { done, error: error.is_some(), content, finish, read, reported, ..Heard::default() }
            }
        }
    }
}
