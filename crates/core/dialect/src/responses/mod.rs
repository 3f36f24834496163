//! OpenAI's Responses told as chat completions, for upstreams that speak only those.
//!
//! Text, images by address, function calls, refusals and structured output can be told both ways. What would need memory
//! of an earlier response, and tools that run at OpenAI, are refused by name.

mod answer;
mod ask;
mod input;
mod places;
mod stateless;
mod stream;

pub use ask::{Asked, to_chat};
pub use stateless::{model, stateless};
pub use stream::{Stream, error_event};

use crate::Unsupported;

fn refuse<T>(param: impl Into<String>, message: impl Into<String>) -> Result<T, Unsupported> {
    Err(Unsupported { param: param.into(), message: message.into() })
}
