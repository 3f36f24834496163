//! What the program says beside its output: to stderr, or kept while a picture fills the terminal.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// Lines kept at most; the oldest go first.
const KEPT_MAX: usize = 200;

static KEPT: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// Says a line.
pub fn say(line: Arguments<'_>) {
    match KEPT.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        Some(kept) => {
            if kept.len() == KEPT_MAX {
                kept.remove(0);
            }
            kept.push(line.to_string());
        }
        // A closed stderr is no reason to stop.
        None => _ = writeln!(io::stderr().lock(), "{line}"),
    }
}

/// Keeps lines from now on instead of printing them.
pub fn keep() {
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
}

/// Prints what was kept, and goes on printing.
pub fn release() {
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner).take();
    kept.unwrap_or_default().iter().for_each(|line| say(format_args!("{line}")));
}
