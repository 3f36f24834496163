//! Simulated upstreams, fleets and instances to plan, and one checker per invariant.

pub mod bursts;
pub mod checkers;
pub mod crowd;
mod dice;
pub mod fleets;
pub mod instance;
mod postgres;
mod script;
mod upstream;

pub use dice::Dice;
pub use postgres::Postgres;
pub use script::{Ending, Gate, Heard, Reply};
pub use upstream::Upstream;
