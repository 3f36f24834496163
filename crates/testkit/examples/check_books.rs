//! The checkers of what clients were told and upstreams remember (I2, I3, I13, I14), of what is held (I9) and of budgets (I7), for tests of whole processes: reads one
//! JSON document from standard input, prints a line for each thing that does not hold, and ends with 1 if there was any.
//!
//! - `attempts`: those of `baseload ledger show --json`, of a ledger at rest.
//! - `calls`: of each call that an upstream got its `request`, `endpoint`, whether it was `streamed`, the tokens `read` and `generated`, and
//!   those `reported`, in and out, or `null`.
//! - `told`: of each answer its `request`, `endpoint` and `status`, the tokens that were `delivered`, the `usage` that it told, in and out,
//!   or `null`, and whether it came `whole`.
//! - `untold`: so many whole answers may be booked as interrupted, as no disk took their ends.
//! - `held`: of each span of held time that posts something its `endpoint`, `from` when and `to` when it was held, in microseconds since 1970.
//! - `left_out`: at most so many milliseconds may lie between two of these spans of an endpoint, or `null` where any may.
//! - `budget`: the number of a `key`, the `budget` that it has, by the calendar of UTC, and how much may be spent `beyond` it, an amount; or `null`.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use dispatch::{AttemptId, HeldTime, KeyId, Known, Outcome, RequestId, Settlement};
use fleet::{EndpointId, FleetVersion, Id, Meter};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use market::{Tokens, Usage};
use serde::Deserialize;
use testkit::checkers::{
    Booked, Breach, Call, Lost, Spender, Spent, Told, check_durable, check_live, check_once, check_spent, check_time, check_tokens,
    check_unbroken,
};
use units::{Amount, Instant, Quantity, Span};

#[derive(Deserialize)]
struct Document {
    attempts: Vec<Row>,
    calls: Vec<Asked>,
    told: Vec<Answer>,
    untold: usize,
    held: Vec<Spanned>,
    left_out: Option<u64>,
    budget: Option<Bounded>,
}

#[derive(Deserialize)]
struct Bounded {
    key: u32,
    budget: String,
    beyond: String,
}

#[derive(Deserialize)]
struct Spanned {
    endpoint: String,
    from: i64,
    to: i64,
}

/// As the ledger shows an attempt; what is not looked at here is left out.
#[derive(Deserialize)]
struct Row {
    request: String,
    attempt: u8,
    key: u32,
    endpoint: String,
    decided: String,
    settled: Option<Settled>,
}

#[derive(Deserialize)]
struct Settled {
    outcome: String,
    known: String,
    input_tokens: u32,
    cached_tokens: u32,
    output_tokens: u32,
    list_cost: String,
}

#[derive(Deserialize)]
struct Asked {
    request: String,
    endpoint: String,
    streamed: bool,
    read: u32,
    generated: u32,
    reported: Option<[u32; 2]>,
}

#[derive(Deserialize)]
struct Answer {
    request: Option<String>,
    endpoint: Option<String>,
    status: u16,
    delivered: u32,
    usage: Option<[u32; 2]>,
    whole: bool,
}

/// Endpoints by their names: checkers know numbers.
#[derive(Default)]
struct Places(BTreeMap<String, EndpointId>);

impl Places {
    fn of(&mut self, name: &str) -> EndpointId {
        let next = EndpointId::from_index(self.0.len());
        *self.0.entry(name.to_owned()).or_insert(next)
    }
}

fn main() -> ExitCode {
    match run(&mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let written = writeln!(io::stderr().lock(), "check_books: {error}");
            ExitCode::from(if written.is_err() { 1 } else { 2 })
        }
    }
}

/// Whether all holds.
fn run(out: &mut dyn Write) -> Result<bool, Box<dyn Error>> {
    let Document { attempts, calls, told, untold, held, left_out, budget } = serde_json::from_reader(io::stdin().lock())?;
    let mut places = Places::default();
    let booked = attempts.iter().map(|row| booked(row, &mut places)).collect::<Result<Vec<_>, _>>()?;
    let calls = calls.iter().map(|call| asked(call, &mut places)).collect::<Result<Vec<_>, _>>()?;
    let told = told.iter().map(|answer| heard(answer, &mut places)).collect::<Result<Vec<_>, _>>()?;
    let spent = budget.map(|bounded| overspent(&bounded, &attempts, &booked)).transpose()?;
    let held: Vec<_> = held.iter().map(|held| spanned(held, &mut places)).collect();
    let untold_of = untold_of(&booked, &told, untold);
    // Nobody here knows when an intent was written, nor when an answer was over: that all of them were is known.
    let intents = booked.iter().map(|row| ((row.attempt.request, row.endpoint), (row.attempt, Duration::ZERO))).collect();
    let breaches: Vec<Breach> = [
        check_once(&booked, &calls, &Lost::new()),
        check_tokens(&booked, &calls, &told),
        check_durable(&intents, &booked, &calls, &told, &untold_of),
        check_live(&told, &booked, Duration::ZERO, Duration::ZERO),
        // Nor does anybody here know when attempts began.
        check_time(&[], &held),
        left_out.map(|most| check_unbroken(&held, Duration::from_millis(most))).unwrap_or_default(),
        spent.unwrap_or_default(),
    ]
    .concat();
    for breach in &breaches {
        writeln!(out, "{breach}")?;
    }
    Ok(breaches.is_empty())
}

