//! `baseload completions`.

use std::io::Write;

use anyhow::Result;
use clap::CommandFactory as _;

use crate::args::Args;
use crate::exit::Exit;

/// Prints the completion script of a shell.
pub fn run(shell: clap_complete::Shell, out: &mut dyn Write) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "baseload", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Done)
}
