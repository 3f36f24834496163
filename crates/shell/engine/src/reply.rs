//! Answers in OpenAI's shapes.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::inbox::{Finish, Piece, Usage};
use crate::request::Shape;
use crate::sample::TokenChance;

/// Names this build, as OpenAI's `system_fingerprint` does.
const FINGERPRINT: &str = concat!("baseload-engine-", env!("CARGO_PKG_VERSION"));

/// What all parts of one answer have in common.
#[derive(Clone, Debug)]
pub struct Head {
    /// The shape of the answer.
    pub shape: Shape,
    /// The answer's id.
    pub id: String,
    /// The model's name.
    pub model: String,
    /// Whether log-probabilities were asked for.
    pub chances: bool,
    created: u64,
}

/// One whole answer of a request.
#[derive(Debug, Default)]
pub struct Choice {
    /// All its text and tokens.
    pub piece: Piece,
    /// How it ended.
    pub finish: Option<Finish>,
}

impl Head {
    /// The head of the `number`th answer of this process.
    pub fn new(shape: Shape, number: u64, model: String, chances: bool) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let prefix = match shape {
            Shape::Chat => "chatcmpl",
            Shape::Text => "cmpl",
        };
        Self { shape, id: format!("{prefix}-{:x}{number:04x}", since.as_nanos()), model, chances, created: since.as_secs() }
    }

    /// The whole answer.
    pub fn whole(&self, choices: &[Choice], usage: Usage) -> Value {
        let choice = |(index, choice): (usize, &Choice)| {
            let finish = choice.finish.map(finish_name);
            match self.shape {
                Shape::Chat => json!({
                    "index": index,
                    "message": {"role": "assistant", "content": choice.piece.text, "refusal": null},
                    "logprobs": self.logprobs(&choice.piece.tokens),
                    "finish_reason": finish,
                }),
                Shape::Text => json!({"index": index, "text": choice.piece.text, "logprobs": null, "finish_reason": finish}),
            }
        };
        let mut body = self.body(if self.shape == Shape::Chat { "chat.completion" } else { "text_completion" });
        body["choices"] = choices.iter().enumerate().map(choice).collect();
        body["usage"] = usage_value(usage);
        body
    }

    /// The chunk that opens a streamed chat answer.
    pub fn opening(&self, index: u16) -> Value {
        self.chunk(json!({
            "index": index,
            "delta": {"role": "assistant", "content": "", "refusal": null},
            "logprobs": null,
            "finish_reason": null,
        }))
    }

    /// A chunk with some text.
    pub fn delta(&self, index: u16, piece: &Piece) -> Value {
        self.chunk(match self.shape {
            Shape::Chat => json!({
                "index": index,
                "delta": {"content": piece.text},
                "logprobs": self.logprobs(&piece.tokens),
                "finish_reason": null,
            }),
            Shape::Text => json!({"index": index, "text": piece.text, "logprobs": null, "finish_reason": null}),
        })
    }

    /// The chunk that ends one answer.
    pub fn ending(&self, index: u16, finish: Finish) -> Value {
        let finish = finish_name(finish);
        self.chunk(match self.shape {
            Shape::Chat => json!({"index": index, "delta": {}, "logprobs": null, "finish_reason": finish}),
            Shape::Text => json!({"index": index, "text": "", "logprobs": null, "finish_reason": finish}),
        })
    }

    /// The chunk without choices that tells the usage.
    pub fn usage(&self, usage: Usage) -> Value {
        let mut body = self.body(self.chunk_object());
        body["choices"] = json!([]);
        body["usage"] = usage_value(usage);
        body
    }

    fn chunk(&self, choice: Value) -> Value {
        let mut body = self.body(self.chunk_object());
        body["choices"] = json!([choice]);
        body
    }

    fn chunk_object(&self) -> &'static str {
        match self.shape {
            Shape::Chat => "chat.completion.chunk",
            Shape::Text => "text_completion",
        }
    }

    fn body(&self, object: &str) -> Value {
        json!({"id": self.id, "object": object, "created": self.created, "model": self.model, "system_fingerprint": FINGERPRINT})
    }

    fn logprobs(&self, tokens: &[TokenChance]) -> Value {
        if !self.chances {
            return Value::Null;
        }
        json!({"content": tokens.iter().map(chance_value).collect::<Vec<_>>(), "refusal": null})
    }
}

fn finish_name(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
    }
}

fn chance_value(chance: &TokenChance) -> Value {
    let entry = |bytes: &[u8], logprob: f32| json!({"token": String::from_utf8_lossy(bytes), "logprob": logprob, "bytes": bytes});
    let mut value = entry(&chance.bytes, chance.logprob);
    value["top_logprobs"] = chance.likeliest.iter().map(|(bytes, logprob)| entry(bytes, *logprob)).collect();
    value
}

fn usage_value(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    })
}
