//! `baseload init`.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::exit::{Exit, wrong};

/// The commented fleet that `init` writes.
pub const STARTER: &str = include_str!("../../../../../fleets/starter.toml");

/// Writes the starter fleet where there is no file yet.
pub fn run(path: &Path, out: &mut dyn Write) -> Result<Exit> {
    let mut file = match File::create_new(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(wrong(format!("{} is there already, and init changes nothing: name another file", path.display())));
        }
        Err(error) => return Err(error).with_context(|| format!("make {}", path.display())),
    };
    file.write_all(STARTER.as_bytes()).with_context(|| format!("write {}", path.display()))?;
    let path = path.display();
    writeln!(out, "wrote {path}\n\nnext:\n  baseload check {path}\n  baseload up {path}")?;
    Ok(Exit::Done)
}
