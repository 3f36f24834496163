//! Anthropic's Messages.

pub(crate) mod answer;
pub(crate) mod hear;
mod read;
mod tell;
mod write;

pub use answer::reported;
pub use hear::{Overheard, Overhearing};
pub use read::read;
pub use tell::Telling;
pub use write::{Request, write};
