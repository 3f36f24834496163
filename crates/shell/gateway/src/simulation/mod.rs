//! The gateway in a simulated network: one thread, simulated time, and everything that can go wrong, all from one seed.
//!
//! What is real: the gateway from a connection inwards (parser, keys, admission, decisions, journal, wires, relay, meter), the store with its
//! recovery, `ledger verify`. What is simulated: the network (turmoil), clocks, upstreams, clients, the death of the process and of the
//! machine. What is left out: the kernel's sockets, TLS, the serving threads, batches. TCP neither reorders nor doubles, so nothing here does;
//! a message that is dropped stalls its connection for good, as turmoil sends nothing twice.
//!
//! `SIM_SEEDS=1000` runs more seeds, `SIM_TWICE=200` more of them twice, `SIM_FROM=200` begins with this one, `SIM_SEED=7` runs one alone;
//! `SIM_TRACE=FILE` writes down all that happened in the last, `SIM_COUNTS=FILE` how often each case came up in all.
//!
//! A run is a function of its seed but for the names of temporary folders. The ledger's own thread is not simulated: the gateway only appends,
//! and whatever reads the database waits until it has everything. Requests' ids come from the seed. What tokio draws at random
//! (`select!` without `biased`) is not on the way of a request. It takes a process for each test, as nextest has it: tokio numbers tasks
//! process-wide, and the order in which a killed process lets go of its connections hangs on these numbers.

mod client;
mod coverage;
mod disk;
mod faults;
mod mischief;
mod process;
mod run;
mod scene;
mod trial;
mod upstream;
mod wire;

pub(crate) use run::{decided, random, stepped};
pub(crate) use wire::connect;

use std::collections::BTreeSet;
use std::ops::Range;

use coverage::Coverage;
use mischief::Mischief;
use sha2::{Digest, Sha256};
use testkit::checkers::Invariant;

/// How many seeds are run with each change.
const SEEDS: u64 = 240;
/// How often every case has to come up in so many.
const CASES_LEAST: u64 = 50;
/// Of these, how many are run twice.
const TWICE: u64 = 20;
/// After how many records a process is killed, at most, where each number is tried.
const KILLS: u32 = 60;
/// Lines that are shown before the first that differs.
const CONTEXT: usize = 6;

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// As many seeds as are asked for by this name, or the usual number.
fn seeds(name: &str, usual: u64) -> Range<u64> {
    let from = asked("SIM_FROM").unwrap_or(0);
    from..from + asked(name).unwrap_or(usual)
}

#[test]
fn whatever_goes_wrong_the_invariants_hold() {
    let seeds = match asked("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => seeds("SIM_SEEDS", SEEDS),
    };
    let is_whole = seeds.end - seeds.start >= SEEDS;
    let (mut all, mut failed) = (Coverage::default(), Vec::new());
    for seed in seeds {
        let trial = trial::run(seed, None);
        if !trial.breaches.is_empty() {
            failed.push(format!("SIM_SEED={seed} cargo nextest run -p gateway simulation::whatever\n  {}", trial.breaches.join("\n  ")));
        }
        write("SIM_TRACE", || trial.trace.join("\n"));
        all.add(trial.coverage);
    }
    assert!(failed.is_empty(), "{} seeds failed; each alone:\n{}", failed.len(), failed.join("\n"));
    write("SIM_COUNTS", || all.to_string());
    let others: Vec<&str> = faults::KINDS.into_iter().chain(upstream::ACTS).chain(client::ACTS).chain(DISK).collect();
    let short = all.short_of(CASES_LEAST, &others);
    assert!(!is_whole || short.is_empty(), "these came up less than {CASES_LEAST} times: {short:?} of\n{all}");
}

#[test]
fn every_code_is_looked_for_or_left_out_for_a_reason() {
    assert_eq!(coverage::strayed(), Vec::<&str>::new());
}

