//! What is learnt of each model's requests, to estimate their tokens before the upstream has counted them.

use std::sync::atomic::{AtomicU32, Ordering};

use market::Tokens;

use crate::counters::learn;
use crate::limits::OUTPUT_UNKNOWN;

/// Bytes of prompt per input token, in thousandths, until something is known: four.
const BYTES_PER_TOKEN_MILLI: u32 = 4_000;
/// What it can be, in thousandths: a text beyond that is none, and says nothing of others.
const BYTES_PER_TOKEN_MILLI_LEAST: u32 = 500;
const BYTES_PER_TOKEN_MILLI_MOST: u32 = 1_000 * BYTES_PER_TOKEN_MOST;
/// Text whose tokens are longer than this on the whole is no text.
pub(crate) const BYTES_PER_TOKEN_MOST: u32 = 16;
/// Output tokens of a request until something is known.
const OUTPUT_TOKENS: u32 = 256;

/// What is known of one model.
#[derive(Debug, Default)]
pub(crate) struct Learnt {
    bytes_per_token_milli: AtomicU32,
    output_tokens: AtomicU32,
    outputs: Outputs,
}

/// How long a model's answers are: counts in classes that each span a fourth of an octave, halved now and then so that old answers fade.
#[derive(Debug)]
struct Outputs {
    classes: [AtomicU32; CLASSES],
    counted: AtomicU32,
    /// The 95 % quantile as of the last answer; zero until it is known.
    rarely_passed: AtomicU32,
}

/// Classes per octave.
const PER_OCTAVE: u32 = 4;
/// Classes for 32 octaves: whatever a `u32` can hold.
const CLASSES: usize = 32 * PER_OCTAVE as usize;
/// Answers before the quantile says anything.
const ANSWERS_MIN: u32 = 20;
/// Answers at which all counts are halved.
const ANSWERS_MAX: u32 = 4_096;

impl Default for Outputs {
    fn default() -> Self {
        Self { classes: std::array::from_fn(|_| AtomicU32::new(0)), counted: AtomicU32::new(0), rarely_passed: AtomicU32::new(0) }
    }
}

impl Outputs {
    /// Counts one answer and works the quantile out anew. Answers that end together may be counted into a quantile a moment late.
    fn learn(&self, tokens: u32) {
        self.classes[class(tokens)].fetch_add(1, Ordering::Relaxed);
        let counted = self.counted.fetch_add(1, Ordering::Relaxed) + 1;
        if counted < ANSWERS_MIN {
            return;
        }
        if counted >= ANSWERS_MAX {
            self.classes.iter().for_each(|count| _ = count.fetch_sub(count.load(Ordering::Relaxed) / 2, Ordering::Relaxed));
            self.counted.fetch_sub(counted / 2, Ordering::Relaxed);
        }
        let counts: [u32; CLASSES] = std::array::from_fn(|class| self.classes[class].load(Ordering::Relaxed));
        let (all, mut below) = (counts.iter().map(|count| u64::from(*count)).sum::<u64>(), 0);
        let found = counts.iter().position(|count| {
            below += u64::from(*count);
            below * 100 >= all * 95
        });
        self.rarely_passed.store(found.map_or(0, top), Ordering::Relaxed);
    }
}

/// The class of a count: its octave, and the two binary digits that follow the first.
fn class(tokens: u32) -> usize {
    let tokens = tokens.max(1);
    let octave = tokens.ilog2();
    let digits = (u64::from(tokens) << 2 >> octave) & 3;
    octave as usize * PER_OCTAVE as usize + usize::try_from(digits).expect("two binary digits")
}

/// The most that a class holds.
fn top(class: usize) -> u32 {
    let (octave, digits) = (class / PER_OCTAVE as usize, class % PER_OCTAVE as usize);
    let next = (5 + digits as u64) << octave >> 2;
    u32::try_from(next.saturating_sub(u64::from(octave >= 2))).unwrap_or(u32::MAX).max(1)
}

