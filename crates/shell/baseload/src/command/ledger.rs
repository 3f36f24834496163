//! `baseload ledger`: reads the books, also while a service runs on them.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use dispatch::{Known, Outcome};
use ledger::{AttemptRow, View};
use serde_json::{Value, json};

use crate::args::Ledger;
use crate::exit::Exit;
use crate::place;

/// Shows or checks the books.
pub fn run(command: Ledger, out: &mut dyn Write) -> Result<Exit> {
    match command {
        Ledger::Show { limit, json, state } => show(&open(state.dir)?.attempts(limit)?, json, out),
        Ledger::Verify { state } => verify(&place::state(state.dir, "up")?, out),
    }
}

fn open(state: Option<PathBuf>) -> Result<View> {
    let directory = place::state(state, "up")?;
    View::open(&directory).with_context(|| format!("open the ledger in {} (`--state` names another)", directory.display()))
}

const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answered => "answered",
        Outcome::Failed => "failed",
        Outcome::Cut => "cut",
        Outcome::ClientGone => "client gone",
        Outcome::Interrupted => "interrupted",
    }
}

const fn known(known: Known) -> &'static str {
    match known {
        Known::Reported => "reported",
        Known::Counted => "counted",
        Known::Bounded => "bounded",
    }
}

fn row_json(row: &AttemptRow) -> Value {
    let settled = row.settled.map(|settled| {
        json!({ "outcome": outcome(settled.outcome), "known": known(settled.known), "input_tokens": settled.tokens.input,
            "cached_tokens": settled.tokens.cached, "output_tokens": settled.tokens.output, "started": settled.started.to_string(),
            "first_content": settled.first_content.map(|at| at.to_string()), "ended": settled.ended.to_string() })
    });
    json!({ "request": row.attempt.request.to_string(), "attempt": row.attempt.attempt, "key": row.key.0, "model": row.model,
        "endpoint": row.endpoint, "contract": row.contract, "fleet": row.fleet.to_string(), "decided": row.decided.to_string(),
        "settled": settled })
}

fn show(rows: &[AttemptRow], json: bool, out: &mut dyn Write) -> Result<Exit> {
    if json {
        writeln!(out, "{}", json!({ "attempts": rows.iter().map(row_json).collect::<Vec<_>>() }))?;
        return Ok(Exit::Done);
    }
    writeln!(out, "{:<20} {:<38} {:<10} {:<18} {:<12} {:>6} {:>6}", "decided", "attempt", "endpoint", "contract", "outcome", "in", "out")?;
    for row in rows {
        let decided = jiff::Timestamp::from(row.decided).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let (ended, tokens) = row.settled.map_or(("open", Default::default()), |settled| (outcome(settled.outcome), settled.tokens));
        let attempt = row.attempt.to_string();
        writeln!(
            out,
            "{decided:<20} {attempt:<38} {:<10} {:<18} {ended:<12} {:>6} {:>6}",
            row.endpoint, row.contract, tokens.input, tokens.output
        )?;
    }
    Ok(Exit::Done)
}

/// Checks the books from first principles; nothing may run on them meanwhile.
fn verify(directory: &Path, out: &mut dyn Write) -> Result<Exit> {
    let found = ledger::verify(directory)
        .with_context(|| format!("verify the ledger in {} (`--state` names another; stop what runs on it first)", directory.display()))?;
    for finding in &found.findings {
        writeln!(out, "{finding}")?;
    }
    let ledger::Verification { attempts, settled, unreconciled, held, postings, conflicts, records, ahead, torn_bytes, wrong, .. } = found;
    writeln!(
        out,
        "{attempts} attempts, {settled} settled, {unreconciled} of them unreconciled; {held} spans of held time; {postings} postings"
    )?;
    writeln!(out, "{records} records in the journal, {ahead} of them and {torn_bytes} torn bytes for the next start to book or cut off")?;
    writeln!(out, "{conflicts} conflicts kept aside; {wrong} wrong")?;
    Ok(if found.holds() { Exit::Done } else { Exit::No })
}
