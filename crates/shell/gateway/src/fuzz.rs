//! What must hold of any bytes, for fuzzers: each function takes bytes and stops when a promise is broken. Nothing that ships calls them.

mod body;
mod head;
mod key;
mod stream;

pub use body::chat;
pub use head::head;
pub use key::auth;
pub use stream::sse;
