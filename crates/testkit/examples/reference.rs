//! Instances and what Rust makes of them, as JSON Lines, for the second formulation in `tests/plan`:
//! `reference dump RANDOM` writes the instances, `reference solve SOLVER RANDOM` what is chosen; SOLVER is the folder of HiGHS.

use std::env;
use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use highs::Highs;
use lp::Effort;
use planner::{Instance, State, decide};
use serde_json::{Value, json};
use testkit::instance;

const USAGE: &str = "usage: reference dump RANDOM | solve SOLVER RANDOM";
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
        ["dump", count] => write(out, count, &mut |instance| json!({ "instance": instance })),
        ["solve", folder, count] => {
            let mut solver = Highs::find(Path::new(folder))?;
            write(out, count, &mut |instance| solve(instance, &mut solver))
        }
        _ => Err(USAGE.into()),
    }
}

/// A line for the reference and for each random instance.
fn write(out: &mut dyn Write, count: &str, line: &mut dyn FnMut(&Instance) -> Value) -> Result<(), Box<dyn Error>> {
    let random = (0..count.parse()?).map(|seed| (format!("random {seed}"), instance::random(seed)));
    for (name, instance) in std::iter::once(("reference".to_owned(), instance::reference())).chain(random) {
        let mut line = line(&instance);
        line["name"] = Value::String(name);
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
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
