//! What must hold of any bytes, for fuzzers: each function takes bytes and stops when a promise is broken. Nothing that ships calls them.

pub use crate::journal::journal;
