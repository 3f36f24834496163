//! Choosing the next token.

use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::logit_bias::LlamaLogitBias;

use crate::model::Model;

/// How a request wants its tokens chosen, in OpenAI's terms and `top_k` and `min_p`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// 0 takes the likeliest token always.
    pub temperature: f32,
    /// Keep the likeliest tokens that together have this probability.
    pub top_p: f32,
    /// Keep so many of the likeliest tokens; 0 keeps all.
    pub top_k: i32,
    /// Keep tokens at least this likely, relative to the likeliest.
    pub min_p: f32,
    /// Against tokens that the answer holds already.
    pub presence_penalty: f32,
    /// Against tokens, by how often the answer holds them.
    pub frequency_penalty: f32,
    /// Added to the logits of single tokens.
    pub logit_bias: Vec<(LlamaToken, f32)>,
    /// Makes the choice repeatable.
    pub seed: u32,
}

impl Sampling {
    /// llama.cpp's sampler for one sequence; it keeps that sequence's state.
    ///
    /// Temperature comes before the cuts, as in OpenAI's and vLLM's definition of `top_p`.
    pub fn chain(&self, model: &Model, tokens_max: usize) -> LlamaSampler {
        let mut chain = Vec::new();
        if !self.logit_bias.is_empty() {
            let biases: Vec<_> = self.logit_bias.iter().map(|&(token, bias)| LlamaLogitBias::new(token, bias)).collect();
            chain.push(LlamaSampler::logit_bias(model.vocabulary(), &biases));
        }
        if self.presence_penalty != 0.0 || self.frequency_penalty != 0.0 {
            let window = i32::try_from(tokens_max).unwrap_or(i32::MAX);
            chain.push(LlamaSampler::penalties(model.vocabulary(), window, 1.0, self.frequency_penalty, self.presence_penalty));
        }
        if self.temperature <= 0.0 {
            chain.push(LlamaSampler::greedy());
            return LlamaSampler::chain_simple(chain);
        }
        chain.push(LlamaSampler::temp(self.temperature));
        if self.top_k > 0 {
            chain.push(LlamaSampler::top_k(self.top_k));
        }
        if self.top_p < 1.0 {
            chain.push(LlamaSampler::top_p(self.top_p, 1));
        }
        if self.min_p > 0.0 {
            chain.push(LlamaSampler::min_p(self.min_p, 1));
        }
        chain.push(LlamaSampler::dist(self.seed));
        LlamaSampler::chain_simple(chain)
    }
}

/// A token with its probability under the model, before any sampling parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenChance {
    /// The token's bytes.
    pub bytes: Vec<u8>,
    /// The natural logarithm of its probability.
    pub logprob: f32,
    /// The likeliest tokens in its place.
    pub likeliest: Vec<(Vec<u8>, f32)>,
}

impl TokenChance {
    /// The chance of `token` among `logits`, and the `count` likeliest in its place.
    pub fn new(model: &Model, token: LlamaToken, logits: &[f32], count: usize) -> Self {
        let peak = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f32 = logits.iter().map(|logit| (logit - peak).exp()).sum();
        let scale = peak + total.ln();
        let mut ranked: Vec<(LlamaToken, f32)> = (0..).map(LlamaToken).zip(logits.iter().copied()).collect();
        // The lower token first among equals, as greedy sampling has it.
        let order = |left: &(LlamaToken, f32), right: &(LlamaToken, f32)| right.1.total_cmp(&left.1).then(left.0.cmp(&right.0));
        if count < ranked.len() {
            ranked.select_nth_unstable_by(count, order);
            ranked.truncate(count);
        }
        ranked.sort_by(order);
        let own = usize::try_from(token.0).ok().and_then(|at| logits.get(at)).copied().unwrap_or(f32::NEG_INFINITY);
        Self {
            bytes: model.piece(token),
            logprob: own - scale,
            likeliest: ranked.into_iter().map(|(token, logit)| (model.piece(token), logit - scale)).collect(),
        }
    }
}
