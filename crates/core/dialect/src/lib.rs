//! One wire format told in another: OpenAI's chat completions, Anthropic's Messages, Gemini's generateContent.
//!
//! Pure: text in, text out. A request is read into a [`Chat`] and written from it; a field that nobody took, at whatever depth,
//! and what the other side has no word for is refused with its name, never dropped. What is passed on, is passed on as it was
//! written: numbers, schemas and arguments of tools keep their digits and their order. A stream is a state machine, event by event.

mod answer;
pub mod anthropic;
mod chat;
mod events;
pub mod extras;
pub mod fault;
mod fields;
pub mod gemini;
mod json;
pub mod openai;
pub mod responses;
mod schema;
pub mod tokens;
mod translation;
mod unsupported;

pub use answer::{About, NoAnswer, Usage};
pub use chat::Chat;
pub use events::EVENT_BYTES_MAX;
pub use fields::FIELDS_MAX;
pub(crate) use json::json;
pub use translation::{Foreign, Hearing, told_as_anthropic};
pub use unsupported::Unsupported;
