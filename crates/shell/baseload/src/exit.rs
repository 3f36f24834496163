//! How a command ends.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// The exit codes that scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// It ran and failed.
    Failed = 1,
    /// Wrong usage or a wrong file.
    Wrong = 2,
    /// The answer is no: it differs, or doesn't verify.
    No = 3,
    /// Interrupted.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that is the caller's: wrong usage, or a file that can't be used as it is.
#[derive(Debug)]
pub struct Wrong(pub String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

/// An answer that is no, where there is nothing else to show.
#[derive(Debug)]
pub struct No(pub String);

impl fmt::Display for No {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for No {}

/// Wrong usage, as an error.
pub fn wrong(message: impl Into<String>) -> anyhow::Error {
    Wrong(message.into()).into()
}

/// Standard output, whose errors say that they are its own.
pub struct Told<W>(pub W);

impl<W: Write> Write for Told<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(untold)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(untold)
    }
}

/// Of the same kind: by that it is told whether to try again, and a reader that went away.
fn untold(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), Untold(error))
}

#[derive(Debug)]
struct Untold(io::Error);

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write to standard output")
    }
}

impl std::error::Error for Untold {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Says what went wrong, cause after cause, and which code that is. A reader that went away (`| head`) is no failure.
pub fn report(error: &anyhow::Error, err: &mut impl Write) -> Exit {
    if error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)) {
        return Exit::Done;
    }
    if error.is::<No>() {
        return if writeln!(err, "baseload: {error:#}").is_ok() { Exit::No } else { Exit::Failed };
    }
    let wrong = error.is::<Wrong>();
    let said = if wrong { writeln!(err, "baseload: {error:#}") } else { writeln!(err, "baseload: failed to {error:#}") };
    if wrong && said.is_ok() { Exit::Wrong } else { Exit::Failed }
}
