//! A slot of the batch: a sequence's place in the cache, and the sequence that runs there.

use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;

use crate::inbox::{Event, Failure, Finish, Job, Piece, Usage};
use crate::model::Model;
use crate::sample::TokenChance;
use crate::stats::{Outcome, Stats};
use crate::text::{StopGate, Utf8Joiner};

/// A place for one sequence. What it held stays in the cache for the next prompt that begins alike.
#[derive(Default)]
pub struct Slot {
    /// The tokens whose keys and values are in the cache, from position 0.
    pub held: Vec<LlamaToken>,
    /// When it was last given out, in admissions.
    pub given: u64,
    /// What runs here.
    pub sequence: Option<Sequence>,
}

impl Slot {
    /// How many tokens of `prompt` the cache holds here; the last one is always computed, for its logits.
    pub fn shares(&self, prompt: &[LlamaToken]) -> usize {
        let usable = &prompt[..prompt.len().saturating_sub(1)];
        self.held.iter().zip(usable).take_while(|(held, wanted)| held == wanted).count()
    }
}

/// A running job.
pub struct Sequence {
    job: Job,
    sampler: LlamaSampler,
    joiner: Utf8Joiner,
    gate: StopGate,
    unsent: Vec<TokenChance>,
    usage: Usage,
    /// The token that was sampled last and isn't in the cache yet.
    pub next: Option<LlamaToken>,
    /// Where in the batch this sequence's logits come out.
    pub row: Option<i32>,
}

impl Sequence {
    /// A sequence at its beginning, with `cached` tokens of its prompt in the cache.
    pub fn new(job: Job, model: &Model, cached: usize) -> Self {
        let sampler = job.sampling.chain(model, job.tokens_max);
        let gate = StopGate::new(job.stops.clone());
        let usage = Usage { prompt: job.prompt.len(), cached, completion: 0 };
        Self { job, sampler, joiner: Utf8Joiner::default(), gate, unsent: Vec::new(), usage, next: None, row: None }
    }

    /// The tokens of the prompt that aren't in the cache, when `held` are.
    pub fn unfed(&self, held: usize) -> &[LlamaToken] {
        self.job.prompt.get(held..).unwrap_or_default()
    }

    /// Whether the client has hung up.
    pub fn abandoned(&self) -> bool {
        self.job.events.is_closed()
    }

    /// The sampler of this sequence.
    pub fn sampler(&mut self) -> &mut LlamaSampler {
        &mut self.sampler
    }

    /// How many likely tokens to report with each, if any report was asked for.
    pub fn chances(&self) -> Option<usize> {
        self.job.chances
    }

    /// Takes the token that was sampled and says whether that ends the sequence, and how.
    pub fn accept(&mut self, token: LlamaToken, chance: Option<TokenChance>, model: &Model, stats: &Stats) -> Option<Outcome> {
        stats.sampled();
        self.usage.completion += 1;
        if model.ends(token) {
            return Some(self.finish(Finish::Stop));
        }
        self.unsent.extend(chance);
        let text = self.gate.push(&self.joiner.push(&model.piece(token)));
        if !text.is_empty() && !self.send_text(text) {
            return Some(Outcome::Cancelled);
        }
        if self.gate.closed() {
            return Some(self.finish(Finish::Stop));
        }
        if self.usage.completion >= self.job.tokens_max {
            return Some(self.finish(Finish::Length));
        }
        self.next = Some(token);
        None
    }

    /// Tells the client that there will be no more.
    pub fn fail(self, failure: Failure) {
        self.job.fail(failure);
    }

    fn finish(&mut self, finish: Finish) -> Outcome {
        let rest = self.gate.finish();
        // A stop string's tokens were never shown, so their log-probabilities aren't either.
        if self.gate.closed() {
            self.unsent.clear();
        }
        let told = (rest.is_empty() && self.unsent.is_empty()) || self.send_text(rest);
        let usage = self.usage;
        match (told && self.send(Event::Finished { finish, usage }), finish) {
            (false, _) => Outcome::Cancelled,
            (true, Finish::Stop) => Outcome::Stop,
            (true, Finish::Length) => Outcome::Length,
        }
    }

    fn send_text(&mut self, text: String) -> bool {
        let tokens = std::mem::take(&mut self.unsent);
        self.send(Event::Piece(Piece { text, tokens }))
    }

    /// Whether the client still listens. The channel has room for every event a job can have, so it's never full.
    fn send(&self, event: Event) -> bool {
        self.job.events.try_send((self.job.index, event)).is_ok()
    }
}
