//! One wire format told in another: OpenAI's chat completions, Anthropic's Messages, Gemini's generateContent.
//!
//! Pure: bytes in, bytes out. What the other side can't express is refused with the field's name, never dropped.

pub mod responses;
mod unsupported;

pub use unsupported::Unsupported;
