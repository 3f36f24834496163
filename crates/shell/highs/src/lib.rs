//! The HiGHS solver behind `lp::Solver`: a shared library that is loaded at run time, so that nothing of it is built here.
//!
//! - [`Highs::find`] loads it from a folder, or from the file that `BASELOAD_SOLVER` names, and refuses another minor version.
//! - It runs on the caller's thread alone, with a fixed seed and no limit in seconds: the same calls get the same bytes.
//! - All `unsafe` is in `library.rs`, and in `memory.rs`, which tells the allocator when to give memory back.

mod find;
#[expect(unsafe_code, reason = "it calls C")]
mod library;
#[expect(unsafe_code, reason = "it calls C")]
mod memory;
mod solver;

pub use find::{FILE, VERSION};
pub use solver::Highs;
