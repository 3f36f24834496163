//! The events of OpenAI's streams, written one by one.

use serde::Serialize;

use crate::answer::{About, Finish, Usage};
use crate::openai::answer::{CallWire, UsageWire};

/// Writes the events of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Chunks {
    about: About,
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: &'a [ChunkChoice<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageWire>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta<'a>; 1]>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum CallDelta<'a> {
    Begun(CallWire<'a>),
    More { index: u32, function: More<'a> },
}

#[derive(Serialize)]
struct More<'a> {
    arguments: &'a str,
}

/// One call of a tool as a stream tells it.
pub(crate) struct Begun<'a> {
    pub index: u32,
    pub id: &'a str,
    pub name: &'a str,
    pub arguments: &'a str,
    pub signature: Option<&'a str>,
}

impl Chunks {
    pub fn new(about: About) -> Self {
        Self { about }
    }

    /// What the upstream calls the answer and the model.
    pub fn call(&mut self, id: Option<String>, model: Option<String>) {
        self.about.id = id.unwrap_or(std::mem::take(&mut self.about.id));
        self.about.model = model.unwrap_or(std::mem::take(&mut self.about.model));
    }

    pub fn role(&self, choice: u32, out: &mut Vec<u8>) {
        self.delta(choice, Delta { role: Some("assistant"), content: Some(""), ..Delta::default() }, out);
    }

    pub fn text(&self, choice: u32, text: &str, out: &mut Vec<u8>) {
        self.delta(choice, Delta { content: Some(text), ..Delta::default() }, out);
    }

    pub fn begin_call(&self, choice: u32, begun: &Begun<'_>, out: &mut Vec<u8>) {
        let wire = CallWire::new(Some(begun.index), begun.id, begun.name, begun.arguments, begun.signature);
        self.delta(choice, Delta { tool_calls: Some([CallDelta::Begun(wire)]), ..Delta::default() }, out);
    }

    pub fn arguments(&self, choice: u32, index: u32, arguments: &str, out: &mut Vec<u8>) {
        let more = CallDelta::More { index, function: More { arguments } };
        self.delta(choice, Delta { tool_calls: Some([more]), ..Delta::default() }, out);
    }

    pub fn finish(&self, choice: u32, finish: Finish, out: &mut Vec<u8>) {
        self.event(&[ChunkChoice { index: choice, delta: Delta::default(), finish_reason: Some(finish.openai()) }], None, out);
    }

    /// The event that `include_usage` adds: always there, as metering needs it.
    pub fn usage(&self, usage: Usage, out: &mut Vec<u8>) {
        self.event(&[], Some(usage.into()), out);
    }

    pub fn done(out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn delta(&self, choice: u32, delta: Delta<'_>, out: &mut Vec<u8>) {
        self.event(&[ChunkChoice { index: choice, delta, finish_reason: None }], None, out);
    }

    fn event(&self, choices: &[ChunkChoice<'_>], usage: Option<UsageWire>, out: &mut Vec<u8>) {
        let About { id, created, model } = &self.about;
        let chunk = Chunk { id, object: "chat.completion.chunk", created: *created, model, choices, usage };
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&crate::json(&chunk));
        out.extend_from_slice(b"\n\n");
    }
}
