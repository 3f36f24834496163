//! `baseload model`.

use std::io::{self, Write};

use anyhow::Result;
use serde_json::json;

use crate::args::Model;
use crate::exit::Exit;
use crate::models::{self, KNOWN};
use crate::place;

/// Fetches or lists models.
pub fn run(command: Model, out: &mut dyn Write) -> Result<Exit> {
    match command {
        Model::Pull { name } => pull(&name, out),
        Model::List { json } => list(json, out),
    }
}

fn pull(name: &str, out: &mut dyn Write) -> Result<Exit> {
    let model = models::known(name)?;
    let folder = place::models()?;
    let fetched = model.member.pull(&folder, &mut io::stderr().lock())?;
    let path = folder.join(model.member.file);
    match fetched {
        true => writeln!(out, "{name} is in {}, its SHA-256 is right", path.display())?,
        false => writeln!(out, "{name} is already in {}, its SHA-256 is right", path.display())?,
    }
    Ok(Exit::Done)
}

fn list(json: bool, out: &mut dyn Write) -> Result<Exit> {
    let folder = place::models()?;
    let mut rows = Vec::new();
    for model in KNOWN {
        rows.push((model.name, model.member, folder.join(model.member.file), model.member.kept(&folder)?));
    }
    if json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, member, path, kept)| {
                json!({ "name": name, "file": path, "bytes": member.bytes, "sha256": member.sha256, "licence": member.licence,
                    "state": kept.name() })
            })
            .collect();
        writeln!(out, "{}", json!({ "models": rows }))?;
        return Ok(Exit::Done);
    }
    for (name, member, path, kept) in rows {
        writeln!(out, "{name}  {} MB  {}  {}  {}", member.bytes / 1_000_000, member.licence, kept.name(), path.display())?;
    }
    Ok(Exit::Done)
}
