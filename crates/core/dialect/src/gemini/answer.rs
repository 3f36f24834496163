//! Gemini's answers, whole or as the events of a stream: they have one shape.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer::{About, Call, Choice, Finish, NoAnswer, Told, Usage};
use crate::tokens;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Read<'a> {
    #[serde(borrow, default)]
    pub candidates: Vec<Candidate<'a>>,
    pub prompt_feedback: Option<Feedback>,
    pub usage_metadata: Option<ReadUsage>,
    pub model_version: Option<String>,
    pub response_id: Option<String>,
    pub error: Option<Failure>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(default)]
    pub index: u32,
    #[serde(borrow)]
    pub content: Option<Content<'a>>,
    pub finish_reason: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Content<'a> {
    #[serde(borrow, default)]
    pub parts: Vec<Part<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    pub text: Option<String>,
    #[serde(default)]
    pub thought: bool,
    #[serde(borrow)]
    pub function_call: Option<FunctionCall<'a>>,
    pub thought_signature: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct FunctionCall<'a> {
    pub id: Option<String>,
    pub name: String,
    #[serde(borrow)]
    pub args: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Feedback {
    pub block_reason: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Failure {
    pub code: Option<u16>,
}

/// Usage as Gemini reports it: cached tokens are part of the prompt, thought is no part of the candidates.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReadUsage {
    #[serde(default, deserialize_with = "tokens::perhaps")]
    prompt_token_count: Option<u32>,
    #[serde(default, deserialize_with = "tokens::perhaps")]
    tool_use_prompt_token_count: Option<u32>,
    #[serde(default, deserialize_with = "tokens::perhaps")]
    cached_content_token_count: Option<u32>,
    #[serde(default, deserialize_with = "tokens::perhaps")]
    candidates_token_count: Option<u32>,
    #[serde(default, deserialize_with = "tokens::perhaps")]
    thoughts_token_count: Option<u32>,
}

impl ReadUsage {
    /// The usage, where any of it is said.
    pub fn said(self) -> Option<Usage> {
        let prompt = self.prompt_token_count.or(self.tool_use_prompt_token_count);
        prompt.or(self.candidates_token_count).or(self.thoughts_token_count).map(|_| self.into())
    }
}

impl From<ReadUsage> for Usage {
    fn from(read: ReadUsage) -> Self {
        let input = read.prompt_token_count.unwrap_or(0).saturating_add(read.tool_use_prompt_token_count.unwrap_or(0));
        let reasoning = read.thoughts_token_count.unwrap_or(0);
        Self {
            input,
            cached: read.cached_content_token_count.unwrap_or(0).min(input),
            output: read.candidates_token_count.unwrap_or(0).saturating_add(reasoning),
            reasoning,
        }
    }
}

impl Failure {
    pub fn fault(&self) -> NoAnswer {
        match self.code {
            Some(429) => NoAnswer::Busy,
            Some(503) => NoAnswer::Overloaded,
            _ => NoAnswer::Failed,
        }
    }
}

impl Finish {
    /// What Gemini's word for it means; `None` for a model that failed: it has not answered, whatever it said before.
    pub(crate) fn of_gemini(word: &str, called: bool) -> Option<Self> {
        match word {
            "STOP" if called => Some(Self::Tools),
            "STOP" => Some(Self::Stop),
            "MAX_TOKENS" => Some(Self::Length),
            "SAFETY"
            | "RECITATION"
            | "LANGUAGE"
            | "BLOCKLIST"
            | "PROHIBITED_CONTENT"
            | "SPII"
            | "IMAGE_SAFETY"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION"
            | "MODEL_ARMOR"
            | "ESCALATION" => Some(Self::Filtered),
            _ => None,
        }
    }
}

/// So many letters of an answer's id are enough to tell it from others: those that were drawn stand at the end. With these an id of a call
/// keeps to 40 letters, the most that OpenAI takes back, for up to a million calls of each of up to a thousand choices.
const OF_ANSWER: usize = 24;

/// The id of a call that Gemini gave none: unlike any other call's.
pub(super) fn call_id(answer: &str, choice: u32, index: usize) -> String {
    let drawn = answer.get(answer.len().saturating_sub(OF_ANSWER)..).unwrap_or(answer);
    format!("call_{drawn}_{choice}_{index}")
}

/// Reads an answer of `generateContent`.
pub(crate) fn read(body: &[u8], about: &About) -> Result<Told, NoAnswer> {
    let read: Read<'_> = serde_json::from_slice(body).map_err(|_| NoAnswer::Unread)?;
    if let Some(error) = read.error {
        return Err(error.fault());
    }
    let usage = read.usage_metadata.and_then(ReadUsage::said);
    let choices = read.candidates.into_iter().map(|candidate| choice(candidate, about)).collect::<Option<Vec<_>>>();
    let mut choices = choices.ok_or(NoAnswer::Fruitless(usage))?;
    if choices.is_empty() {
        // A prompt that was blocked has no candidates, and is an answer all the same.
        _ = read.prompt_feedback.and_then(|feedback| feedback.block_reason).ok_or(NoAnswer::Fruitless(usage))?;
        choices.push(Choice { text: None, calls: Vec::new(), finish: Finish::Filtered });
    }
    Ok(Told { id: read.response_id, model: read.model_version, choices, usage })
}

fn choice(candidate: Candidate<'_>, about: &About) -> Option<Choice> {
    let (mut text, mut calls) = (None::<String>, Vec::new());
    for part in candidate.content.map(|content| content.parts).unwrap_or_default() {
        if let Some(call) = part.function_call {
            calls.push(Call {
                id: call.id.unwrap_or_else(|| call_id(&about.id, candidate.index, calls.len())),
                name: call.name,
                input: call.args.map_or("{}", RawValue::get).to_owned(),
                signature: part.thought_signature,
            });
        } else if let Some(more) = part.text.filter(|_| !part.thought) {
            text.get_or_insert_default().push_str(&more);
        }
    }
    let finish = Finish::of_gemini(candidate.finish_reason.as_deref().unwrap_or("STOP"), !calls.is_empty())?;
    Some(Choice { text, calls, finish })
}
