//! Counts the instructions of a decision under valgrind, as the difference of two run lengths: start-up cancels out, and the count
//! is the same on a busy machine.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::finding::TaskError;

/// The example of `testkit` that decides: `bench_decide ENDPOINTS DECISIONS`.
const EXAMPLE: &str = "bench_decide";
/// The example of `ledger` that books: `bench_ingest REQUESTS`.
const BOOKING: &str = "bench_ingest";
/// Requests that are booked: three seconds of a busy service.
const BOOKED: u64 = 60_000;
const ENDPOINTS: [u64; 2] = [4, 64];
const SHORT: u64 = 200;
const LONG: u64 = 1200;
/// Decisions that are timed by the clock: a busy machine shows in their slowest.
const TIMED: u64 = 200_000;
/// The slowest hundredth of them has to take less, in microseconds.
const P99_US_MAX: u64 = 20;

/// Builds the examples and prints a line for each number of endpoints, then what booking takes.
pub fn run(root: &Path, out: &mut dyn Write) -> Result<(), TaskError> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    for (package, example) in [("testkit", EXAMPLE), ("ledger", BOOKING)] {
        output(Command::new(&cargo).args(["build", "--release", "-p", package, "--example", example]).current_dir(root))?;
    }
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let example = target.join("release/examples").join(EXAMPLE);
    writeln!(out, "{:>9}  {:>24}", "endpoints", "instructions a decision")?;
    for endpoints in ENDPOINTS {
        let each = count(&example, endpoints, LONG)?.saturating_sub(count(&example, endpoints, SHORT)?) / (LONG - SHORT);
        writeln!(out, "{endpoints:>9}  {each:>24}")?;
    }
    for endpoints in ENDPOINTS {
        let timed = Command::new(&example).args([endpoints, TIMED, P99_US_MAX].map(|number| number.to_string())).output()?;
        writeln!(out, "a decision, {}", String::from_utf8_lossy(&timed.stdout).trim_end())?;
        if !timed.status.success() {
            let reason = format!("of {endpoints} endpoints the p99 is not under {P99_US_MAX} us");
            return Err(TaskError::Program { program: EXAMPLE.to_owned(), reason });
        }
    }
    let booked = Command::new(target.join("release/examples").join(BOOKING)).arg(BOOKED.to_string()).output()?;
    writeln!(out, "booking, {}", String::from_utf8_lossy(&booked.stdout).trim_end())?;
    Ok(())
}

fn count(example: &Path, endpoints: u64, decisions: u64) -> Result<u64, TaskError> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(example);
    let said = output(valgrind.args([endpoints.to_string(), decisions.to_string()]))?;
    collected(&said).ok_or_else(|| TaskError::Program { program: "valgrind".to_owned(), reason: format!("no count in:\n{said}") })
}

/// The count in `==1== Collected : 123`.
fn collected(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}

fn output(command: &mut Command) -> Result<String, TaskError> {
    let fail = |command: &Command, reason: String| TaskError::Program { program: command.get_program().display().to_string(), reason };
    let output = command.output().map_err(|error| fail(command, error.to_string()))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(said) } else { Err(fail(command, said)) }
}

#[cfg(test)]
mod tests {
    use super::collected;

    #[test]
    fn the_count_is_read_from_what_valgrind_says() {
        assert_eq!(collected("==7== Events    : Ir\n==7== Collected : 123456\n"), Some(123_456));
        assert_eq!(collected("==7== Events    : Ir\n"), None);
    }
}
