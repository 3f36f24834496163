//! `baseload decision`: any journaled decision, with what it saw, decided again.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use dispatch::{AttemptId, Cost, Question, RequestId, Rule, decide};
use fleet::{Fleet, FleetVersion};
use ledger::{Journaled, View};
use serde::Serialize;
use units::Instant;

use crate::args::Decision;
use crate::exit::{Exit, wrong};
use crate::{explain, fleetfile, place};

/// Shows or replays decisions.
pub fn run(command: Decision, out: &mut dyn Write) -> Result<Exit> {
    match command {
        Decision::Show { id, json, state } => {
            let view = open(state.dir)?;
            let mut fleets = Fleets::new(&view);
            for journaled in find(&view, &id)? {
                let fleet = fleets.of(journaled.question.fleet)?;
                if json { show_json(&journaled, fleet, out)? } else { explain::write(&journaled, fleet, out)? }
            }
            Ok(Exit::Done)
        }
        Decision::Replay { id, all: _, state } => {
            let view = open(state.dir)?;
            let found = match id {
                Some(id) => find(&view, &id)?,
                None => view.decisions(Instant::MIN)?,
            };
            replay(&view, &found, out)
        }
    }
}

fn open(state: Option<PathBuf>) -> Result<View> {
    let directory = place::state(state, "up")?;
    View::open(&directory).with_context(|| format!("open the ledger in {} (`--state` names another)", directory.display()))
}

/// The decisions of a request, or of one attempt of it.
fn find(view: &View, id: &str) -> Result<Vec<Journaled>> {
    let unreadable = || wrong(format!("{id:?} is no request id: it looks like req_ and 32 hexadecimal digits, perhaps with #1 after it"));
    let (request, attempt) = id.split_once('#').map_or((id, None), |(request, attempt)| (request, Some(attempt)));
    let request: RequestId = request.parse().map_err(|_| unreadable())?;
    let found = match attempt {
        Some(attempt) => vec![view.decision(AttemptId { request, attempt: attempt.parse().map_err(|_| unreadable())? })?],
        None => view.decisions_of(request)?,
    };
    anyhow::ensure!(!found.is_empty(), "find the decision of {request}: it is not in this ledger");
    Ok(found)
}

/// The fleets that decisions name, each read once.
struct Fleets<'a> {
    view: &'a View,
    read: BTreeMap<FleetVersion, std::sync::Arc<Fleet>>,
}

impl<'a> Fleets<'a> {
    fn new(view: &'a View) -> Self {
        Self { view, read: BTreeMap::new() }
    }

    fn of(&mut self, version: FleetVersion) -> Result<&Fleet> {
        if !self.read.contains_key(&version) {
            let text = self.view.fleet_text(version).with_context(|| format!("read fleet version {version}"))?;
            self.read.insert(version, fleetfile::parse(&text, &format!("fleet version {version}"))?.fleet);
        }
        self.read.get(&version).map(std::sync::Arc::as_ref).context("keep a fleet that was just read")
    }
}

fn replay(view: &View, found: &[Journaled], out: &mut dyn Write) -> Result<Exit> {
    let mut fleets = Fleets::new(view);
    let mut differ = 0;
    for journaled in found {
        let again = decide(fleets.of(journaled.question.fleet)?, &journaled.question);
        if again.as_ref() != Ok(&journaled.decision) {
            differ += 1;
            writeln!(out, "{} differs\n  journal: {:?}\n  replay:  {again:?}", journaled.attempt, journaled.decision)?;
        }
    }
    writeln!(out, "{} decisions replayed, {} the same, {differ} differ", found.len(), found.len() - differ)?;
    Ok(if differ == 0 { Exit::Done } else { Exit::No })
}

/// A decision as one JSON document, written from its parts: no `Value` holds a number as long as a request's id.
#[derive(Serialize)]
struct Document<'a> {
    attempt: String,
    key: u32,
    at: String,
    fleet: String,
    policy: &'a str,
    endpoint: &'a str,
    contract: &'a str,
    rule: Rule,
    cost: Cost,
    advice: Option<Advised<'a>>,
    passed_over: Vec<Passed<'a>>,
    question: &'a Question,
}

#[derive(Serialize)]
struct Advised<'a> {
    endpoint: &'a str,
    contract: &'a str,
    cost: Cost,
}

#[derive(Serialize)]
struct Passed<'a> {
    endpoint: &'a str,
    reason: String,
    cost: Option<Cost>,
}

fn show_json(journaled: &Journaled, fleet: &Fleet, out: &mut dyn Write) -> Result<()> {
    let Journaled { attempt, key, question, decision } = journaled;
    let (endpoint, contract) = (|id| fleet.endpoints.name(id), |id| fleet.contracts.name(id));
    let advice = decision.advice.as_ref();
    let passed = decision.passed_over.iter();
    let document = Document {
        attempt: attempt.to_string(),
        key: key.0,
        at: question.now.to_string(),
        fleet: question.fleet.to_string(),
        policy: question.policy.name(),
        endpoint: endpoint(decision.endpoint),
        contract: contract(decision.contract),
        rule: decision.rule,
        cost: decision.cost,
        advice: advice.map(|it| Advised { endpoint: endpoint(it.endpoint), contract: contract(it.contract), cost: it.cost }),
        passed_over: passed
            .map(|it| Passed { endpoint: endpoint(it.endpoint), reason: explain::reason(fleet, it.reason), cost: it.cost })
            .collect(),
        question,
    };
    serde_json::to_writer(&mut *out, &document)?;
    Ok(writeln!(out)?)
}
