//! What must hold of any bytes that come in: a function per kind of input, which stops when a promise is broken.
//!
//! - They are plain functions: the tests replay the committed corpora through them and mutate those, `make soak` gives them to a fuzzer that
//!   is guided by coverage (`fuzz/`).
//! - None only looks for panics: each has an oracle, such as that cuts make no difference, that what is written is read back, or that a reader
//!   which shares no code agrees.

mod chat;
mod contract;
mod exit;
mod mutate;
mod targets;
mod text;
#[path = "../../shell/baseload/src/plan/what_if.rs"]
mod what_if;

pub use chat::{bodies, streams};
pub use contract::contract;
pub use gateway::fuzz::{auth, chat, head, sse};
pub use ledger::fuzz::journal;
pub use mutate::Mutations;
pub use targets::{TARGETS, Target};
pub use text::{fleet, focus, litellm, paths, units};
