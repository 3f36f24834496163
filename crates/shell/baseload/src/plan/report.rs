//! The report: one HTML file that needs nothing else.

pub mod chart;
pub mod outline;
mod page;
mod plots;
mod sections;

pub use page::page;
pub use plots::Drawn;
pub use sections::{Cell, Line, Section, Table};
