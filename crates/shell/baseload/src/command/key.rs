//! `baseload key`: works beside a running service, which sees a change within seconds.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use fleet::{Allowance, Budget, Fleet, PerMinute};
use ledger::{By, KeyChange, KeyRow, KeyTerms, Keys, NewKey, Scope, View, escaped};
use serde_json::json;
use units::{Currency, Instant};

use crate::args::Key;
use crate::exit::{Exit, wrong};
use crate::{clock, place};

/// Makes, lists, rotates or revokes keys, and says who did.
pub fn run(command: Key, out: &mut dyn Write) -> Result<Exit> {
    match command {
        Key::Create { name, models, scopes, team, budget, requests, tokens, expires, by, state } => {
            let scopes = if scopes.is_empty() { Scope::Inference.into() } else { scopes.into_iter().collect() };
            let terms = KeyTerms { name, scopes, models, team, allowance: Allowance { requests, tokens, budget }, expires };
            if let Some(expires) = terms.expires.filter(|expires| *expires <= clock::now()) {
                return Err(wrong(format!("--expires {expires} is in the past: the key would never be good")));
            }
            let directory = place::state(state.dir, "up")?;
            known(&directory, &terms)?;
            let keys = Keys::open(&directory).with_context(|| format!("open the keys in {}", directory.display()))?;
            let made = create(&keys.by(by.into()), &terms)?;
            hand_over(&made, "revoke the key, and make another", out)?;
        }
        Key::Rotate { which, overlap, by, state } => {
            let made = open(state.dir)?.by(by.into()).rotate(&which, drawn()?, overlap, clock::now())?;
            // To rotate again would end the one before at once.
            hand_over(&made, "make another key before the overlap ends, and revoke this one", out)?;
        }
        Key::List { json, state } => list(&open(state.dir)?.list()?, json, out)?,
        Key::Revoke { which, by, state } => {
            let row = open(state.dir)?.by(by.into()).revoke(&which, clock::now())?;
            writeln!(out, "revoked {} (bl-{}-...)", escaped(&row.name), row.public)?;
        }
        Key::Log { json, state } => log(&open(state.dir)?.log()?, json, out)?,
    }
    Ok(Exit::Done)
}

/// The keys that are there: only who makes the first one makes a directory for it.
fn open(state: Option<PathBuf>) -> Result<Keys> {
    let directory = place::state(state, "up")?;
    Keys::open_existing(&directory).with_context(|| format!("open the keys in {} (`--state` names another)", directory.display()))
}

/// Refuses a team, a model or a currency that no fleet of this directory has; before the first `up` there is none to ask.
fn known(directory: &Path, terms: &KeyTerms) -> Result<()> {
    let Ok(view) = View::open(directory) else { return Ok(()) };
    let texts = view.fleet_versions()?.into_iter().filter_map(|version| view.fleet_text(version).ok());
    let fleets: Vec<Fleet> = texts.filter_map(|text| fleet::parse(&text).fleet).collect();
    if fleets.is_empty() {
        return Ok(());
    }
    if let Some(team) = terms.team.as_ref().filter(|team| fleets.iter().all(|fleet| fleet.teams.id(team).is_none())) {
        return Err(wrong(format!("no team is called {team}: add [teams.{team}] to the fleet file and start `baseload up` with it first")));
    }
    if let Some(model) = terms.models.iter().find(|model| fleets.iter().all(|fleet| fleet.model(model).is_none())) {
        return Err(wrong(format!(
            "no model is called {}: `--model` takes a model's name in the fleet file, or an alias of one",
            escaped(model)
        )));
    }
    let currency = terms.allowance.budget.map(|budget| budget.amount.currency);
    let counted = |currency: &Currency| fleets.iter().any(|fleet| fleet.currency == *currency || fleet.exchange.contains_key(currency));
    match currency.filter(|currency| !counted(currency)) {
        Some(currency) => Err(wrong(format!("the fleet does not know {currency}: write the budget in its own currency"))),
        None => Ok(()),
    }
}

