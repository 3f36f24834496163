//! Which assumption moves the plan most: each figure with a range at both of its ends, what is signed staying as planned.

use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Result, anyhow};
use fleet::Fleet;
use highs::Highs;
use lp::{Kept, Solver as _, Verdict};
use planner::{Decided, Draw, Instance, Promises, State, extract, rows, survey};
use serde::Serialize;
use units::Money;

use super::progress::Progress;
use super::risk::out_of_cash;
use super::study::{Study, effort, money, plainly};
use super::what_if;

/// Scenarios that are lived through at each end: the same ones, so that few tell how far the ends are apart.
const LIVED: u64 = 200;

/// What a figure's range does.
#[derive(Clone, Debug, Serialize)]
pub struct Swing {
    /// The figure's path in the file.
    pub path: String,
    /// Its ends, as written.
    pub ends: [String; 2],
    /// What the plan would be worth more with it at either end, money that is missing counted once.
    pub worth: [Money; 2],
    /// Whether promises would be broken there.
    pub breaks: [bool; 2],
    /// How much likelier it would be there to run out of cash by the end, in percentage points; if scenarios were asked for.
    pub out_of_cash: Option<[f64; 2]>,
}

impl Swing {
    /// How far the two ends and the plan are apart.
    pub fn width(&self) -> Money {
        let (low, high) = (self.worth[0].min(self.worth[1]), self.worth[0].max(self.worth[1]));
        high.max(Money::ZERO) - low.min(Money::ZERO)
    }

    /// How far they are apart in how likely it is to run out of cash.
    pub fn likelihood_width(&self) -> f64 {
        self.out_of_cash.map_or(0.0, |[low, high]| low.max(high).max(0.0) - low.min(high).min(0.0))
    }
}

/// Those that move how likely it is to run out of cash, widest first.
pub fn by_likelihood(swings: &[Swing]) -> Vec<&Swing> {
    let mut moving: Vec<&Swing> = swings.iter().filter(|swing| swing.likelihood_width() > 0.0).collect();
    moving.sort_by(|a, b| b.likelihood_width().total_cmp(&a.likelihood_width()));
    moving
}

/// The plan with a figure at an end of its range.
#[derive(Clone)]
struct End {
    worth: Money,
    breaks: bool,
    /// In percent.
    out_of_cash: Option<f64>,
}

/// Every figure with a range that can be planned at both ends, widest first; and how many could not. With a seed, scenarios are lived
/// through at each end. Each end is planned from the beginning, on threads that have a solver of their own from `folder`: what comes out
/// depends neither on the other figures nor on the number of threads.
pub fn tornado(study: &Study, text: &str, seed: Option<u64>, folder: &Path, progress: &Progress) -> Result<(Vec<Swing>, usize)> {
    let ranges: Vec<Range<'_>> =
        study.fleet.figures.iter().filter_map(|(path, note)| Some((path.as_str(), note.range.as_ref()?))).collect();
    // With what is signed held as it is, so that ends are compared with like.
    let Some(base) = Base::new(study, text, seed, folder)? else { return Ok((Vec::new(), ranges.len())) };
    let done = AtomicUsize::new(0);
    let part = |first: usize, every: usize| -> Result<Vec<Swing>> {
        let mut solver = Highs::find(folder)?;
        let mut swings = Vec::new();
        for range in ranges.iter().skip(first).step_by(every) {
            swings.extend(base.swing(*range, &mut solver)?);
            progress.step("assumptions", done.fetch_add(1, Ordering::Relaxed) + 1, ranges.len());
        }
        Ok(swings)
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let parts = thread::scope(|scope| {
        let part = &part;
        let running: Vec<_> = (0..cores).map(|first| scope.spawn(move || part(first, cores))).collect();
        let ended =
            running.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("vary what is assumed: a thread broke"))));
        ended.collect::<Result<Vec<_>>>()
    })?;
    let mut swings = parts.concat();
    let skipped = ranges.len() - swings.len();
    swings.sort_by(|a, b| b.width().cmp(&a.width()).then_with(|| a.path.cmp(&b.path)));
    Ok((swings, skipped))
}