/// The attempts of whole answers that are booked as interrupted, as many as may be.
fn untold_of(booked: &[Booked], told: &[Told], most: usize) -> Lost {
    let whole: BTreeSet<_> = told.iter().filter(|told| told.whole).filter_map(|told| told.request).collect();
    let is_cut = |row: &&Booked| row.settled.is_some_and(|settled| settled.outcome == Outcome::Interrupted);
    booked.iter().filter(is_cut).map(|row| row.attempt).filter(|attempt| whole.contains(&attempt.request)).take(most).collect()
}

/// What is wrong with what a key spent, of the rows that `booked` has too.
fn overspent(bounded: &Bounded, attempts: &[Row], booked: &[Booked]) -> Result<Vec<Breach>, Box<dyn Error>> {
    let spender = Spender { keys: vec![KeyId(bounded.key)], budget: bounded.budget.parse()? };
    let mut spent = Vec::new();
    for (row, booked) in attempts.iter().zip(booked) {
        let Some(Settlement { list, .. }) = booked.settled else { continue };
        let decided: Timestamp = row.decided.parse().map_err(|_| format!("{} is no time", row.decided))?;
        spent.push(Spent { key: booked.key, decided: decided.into(), list });
    }
    let (calendar, beyond) = (spender.budget.calendar(&TimeZone::UTC), bounded.beyond.parse::<Amount>()?.money);
    Ok(check_spent(&calendar, &spender, beyond, &spent))
}

fn booked(row: &Row, places: &mut Places) -> Result<Booked, Box<dyn Error>> {
    let (attempt, endpoint) = (AttemptId { request: request(&row.request)?, attempt: row.attempt }, places.of(&row.endpoint));
    let settled = row.settled.as_ref().map(|settled| settlement(attempt, endpoint, settled)).transpose()?;
    Ok(Booked { attempt, key: KeyId(row.key), endpoint, settled })
}

fn settlement(attempt: AttemptId, endpoint: EndpointId, settled: &Settled) -> Result<Settlement, Box<dyn Error>> {
    let outcome = match settled.outcome.as_str() {
        "answered" => Outcome::Answered,
        "failed" => Outcome::Failed,
        "cut" => Outcome::Cut,
        "client gone" => Outcome::ClientGone,
        "outrun" => Outcome::Outrun,
        "interrupted" => Outcome::Interrupted,
        other => return Err(format!("{other} is no outcome").into()),
    };
    let known = match settled.known.as_str() {
        "reported" => Known::Reported,
        "counted" => Known::Counted,
        "bounded" => Known::Bounded,
        other => return Err(format!("{other} is not how tokens are known").into()),
    };
    let tokens = Tokens { input: settled.input_tokens, cached: settled.cached_tokens, output: settled.output_tokens };
    let now = Instant::default();
    let (contract, fleet) = (Id::from_index(0), FleetVersion([0; 32]));
    // The ledger shows costs in the currency of the fleet: whichever that is.
    let list = format!("{} USD", settled.list_cost).parse::<Amount>()?.money;
    Ok(Settlement {
        attempt,
        endpoint,
        in_units: false,
        contract,
        fleet,
        outcome,
        tokens,
        known,
        list,
        started: now,
        first_content: None,
        ended: now,
    })
}

fn asked(call: &Asked, places: &mut Places) -> Result<Call, Box<dyn Error>> {
    let Asked { streamed, read, generated, reported, .. } = *call;
    let (request, endpoint) = (request(&call.request)?, places.of(&call.endpoint));
    Ok(Call { request, endpoint, at: Duration::ZERO, streamed, read, generated, reported: reported.map(tokens) })
}

fn heard(answer: &Answer, places: &mut Places) -> Result<Told, Box<dyn Error>> {
    let Answer { status, delivered, usage, whole, .. } = *answer;
    let endpoint = answer.endpoint.as_deref().map(|name| places.of(name));
    let request = answer.request.as_deref().map(request).transpose()?;
    let usage = usage.map(tokens);
    Ok(Told { request, endpoint, asked: Duration::ZERO, over: Some(Duration::ZERO), status: Some(status), delivered, usage, whole })
}

fn spanned(held: &Spanned, places: &mut Places) -> HeldTime {
    let span = Span { from: Instant::from_micros(held.from), to: Instant::from_micros(held.to) };
    let meter = Meter::UnitTime(Id::from_index(0));
    let usage = vec![Usage { contract: Id::from_index(0), meter, at: span.from, held: Quantity::ZERO, used: Quantity::ZERO }];
    HeldTime { endpoint: places.of(&held.endpoint), fleet: FleetVersion([0; 32]), span, usage, shares: Vec::new() }
}

fn tokens([input, output]: [u32; 2]) -> Tokens {
    Tokens { input, cached: 0, output }
}

fn request(text: &str) -> Result<RequestId, Box<dyn Error>> {
    text.parse().map_err(|_| format!("{text} is no request").into())
}
