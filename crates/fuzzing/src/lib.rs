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
mod text;
#[path = "../../shell/baseload/src/plan/what_if.rs"]
mod what_if;

pub use chat::{bodies, streams};
pub use contract::contract;
pub use gateway::fuzz::{auth, chat, head, sse};
pub use ledger::fuzz::journal;
pub use mutate::Mutations;
pub use text::{fleet, focus, litellm, paths, units};

/// A target's name, which is its corpus' too, and the target.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 13] = [
    ("auth", auth),
    ("bodies", bodies),
    ("chat", chat),
    ("contract", contract),
    ("fleet", fleet),
    ("focus", focus),
    ("head", head),
    ("journal", journal),
    ("litellm", litellm),
    ("paths", paths),
    ("sse", sse),
    ("streams", streams),
    ("units", units),
];
