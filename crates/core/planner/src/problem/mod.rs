//! The linear problem of an instance, the answer to it, and what the answer is worth: `docs/plan.md`, sections 2 to 5 and 7.
//!
//! - [`rows`] writes an [`crate::Instance`] from a [`crate::State`] on into sparse rows; the [`Layout`] knows what each column and row is.
//!   Columns go month by month; rows go kind by kind, each run of them under the name that the fleet file has for it.
//! - [`decide`] solves it, says which promises it breaks and which of them can't hold together.
//! - [`sides`] gives a price from both sides, [`Session`] answers what-ifs from where the last answer stands, and [`clauses`]
//!   lists what each clause would have to be without, for its price.
//!
//! Each kind of thing has a file with its columns, what they pay, and its rows.

mod bounds;
mod build;
mod caps;
mod changes;
mod choices;
mod clauses;
mod credits;
mod decide;
mod expansions;
mod extract;
mod floors;
mod grid;
mod impossible;
mod layout;
mod limits;
mod optimality;
mod plainly;
mod promises;
mod session;
mod sides;
mod supplies;
mod tiers;
mod treasury;
mod works;

pub use build::{Promises, rows};
pub use changes::{changed_share, changes};
pub use clauses::{Clause, ClauseKind, clause_price, clauses};
pub use decide::{Answer, Broken, DecideError, decide};
pub use extract::extract;
pub use layout::{Columns, Layout, Rows};
pub use optimality::{Optimality, optimality};
pub use plainly::plainly;
pub use promises::promises;
pub use session::{How, Session};
pub use sides::{Probe, Sides, settled, sides};
