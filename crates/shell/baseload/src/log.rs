//! What the program says beside its output: to stderr, or kept while a picture fills the terminal.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use gateway::Log;

/// Lines kept at most; the oldest go first.
const KEPT_MAX: usize = 200;

/// Lines of the gateway's log that wait for a slow stderr; more are lost and counted.
const WAITING_MAX: usize = 8_192;

static KEPT: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// Says a line.
pub fn say(line: Arguments<'_>) {
    if let Some(kept) = KEPT.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        if kept.len() == KEPT_MAX {
            kept.remove(0);
        }
        kept.push(line.to_string());
        return;
    }
    // Nothing is locked by now: who draws a picture never waits for a slow stderr. A closed one is no reason to stop.
    _ = writeln!(io::stderr().lock(), "{line}");
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

/// Lines on their way to stderr: a request never waits for it.
struct Lines(SyncSender<String>);

impl Log for Lines {
    fn line(&self, line: String) -> bool {
        self.0.try_send(line).is_ok()
    }
}

/// Starts a thread that writes the gateway's log to stderr. It ends with the last of its senders.
pub fn lines() -> io::Result<Arc<dyn Log>> {
    let (send, receive) = sync_channel(WAITING_MAX);
    std::thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&receive, &mut io::stderr()))?;
    Ok(Arc::new(Lines(send)))
}

fn write_all(lines: &Receiver<String>, to: &mut dyn Write) {
    for line in lines {
        // A closed stderr is no reason to stop.
        _ = writeln!(to, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_nobody_takes_are_lost_and_told_and_the_others_come_in_order() {
        let (send, receive) = sync_channel(2);
        let lines = Lines(send);
        assert_eq!(["a", "b", "c"].map(|line| lines.line(line.to_owned())), [true, true, false]);
        drop(lines);
        let mut written = Vec::new();
        write_all(&receive, &mut written);
        assert_eq!(written, b"a\nb\n");
    }
}
