//! `bench_plan REPEATS`: what planning the reference takes of processor time, as one line of JSON: building the problem, building and
//! solving it from the beginning, and local what-ifs from the last basis, in one session, and from the beginning. A what-if
//! begins with its problem being built, and ends with its answer checked.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use highs::Highs;
use lp::{Effort, Kept, Problem, Solver};
use planner::{Instance, LimitKind, Promises, Session, State, WorkKind, rows};
use serde::Serialize;
use serde_json::json;

/// How often the session goes there and back.
const ROUNDS: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let repeats: u32 = env::args().nth(1).map_or(Ok(5), |text| text.parse())?;
    let mut solver = Highs::find(&folder())?;
    let instance = testkit::instance::reference();
    // The kernel accounts in steps of milliseconds: many builds are timed together.
    let (seconds, _) = timed(|| (0..repeats).for_each(|_| drop(std::hint::black_box(problem(&instance)))))?;
    let build = seconds / f64::from(repeats.max(1));
    let stated = problem(&instance);
    let size = [stated.column_count(), stated.row_count(), stated.factors.len()];
    drop(stated);
    let after_build = peak_kilobytes()?;
    let (cold, solution) = timed(|| {
        solver.load(problem(&instance))?;
        solver.solve(Effort::default(), Kept::Nothing)
    })?;
    let objective = solution?.objective;
    let first_peak = peak_kilobytes()?;
    let mut session = Session::new(&mut solver, Effort::default());
    let (begun, answer) = timed(|| session.solve(problem(&instance)))?;
    answer?;
    let first = asked(&mut session, half_year(instance.clone()))?;
    let mut answers = Vec::new();
    for _ in 0..ROUNDS {
        for of in [|instance| instance, one_month, |instance| instance, half_year] {
            answers.push(asked(&mut session, of(instance.clone()))?);
        }
    }
    let warm_peak = peak_kilobytes()?;
    let what_if = half_year(instance);
    let (again, cold_solution) = timed(|| {
        solver.load(problem(&what_if))?;
        solver.solve(Effort::default(), Kept::Nothing)
    })?;
    let line = json!({
        "columns": size[0],
        "rows": size[1],
        "entries": size[2],
        "objective": objective,
        "build_s": build,
        "build_and_solve_s": cold,
        "session_s": begun,
        "first": first,
        "month": answers[1],
        "half_year": answers[3],
        "later": answers,
        "what_if_cold_s": again,
        "what_if_apart": (first.worth - cold_solution?.objective).abs() / objective.abs(),
        "peak_kb_built": after_build,
        "peak_kb_first": first_peak,
        "peak_kb_warm": warm_peak,
        "peak_kb": peak_kilobytes()?,
    });
    Ok(writeln!(io::stdout().lock(), "{line}")?)
}

fn problem(instance: &Instance) -> Problem {
    rows(instance, &State::opening(instance), Promises::Priced, None).0
}

/// An answer to a what-if.
#[derive(Clone, Serialize)]
struct Asked {
    seconds: f64,
    how: String,
    iterations: u32,
    worth: f64,
}

fn asked(session: &mut Session<'_>, what_if: Instance) -> Result<Asked, Box<dyn Error>> {
    let (seconds, answer) = timed(|| session.solve(problem(&what_if)))?;
    let (solution, how) = answer?;
    Ok(Asked { seconds, how: format!("{how:?}").to_lowercase(), iterations: solution.iterations, worth: solution.objective })
}

/// One site has a tenth less for a month.
fn one_month(mut instance: Instance) -> Instance {
    if let Some(site) = instance.limits.iter_mut().find(|limit| matches!(limit.kind, LimitKind::Site(_))) {
        site.most.fixed[30] *= 0.9;
    }
    instance
}

/// One site has a tenth less for half a year, and one workload's demand is a twentieth more in it.
fn half_year(mut instance: Instance) -> Instance {
    let months = 30..36;
    if let Some(site) = instance.limits.iter_mut().find(|limit| matches!(limit.kind, LimitKind::Site(_))) {
        site.most.fixed[months.clone()].iter_mut().for_each(|most| *most *= 0.9);
    }
    if let WorkKind::Serving { tranches, .. } = &mut instance.works[0].kind {
        for tranche in tranches {
            tranche.demand[months.clone()].iter_mut().for_each(|demand| *demand *= 1.05);
        }
    }
    instance
}

/// Where `baseload solver pull` keeps the solver.
fn folder() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache"));
    cache.join("baseload/solver").join(highs::VERSION)
}

/// Processor time that something takes on this thread, and what it gives.
fn timed<T>(does: impl FnOnce() -> T) -> Result<(f64, T), Box<dyn Error>> {
    let begun = cpu_seconds()?;
    let gives = does();
    Ok((cpu_seconds()? - begun, gives))
}

fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos: u64 = text.split(' ').next().ok_or("no number in schedstat")?.parse()?;
    Ok(nanos as f64 / 1e9)
}

/// The most memory that this process has had.
fn peak_kilobytes() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in status")?;
    Ok(peak.trim().trim_end_matches(" kB").parse()?)
}
