//! Economic dispatch for AI compute: the command line.

mod args;
mod clock;
mod command;
mod demo;
mod descriptors;
mod exit;
mod explain;
mod fleetfile;
mod http;
mod listen;
mod log;
mod models;
mod place;
mod plan;
mod rotate;
mod secrets;
mod service;
mod shared;
mod signals;
mod solver;
mod supervise;
mod upkeep;
mod watched;
mod wheel;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(usage) => usage.exit(),
    };
    // Not locked: the demo's view draws from a thread of its own.
    let mut out = exit::Told(io::stdout());
    let ended = command::run(args.command, &mut out);
    match ended.and_then(|exit| Ok(out.flush().map(|()| exit)?)) {
        Ok(exit) => exit.into(),
        Err(error) => exit::report(&error, &mut io::stderr().lock()).into(),
    }
}
