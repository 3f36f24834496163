//! `baseload plan`.

pub mod figures;
pub mod headline;
pub mod progress;
pub mod report;
pub mod saved;
pub mod screen;
pub mod study;
mod what_if;
