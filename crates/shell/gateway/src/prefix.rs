//! Which prompt prefixes an endpoint has read of late, and so is expected to hold in its cache.
//!
//! A prompt is cut into blocks; each block's hash takes in the one before it, so equal hashes mean equal prefixes. An endpoint
//! remembers hashes in a table of fixed size without a lock: a newer one takes an older one's place. It is a guess about
//! somebody else's cache: wrong ones cost a poorer choice, never a wrong answer.

use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bytes in a block.
const BLOCK: usize = 256;
/// Blocks of a prompt that are looked at; what is longer is compared by its beginning.
const BLOCKS_MAX: usize = 64;
/// Prefixes that an endpoint remembers.
const PLACES: usize = 4_096;
/// How long suppliers are taken to keep a prefix that nobody asks for: the shorter end of what they state.
const KEPT: Duration = Duration::from_secs(300);

/// The hashes of a prompt's prefixes, shortest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefixes(Box<[u64]>);

impl Prefixes {
    /// Of a prompt as the client wrote it; what doesn't fill a block is left out.
    pub fn of(prompt: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        let hashes = prompt.as_bytes().chunks_exact(BLOCK).take(BLOCKS_MAX).map(|block| {
            hasher.write(block);
            hasher.finish()
        });
        Self(hashes.collect())
    }
}

/// What one endpoint has read of late.
#[derive(Debug)]
pub(crate) struct Remembered {
    /// The upper half of a hash, and the second in which it was last read, from one.
    places: Box<[AtomicU64]>,
}

impl Default for Remembered {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Remembered {
    /// The endpoint has read this prompt, `uptime` after the process started.
    pub fn read(&self, prefixes: &Prefixes, uptime: Duration) {
        for hash in &prefixes.0 {
            self.place(*hash).store(tag(*hash) | second(uptime), Ordering::Relaxed);
        }
    }

    /// How many bytes of this prompt it is expected to hold.
    pub fn held(&self, prefixes: &Prefixes, uptime: Duration) -> usize {
        let holds = |hash: &&u64| {
            let place = self.place(**hash).load(Ordering::Relaxed);
            let read = place & u64::from(u32::MAX);
            read > 0 && place - read == tag(**hash) && second(uptime).saturating_sub(read) < KEPT.as_secs()
        };
        prefixes.0.iter().take_while(holds).count() * BLOCK
    }

    fn place(&self, hash: u64) -> &AtomicU64 {
        &self.places[usize::try_from(hash % PLACES as u64).unwrap_or(0)]
    }
}

const fn tag(hash: u64) -> u64 {
    hash & !(u32::MAX as u64)
}

fn second(uptime: Duration) -> u64 {
    uptime.as_secs().saturating_add(1).min(u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::ZERO;

    fn check(read: &str, asked: &str, after: Duration, want: usize) {
        let remembered = Remembered::default();
        remembered.read(&Prefixes::of(read), START);
        assert_eq!(remembered.held(&Prefixes::of(asked), after), want, "{} of {}", asked.len(), read.len());
    }

    #[test]
    fn what_two_prompts_begin_with_is_held_in_whole_blocks() {
        let long = "a".repeat(5 * BLOCK);
        let other = format!("{}{}", "a".repeat(2 * BLOCK + 7), "b".repeat(3 * BLOCK));
        check(&long, &long, START, 5 * BLOCK);
        check(&long, &other, START, 2 * BLOCK);
        check(&other, &long, START, 2 * BLOCK);
        check(&long, &"b".repeat(BLOCK), START, 0);
        check("short", "short", START, 0);
    }

    #[test]
    fn it_is_forgotten_after_its_time_and_bounded_in_length() {
        let long = "a".repeat(BLOCK);
        check(&long, &long, KEPT.saturating_sub(Duration::from_secs(1)), BLOCK);
        check(&long, &long, KEPT, 0);
        let endless = "a".repeat((BLOCKS_MAX + 9) * BLOCK);
        check(&endless, &endless, START, BLOCKS_MAX * BLOCK);
    }
}
