//! Anthropic's answers, whole: read for clients of other dialects, written for its own.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::answer::{About, Call, Choice, Finish, NoAnswer, Told, Usage};
use crate::tokens;

#[derive(Deserialize)]
struct Read<'a> {
    id: Option<String>,
    model: Option<String>,
    #[serde(borrow)]
    content: Vec<Block<'a>>,
    stop_reason: Option<String>,
    usage: Option<ReadUsage>,
}

/// A block of an answer; what has neither text nor a call, such as thought, OpenAI's API doesn't show.
#[derive(Deserialize)]
struct Block<'a> {
    r#type: String,
    text: Option<String>,
    id: Option<String>,
    name: Option<String>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

/// Usage as Messages reports it: what was read from or written to a cache is no part of its input tokens.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct ReadUsage {
    #[serde(default, deserialize_with = "tokens::perhaps")]
    pub input_tokens: Option<u32>,
    #[serde(default, deserialize_with = "tokens::perhaps")]
    pub cache_read_input_tokens: Option<u32>,
    #[serde(default, deserialize_with = "tokens::perhaps")]
    pub cache_creation_input_tokens: Option<u32>,
    #[serde(default, deserialize_with = "tokens::perhaps")]
    pub output_tokens: Option<u32>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct OutputDetails {
    #[serde(default, deserialize_with = "tokens::perhaps")]
    thinking_tokens: Option<u32>,
}

impl ReadUsage {
    /// What a later event says of usage takes the place of what an earlier one said.
    pub fn then(self, later: Self) -> Self {
        Self {
            input_tokens: later.input_tokens.or(self.input_tokens),
            cache_read_input_tokens: later.cache_read_input_tokens.or(self.cache_read_input_tokens),
            cache_creation_input_tokens: later.cache_creation_input_tokens.or(self.cache_creation_input_tokens),
            output_tokens: later.output_tokens.or(self.output_tokens),
            output_tokens_details: later.output_tokens_details.or(self.output_tokens_details),
        }
    }
}

impl ReadUsage {
    /// The usage of a whole answer; `None` while input or output is still unsaid.
    pub fn whole(self) -> Option<Usage> {
        (self.input_tokens.is_some() && self.output_tokens.is_some()).then(|| self.into())
    }

    /// What was read of the request, once that is said; nothing is said of output by it.
    pub fn input(self) -> Option<Usage> {
        self.input_tokens.map(|_| Self { output_tokens: None, output_tokens_details: None, ..self }.into())
    }

    /// The usage of a stream whose last event with usage says `last`: what the output came to is not known before.
    pub fn at_end(self, last: Option<Self>) -> Option<Usage> {
        last.and_then(|last| last.output_tokens).and(self.whole())
    }
}

impl From<ReadUsage> for Usage {
    fn from(read: ReadUsage) -> Self {
        let (cached, written) = (read.cache_read_input_tokens.unwrap_or(0), read.cache_creation_input_tokens.unwrap_or(0));
        Self {
            input: read.input_tokens.unwrap_or(0).saturating_add(cached).saturating_add(written),
            cached,
            output: read.output_tokens.unwrap_or(0),
            reasoning: read.output_tokens_details.and_then(|details| details.thinking_tokens).unwrap_or(0),
        }
    }
}

impl Finish {
    /// What Anthropic's word for it means; what it doesn't know yet is an end like any other.
    pub(crate) fn of_anthropic(word: &str) -> Self {
        match word {
            "max_tokens" | "model_context_window_exceeded" => Self::Length,
            "tool_use" => Self::Tools,
            "refusal" => Self::Filtered,
            _ => Self::Stop,
        }
    }

    pub(crate) fn anthropic(self) -> &'static str {
        match self {
            Self::Stop => "end_turn",
            Self::Length => "max_tokens",
            Self::Tools => "tool_use",
            Self::Filtered => "refusal",
        }
    }
}

