//! A stream of OpenAI's, told as Anthropic's, event by event.

use serde::{Deserialize, Serialize};

use crate::answer::{About, Finish, Usage};
use crate::anthropic::answer::{MessageWire, UsageWire};
use crate::events::Events;
use crate::openai::answer::ReadUsage;

#[derive(Deserialize)]
struct Chunk {
    id: Option<String>,
    model: Option<String>,
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<ReadUsage>,
    error: Option<Failure>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
struct Call {
    index: Option<u32>,
    id: Option<String>,
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Deserialize)]
struct Failure {
    message: Option<String>,
}

/// The block that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Text,
    Call(u32),
}

/// A stream of Messages as it is told.
#[derive(Debug)]
pub struct Telling {
    about: About,
    events: Events,
    begun: bool,
    over: bool,
    open: Open,
    /// What the call that is open, or was last, is called.
    call_id: String,
    /// Blocks begun so far.
    blocks: u32,
    called: bool,
    finish: Option<Finish>,
    usage: Usage,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart { message: MessageWire<'a> },
    ContentBlockStart { index: u32, content_block: BlockStart<'a> },
    ContentBlockDelta { index: u32, delta: BlockDelta<'a> },
    ContentBlockStop { index: u32 },
    MessageDelta { delta: Stopped, usage: UsageWire },
    MessageStop,
    Error { error: ErrorWire<'a> },
}

impl Event<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
            Self::Error { .. } => "error",
        }
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum BlockStart<'a> {
    Text { text: &'a str },
    ToolUse { id: &'a str, name: &'a str, input: Empty },
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum BlockDelta<'a> {
    TextDelta { text: &'a str },
    InputJsonDelta { partial_json: &'a str },
}

#[derive(Serialize)]
struct Stopped {
    stop_reason: &'static str,
    stop_sequence: Option<()>,
}

#[derive(Serialize)]
struct ErrorWire<'a> {
    r#type: &'static str,
    message: &'a str,
}

impl Telling {
    /// A stream that nothing was told of yet.
    #[must_use]
    pub fn new(about: About) -> Self {
        let usage = Usage::default();
        Self {
            about,
            events: Events::default(),
            begun: false,
            over: false,
            open: Open::Nothing,
            call_id: String::new(),
            blocks: 0,
            called: false,
            finish: None,
            usage,
        }
    }

    /// Whether the end was told, or an error.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Tells what came of OpenAI's stream, cut anywhere; what Anthropic's clients are told of it is appended to `out`.
    pub fn feed(&mut self, came: &[u8], out: &mut Vec<u8>) {
        let mut events = std::mem::take(&mut self.events);
        let fed = events.feed(came, &mut |data| {
            self.event(data, out);
            Ok(())
        });
        self.events = events;
        if fed.is_err() {
            self.fail("The model server sent an event that is too long.", out);
        }
    }

    /// Tells the data of one of OpenAI's events.
    fn event(&mut self, data: &[u8], out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        if data.trim_ascii() == b"[DONE]" {
            return self.end(out);
        }
        let Ok(chunk) = serde_json::from_slice::<Chunk>(data) else {
            return self.fail("The model server sent something that is no event.", out);
        };
        if let Some(failure) = chunk.error {
            return self.fail(failure.message.as_deref().unwrap_or("The model server failed."), out);
        }
        if !self.begun {
            self.begin(chunk.id, chunk.model, out);
        }
        self.usage = chunk.usage.map_or(self.usage, Usage::from);
        let Some(choice) = chunk.choices.into_iter().next() else { return };
        if let Some(text) = choice.delta.content.or(choice.delta.refusal).filter(|text| !text.is_empty()) {
            self.text(&text, out);
        }
        for call in choice.delta.tool_calls.unwrap_or_default() {
            self.call(&call, out);
        }
        if let Some(word) = choice.finish_reason {
            self.finish = Some(Finish::of_openai(&word));
        }
    }

    /// Tells that the stream was cut, in these words.
    pub fn fail(&mut self, message: &str, out: &mut Vec<u8>) {
        if !self.over {
            self.over = true;
            tell(&Event::Error { error: ErrorWire { r#type: "api_error", message } }, out);
        }
    }

    fn begin(&mut self, id: Option<String>, model: Option<String>, out: &mut Vec<u8>) {
        self.begun = true;
        self.about.id = id.unwrap_or(std::mem::take(&mut self.about.id));
        self.about.model = model.unwrap_or(std::mem::take(&mut self.about.model));
        let message = MessageWire {
            id: &self.about.id,
            r#type: "message",
            role: "assistant",
            model: &self.about.model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: Usage::default().into(),
        };
        tell(&Event::MessageStart { message }, out);
    }

    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if self.open != Open::Text {
            self.start(Open::Text, BlockStart::Text { text: "" }, out);
        }
        tell(&Event::ContentBlockDelta { index: self.blocks - 1, delta: BlockDelta::TextDelta { text } }, out);
    }

    fn call(&mut self, call: &Call, out: &mut Vec<u8>) {
        let (name, arguments) = match &call.function {
            Some(function) => (function.name.as_deref(), function.arguments.as_deref()),
            None => (None, None),
        };
        let id = call.id.as_deref().filter(|id| !id.is_empty());
        let is_another = id.is_some_and(|id| id != self.call_id);
        // Google numbers no calls, and others give the same number to several.
        let goes_on = match (self.open, call.index) {
            (Open::Call(_), None) => !is_another,
            (Open::Call(open), Some(index)) => open == index && !(is_another && name.is_some_and(|name| !name.is_empty())),
            (Open::Nothing | Open::Text, _) => false,
        };
        if !goes_on {
            // Blocks come one after the other: what goes on with an earlier call can't be told any more.
            let (Some(id), Some(name)) = (id, name) else {
                return self.fail("The model server mixed the calls of several tools.", out);
            };
            (self.called, self.call_id) = (true, id.to_owned());
            let index = call.index.unwrap_or(0);
            self.start(Open::Call(index), BlockStart::ToolUse { id, name, input: Empty {} }, out);
        }
        if let Some(partial_json) = arguments.filter(|text| !text.is_empty()) {
            let delta = BlockDelta::InputJsonDelta { partial_json };
            tell(&Event::ContentBlockDelta { index: self.blocks - 1, delta }, out);
        }
    }

    fn start(&mut self, open: Open, content_block: BlockStart<'_>, out: &mut Vec<u8>) {
        self.stop(out);
        tell(&Event::ContentBlockStart { index: self.blocks, content_block }, out);
        self.blocks += 1;
        self.open = open;
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        if self.open != Open::Nothing {
            tell(&Event::ContentBlockStop { index: self.blocks - 1 }, out);
            self.open = Open::Nothing;
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if !self.begun {
            self.begin(None, None, out);
        }
        self.stop(out);
        let finish = match self.finish {
            Some(Finish::Stop) | None if self.called => Finish::Tools,
            finish => finish.unwrap_or(Finish::Stop),
        };
        let delta = Stopped { stop_reason: finish.anthropic(), stop_sequence: None };
        tell(&Event::MessageDelta { delta, usage: self.usage.into() }, out);
        tell(&Event::MessageStop, out);
        self.over = true;
    }
}

fn tell(event: &Event<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event.name().as_bytes());
    out.extend_from_slice(b"\ndata: ");
    out.extend_from_slice(&crate::json(event));
    out.extend_from_slice(b"\n\n");
}
