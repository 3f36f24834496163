//! `baseload solver`.

use std::io::{self, Write};

use anyhow::Result;

use crate::args::Solver;
use crate::exit::Exit;
use crate::place;
use crate::solver;

/// Fetches the solver.
pub fn run(command: Solver, out: &mut dyn Write) -> Result<Exit> {
    let Solver::Pull = command;
    let library = solver::here()?;
    let folder = place::solver()?;
    let fetched = library.pull(&folder, &mut io::stderr().lock())?;
    let path = folder.join(library.file);
    let already = if fetched { "" } else { "already " };
    writeln!(out, "HiGHS {} is {already}in {}, its SHA-256 is right", highs::VERSION, path.display())?;
    Ok(Exit::Done)
}
