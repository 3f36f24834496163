//! Linear problems with some integers: rows are built straight into compressed rows, in named blocks; the solver is
//! behind one trait.
//!
//! - [`Problem`] is `maximise cost x`, `least <= rows x <= most`, `low <= x <= high`. There are no expressions:
//!   whoever writes a row knows its columns.
//! - [`Block`]s name runs of columns and of rows, so that a person can be told what column 4711 is.
//! - [`Solver`] is what a solver does for us. Effort is limited by iterations and nodes, never by seconds, so that the
//!   same problem gets the same answer everywhere.
//! - [`Problem::worth`], [`Problem::sums`] and [`Problem::residual`] say what a choice comes to, whoever made it;
//!   [`Problem::bound`] how much better another could be.
//! - [`conflict`] finds an irreducible set of promises that can't hold together.

mod change;
mod check;
mod conflict;
#[cfg(test)]
mod exhaustive;
mod measure;
mod problem;
mod solver;

pub use conflict::{Conflict, Promise, conflict};
pub use problem::{Block, ColumnId, Problem, RowId};
pub use solver::{Change, Effort, Failure, Kept, Solution, Solver, Verdict};
