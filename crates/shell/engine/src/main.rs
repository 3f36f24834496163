//! The embedded model server, a program of its own.

fn main() {}