/// A figure's path, and both ends of its range as written.
type Range<'a> = (&'a str, &'a (String, String));

/// The plan as it is, which ends are compared with.
struct Base<'a> {
    study: &'a Study,
    text: &'a str,
    seed: Option<u64>,
    draw: Draw,
    planned: Planned,
    end: End,
}

/// What is best for an instance with what is signed held as it is.
struct Planned {
    instance: Instance,
    decided: Decided,
    worth: Money,
    breaks: bool,
}

impl<'a> Base<'a> {
    /// The file as it is; none where it can't be planned.
    fn new(study: &'a Study, text: &'a str, seed: Option<u64>, folder: &Path) -> Result<Option<Self>> {
        let Some((fleet, instance)) = surveyed(study, text) else { return Ok(None) };
        let Some(planned) = planned(study, instance, &mut Highs::find(folder)?)? else { return Ok(None) };
        let draw = Draw::new(&fleet, &planned.instance);
        let end = lived(&planned, &draw, seed);
        Ok(Some(Self { study, text, seed, draw, planned, end }))
    }

    /// What a figure's range does; none where it can't be planned at both ends.
    fn swing(&self, (path, (low, high)): Range<'_>, solver: &mut Highs) -> Result<Option<Swing>> {
        let (Some(low_end), Some(high_end)) = (self.at(path, low, solver)?, self.at(path, high, solver)?) else { return Ok(None) };
        Ok(Some(Swing {
            path: path.to_owned(),
            ends: [low.clone(), high.clone()],
            worth: [low_end.worth - self.end.worth, high_end.worth - self.end.worth],
            breaks: [low_end.breaks, high_end.breaks],
            out_of_cash: likelier(&self.end, &low_end).zip(likelier(&self.end, &high_end)).map(Into::into),
        }))
    }

    /// The plan with a figure as written. A figure that planning does not read is not planned again, and one that scenarios do not read
    /// either is not lived through again.
    fn at(&self, path: &str, figure: &str, solver: &mut Highs) -> Result<Option<End>> {
        let Ok(text) = what_if::put(self.text, path, figure) else { return Ok(None) };
        let Some((fleet, instance)) = surveyed(self.study, &text) else { return Ok(None) };
        let draw = Draw::new(&fleet, &instance);
        if instance == self.planned.instance {
            return Ok(Some(if draw == self.draw { self.end.clone() } else { lived(&self.planned, &draw, self.seed) }));
        }
        let planned = planned(self.study, instance, solver)?;
        Ok(planned.map(|planned| lived(&planned, &draw, self.seed)))
    }
}

/// A file as numbers, where it can be planned and leaves the same to choose.
fn surveyed(study: &Study, text: &str) -> Option<(Fleet, Instance)> {
    let fleet = fleet::parse(text).fleet?;
    let instance = survey(&fleet).ok()?;
    (instance.choices.len() == study.instance.choices.len()).then_some((fleet, instance))
}

fn planned(study: &Study, instance: Instance, solver: &mut Highs) -> Result<Option<Planned>> {
    let (problem, layout) = rows(&instance, &State::opening(&instance), Promises::Priced, Some(&study.answer.decided.taken));
    solver.load(problem)?;
    let solution = solver.solve(effort(&study.fleet), Kept::Nothing)?;
    if solution.verdict != Verdict::Optimal {
        return Ok(None);
    }
    let (worth, breaks) = plainly(&instance, &layout, solver.problem(), &solution);
    let decided = extract(&instance, &layout, &solution);
    Ok(Some(Planned { worth: money(&instance, worth), breaks, decided, instance }))
}

/// What a plan comes to, with the share of scenarios in which it runs out of cash if there is a seed.
fn lived(planned: &Planned, draw: &Draw, seed: Option<u64>) -> End {
    let share = |seed| out_of_cash(&planned.instance, &planned.decided, draw, seed, LIVED);
    End { worth: planned.worth, breaks: planned.breaks, out_of_cash: seed.map(|seed| 100.0 * share(seed)) }
}

fn likelier(base: &End, end: &End) -> Option<f64> {
    Some(end.out_of_cash? - base.out_of_cash?)
}
