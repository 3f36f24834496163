//! `baseload plan`.

mod checked;
pub mod difference;
pub mod figures;
pub mod findings;
pub mod headline;
pub mod progress;
pub mod report;
pub mod risk;
pub mod saved;
pub mod say;
pub mod screen;
pub mod study;
pub mod tornado;
pub mod what_if;
