//! Economic dispatch for AI compute: the command line.

fn main() {}
