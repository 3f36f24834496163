//! One run, from its seed to what the checkers say of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dispatch::{AttemptId, HeldTime, Record, Settlement};
use ledger::{View, verify};
use testkit::checkers::{
    Booked, Breach, Invariant, Reading, check_budget, check_caps, check_durable, check_held, check_live, check_once, check_replay,
    check_secrets, check_time, check_tokens,
};
use turmoil::Sim;
use units::Instant;

use super::coverage::Coverage;
use super::disk::Death;
use super::faults::{self, Trouble, Undo};
use super::mischief::Mischief;
use super::run::{Run, lock};
use super::{client, process, scene, upstream};

/// A step of the simulation: messages arrive and clocks move by it.
const STEP: Duration = Duration::from_millis(5);
/// How long things go wrong.
const TROUBLED: Duration = Duration::from_secs(26);
/// How long everything may take to end well after that.
const CALMING: Duration = Duration::from_secs(45);
const CLIENTS: usize = 2;

/// What one run came to.
#[derive(Debug)]
pub(super) struct Trial {
    pub breaches: Vec<String>,
    pub invariants: Vec<Invariant>,
    /// What the live audit found, among the breaches too.
    pub audited: Vec<String>,
    pub coverage: Coverage,
    /// All that happened, line by line.
    pub trace: Vec<String>,
}

/// Runs one seed to its end, and has every checker look at it.
pub(super) fn run(seed: u64, mischief: Option<Mischief>) -> Trial {
    let run = Run::begin(seed, mischief);
    let troubles = faults::draw(&run, CLIENTS, TROUBLED);
    judge(&run, troubles)
}

/// Runs a seed in which nothing happens to the gateway but that its process is killed right after so many records.
pub(super) fn killed_after(seed: u64, records: u32) -> Trial {
    let run = Run::begin(seed, None);
    run.disk.kill_in(records);
    judge(&run, Vec::new())
}

fn judge(run: &Arc<Run>, troubles: Vec<Trouble>) -> Trial {
    let ended = drive(run, troubles);
    let mut breaches: Vec<Breach> = Vec::new();
    let mut others: Vec<String> = ended.err().into_iter().collect();
    check(run, &mut breaches, &mut others);
    let audited = std::mem::take(&mut *lock(&run.audited));
    others.extend(audited.iter().map(|found| format!("the live audit: {found}")));
    let (coverage, trace) = run.end();
    let invariants = breaches.iter().map(|breach| breach.invariant).collect();
    others.extend(breaches.iter().map(ToString::to_string));
    Trial { breaches: others, invariants, audited, coverage, trace }
}

fn build(run: &Arc<Run>) -> Sim<'static> {
    let mut sim = turmoil::Builder::new()
        .rng_seed(run.seed)
        .tick_duration(STEP)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(20))
        .simulation_duration(TROUBLED + 2 * CALMING)
        .tcp_capacity(1_024)
        .enable_random_order()
        .build();
    for (index, name) in scene::UPSTREAMS.into_iter().enumerate() {
        let run = Arc::clone(run);
        sim.host(name, move || upstream::run(Arc::clone(&run), index));
    }
    let gateway = Arc::clone(run);
    sim.host("gateway", move || process::run(Arc::clone(&gateway)));
    for number in 0..CLIENTS {
        sim.client(format!("client-{number}"), client::run(Arc::clone(run), number));
    }
    sim
}

/// Steps the simulation until every client has gone and the gateway has ended in good order.
fn drive(run: &Arc<Run>, troubles: Vec<Trouble>) -> Result<(), String> {
    let mut sim = build(run);
    let (mut troubles, mut undos) = (troubles.into_iter().peekable(), Vec::<Undo>::new());
    let mut dice = run.dice(11);
    let mut is_over = false;
    while !is_over || sim.is_host_running("gateway") {
        run.set_now(sim.elapsed());
        while let Some(mut trouble) = troubles.next_if(|trouble| trouble.at <= sim.elapsed()) {
            let (death, undo) = trouble.apply(run, &mut sim);
            undos.extend(undo);
            if let Some(death) = death.filter(|_| !run.life().is_over()) {
                undos.push(die(run, &mut sim, death, &mut dice));
            }
        }
        let (due, later) = undos.into_iter().partition(|undo: &Undo| undo.at <= sim.elapsed());
        undos = later;
        due.iter().for_each(|undo| undo.apply(run, &mut sim));
        if sim.elapsed() >= TROUBLED && undos.is_empty() {
            run.set_calm();
        }
        is_over = sim.step().map_err(|error| error.to_string())?;
        if run.life().is_over() && sim.is_host_running("gateway") {
            undos.push(die(run, &mut sim, Death::Kill, &mut dice));
        }
        if is_over {
            run.stop.send_replace(true);
        }
        if sim.elapsed() > TROUBLED + 2 * CALMING {
            return Err("the gateway did not end".to_owned());
        }
    }
    Ok(())
}

