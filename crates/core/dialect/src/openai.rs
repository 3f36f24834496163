//! OpenAI's chat completions: what the gateway speaks within.

pub(crate) mod answer;
pub(crate) mod chunk;
mod read;
mod write;

pub use read::read;
pub use write::{Most, Request, write};
