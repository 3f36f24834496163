//! One module per command.

mod completions;
mod engine;
mod model;

use std::io::Write;

use anyhow::Result;

use crate::args::Command;
use crate::exit::Exit;

/// Runs a command.
pub fn run(command: Command, out: &mut dyn Write) -> Result<Exit> {
    match command {
        Command::Completions { shell } => completions::run(shell, out),
        Command::Engine { args } => engine::run(&args),
        Command::Model(command) => model::run(command, out),
        _ => anyhow::bail!("wire this command"),
    }
}