/// The gateway's process dies, and is to be started again.
fn die(run: &Arc<Run>, sim: &mut Sim<'_>, death: Death, dice: &mut testkit::Dice) -> Undo {
    // First, so that nothing that is dropped with the process leaves a trace.
    run.life().end();
    run.disk.die(run, death, dice);
    sim.crash("gateway");
    Undo::restart(run.now() + Duration::from_millis(dice.count(50, 1_500) as u64))
}

fn check(run: &Run, breaches: &mut Vec<Breach>, others: &mut Vec<String>) {
    let directory = run.disk.directory();
    run.disk.close();
    match verify(&directory, None) {
        Ok(verification) => {
            run.note(&verification.head.hash.to_string());
            others.extend(verification.findings.iter().map(|finding| format!("ledger verify: {finding}")));
        }
        Err(error) => others.push(format!("ledger verify: {error}")),
    }
    let read = View::open(&directory).and_then(|view| Ok((view.attempts(usize::MAX)?, view.decisions(Instant::MIN)?)));
    let (rows, decisions) = match read {
        Ok(read) => read,
        Err(error) => return others.push(format!("the books can't be read: {error}")),
    };
    run.note(&format!("{rows:?}"));
    let endpoint = |name: &str| scene::endpoint(&run.fleet, name);
    let booked: Vec<Booked> = rows
        .iter()
        .map(|row| Booked { attempt: row.attempt, key: row.key, endpoint: endpoint(&row.endpoint), settled: row.settled })
        .collect();
    let decided = decisions.into_iter().map(|journaled| Record::Decided {
        attempt: journaled.attempt,
        key: journaled.key,
        question: Box::new(journaled.question),
        decision: Box::new(journaled.decision),
    });
    let records: Vec<Record> = decided.collect();
    let (calls, told, lost) = (lock(&run.calls), lock(&run.told), run.disk.lost());
    breaches.extend(check_once(&booked, &calls, &lost));
    breaches.extend(check_tokens(&booked, &calls, &told));
    breaches.extend(check_durable(&run.disk.intents(), &booked, &calls, &told, &lost));
    breaches.extend(check_live(&told, &booked, TROUBLED, CALMING));
    let lives = run.disk.records();
    breaches.extend(check_budget(&run.fleet, &scene::spender(), &to_their_ends(&lives, &booked)));
    breaches.extend(check_replay(&run.fleet, &records));
    breaches.extend(check_time(&booked, &[]));
    for life in &lives {
        // By life: two processes may tell the same time of two different hours.
        let held = life.iter().filter_map(|record| if let Record::Held(held) = record { Some(held.clone()) } else { None });
        let held: Vec<HeldTime> = held.collect();
        breaches.extend(check_time(&[], &held));
        breaches.extend(check_held(&run.fleet, &held));
    }
    let outputs = lock(&run.outputs);
    breaches.extend(check_secrets(outputs.iter().map(|output| ("an output", output.as_bytes())), &[scene::SECRET]));
    breaches.extend(check_caps(&caps(run)));
}

/// The records of all lives, each with the ends that the next one booked for what it left open.
fn to_their_ends(lives: &[Vec<Record>], booked: &[Booked]) -> Vec<Record> {
    let booked: BTreeMap<AttemptId, Settlement> = booked.iter().filter_map(|row| Some((row.attempt, row.settled?))).collect();
    let with_ends = |life: &Vec<Record>| {
        let mut open = BTreeSet::new();
        for record in life {
            match record {
                Record::Decided { attempt, .. } => _ = open.insert(*attempt),
                Record::Settled(settled) => _ = open.remove(&settled.attempt),
                Record::Held(_) => {}
            }
        }
        let ends = open.iter().filter_map(|attempt| booked.get(attempt).copied().map(Record::Settled));
        life.iter().cloned().chain(ends).collect::<Vec<_>>()
    };
    lives.iter().flat_map(with_ends).collect()
}

/// What was open at once, beside what the fleet file and the limits allow.
fn caps(run: &Run) -> Vec<Reading> {
    let ((endpoints, keys, most), limits) = (run.disk.open_at_once(), scene::limits());
    let room = |endpoint| u64::from(run.fleet.endpoints[endpoint].slots + run.fleet.endpoints[endpoint].queue);
    let at_endpoints = endpoints.into_iter().map(|(endpoint, most)| Reading { what: "attempts at an endpoint", most, cap: room(endpoint) });
    let with_keys = keys.into_values().map(|most| Reading { what: "requests with a key", most, cap: limits.key_in_flight_max as u64 });
    let in_all = Reading { what: "requests in all", most, cap: limits.in_flight_max as u64 };
    at_endpoints.chain(with_keys).chain([in_all]).collect()
}
