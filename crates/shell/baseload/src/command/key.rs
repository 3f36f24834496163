//! `baseload key`: works beside a running service, which sees a change within seconds.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use ledger::{KeyRow, Keys, NewKey};
use serde_json::json;
use units::Instant;

use crate::args::Key;
use crate::exit::Exit;
use crate::{clock, place};

/// Makes, lists or revokes keys.
pub fn run(command: Key, out: &mut dyn Write) -> Result<Exit> {
    match command {
        Key::Create { name, models, expires, state } => {
            let made = create(&open(state.dir)?, &name, &models, expires)?;
            writeln!(out, "{}", made.text.0)?;
        }
        Key::List { json, state } => list(&open(state.dir)?.list()?, json, out)?,
        Key::Revoke { which, state } => {
            let row = open(state.dir)?.revoke(&which, clock::now())?;
            writeln!(out, "revoked {} (bl-{}-...)", row.name, row.public)?;
        }
    }
    Ok(Exit::Done)
}

fn open(state: Option<PathBuf>) -> Result<Keys> {
    let directory = place::state(state, "up")?;
    Keys::open(&directory).with_context(|| format!("open the keys in {}", directory.display()))
}

/// Makes a key from the machine's own randomness.
pub fn create(keys: &Keys, name: &str, models: &[String], expires: Option<Instant>) -> Result<NewKey> {
    let mut random = [0; 38];
    getrandom::fill(&mut random).context("draw random bytes for a key")?;
    Ok(keys.create(name, models, random, clock::now(), expires)?)
}

fn standing(row: &KeyRow, now: Instant) -> &'static str {
    match (row.revoked, row.expires) {
        (Some(at), _) if at <= now => "revoked",
        (_, Some(at)) if at <= now => "expired",
        _ => "good",
    }
}

fn list(rows: &[KeyRow], json: bool, out: &mut dyn Write) -> Result<()> {
    let now = clock::now();
    if json {
        let text = |at: Option<Instant>| at.map(|at| at.to_string());
        let keys: Vec<_> = rows
            .iter()
            .map(|row| {
                json!({ "id": row.id.0, "name": row.name, "public": row.public, "models": row.models, "state": standing(row, now),
                    "created": row.created.to_string(), "expires": text(row.expires), "revoked": text(row.revoked) })
            })
            .collect();
        writeln!(out, "{}", json!({ "keys": keys }))?;
        return Ok(());
    }
    if rows.is_empty() {
        writeln!(out, "no keys yet: `baseload key create NAME` makes one")?;
    }
    for row in rows {
        let models = if row.models.is_empty() { "all models".to_owned() } else { row.models.join(", ") };
        let created = jiff::Timestamp::from(row.created).strftime("%Y-%m-%d");
        writeln!(out, "{:<20} bl-{}-...  {:<8} made {created}  {models}", row.name, row.public, standing(row, now))?;
    }
    Ok(())
}
