//! Checks that a machine does better than a reader.

fn main() {}