impl Learnt {
    /// Input tokens of so many bytes of prompt.
    pub fn input(&self, bytes: usize) -> u32 {
        let milli = known(&self.bytes_per_token_milli).unwrap_or(BYTES_PER_TOKEN_MILLI);
        u32::try_from((bytes as u64).saturating_mul(1_000) / u64::from(milli.max(1))).unwrap_or(u32::MAX).max(1)
    }

    /// Output tokens expected of a request that may take `most`.
    pub fn output(&self, most: u32) -> u32 {
        known(&self.output_tokens).unwrap_or(OUTPUT_TOKENS).min(most)
    }

    /// Output tokens that a request which may take `most` rarely passes: the most itself where the client stated it, else the 95 % quantile of
    /// the model's answers.
    pub fn likely(&self, most: u32, stated: bool) -> u32 {
        if stated { most } else { known(&self.outputs.rarely_passed).unwrap_or(OUTPUT_UNKNOWN).min(most) }
    }

    /// Learns from an answer whose usage was reported.
    pub fn learn(&self, prompt_bytes: usize, reported: Tokens) {
        if reported.input > 0 && prompt_bytes > 0 {
            let milli = (prompt_bytes as u64).saturating_mul(1_000) / u64::from(reported.input);
            let milli = u32::try_from(milli).unwrap_or(u32::MAX);
            learn(&self.bytes_per_token_milli, milli.clamp(BYTES_PER_TOKEN_MILLI_LEAST, BYTES_PER_TOKEN_MILLI_MOST));
        }
        learn(&self.output_tokens, reported.output.max(1));
        self.outputs.learn(reported.output);
    }
}

fn known(mean: &AtomicU32) -> Option<u32> {
    Some(mean.load(Ordering::Relaxed)).filter(|mean| *mean > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_follow_what_is_reported() {
        let learnt = Learnt::default();
        assert_eq!((learnt.input(400), learnt.output(1_000), learnt.output(10)), (100, 256, 10));
        learnt.learn(400, Tokens { input: 200, cached: 0, output: 64 });
        assert_eq!((learnt.input(400), learnt.output(1_000)), (200, 64));
        learnt.learn(400, Tokens { input: 100, cached: 0, output: 64 });
        assert_eq!(learnt.input(400), 177);
    }

    #[test]
    fn one_strange_prompt_does_not_spoil_the_estimate_of_others() {
        let learnt = Learnt::default();
        (0..100).for_each(|_| learnt.learn(1_000_000, Tokens { input: 10, cached: 0, output: 1 }));
        assert_eq!(learnt.input(1_600), 100);
        (0..100).for_each(|_| learnt.learn(10, Tokens { input: 1_000, cached: 0, output: 1 }));
        // The mean stops a little above the least, as an eighth of what is left is less than one.
        assert_eq!(learnt.input(1_600), 3_155);
    }

    #[test]
    fn a_class_holds_what_lies_between_its_tops() {
        for tokens in (1..5_000).chain([u32::MAX - 1, u32::MAX]) {
            let class = class(tokens);
            assert!(tokens <= top(class), "{tokens}");
            assert!(u64::from(top(class)) <= u64::from(tokens) * 5 / 4 + 1, "{tokens}: {}", top(class));
        }
    }

    #[test]
    fn the_quantile_is_known_after_some_answers_and_follows_them() {
        let (learnt, answer) = (Learnt::default(), |output| Tokens { input: 10, cached: 0, output });
        assert_eq!(
            (learnt.likely(100_000, false), learnt.likely(500, false), learnt.likely(100_000, true)),
            (OUTPUT_UNKNOWN, 500, 100_000)
        );
        // Of a hundred answers, 95 take 100 tokens, whose class ends at 111, and five take 5,000.
        (0..95).for_each(|_| learnt.learn(40, answer(100)));
        (0..5).for_each(|_| learnt.learn(40, answer(5_000)));
        assert_eq!((learnt.likely(100_000, false), learnt.likely(50, false)), (111, 50));
        learnt.learn(40, answer(5_000));
        assert_eq!(learnt.likely(100_000, false), 5_119);
        (0..ANSWERS_MAX * 3).for_each(|_| learnt.learn(40, answer(10)));
        assert_eq!(learnt.likely(100_000, false), 11, "what was long ago has faded");
    }
}
