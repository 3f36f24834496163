//! HiGHS behind `lp::Solver`: what it answers, what its duals mean, and that it answers the same again.

mod again;
mod answers;
mod conflict;
mod duals;
mod random;
#[path = "../solver/mod.rs"]
mod solver;
mod stated;
