//! Continuous batching: one thread, one context, one step at a time for every sequence that runs.
//!
//! A step feeds the last token of each generating sequence and, beside them, a bounded number of prompt tokens of those that begin: so a
//! long prompt slows the others down but never stops them.

use std::time::Instant;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

use crate::args::Args;
use crate::inbox::{Failure, Inbox, Job};
use crate::model::{LoadError, Model};
use crate::pace::Pace;
use crate::sample::TokenChance;
use crate::slot::{Sequence, Slot};
use crate::stats::{Outcome, Stats};

/// The most prompt tokens in one step, which bounds how long others wait and how late a cancellation is seen.
///
/// From 64 tokens on, llama.cpp's attention has a kernel that is a fifth faster and rounds differently. Below, an answer rarely depends on
/// which prompts were computed together.
const PROMPT_TOKENS_MAX: u16 = 48;

/// The running sequences and their cache.
pub struct Batch<'a> {
    model: &'a Model,
    stats: &'a Stats,
    context: LlamaContext<'a>,
    step: LlamaBatch<'static>,
    slots: Vec<Slot>,
    admissions: u64,
    pace: Pace,
}

impl<'a> Batch<'a> {
    /// An empty batch with a cache for all slots.
    pub fn new(model: &'a Model, stats: &'a Stats, args: &Args) -> Result<Self, LoadError> {
        let step_tokens_max = PROMPT_TOKENS_MAX + args.slots;
        let context = model.cache(args.slots, args.context, args.threads, u32::from(step_tokens_max))?;
        let slots = std::iter::repeat_with(Slot::default).take(usize::from(args.slots)).collect();
        let step = LlamaBatch::new(usize::from(step_tokens_max), 1);
        Ok(Self { model, stats, context, step, slots, admissions: 0, pace: Pace::new(args.cpu_share) })
    }

    /// Runs until the inbox is stopped.
    pub fn run(&mut self, inbox: &Inbox) {
        loop {
            self.drop_abandoned();
            let running = self.slots.iter().filter(|slot| slot.sequence.is_some()).count();
            let intake = inbox.take(running, self.slots.len() - running);
            (0..intake.cancelled).for_each(|_| self.stats.ended(Outcome::Cancelled));
            for job in intake.jobs {
                if intake.stop {
                    self.stats.ended(Outcome::Failed);
                    job.fail(Failure::ShuttingDown);
                } else {
                    self.admit(job);
                }
            }
            if intake.stop {
                return self.fail_all(Failure::ShuttingDown);
            }
            self.pace.begin();
            self.advance();
            let rest = self.pace.rest();
            if !rest.is_zero() {
                let begun = Instant::now();
                inbox.rest(rest);
                self.stats.rested(begun.elapsed());
            }
        }
    }

    /// Gives `job` a free slot, and with it the longest beginning of its prompt that any slot holds.
    fn admit(&mut self, job: Job) {
        let cuttable = self.model.cache_can_be_cut();
        let shares: Vec<usize> = self.slots.iter().map(|slot| if cuttable { slot.shares(&job.prompt) } else { 0 }).collect();
        let free = |at: &usize| self.slots[*at].sequence.is_none();
        // The slot to begin from may be busy: slots can share cells, and nothing is copied.
        let from = (0..shares.len()).max_by_key(|at| (shares[*at], free(at))).expect("there is at least one slot");
        let oldest = (0..shares.len()).filter(free).min_by_key(|at| self.slots[*at].given);
        // A slot is only continued where nothing that it holds is lost by it: a common system turn isn't worth another conversation.
        let continued = free(&from) && shares[from] == self.slots[from].held.len();
        let to = if continued { from } else { oldest.expect("jobs are taken for free slots only") };
        let cached = self.share(from, to, shares[from]);
        self.stats.admitted(job.prompt.len(), cached);
        self.admissions += 1;
        let slot = &mut self.slots[to];
        slot.given = self.admissions;
        slot.sequence = Some(Sequence::new(job, self.model, cached));
    }