/// Why a body that is no answer of Messages is none: an error is nothing that was paid for.
fn unread(body: &[u8]) -> NoAnswer {
    if serde_json::from_slice::<serde_json::Value>(body).is_ok() { NoAnswer::Failed } else { NoAnswer::Unread }
}

/// Reads an answer of Messages.
pub(crate) fn read(body: &[u8]) -> Result<Told, NoAnswer> {
    let read: Read<'_> = serde_json::from_slice(body).map_err(|_| unread(body))?;
    let (mut text, mut calls) = (None::<String>, Vec::new());
    for block in read.content {
        match (block.r#type.as_str(), block.text) {
            ("text", Some(more)) => text.get_or_insert_default().push_str(&more),
            ("tool_use", _) => calls.push(Call {
                id: block.id.ok_or(NoAnswer::Failed)?,
                name: block.name.ok_or(NoAnswer::Failed)?,
                input: block.input.map_or("{}", RawValue::get).to_owned(),
                signature: None,
            }),
            _ => {}
        }
    }
    let finish = Finish::of_anthropic(read.stop_reason.as_deref().unwrap_or_default());
    Ok(Told { id: read.id, model: read.model, choices: vec![Choice { text, calls, finish }], usage: read.usage.and_then(ReadUsage::whole) })
}

/// What usage an answer of Messages reports.
///
/// # Errors
/// When it is no answer.
pub fn reported(body: &[u8]) -> Result<Option<Usage>, NoAnswer> {
    #[derive(Deserialize)]
    struct Look {
        #[serde(rename = "content")]
        _content: IgnoredAny,
        usage: Option<ReadUsage>,
    }
    let look: Look = serde_json::from_slice(body).map_err(|_| unread(body))?;
    Ok(look.usage.and_then(ReadUsage::whole))
}

#[derive(Serialize)]
pub(super) struct MessageWire<'a> {
    pub id: &'a str,
    pub r#type: &'static str,
    pub role: &'static str,
    pub model: &'a str,
    pub content: Vec<BlockWire<'a>>,
    pub stop_reason: Option<&'static str>,
    pub stop_sequence: Option<()>,
    pub usage: UsageWire,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum BlockWire<'a> {
    Text { text: &'a str },
    ToolUse { id: &'a str, name: &'a str, input: &'a RawValue },
}

#[derive(Serialize)]
pub(super) struct UsageWire {
    input_tokens: u32,
    cache_creation_input_tokens: u32,
    cache_read_input_tokens: u32,
    output_tokens: u32,
}

impl From<Usage> for UsageWire {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input.saturating_sub(usage.cached),
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: usage.cached,
            output_tokens: usage.output,
        }
    }
}

/// Writes an answer as Messages gives it.
pub(crate) fn write(told: &Told, about: &About) -> Result<Vec<u8>, NoAnswer> {
    let choice = told.choices.first().ok_or(NoAnswer::Failed)?;
    let mut content = Vec::new();
    if let Some(text) = choice.text.as_deref().filter(|text| !text.is_empty()) {
        content.push(BlockWire::Text { text });
    }
    for (index, call) in choice.calls.iter().enumerate() {
        let input = if call.input.trim().is_empty() { "{}" } else { call.input.trim() };
        match serde_json::from_str(input).ok().filter(|raw: &&RawValue| raw.get().starts_with('{')) {
            Some(input) => content.push(BlockWire::ToolUse { id: &call.id, name: &call.name, input }),
            // The most tokens came in the midst of it: `max_tokens` says so, and nobody is to run half a call.
            None if choice.finish == Finish::Length && index + 1 == choice.calls.len() => {}
            // A call whose arguments are no JSON can't be told: Messages has no place for what is not an object.
            None => return Err(NoAnswer::Failed),
        }
    }
    Ok(crate::json(&MessageWire {
        id: told.id.as_deref().unwrap_or(&about.id),
        r#type: "message",
        role: "assistant",
        model: told.model.as_deref().unwrap_or(&about.model),
        content,
        stop_reason: Some(choice.finish.anthropic()),
        stop_sequence: None,
        usage: told.usage.unwrap_or_default().into(),
    }))
}
