//! Simulated upstreams and one checker per invariant.

mod script;
mod upstream;

pub use script::{Ending, Gate, Heard, Reply};
pub use upstream::Upstream;
