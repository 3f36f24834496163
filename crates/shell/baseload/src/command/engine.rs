//! `baseload engine`: the engine is a program of its own, so this one becomes it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::exit::Exit;
use crate::place;

/// Becomes the engine.
pub fn run(args: &[OsString]) -> Result<Exit> {
    let engine = place::engine()?;
    Err(Command::new(&engine).args(args).exec()).with_context(|| format!("run {}", engine.display()))
}
