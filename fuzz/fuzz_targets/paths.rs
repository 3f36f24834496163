//! Guided by coverage: see the target itself.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::paths(bytes));
