//! Instances and what Rust makes of them, as JSON Lines, for the second formulation in `tests/plan`:
//! `reference dump FROM COUNT` writes the reference instance and random ones of these seeds, `reference solve` reads such lines and writes what is chosen.

use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use highs::Highs;
use lp::Effort;
use planner::{Instance, State, decide};
use serde::Deserialize;
use serde_json::{Value, json};
use testkit::instance;

const USAGE: &str = "usage: reference dump FROM COUNT | solve";
/// The relative gap to which choices are searched.
const GAP: f64 = 1e-6;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let mut out = BufWriter::new(io::stdout().lock());
    match run(&arguments, &mut out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let written = writeln!(io::stderr().lock(), "reference: {error}");
            ExitCode::from(if written.is_err() { 1 } else { 2 })
        }
    }
}

fn run(arguments: &[String], out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["dump", from, count] => dump(out, from.parse()?, count.parse()?),
        ["solve"] => {
            let mut solver = Highs::find(&folder())?;
            for line in io::stdin().lock().lines() {
                let Stated { name, instance } = serde_json::from_str(&line?)?;
                write(out, &name, solve(&instance, &mut solver))?;
            }
            Ok(out.flush()?)
        }
        _ => Err(USAGE.into()),
    }
}

/// Where `baseload solver pull` keeps the solver.
fn folder() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache"));
    cache.join("baseload/solver").join(highs::VERSION)
}

/// A line of what `dump` writes.
#[derive(Deserialize)]
struct Stated {
    name: String,
    instance: Instance,
}

fn dump(out: &mut dyn Write, from: u64, count: u64) -> Result<(), Box<dyn Error>> {
    let random = (from..from + count).map(|seed| (format!("random {seed}"), instance::random(seed)));
    for (name, instance) in std::iter::once(("reference".to_owned(), instance::reference())).chain(random) {
        write(out, &name, json!({ "instance": instance }))?;
    }
    Ok(out.flush()?)
}

fn write(out: &mut dyn Write, name: &str, mut line: Value) -> Result<(), Box<dyn Error>> {
    line["name"] = Value::String(name.to_owned());
    serde_json::to_writer(&mut *out, &line)?;
    Ok(out.write_all(b"\n")?)
}

fn solve(instance: &Instance, solver: &mut Highs) -> Value {
    let effort = Effort { gap: GAP, ..Effort::default() };
    match decide(instance, &State::opening(instance), None, solver, effort) {
        Ok(answer) => json!({
            "objective": answer.decided.objective,
            "gap": answer.decided.gap_left,
            "taken": answer.decided.taken,
            "columns": answer.problem.column_count(),
            "rows": answer.problem.row_count(),
            "entries": answer.problem.factors.len(),
            "whole": answer.problem.whole.len(),
        }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}