    /// Makes slot `to` hold the first `count` tokens of slot `from` and nothing else, and says how many it holds.
    fn share(&mut self, from: usize, to: usize, count: usize) -> usize {
        let shared = if from == to {
            self.context.clear_kv_cache_seq(Some(whole(to)), Some(whole(count)), None).unwrap_or(false)
        } else {
            self.forget(to);
            self.context.copy_kv_cache_seq(signed(from), signed(to), Some(0), Some(whole(count))).is_ok()
        };
        if !shared {
            self.forget(to);
            return 0;
        }
        let held = self.slots[from].held[..count].to_vec();
        self.slots[to].held = held;
        count
    }

    fn forget(&mut self, slot: usize) {
        self.slots[slot].held.clear();
        // Removing a whole sequence always succeeds, says llama.cpp.
        self.context.clear_kv_cache_seq(Some(whole(slot)), None, None).unwrap_or_default();
    }

    fn drop_abandoned(&mut self) {
        for slot in &mut self.slots {
            if slot.sequence.take_if(|sequence| sequence.abandoned()).is_some() {
                self.stats.ended(Outcome::Cancelled);
            }
        }
    }

    fn fail_all(&mut self, failure: Failure) {
        for sequence in self.slots.iter_mut().filter_map(|slot| slot.sequence.take()) {
            self.stats.ended(Outcome::Failed);
            sequence.fail(failure);
        }
    }

    /// One step for all: feed, compute, sample.
    fn advance(&mut self) {
        self.fill();
        if self.step.n_tokens() == 0 {
            return;
        }
        let begun = Instant::now();
        let computed = self.context.decode(&mut self.step);
        self.stats.stepped(begun.elapsed());
        if computed.is_err() {
            // What the cache holds now is unknown.
            self.fail_all(Failure::Step);
            return (0..self.slots.len()).for_each(|slot| self.forget(slot));
        }
        self.sample();
    }

    /// Puts the tokens of the next step into the batch: first those that generate, then prompts, oldest first.
    fn fill(&mut self) {
        self.step.clear();
        for (id, slot) in self.slots.iter_mut().enumerate() {
            let Some(sequence) = &mut slot.sequence else { continue };
            if let Some(token) = sequence.next.take() {
                sequence.row = Some(self.step.n_tokens());
                feed(&mut self.step, id, slot.held.len(), token, true);
                slot.held.push(token);
            }
        }
        let mut room = usize::from(PROMPT_TOKENS_MAX);
        let mut order: Vec<usize> = (0..self.slots.len()).collect();
        order.sort_by_key(|id| self.slots[*id].given);
        for id in order {
            let slot = &mut self.slots[id];
            let Some(sequence) = &mut slot.sequence else { continue };
            let unfed = sequence.unfed(slot.held.len());
            let count = unfed.len().min(room);
            let complete = count == unfed.len();
            for (at, &token) in unfed.iter().take(count).enumerate() {
                feed(&mut self.step, id, slot.held.len(), token, complete && at + 1 == count);
                slot.held.push(token);
            }
            if complete && count > 0 {
                sequence.row = Some(self.step.n_tokens() - 1);
            }
            room -= count;
        }
    }

    fn sample(&mut self) {
        for slot in &mut self.slots {
            let Some(sequence) = &mut slot.sequence else { continue };
            let Some(row) = sequence.row.take() else { continue };
            let token = sequence.sampler().sample(&self.context, row);
            let logits = |count| TokenChance::new(self.model, token, self.context.get_logits_ith(row), count);
            let chance = sequence.chances().map(logits);
            if let Some(outcome) = sequence.accept(token, chance, self.model, self.stats) {
                self.stats.ended(outcome);
                slot.sequence = None;
            }
        }
    }
}

fn feed(step: &mut LlamaBatch<'static>, slot: usize, position: usize, token: LlamaToken, logits: bool) {
    step.add(token, signed(position), &[signed(slot)], logits).expect("the batch has room for every slot and the prompt tokens of a step");
}

/// A slot's number or a position in it, as llama.cpp counts them.
fn signed(number: usize) -> i32 {
    i32::try_from(number).expect("slots and positions stay below the limits of the flags and the model, which are i32")
}

fn whole(number: usize) -> u32 {
    signed(number).cast_unsigned()
}
