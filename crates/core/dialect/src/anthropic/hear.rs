//! A stream of Anthropic's, told as OpenAI's, event by event.

use serde::Deserialize;

use crate::answer::{About, Finish, NoAnswer, Usage};
use crate::anthropic::answer::ReadUsage;
use crate::openai::chunk::{Begun, Chunks};

/// One event; what it lacks its type has no use for.
#[derive(Deserialize)]
struct Event {
    r#type: String,
    message: Option<Start>,
    content_block: Option<Block>,
    delta: Option<Delta>,
    usage: Option<ReadUsage>,
    error: Option<Error>,
}

#[derive(Deserialize)]
struct Start {
    id: Option<String>,
    model: Option<String>,
    usage: Option<ReadUsage>,
}

#[derive(Deserialize)]
struct Block {
    r#type: String,
    text: Option<String>,
    id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    r#type: Option<String>,
    text: Option<String>,
    partial_json: Option<String>,
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
struct Error {
    r#type: Option<String>,
}

/// A stream of Messages as it is heard.
#[derive(Debug)]
pub(crate) struct Hearing {
    chunks: Chunks,
    /// Whether anything was told: an error before that leaves another upstream free to answer.
    begun: bool,
    usage: ReadUsage,
    /// Calls of tools begun so far.
    calls: u32,
    /// Whether the block that is open is a call, and whether its arguments have begun.
    call: Option<bool>,
    /// Its end was told: what comes after it is nobody's.
    over: bool,
}

impl Hearing {
    pub fn new(about: About) -> Self {
        Self { chunks: Chunks::new(about), begun: false, usage: ReadUsage::default(), calls: 0, call: None, over: false }
    }

    /// What was read, as far as it was said.
    pub fn read(&self) -> Option<Usage> {
        self.usage.input()
    }

    /// Hears the data of one event; what OpenAI's clients are told of it goes to `out`.
    pub fn event(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), NoAnswer> {
        if self.over {
            return Ok(());
        }
        let event: Event = serde_json::from_slice(data).map_err(|_| NoAnswer::Unread)?;
        match event.r#type.as_str() {
            "message_start" => {
                let start = event.message.ok_or(NoAnswer::Failed)?;
                self.usage = start.usage.unwrap_or_default();
                self.chunks.call(start.id, start.model);
            }
            "content_block_start" => self.begin(event.content_block.ok_or(NoAnswer::Failed)?, out)?,
            "content_block_delta" => self.more(&event.delta.ok_or(NoAnswer::Failed)?, out),
            "content_block_stop" => self.stop(out),
            "message_delta" => {
                self.usage = self.usage.then(event.usage.unwrap_or_default());
                if let Some(reason) = event.delta.and_then(|delta| delta.stop_reason) {
                    self.role(out);
                    self.chunks.finish(0, Finish::of_anthropic(&reason), out);
                    if let Some(usage) = self.usage.at_end(event.usage) {
                        self.chunks.usage(usage, out);
                    }
                }
            }
            "message_stop" => {
                Chunks::done(out);
                self.over = true;
            }
            "ping" => out.extend_from_slice(b": ping\n\n"),
            "error" => return Err(fault(event.error)),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, block: Block, out: &mut Vec<u8>) -> Result<(), NoAnswer> {
        match (block.r#type.as_str(), block.text) {
            ("text", Some(text)) if !text.is_empty() => self.text(&text, out),
            ("tool_use", _) => {
                self.role(out);
                let (id, name) = (block.id.ok_or(NoAnswer::Failed)?, block.name.ok_or(NoAnswer::Failed)?);
                let begun = Begun { index: self.calls, id: &id, name: &name, arguments: "", signature: None };
                self.chunks.begin_call(0, &begun, out);
                self.calls += 1;
                self.call = Some(false);
            }
            _ => {}
        }
        Ok(())
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        // A call without arguments has none in its deltas either; OpenAI's clients expect JSON.
        if self.call.take() == Some(false) {
            self.chunks.arguments(0, self.calls - 1, "{}", out);
        }
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        self.role(out);
        self.chunks.text(0, text, out);
    }

    /// What stands before the first thing told.
    fn role(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            self.chunks.role(0, out);
        }
    }

    fn more(&mut self, delta: &Delta, out: &mut Vec<u8>) {
        match (delta.r#type.as_deref(), &delta.text, &delta.partial_json) {
            (Some("text_delta"), Some(text), _) => self.text(text, out),
            (Some("input_json_delta"), _, Some(json)) if !json.is_empty() && self.call.is_some() => {
                self.call = Some(true);
                self.chunks.arguments(0, self.calls - 1, json, out);
            }
            _ => {}
        }
    }
}

fn fault(error: Option<Error>) -> NoAnswer {
    match error.and_then(|error| error.r#type).as_deref() {
        Some("rate_limit_error") => NoAnswer::Busy,
        Some("overloaded_error") => NoAnswer::Overloaded,
        _ => NoAnswer::Failed,
    }
}

/// What an event of Messages says to who passes it on untouched and meters it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overheard {
    /// It is an error.
    pub error: Option<NoAnswer>,
    /// It carries output.
    pub content: bool,
    /// It says why the answer ends.
    pub finish: bool,
    /// It is the last.
    pub done: bool,
    /// What was read, said before the rest of usage.
    pub read: Option<Usage>,
    /// Usage, once all of it is known.
    pub reported: Option<Usage>,
}

/// Listens to a stream of Messages that is passed on untouched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overhearing {
    usage: ReadUsage,
}

impl Overhearing {
    /// Hears the data of one event; what is no event of Messages is an error.
    pub fn event(&mut self, data: &[u8]) -> Overheard {
        let none = Overheard::default();
        let Ok(event) = serde_json::from_slice::<Event>(data) else { return Overheard { error: Some(NoAnswer::Unread), ..none } };
        match event.r#type.as_str() {
            "message_start" => {
                self.usage = event.message.and_then(|message| message.usage).unwrap_or_default();
                Overheard { read: self.usage.input(), ..none }
            }
            "content_block_delta" => Overheard { content: true, ..none },
            "message_delta" => {
                self.usage = self.usage.then(event.usage.unwrap_or_default());
                Overheard { finish: true, reported: self.usage.at_end(event.usage), ..none }
            }
            "message_stop" => Overheard { done: true, ..none },
            "error" => Overheard { error: Some(fault(event.error)), ..none },
            _ => none,
        }
    }
}
