//! The committed corpora through every target, and mutations of them: `BASELOAD_FUZZ_MUTATIONS=100000` for more.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use fuzzing::{Mutations, TARGETS};

/// The inputs of a target, by name.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files: Vec<_> = folder.read_dir().expect("each target has a corpus").map(|file| file.expect("a file").path()).collect();
    files.sort_unstable();
    files.iter().map(|file| fs::read(file).expect("it can be read")).collect()
}

fn replay(name: &str) {
    let (_, target) = TARGETS.iter().find(|(target, _)| *target == name).expect("it is in the table");
    let corpus = corpus(name);
    assert!(corpus.len() >= 2, "{name} has hardly a corpus");
    let hold = |input: &[u8]| {
        let held = catch_unwind(AssertUnwindSafe(|| target(input)));
        assert!(held.is_ok(), "on b\"{}\"", input.escape_ascii());
    };
    corpus.iter().for_each(|input| hold(input));
    let count = std::env::var("BASELOAD_FUZZ_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000_u64);
    let seed = std::env::var("BASELOAD_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut mutations = Mutations::new(&corpus, seed);
    for _ in 0..count {
        hold(&mutations.draw());
    }
}

macro_rules! replayed {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            replay(stringify!($name));
        })*

        #[test]
        fn every_target_is_replayed() {
            assert_eq!([$(stringify!($name)),*], TARGETS.map(|(name, _)| name));
        }
    };
}

replayed!(auth bodies chat contract fleet focus head journal litellm paths sse streams units);