/// Makes a key from the machine's own randomness.
pub fn create(keys: &Keys, terms: &KeyTerms) -> Result<NewKey> {
    Ok(keys.create(terms, drawn()?, clock::now())?)
}

/// Prints a secret, this once. Where nobody takes it the key is there all the same, also for a reader that went away, which is no failure
/// elsewhere: so the cause is told in words only.
fn hand_over(made: &NewKey, lost: &str, out: &mut dyn Write) -> Result<()> {
    let written = writeln!(out, "{}", made.text.0).and_then(|()| out.flush());
    written.map_err(|error| {
        let public = &made.row.public;
        anyhow!(
            "hand over the secret of bl-{public}: {:#}\nhint: it is lost: {lost} (`baseload key revoke bl-{public}`)",
            anyhow::Error::from(error)
        )
    })
}

fn drawn<const BYTES: usize>() -> Result<[u8; BYTES]> {
    let mut random = [0; BYTES];
    getrandom::fill(&mut random).context("draw random bytes for a key")?;
    Ok(random)
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
                    "scopes": row.scopes.iter().map(Scope::name).collect::<Vec<_>>(), "team": row.team,
                    "requests_per_minute": row.allowance.requests.map(PerMinute::count), "tokens_per_minute": row.allowance.tokens.map(PerMinute::count),
                    "budget": row.allowance.budget.as_ref().map(Budget::to_string), "rotated_until": text(row.previous.map(|previous| previous.until)),
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
        let models = if row.models.is_empty() { "all models".to_owned() } else { escaped(&row.models.join(", ")) };
        let created = jiff::Timestamp::from(row.created).strftime("%Y-%m-%d");
        writeln!(
            out,
            "{:<20} bl-{}-...  {:<8} made {created}  {models}{}",
            escaped(&row.name),
            row.public,
            standing(row, now),
            held_to(row)
        )?;
    }
    Ok(())
}

/// What was done to keys.
fn log(changes: &[KeyChange], json: bool, out: &mut dyn Write) -> Result<()> {
    if json {
        let changes: Vec<_> = changes
            .iter()
            .map(|KeyChange { public, name, deed, terms, by: By { who, why }, at }| {
                json!({ "at": at.to_string(), "public": public, "name": name, "what": deed.word(), "terms": terms, "who": who, "why": why })
            })
            .collect();
        return Ok(writeln!(out, "{}", json!({ "changes": changes }))?);
    }
    if changes.is_empty() {
        writeln!(out, "nothing was done to any key here yet")?;
    }
    for KeyChange { public, name, deed, terms, by: By { who, why }, at } in changes {
        let [name, terms, who, why] = [name, terms, who, why].map(|text| escaped(text));
        let why = if why.is_empty() { why } else { format!(": {why}") };
        writeln!(out, "{at}  {:<7}  {name} (bl-{public}-...)  {terms}  by {who}{why}", deed.word())?;
    }
    Ok(())
}

/// What a key is held to beside its models: nothing for one that is as keys are unless more is said.
fn held_to(row: &KeyRow) -> String {
    let scopes: Vec<&str> = row.scopes.iter().map(Scope::name).collect();
    let Allowance { requests, tokens, budget } = &row.allowance;
    let parts = [
        Some(scopes.join("+")).filter(|scopes| scopes != Scope::Inference.name()),
        row.team.as_ref().map(|team| format!("team {}", escaped(team))),
        budget.map(|budget| budget.to_string()),
        requests.map(|rate| format!("{} requests/min", rate.count())),
        tokens.map(|rate| format!("{} tokens/min", rate.count())),
        row.expires.map(|at| format!("until {}", jiff::Timestamp::from(at).strftime("%Y-%m-%dT%H:%MZ"))),
    ];
    parts.into_iter().flatten().map(|part| format!("  {part}")).collect()
}
