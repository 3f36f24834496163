//! What the command line shows, as far as tests and other programs want it without the command.

pub mod report;
