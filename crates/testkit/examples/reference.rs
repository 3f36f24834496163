//! Instances as JSON Lines, for the second formulation in `tests/plan`: `reference dump RANDOM`.

use std::env;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use serde_json::json;
use testkit::instance;

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

fn run(arguments: &[String], out: &mut dyn Write) -> Result<(), Box<dyn std::error::Error>> {
    let (task, count) = match arguments {
        [task, count] => (task.as_str(), count.parse::<u64>()?),
        _ => return Err("usage: reference dump RANDOM".into()),
    };
    let random = (0..count).map(|seed| (format!("random {seed}"), instance::random(seed)));
    for (name, instance) in std::iter::once(("reference".to_owned(), instance::reference())).chain(random) {
        match task {
            "dump" => serde_json::to_writer(&mut *out, &json!({ "name": name, "instance": instance }))?,
            _ => return Err(format!("no task {task}").into()),
        }
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}
