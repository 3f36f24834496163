//! From one dialect into another, whole answers and streams.

use crate::answer::{About, NoAnswer, Usage};
use crate::events::Events;
use crate::{anthropic, gemini, openai};

/// A dialect that is told in OpenAI's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// Anthropic Messages.
    Anthropic,
    /// Gemini `generateContent`.
    Gemini,
}

impl Foreign {
    /// Tells a whole answer as OpenAI's chat completion.
    ///
    /// # Errors
    /// When it is no answer in its dialect.
    pub fn answer(self, body: &[u8], about: &About) -> Result<Vec<u8>, NoAnswer> {
        let told = match self {
            Self::Anthropic => anthropic::answer::read(body)?,
            Self::Gemini => gemini::answer::read(body, about)?,
        };
        Ok(openai::answer::write(&told, about))
    }
}

/// A stream in another dialect as it is heard: its events in, OpenAI's events out.
#[derive(Debug)]
pub struct Hearing {
    events: Events,
    heard: Heard,
}

#[derive(Debug)]
enum Heard {
    Anthropic(anthropic::hear::Hearing),
    Gemini(gemini::hear::Hearing),
}

impl Hearing {
    /// A stream of which nothing was heard yet.
    #[must_use]
    pub fn new(from: Foreign, about: About) -> Self {
        let heard = match from {
            Foreign::Anthropic => Heard::Anthropic(anthropic::hear::Hearing::new(about)),
            Foreign::Gemini => Heard::Gemini(gemini::hear::Hearing::new(about)),
        };
        Self { events: Events::default(), heard }
    }

    /// Hears what came, cut anywhere; what OpenAI's clients are told of it is appended to `out`.
    ///
    /// # Errors
    /// When there is an error in it, or what is no event of the dialect.
    pub fn feed(&mut self, came: &[u8], out: &mut Vec<u8>) -> Result<(), NoAnswer> {
        let heard = &mut self.heard;
        self.events.feed(came, &mut |data| match heard {
            Heard::Anthropic(hearing) => hearing.event(data, out),
            Heard::Gemini(hearing) => hearing.event(data, out),
        })
    }

    /// What was used so far, where the dialect says it before the end: what a stream that is given up has cost.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        match &self.heard {
            Heard::Anthropic(_) => None,
            Heard::Gemini(hearing) => hearing.usage(),
        }
    }

    /// What was read of the request, where the dialect says it before the rest of usage.
    #[must_use]
    pub fn read(&self) -> Option<Usage> {
        match &self.heard {
            Heard::Anthropic(hearing) => hearing.read(),
            Heard::Gemini(_) => None,
        }
    }

    /// The stream ended; what is left to tell is appended to `out`. A stream that was cut short has no end told.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if let Heard::Gemini(hearing) = &mut self.heard {
            hearing.end(out);
        }
    }
}

/// Tells a whole chat completion of OpenAI's as an answer of Anthropic's.
///
/// # Errors
/// When it is no chat completion, or calls a tool with arguments that are no JSON.
pub fn told_as_anthropic(body: &[u8], about: &About) -> Result<Vec<u8>, NoAnswer> {
    anthropic::answer::write(&openai::answer::read(body)?, about)
}
