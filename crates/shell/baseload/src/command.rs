//! One module per command.

mod check;
mod completions;
mod decision;
mod engine;
mod explain;
mod import;
mod init;
pub mod key;
mod ledger;
mod model;
mod plan;
mod solver;
mod status;
pub mod up;

use std::io::Write;

use anyhow::Result;

use crate::args::Command;
use crate::demo;
use crate::exit::Exit;

/// Runs a command.
pub fn run(command: Command, out: &mut dyn Write) -> Result<Exit> {
    match command {
        Command::Demo(args) => demo::run(args, out),
        Command::Init { path } => init::run(&path, out),
        Command::Check { files, json } => check::run(&files, json, out),
        Command::Import(command) => import::run(command, out),
        Command::Up(args) => up::run(args, out),
        Command::Plan(args) => plan::run(args, out),
        Command::Status { at, json } => status::run(at, json, out),
        Command::Key(command) => key::run(command, out),
        Command::Ledger(command) => ledger::run(command, out),
        Command::Decision(command) => decision::run(command, out),
        Command::Model(command) => model::run(command, out),
        Command::Solver(command) => solver::run(command, out),
        Command::Engine { args } => engine::run(&args),
        Command::Schema => {
            writeln!(out, "{}", fleet::schema().trim_end())?;
            Ok(Exit::Done)
        }
        Command::Explain { code } => explain::run(code.as_deref(), out),
        Command::Completions { shell } => completions::run(shell, out),
    }
}