/// Writes what was asked for by this name.
fn write(name: &str, text: impl FnOnce() -> String) {
    if let Some(file) = std::env::var_os(name) {
        std::fs::write(file, text()).expect("it is written where it was asked for");
    }
}

/// What the disk does besides.
const DISK: [&str; 4] = ["refused on a full disk", "settled on a full disk", "end refused by a disk", "end told again"];

#[test]
fn the_same_seed_runs_the_same_way() {
    for seed in seeds("SIM_TWICE", TWICE) {
        let (first, second) = (trial::run(seed, None), trial::run(seed, None));
        let same = first.trace.iter().zip(&second.trace).take_while(|(first, second)| first == second).count();
        let around = |trace: &[String]| trace.iter().skip(same.saturating_sub(CONTEXT)).take(2 * CONTEXT).cloned().collect::<Vec<_>>();
        let (left, right) = (around(&first.trace), around(&second.trace));
        assert!(left == right, "seed {seed} ran in two ways, here with the lines before:\n{left:#?}\n{right:#?}");
        assert_eq!((hash(&first.trace), first.coverage), (hash(&second.trace), second.coverage), "seed {seed}");
    }
}

/// The hash of all that happened in a run.
fn hash(trace: &[String]) -> [u8; 32] {
    let mut hash = Sha256::new();
    trace.iter().for_each(|line| hash.update(format!("{line}\n")));
    hash.finalize().into()
}

/// Kills at every record of the first seconds, one run each.
#[test]
fn a_process_killed_after_any_record_keeps_what_it_said() {
    for records in 1..=KILLS {
        let trial = trial::killed_after(0, records);
        assert!(trial.breaches.is_empty(), "killed after {records} records: {:#?}", trial.breaches);
        let openings = trial.trace.iter().filter(|line| line.contains("Recovery { ")).count();
        assert_eq!(openings, 2, "it was killed once, after {records} records");
    }
}

/// What checkers find when the gateway does this wrong, over a few seeds, and what its live audit does.
fn found(mischief: Mischief) -> (BTreeSet<Invariant>, Vec<String>) {
    let trials = (0..3).map(|seed| trial::run(seed, Some(mischief)));
    let found = trials.map(|trial| (trial.invariants, trial.audited)).collect::<(Vec<_>, Vec<_>)>();
    (found.0.into_iter().flatten().collect(), found.1.concat())
}

#[test]
fn what_a_gateway_does_wrong_is_found() {
    for mischief in Mischief::ALL {
        let ((found, audited), wanted) = (found(mischief), wanted(mischief));
        assert!(wanted.iter().all(|wanted| found.contains(wanted)), "{mischief:?} is not found as {wanted:?}: {found:?}");
        let live = live(mischief).iter().all(|wanted| audited.iter().any(|found| found.contains(wanted)));
        assert!(live, "the live audit does not find {mischief:?}: {audited:?}");
    }
}

const fn wanted(mischief: Mischief) -> &'static [Invariant] {
    match mischief {
        Mischief::NoIntents => &[Invariant::I2, Invariant::I14],
        Mischief::NoSettlements => &[Invariant::I13, Invariant::I14],
        Mischief::ATokenMore => &[Invariant::I3],
        Mischief::AnotherEndpoint => &[Invariant::I2, Invariant::I8],
        Mischief::BackInTime => &[Invariant::I9],
        Mischief::HeldTwice => &[Invariant::I4, Invariant::I9],
        Mischief::NoBudgets => &[Invariant::I7],
        Mischief::NoSlots => &[Invariant::I12],
        Mischief::Secrets => &[Invariant::I11],
    }
}

/// What the live audit, which knows neither upstreams nor clients, has to say of it.
const fn live(mischief: Mischief) -> &'static [&'static str] {
    match mischief {
        Mischief::AnotherEndpoint => &["is another when it is taken again"],
        Mischief::BackInTime => &["ends before it begins"],
        Mischief::HeldTwice => &["is held twice", " holds "],
        _ => &[],
    }
}
