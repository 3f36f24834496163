//! What a request asks for, checked parameter by parameter, so that each refusal names the one to blame.

use llama_cpp_2::token::LlamaToken;
use serde::Deserialize as _;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::sample::Sampling;
use crate::template::Message;

/// The most stop strings, as at OpenAI.
const STOPS_MAX: usize = 4;
/// The most likely tokens reported in a token's place, as at OpenAI.
const LIKELIEST_MAX: i64 = 20;

/// Which of OpenAI's two shapes a request and its answer have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/completions`.
    Text,
}

impl Shape {
    /// The parameter that holds the prompt.
    pub fn prompt_param(self) -> &'static str {
        match self {
            Self::Chat => "messages",
            Self::Text => "prompt",
        }
    }
}

/// What is to be continued.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// A conversation.
    Chat(Vec<Message>),
    /// Text as it is.
    Text(String),
}

/// A checked request.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The shape of the answer.
    pub shape: Shape,
    /// The model's name.
    pub model: String,
    /// What is to be continued.
    pub prompt: Prompt,
    /// The most tokens to generate; without it, what the context holds.
    pub tokens_max: Option<usize>,
    /// How to choose tokens.
    pub sampling: Sampling,
    /// Strings that end the answer.
    pub stops: Vec<String>,
    /// How many answers.
    pub choices: u16,
    /// Report log-probabilities, and those of so many other tokens.
    pub chances: Option<usize>,
    /// Answer piece by piece.
    pub stream: bool,
    /// End a stream with a chunk that holds the usage.
    pub stream_usage: bool,
}

impl Request {
    /// Reads a request body; `random` seeds one that brings no seed, and a model has `vocabulary` tokens.
    pub fn read(shape: Shape, body: &[u8], choices_max: u16, vocabulary: i32, random: u32) -> Result<Self, ApiError> {
        let body: Value = serde_json::from_slice(body).map_err(|error| ApiError::malformed(format!("the body is not JSON: {error}")))?;
        let Value::Object(map) = &body else { return Err(ApiError::malformed("the body is not a JSON object")) };
        let fields = Fields(map);
        fields.refuse_unsupported(shape)?;
        let stream = fields.flag("stream")?.unwrap_or(false);
        Ok(Self {
            shape,
            model: fields.text("model")?.ok_or_else(|| ApiError::invalid("model", "`model` is required"))?.to_owned(),
            prompt: fields.prompt(shape)?,
            tokens_max: fields.tokens_max(shape)?,
            sampling: fields.sampling(vocabulary, random)?,
            stops: fields.stops()?,
            choices: fields.integer("n", 1, i64::from(choices_max))?.unwrap_or(1),
            chances: fields.chances(shape)?,
            stream,
            stream_usage: stream && fields.stream_usage()?,
        })
    }
}

