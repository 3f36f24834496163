//! Economic dispatch for AI compute: the command line.

mod args;
mod command;
mod exit;
mod models;
mod place;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = match args::Args::try_parse() {
        Ok(args) => args,
        Err(usage) => usage.exit(),
    };
    let mut out = io::stdout().lock();
    let ended = command::run(args.command, &mut out);
    let flushed = out.flush();
    drop(out);
    match ended.and_then(|exit| Ok(flushed.map(|()| exit)?)) {
        Ok(exit) => exit.into(),
        Err(error) => exit::report(&error, &mut io::stderr().lock()).into(),
    }
}
