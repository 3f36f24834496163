//! Dialects from the outside: what is kept, what is refused, and streams that were cut anywhere.

mod answers;
mod gemini;
mod refusals;
mod round_trip;
mod streams;
mod told;