/// The fields of a body. A field that is null counts as absent, as it does at OpenAI.
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        self.get(name).map(|value| value.as_str().ok_or_else(|| wrong(name, "a string"))).transpose()
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.get(name).map(|value| value.as_bool().ok_or_else(|| wrong(name, "true or false"))).transpose()
    }

    fn number(&self, name: &str, least: f32, most: f32) -> Result<Option<f32>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = f32::deserialize(value).ok().filter(|number| (least..=most).contains(number));
        number.map(Some).ok_or_else(|| wrong(name, &format!("a number from {least} to {most}")))
    }

    fn integer<T: TryFrom<i64>>(&self, name: &str, least: i64, most: i64) -> Result<Option<T>, ApiError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_i64().filter(|number| (least..=most).contains(number)).and_then(|number| T::try_from(number).ok());
        number.map(Some).ok_or_else(|| wrong(name, &format!("a whole number from {least} to {most}")))
    }

    /// Refuses what would change the answer and can't be honoured: better an error than an answer of the wrong form.
    fn refuse_unsupported(&self, shape: Shape) -> Result<(), ApiError> {
        let plain = |name: &str, value: &Value| match name {
            "response_format" => value.get("type").and_then(Value::as_str) == Some("text"),
            "tool_choice" | "function_call" => value == "none" || value == "auto",
            "modalities" => value.as_array().is_some_and(|kinds| kinds.iter().all(|kind| kind == "text")),
            "best_of" => value == 1,
            "echo" => value == false,
            _ => value.as_array().is_some_and(Vec::is_empty),
        };
        let names: &[&str] = match shape {
            Shape::Chat => &["tools", "tool_choice", "functions", "function_call", "response_format", "audio", "modalities", "prediction"],
            Shape::Text => &["suffix", "echo", "best_of", "logprobs"],
        };
        match names.iter().find(|name| self.get(name).is_some_and(|value| !plain(name, value))) {
            Some(name) => Err(ApiError::invalid(name, format!("`{name}` is not supported by this engine"))),
            None => Ok(()),
        }
    }

    fn prompt(&self, shape: Shape) -> Result<Prompt, ApiError> {
        let name = shape.prompt_param();
        let value = self.get(name).ok_or_else(|| ApiError::invalid(name, format!("`{name}` is required")))?;
        match (shape, value) {
            (Shape::Text, Value::String(text)) => Ok(Prompt::Text(text.clone())),
            (Shape::Text, Value::Array(list)) => match list.as_slice() {
                [Value::String(text)] => Ok(Prompt::Text(text.clone())),
                _ => Err(wrong(name, "a string or a list of one string")),
            },
            (Shape::Text, _) => Err(wrong(name, "a string or a list of one string")),
            (Shape::Chat, Value::Array(list)) if !list.is_empty() => {
                list.iter().enumerate().map(|(at, turn)| message(at, turn)).collect::<Result<_, _>>().map(Prompt::Chat)
            }
            (Shape::Chat, _) => Err(wrong(name, "a list of at least one message")),
        }
    }

    fn tokens_max(&self, shape: Shape) -> Result<Option<usize>, ApiError> {
        let name = if shape == Shape::Chat && self.get("max_completion_tokens").is_some() { "max_completion_tokens" } else { "max_tokens" };
        self.integer(name, 1, i64::from(i32::MAX))
    }

    fn sampling(&self, vocabulary: i32, random: u32) -> Result<Sampling, ApiError> {
        let seed = match self.get("seed") {
            // Any integer is a seed; only its low 32 bits count.
            Some(value) => {
                let seed = value.as_i64().ok_or_else(|| wrong("seed", "a whole number"))?.rem_euclid(1 << 32);
                u32::try_from(seed).expect("the remainder of 2^32 has 32 bits")
            }
            None => random,
        };
        Ok(Sampling {
            temperature: self.number("temperature", 0.0, 2.0)?.unwrap_or(1.0),
            top_p: self.number("top_p", 0.0, 1.0)?.unwrap_or(1.0),
            top_k: self.integer("top_k", -1, i64::from(vocabulary))?.unwrap_or(0),
            min_p: self.number("min_p", 0.0, 1.0)?.unwrap_or(0.0),
            presence_penalty: self.number("presence_penalty", -2.0, 2.0)?.unwrap_or(0.0),
            frequency_penalty: self.number("frequency_penalty", -2.0, 2.0)?.unwrap_or(0.0),
            logit_bias: self.logit_bias(vocabulary)?,
            seed,
        })
    }

    fn logit_bias(&self, vocabulary: i32) -> Result<Vec<(LlamaToken, f32)>, ApiError> {
        let expected = || wrong("logit_bias", &format!("a map of token ids below {vocabulary} to numbers from -100 to 100"));
        let Some(value) = self.get("logit_bias") else { return Ok(Vec::new()) };
        let entry = |(id, bias): (&String, &Value)| {
            let id = id.parse().ok().filter(|id| (0..vocabulary).contains(id))?;
            let bias = f32::deserialize(bias).ok().filter(|bias| (-100.0..=100.0).contains(bias))?;
            Some((LlamaToken(id), bias))
        };
        value.as_object().ok_or_else(expected)?.iter().map(|pair| entry(pair).ok_or_else(expected)).collect()
    }

    fn stops(&self) -> Result<Vec<String>, ApiError> {
        let expected = || wrong("stop", &format!("a string, or a list of at most {STOPS_MAX}, none of them empty"));
        let stops = match self.get("stop") {
            None => Vec::new(),
            Some(Value::String(stop)) => vec![stop.clone()],
            Some(Value::Array(list)) => {
                list.iter().map(|stop| stop.as_str().map(str::to_owned).ok_or_else(expected)).collect::<Result<_, _>>()?
            }
            Some(_) => return Err(expected()),
        };
        let fits = stops.len() <= STOPS_MAX && stops.iter().all(|stop| !stop.is_empty());
        if fits { Ok(stops) } else { Err(expected()) }
    }

    fn chances(&self, shape: Shape) -> Result<Option<usize>, ApiError> {
        if shape == Shape::Text {
            return Ok(None);
        }
        let wanted = self.flag("logprobs")?.unwrap_or(false);
        let likeliest = self.integer("top_logprobs", 0, LIKELIEST_MAX)?;
        if likeliest.is_some() && !wanted {
            return Err(ApiError::invalid("top_logprobs", "`top_logprobs` needs `logprobs` to be true"));
        }
        Ok(wanted.then(|| likeliest.unwrap_or(0)))
    }

    fn stream_usage(&self) -> Result<bool, ApiError> {
        let Some(options) = self.get("stream_options") else { return Ok(false) };
        let options = options.as_object().ok_or_else(|| wrong("stream_options", "an object"))?;
        Fields(options).flag("include_usage").map(|wanted| wanted.unwrap_or(false))
    }
}

fn wrong(name: &str, expected: &str) -> ApiError {
    ApiError::invalid(name, format!("`{name}` must be {expected}"))
}

fn message(at: usize, turn: &Value) -> Result<Message, ApiError> {
    let role = match turn.get("role").and_then(Value::as_str) {
        Some("system" | "developer") => "system",
        Some("user") => "user",
        Some("assistant") => "assistant",
        _ => return Err(wrong(&format!("messages[{at}].role"), "system, developer, user or assistant")),
    };
    if turn.get("tool_calls").is_some_and(|calls| !calls.is_null()) {
        return Err(ApiError::invalid(&format!("messages[{at}].tool_calls"), "tools are not supported by this engine"));
    }
    let name = format!("messages[{at}].content");
    let content = match turn.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().map(|part| text_part(part, &name)).collect::<Result<_, _>>()?,
        _ => return Err(wrong(&name, "a string or a list of text parts")),
    };
    Ok(Message { role: role.to_owned(), content })
}

fn text_part<'a>(part: &'a Value, name: &str) -> Result<&'a str, ApiError> {
    let text = part.get("text").and_then(Value::as_str).filter(|_| part.get("type").is_some_and(|kind| kind == "text"));
    text.ok_or_else(|| wrong(name, "a string or a list of text parts; this engine reads text only"))
}
