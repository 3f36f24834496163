//! What scenarios do to a plan, lived through in three ways; chunks on threads, put together in the order of their numbers.

use std::num::NonZero;
use std::path::Path;
use std::thread;

use anyhow::{Result, anyhow};
use highs::Highs;
use lp::{Effort, Kept, Solver as _, Verdict};
use planner::{Decided, Draw, Instance, Outcome, Policy, Promises, State, Summary, extract, frozen, regret, rows};
use serde::Serialize;

use super::checked::{CHECKED, Checked, Scenarios};
use super::progress::Progress;
use super::study::{Study, effort};

/// Scenarios that are also solved with foresight: one problem each.
const KNOWN: u64 = 24;
/// Scenarios that are also lived through with a new plan each quarter: a problem a quarter.
const REPLANNED: u64 = 8;

/// What scenarios say, in the instance's units of money; by way.
#[derive(Clone, Debug, Serialize)]
pub struct Risk {
    /// What the scenarios are drawn with.
    pub seed: u64,
    /// Contracts frozen under the plan's policy.
    pub frozen: Summary,
    /// A new plan each quarter, for the first scenarios.
    pub replanned: Summary,
    /// Everything known beforehand, for the first scenarios: the bound.
    pub foresight: Summary,
    /// The frozen policy in the scenarios that foresight was tried on.
    pub frozen_sample: Summary,
    /// The frozen policy in the scenarios that were planned anew.
    pub frozen_few: Summary,
    /// What foresight would be worth more than the frozen policy, on the mean of those.
    pub regret_frozen: Option<f64>,
    /// What it would be worth more than planning anew.
    pub regret_replanned: Option<f64>,
    /// Currency in one unit of money.
    pub money: f64,
    /// How many of the first scenarios were checked in each way.
    pub checked: u64,
    /// What is wrong with what was done in those.
    pub wrong: Vec<String>,
}

/// Draws `count` scenarios and lives through them; each thread has a solver of its own from `folder`.
pub fn risk(study: &Study, count: u64, seed: u64, folder: &Path, progress: &Progress) -> Result<Risk> {
    let signed = study.instance.signed(&study.answer.decided.taken);
    let draw = Draw::new(&study.fleet, &study.instance);
    let policy = Policy::compile(&signed, &study.opening, &study.answer.decided);
    progress.say("scenarios");
    let frozen = in_chunks(count, |numbers| Ok(frozen(&signed, &policy, &draw, seed, numbers)))?;
    let scenarios = Scenarios { study, signed: &signed, draw: &draw, seed, effort: effort(&study.fleet) };
    let (known, again, checked) = (KNOWN.min(count), REPLANNED.min(count), CHECKED.min(count));
    let mut wrong = in_chunks(checked, |numbers| Ok(numbers.flat_map(|number| scenarios.frozen(&policy, number)).collect()))?;
    progress.say("scenarios with foresight");
    let with_foresight = in_chunks(known, |numbers| {
        let mut solver = Highs::find(folder)?;
        numbers.map(|number| scenarios.foreseen(number, &mut solver)).collect()
    })?;
    progress.say("scenarios planned anew each quarter");
    let anew = in_chunks(again, |numbers| {
        let mut solver = Highs::find(folder)?;
        numbers.map(|number| scenarios.anew(number, &mut solver)).collect()
    })?;
    let mut apart = |all: Vec<Checked>| -> Vec<Outcome> {
        let (outcomes, faults): (Vec<Outcome>, Vec<Vec<String>>) = all.into_iter().unzip();
        wrong.extend(faults.into_iter().flatten());
        outcomes
    };
    let (with_foresight, anew) = (apart(with_foresight), apart(anew));
    let sample: Vec<Outcome> = frozen.iter().take(usize::try_from(known)?).cloned().collect();
    let few: Vec<Outcome> = frozen.iter().take(usize::try_from(again)?).cloned().collect();
    Ok(Risk {
        seed,
        frozen: Summary::of(&frozen),
        replanned: Summary::of(&anew),
        foresight: Summary::of(&with_foresight),
        frozen_sample: Summary::of(&sample),
        frozen_few: Summary::of(&few),
        regret_frozen: regret(&sample, &with_foresight),
        regret_replanned: regret(&anew, &with_foresight),
        money: study.instance.scale.money,
        checked,
        wrong,
    })
}

/// The share of the first `count` scenarios of a seed in which a plan of `instance` is out of cash by the end, contracts frozen.
pub fn out_of_cash(instance: &Instance, decided: &Decided, draw: &Draw, seed: u64, count: u64) -> f64 {
    let signed = instance.signed(&decided.taken);
    let policy = Policy::compile(&signed, &State::opening(&signed), decided);
    Summary::of(&frozen(&signed, &policy, draw, seed, 0..count)).out_of_cash.last().copied().unwrap_or(0.0)
}

/// The best plan in a scenario.
pub struct Best {
    pub decided: Decided,
    /// Whether it keeps the limits on dependence.
    pub keeps_caps: bool,
}

/// The best plan, without asking why promises are broken. Where nothing keeps the limits on dependence, because somebody failed, it is
/// the best without them.
pub fn best(instance: &Instance, opening: &State, solver: &mut Highs, effort: Effort) -> Result<Best> {
    let (problem, layout) = rows(instance, opening, Promises::Priced, None);
    solver.load(problem)?;
    let solution = solver.solve(effort, Kept::Nothing)?;
    match solution.verdict {
        Verdict::Exhausted if !solution.found() => Err(anyhow!("find a plan in a scenario within the effort")),
        Verdict::Optimal | Verdict::Exhausted => Ok(Best { decided: extract(instance, &layout, &solution), keeps_caps: true }),
        Verdict::Infeasible if !instance.caps.is_empty() => {
            let free = Instance { caps: Vec::new(), ..instance.clone() };
            Ok(Best { keeps_caps: false, ..best(&free, opening, solver, effort)? })
        }
        verdict => Err(anyhow!("find a plan in a scenario: {verdict:?}")),
    }
}

/// Computes numbers `0..count` in as many chunks as there are cores; what comes out does not depend on how many.
fn in_chunks<T: Send>(count: u64, of: impl Fn(std::ops::Range<u64>) -> Result<Vec<T>> + Sync) -> Result<Vec<T>> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let size = count.div_ceil(u64::try_from(cores)?).max(1);
    let parts = thread::scope(|scope| {
        let starts = (0..count).step_by(usize::try_from(size).unwrap_or(usize::MAX));
        let of = &of;
        let running: Vec<_> = starts.map(|from| scope.spawn(move || of(from..(from + size).min(count)))).collect();
        let ended =
            running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("live through scenarios: a thread broke"))));
        ended.collect::<Result<Vec<_>>>()
    })?;
    Ok(parts.into_iter().flatten().collect())
}
