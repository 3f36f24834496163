//! Checks that a machine does better than a reader, and the counting of instructions.
//!
//! `tidy` reads the tree, `licences` asks cargo for every dependency, `docs` runs what the guides show, `bench` counts.

mod arrows;
mod bench;
mod finding;
mod guides;
mod invariants;
mod licences;
mod limits;
mod pins;
mod security;
mod shape;
mod source;
mod spdx;
mod sql;
mod tree;
mod words;

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use finding::{Finding, TaskError};
use tree::Tree;

const USAGE: &str = "usage: cargo xtask tidy | licences | docs [FILE]... | bench";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let mut out = io::stdout().lock();
    let code = match run(&root(), &arguments, &mut out) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(error) => {
            let written = writeln!(io::stderr().lock(), "xtask: {error}");
            if written.is_err() { 1 } else { 2 }
        }
    };
    ExitCode::from(code)
}

/// The repository's root: the folder above this crate.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in a folder of the repository").to_owned()
}

fn run(root: &Path, arguments: &[String], out: &mut dyn Write) -> Result<bool, TaskError> {
    let (task, rest) = arguments.split_first().ok_or(TaskError::Usage(USAGE))?;
    match (task.as_str(), rest) {
        ("tidy", []) => report("tidy", &tidy(&Tree::read(root)?), out),
        ("licences", []) => report("licences", &licences::check(root)?, out),
        ("docs", files) => report("docs", &guides::check(root, files)?, out),
        ("bench", []) => bench::run(root, out).map(|()| true),
        _ => Err(TaskError::Usage(USAGE)),
    }
}

/// Every rule about the tree as it lies on disk.
fn tidy(tree: &Tree) -> Vec<Finding> {
    [arrows::check, limits::check, shape::check, words::check, invariants::check, security::check, sql::check, pins::check]
        .iter()
        .flat_map(|rule| rule(tree))
        .collect()
}

fn report(task: &str, findings: &[Finding], out: &mut dyn Write) -> Result<bool, TaskError> {
    for finding in findings {
        writeln!(out, "{finding}")?;
    }
    match findings.len() {
        0 => writeln!(out, "{task}: nothing to report")?,
        many => writeln!(out, "{task}: {many} to put right")?,
    }
    Ok(findings.is_empty())
}
