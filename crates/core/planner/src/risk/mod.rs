//! What scenarios come to: one by one, and together. `docs/plan.md` section 8.

mod outcome;
mod summary;
mod ways;

pub use outcome::Outcome;
pub use summary::{FAN, Summary, regret};
pub use ways::{Decide, QUARTER, foresight, frozen, live_anew, replanned};
