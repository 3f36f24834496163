//! `baseload ledger`: reads the books, also while a service runs on them.

mod closings;
mod copies;
mod export;
mod import;
mod invoices;
mod shadow;
mod verify;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use dispatch::{AttemptId, Known, Outcome};
use ledger::{AttemptRow, Correct, View};
use market::Tokens;
use serde_json::{Value, json};
use units::{Instant, Span};

use crate::args::Ledger;
use crate::exit::{Exit, wrong};
use crate::{clock, place};

/// Shows, checks, exports or corrects the books.
pub fn run(command: Ledger, out: &mut dyn Write) -> Result<Exit> {
    match command {
        Ledger::Show { invoice: Some(number), json, share, state, .. } => {
            copies::bill(&share, state.dir, |view| invoices::show(view, number, json, out))
        }
        Ledger::Show { invoices: true, json, share, state, .. } => copies::bill(&share, state.dir, |view| invoices::list(view, json, out)),
        Ledger::Show { limit, closings: false, json, share, state, .. } => {
            copies::read(&share, state.dir, |view| show(view, limit, json, out))
        }
        Ledger::Show { contract, json, share, state, .. } => {
            copies::bill(&share, state.dir, |view| closings::show(view, contract.as_deref(), json, out))
        }
        Ledger::Shadow { from, to, json, share, state } => {
            let within = span(from, to)?;
            copies::read(&share, state.dir, |view| shadow::show(view, within, json, out))
        }
        Ledger::Export { format, from, to, out: file, share, state } => {
            let within = span(from, to)?;
            let write = |view: &View| export::export(view, within, format, file.as_deref(), out).context("export the ledger");
            copies::bill(&share, state.dir, write)?;
            Ok(Exit::Done)
        }
        Ledger::Import { file, dry_run, who, json, state, share } => {
            import::run(&share, state.dir, &import::Asked { file: &file, who: &who, dry_run, json }, out)
        }
        Ledger::Correct { attempt, input, cached, output, why, who, state } => {
            let said = Correct { attempt: attempt_of(&attempt)?, tokens: Tokens { input, cached, output }, why, who };
            correct(&place::state(state.dir, "up")?, &said, out)
        }
        Ledger::Verify { live: Some(at), key, .. } => verify::live(at, key.as_deref(), out),
        Ledger::Verify { share, state, .. } if share.url.is_some() && state.dir.is_none() => {
            copies::verify(&share.address()?.context("name the shared database")?, out)
        }
        Ledger::Verify { head, state, .. } => verify::run(&place::state(state.dir, "up")?, head, out),
    }
}

/// A span in which nothing can be is a slip, and no empty answer.
fn span(from: Option<Instant>, to: Option<Instant>) -> Result<Span> {
    let span = Span { from: from.unwrap_or(Instant::MIN), to: to.unwrap_or(Instant::MAX) };
    match (from, to) {
        (Some(from), Some(to)) if span.is_empty() => Err(wrong(format!(
            "--from {from} is not before --to {to}\nhint: --from is the first instant, and --to the first one past the end"
        ))),
        _ => Ok(span),
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
        Outcome::Outrun => "outrun",
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
            "cached_tokens": settled.tokens.cached, "output_tokens": settled.tokens.output, "list_cost": settled.list.to_string(),
            "started": settled.started.to_string(), "first_content": settled.first_content.map(|at| at.to_string()),
            "ended": settled.ended.to_string() })
    });
    let corrected = row.corrected.as_ref().map(|said| {
        json!({ "number": said.number, "corrects": said.corrects, "input_tokens": said.tokens.input, "cached_tokens": said.tokens.cached,
            "output_tokens": said.tokens.output, "list_cost": said.list.to_string(), "invoice": said.invoice, "why": said.why, "who": said.who,
            "at": said.at.to_string() })
    });
    let cost = row.why.cost;
    let why = json!({ "rule": format!("{:?}", row.why.rule), "marginal": cost.marginal.to_string(), "energy": cost.energy.to_string(),
        "scarcity": cost.scarcity.to_string(), "cache_loss": cost.cache_loss.to_string(), "slo_miss": cost.slo_miss.to_string() });
    json!({ "request": row.attempt.request.to_string(), "attempt": row.attempt.attempt, "key": row.key.0, "model": row.model,
        "endpoint": row.endpoint, "pool": row.pool, "contract": row.contract, "clauses": row.clauses, "fleet": row.fleet.to_string(),
        "decided": row.decided.to_string(), "why": why, "settled": settled, "corrected": corrected, "unreconciled": row.unreconciled() })
}

fn show(view: &View, limit: usize, json: bool, out: &mut dyn Write) -> Result<Exit> {
    let (rows, open) = (view.attempts(limit)?, view.unreconciled_total()?);
    if json {
        let unreconciled = json!({ "attempts": open.attempts, "input_tokens_at_most": open.input, "output_tokens_at_most": open.output,
            "list_cost_at_most": open.list.to_string() });
        writeln!(out, "{}", json!({ "attempts": rows.iter().map(row_json).collect::<Vec<_>>(), "unreconciled": unreconciled }))?;
        return Ok(Exit::Done);
    }
    let names = ["decided", "attempt", "endpoint", "contract", "outcome", "in", "out", "list cost"];
    line(out, names.map(str::to_owned))?;
    for row in &rows {
        let decided = jiff::Timestamp::from(row.decided).strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let ended = row.settled.map_or("open", |settled| outcome(settled.outcome)).to_owned();
        let bounds = row.settled.map(|settled| (settled.tokens, settled.list));
        let (mark, taken) = if row.unreconciled() { ("<=", bounds) } else { ("", row.taken()) };
        let (tokens, list) = taken.map_or((Tokens::default(), String::new()), |(tokens, list)| (tokens, format!("{mark}{list}")));
        let counts = [tokens.input, tokens.output].map(|count| format!("{mark}{count}"));
        let [input, output] = counts;
        line(out, [decided, row.attempt.to_string(), row.endpoint.clone(), row.contract.clone(), ended, input, output, list])?;
    }
    if open.attempts > 0 {
        writeln!(
            out,
            "unreconciled: {} attempts, at most {} input and {} output tokens, {} at list prices, until an invoice or a correction says",
            open.attempts, open.input, open.output, open.list
        )?;
    }
    Ok(Exit::Done)
}

fn line(out: &mut dyn Write, [decided, attempt, endpoint, contract, ended, input, output, list]: [String; 8]) -> Result<()> {
    Ok(writeln!(out, "{decided:<20} {attempt:<38} {endpoint:<10} {contract:<18} {ended:<12} {input:>6} {output:>6} {list:>12}")?)
}

/// An attempt as it is shown: its request, a hash sign, its number.
fn attempt_of(text: &str) -> Result<AttemptId> {
    let parts = text.split_once('#').unwrap_or((text, "1"));
    match (parts.0.parse(), parts.1.parse()) {
        (Ok(request), Ok(attempt)) => Ok(AttemptId { request, attempt }),
        _ => Err(wrong(format!("{text} is no attempt: `baseload ledger show` lists them, such as req_0123#1"))),
    }
}

fn correct(directory: &Path, said: &Correct, out: &mut dyn Write) -> Result<Exit> {
    let corrected = ledger::correct(directory, said, clock::now()).with_context(|| format!("correct attempt {}", said.attempt))?;
    writeln!(out, "correction {} of {}: {} at list prices", corrected.number, said.attempt, corrected.list)?;
    Ok(Exit::Done)
}
