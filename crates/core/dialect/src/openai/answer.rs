//! OpenAI's answers, whole: written for its clients, read for others'.

use serde::{Deserialize, Serialize};

use crate::answer::{About, Call, Choice, Finish, NoAnswer, Told, Usage};
use crate::tokens;

#[derive(Serialize)]
struct AnswerWire<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: Vec<ChoiceWire<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageWire>,
}

#[derive(Serialize)]
struct ChoiceWire<'a> {
    index: usize,
    message: MessageWire<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct MessageWire<'a> {
    role: &'static str,
    content: Option<&'a str>,
    refusal: Option<()>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallWire<'a>>,
}

#[derive(Serialize)]
pub(super) struct CallWire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    pub id: &'a str,
    pub r#type: &'static str,
    pub function: Function<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_content: Option<Extra<'a>>,
}

#[derive(Serialize)]
pub(super) struct Function<'a> {
    pub name: &'a str,
    pub arguments: &'a str,
}

/// What Google's own OpenAI surface adds to a call, and wants back.
#[derive(Serialize)]
pub(super) struct Extra<'a> {
    google: Google<'a>,
}

#[derive(Serialize)]
struct Google<'a> {
    thought_signature: &'a str,
}

impl<'a> CallWire<'a> {
    pub fn new(index: Option<u32>, id: &'a str, name: &'a str, arguments: &'a str, signature: Option<&'a str>) -> Self {
        let extra_content = signature.map(|thought_signature| Extra { google: Google { thought_signature } });
        Self { index, id, r#type: "function", function: Function { name, arguments }, extra_content }
    }
}

#[derive(Serialize)]
pub(super) struct UsageWire {
    prompt_tokens: u32,
    completion_tokens: u32,
    total_tokens: u32,
    prompt_tokens_details: Cached,
    completion_tokens_details: Reasoning,
}

#[derive(Serialize)]
struct Cached {
    cached_tokens: u32,
}

#[derive(Serialize)]
struct Reasoning {
    reasoning_tokens: u32,
}

impl From<Usage> for UsageWire {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.input.saturating_add(usage.output),
            prompt_tokens_details: Cached { cached_tokens: usage.cached },
            completion_tokens_details: Reasoning { reasoning_tokens: usage.reasoning },
        }
    }
}

impl Finish {
    pub(crate) fn openai(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Tools => "tool_calls",
            Self::Filtered => "content_filter",
        }
    }

    /// What OpenAI's word for it means; what it doesn't know yet is an end like any other.
    pub(crate) fn of_openai(word: &str) -> Self {
        match word {
            "length" => Self::Length,
            "tool_calls" | "function_call" => Self::Tools,
            "content_filter" => Self::Filtered,
            _ => Self::Stop,
        }
    }
}

/// Writes an answer as OpenAI's API gives it.
pub(crate) fn write(told: &Told, about: &About) -> Vec<u8> {
    let choices = told.choices.iter().enumerate().map(|(index, choice)| ChoiceWire {
        index,
        message: MessageWire {
            role: "assistant",
            content: choice.text.as_deref(),
            refusal: None,
            tool_calls: choice
                .calls
                .iter()
                .map(|call| CallWire::new(None, &call.id, &call.name, &call.input, call.signature.as_deref()))
                .collect(),
        },
        logprobs: None,
        finish_reason: choice.finish.openai(),
    });
    crate::json(&AnswerWire {
        id: told.id.as_deref().unwrap_or(&about.id),
        object: "chat.completion",
        created: about.created,
        model: told.model.as_deref().unwrap_or(&about.model),
        choices: choices.collect(),
        usage: told.usage.map(UsageWire::from),
    })
}

#[derive(Deserialize)]
struct Read {
    id: Option<String>,
    model: Option<String>,
    choices: Vec<ReadChoice>,
    usage: Option<ReadUsage>,
}

#[derive(Deserialize)]
struct ReadChoice {
    message: ReadMessage,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct ReadMessage {
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<ReadCall>>,
}

#[derive(Deserialize)]
struct ReadCall {
    id: String,
    function: ReadFunction,
}

#[derive(Deserialize)]
struct ReadFunction {
    name: String,
    arguments: String,
}

/// Usage as OpenAI's API reports it.
#[derive(Clone, Copy, Deserialize)]
pub(crate) struct ReadUsage {
    #[serde(default, deserialize_with = "tokens::number")]
    prompt_tokens: u32,
    #[serde(default, deserialize_with = "tokens::number")]
    completion_tokens: u32,
    #[serde(default, deserialize_with = "tokens::perhaps")]
    total_tokens: Option<u32>,
    prompt_tokens_details: Option<ReadCached>,
    completion_tokens_details: Option<ReadReasoning>,
}

#[derive(Clone, Copy, Deserialize)]
struct ReadCached {
    #[serde(default, deserialize_with = "tokens::perhaps")]
    cached_tokens: Option<u32>,
}

#[derive(Clone, Copy, Deserialize)]
struct ReadReasoning {
    #[serde(default, deserialize_with = "tokens::perhaps")]
    reasoning_tokens: Option<u32>,
}

impl From<ReadUsage> for Usage {
    fn from(read: ReadUsage) -> Self {
        let cached = read.prompt_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0);
        let reasoning = read.completion_tokens_details.and_then(|details| details.reasoning_tokens).unwrap_or(0);
        // Some count the tokens of thought in the total only.
        let output = read.completion_tokens.max(read.total_tokens.unwrap_or(0).saturating_sub(read.prompt_tokens));
        Self { input: read.prompt_tokens, cached: cached.min(read.prompt_tokens), output, reasoning }
    }
}

/// Reads an answer of OpenAI's API.
pub(crate) fn read(body: &[u8]) -> Result<Told, NoAnswer> {
    let read: Read = serde_json::from_slice(body).map_err(|_| NoAnswer::Failed)?;
    let choices = read.choices.into_iter().map(|choice| {
        let call = |call: ReadCall| Call { id: call.id, name: call.function.name, input: call.function.arguments, signature: None };
        let calls: Vec<Call> = choice.message.tool_calls.unwrap_or_default().into_iter().map(call).collect();
        let refused = choice.message.refusal.is_some();
        let finish = match choice.finish_reason.as_deref() {
            _ if refused => Finish::Filtered,
            Some("stop") | None if !calls.is_empty() => Finish::Tools,
            word => Finish::of_openai(word.unwrap_or_default()),
        };
        Choice { text: choice.message.content.or(choice.message.refusal), calls, finish }
    });
    Ok(Told { id: read.id, model: read.model, choices: choices.collect(), usage: read.usage.map(Usage::from) })
}
