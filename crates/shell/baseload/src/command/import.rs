//! `baseload import`.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use ::import::{ImportError, Imported};
use anyhow::{Context as _, Result};

use crate::args::Import;
use crate::exit::{Exit, wrong};

/// How a user's file is read.
type Reader = fn(&str) -> Result<Imported, ImportError>;

/// Makes a fleet file: to `--out` or `out`, and what a person should know of it to stderr.
pub fn run(command: Import, out: &mut dyn Write) -> Result<Exit> {
    let (args, import): (_, Reader) = match command {
        Import::Litellm(args) => (args, ::import::litellm),
        Import::Focus(args) => (args, ::import::focus),
    };
    let name = args.file.display().to_string();
    let bytes = fs::read(&args.file).map_err(|error| wrong(format!("can't read {name}: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong(format!("{name}: the file is not UTF-8 text\nhint: save it as UTF-8")))?;
    let imported = import(&text).map_err(|error| wrong(error.shown(&name)))?;
    match &args.out {
        Some(path) => write_new(path, &imported.fleet)?,
        None => out.write_all(imported.fleet.as_bytes())?,
    }
    // The fleet file may go into a pipe; what is said of it must not.
    tell(&imported, &mut io::stderr().lock())?;
    if let Some(path) = &args.out {
        let path = path.display();
        writeln!(out, "wrote {path}\n\nnext:\n  baseload check {path}")?;
    }
    Ok(Exit::Done)
}

fn write_new(path: &Path, fleet: &str) -> Result<()> {
    let mut file = match File::create_new(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(wrong(format!("{} is there already, and import changes nothing: name another file", path.display())));
        }
        Err(error) => return Err(error).with_context(|| format!("make {}", path.display())),
    };
    file.write_all(fleet.as_bytes()).with_context(|| format!("write {}", path.display()))
}

fn tell(imported: &Imported, err: &mut dyn Write) -> Result<()> {
    for finding in &imported.findings {
        writeln!(err, "{finding}")?;
    }
    for total in &imported.totals {
        let (billed, explained, listed) = (total.billed, total.explained, total.listed);
        writeln!(err, "total: {billed} {} billed = {explained} explained by contracts + {listed} listed above", total.currency)?;
    }
    Ok(())
}
