//! What is learnt of each model's requests, to estimate their tokens before the upstream has counted them.

use std::sync::atomic::{AtomicU32, Ordering};

use market::Tokens;

use crate::counters::learn;

/// Bytes of prompt per input token, in thousandths, until something is known: four.
const BYTES_PER_TOKEN_MILLI: u32 = 4_000;
/// Output tokens of a request until something is known.
const OUTPUT_TOKENS: u32 = 256;

/// The means of one model.
#[derive(Debug, Default)]
pub(crate) struct Learnt {
    bytes_per_token_milli: AtomicU32,
    output_tokens: AtomicU32,
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

    /// Learns from an answer whose usage was reported.
    pub fn learn(&self, prompt_bytes: usize, reported: Tokens) {
        if reported.input > 0 && prompt_bytes > 0 {
            let milli = (prompt_bytes as u64).saturating_mul(1_000) / u64::from(reported.input);
            learn(&self.bytes_per_token_milli, u32::try_from(milli).unwrap_or(u32::MAX).max(1));
        }
        learn(&self.output_tokens, reported.output.max(1));
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
}
