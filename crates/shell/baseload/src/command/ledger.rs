//! `baseload ledger`: reads the books, also while a service runs on them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use dispatch::{AttemptId, Known, Outcome};
use ledger::{AttemptRow, Journaled, View};
use serde_json::{Value, json};
use units::Instant;

use crate::args::Ledger;
use crate::exit::Exit;
use crate::place;

/// Shows or checks the books.
pub fn run(command: Ledger, out: &mut dyn Write) -> Result<Exit> {
    match command {
        Ledger::Show { limit, json, state } => show(&open(state.dir)?.attempts(limit)?, json, out),
        Ledger::Verify { state } => verify(&open(state.dir)?, out),
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

/// Every decision in the journal must be an attempt in the ledger, as it was decided, and settled there. What a kill left
/// at the journal's end is booked when the service starts again: until then the journal is ahead.
fn verify(view: &View, out: &mut dyn Write) -> Result<Exit> {
    let rows = view.attempts(usize::MAX)?;
    let by_attempt: BTreeMap<AttemptId, &AttemptRow> = rows.iter().map(|row| (row.attempt, row)).collect();
    let decisions = view.decisions(Instant::MIN)?;
    let booked = decisions.iter().rposition(|journaled| by_attempt.contains_key(&journaled.attempt)).map_or(0, |last| last + 1);
    let mut wrong = 0;
    for journaled in &decisions[..booked] {
        if let Some(why) = difference(journaled, by_attempt.get(&journaled.attempt).copied()) {
            wrong += 1;
            writeln!(out, "{}: {why}", journaled.attempt)?;
        }
    }
    let open = rows.iter().filter(|row| row.settled.is_none()).count();
    let bounded = rows.iter().filter(|row| row.settled.is_some_and(|settled| settled.known == Known::Bounded)).count();
    let ahead = decisions.len() - booked;
    let journal = format!("{booked} with their decision in the journal, which is {ahead} ahead");
    writeln!(out, "{} attempts, {journal}; {open} open, {bounded} unreconciled; {wrong} wrong", rows.len())?;
    Ok(if wrong == 0 { Exit::Done } else { Exit::No })
}

/// What is wrong with the row of a journaled decision, if anything.
fn difference(journaled: &Journaled, row: Option<&AttemptRow>) -> Option<&'static str> {
    let Some(row) = row else { return Some("in the journal, and not in the ledger, which has later ones") };
    let same = row.fleet == journaled.question.fleet && row.decided == journaled.question.now && row.key == journaled.key;
    let elsewhere = row.settled.is_some_and(|settled| {
        settled.endpoint != journaled.decision.endpoint || settled.contract != journaled.decision.contract || settled.fleet != row.fleet
    });
    match (same, elsewhere) {
        (false, _) => Some("booked otherwise than it was decided"),
        (true, true) => Some("settled elsewhere than it was decided"),
        (true, false) => None,
    }
}
