//! What is going on, on the terminal's standard error; silent where there is no terminal.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

/// A line that says what is going on.
pub struct Progress(ProgressBar);

impl Progress {
    /// A line on standard error, if that is a terminal.
    pub fn new() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::no_length();
        let style = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos}/{len}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    /// Something of unknown length.
    pub fn say(&self, what: &str) {
        self.step(what, 0, 1);
    }

    /// Step `done` of `all`.
    pub fn step(&self, what: &str, done: usize, all: usize) {
        self.0.set_length(u64::try_from(all).unwrap_or(u64::MAX));
        self.0.set_position(u64::try_from(done).unwrap_or(u64::MAX));
        self.0.set_message(what.to_owned());
        self.0.tick();
    }

    /// Takes the line away.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}
