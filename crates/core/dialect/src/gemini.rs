//! Gemini's generateContent.

pub(crate) mod answer;
pub(crate) mod hear;
mod write;

pub use write::{Request, write};
