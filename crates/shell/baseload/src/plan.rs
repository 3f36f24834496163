//! `baseload plan`.

mod figures;
mod headline;
pub mod report;
pub mod saved;
mod what_if;
