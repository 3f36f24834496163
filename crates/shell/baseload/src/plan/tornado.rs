//! Which assumption moves the plan most: each figure with a range at both of its ends, what is signed staying as planned.

use anyhow::Result;
use highs::Highs;
use lp::Verdict;
use planner::{Promises, Session, State, extract, rows, survey};
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
struct End {
    worth: Money,
    breaks: bool,
    /// In percent.
    out_of_cash: Option<f64>,
}

/// Every figure with a range that can be planned at both ends, widest first; and how many could not. With a seed, scenarios are lived
/// through at each end.
pub fn tornado(study: &Study, text: &str, seed: Option<u64>, solver: &mut Highs, progress: &Progress) -> Result<(Vec<Swing>, usize)> {
    let (mut swings, mut skipped) = (Vec::new(), 0);
    let ranges: Vec<_> = study.fleet.figures.iter().filter_map(|(path, note)| Some((path, note.range.as_ref()?))).collect();
    let effort = effort(&study.fleet);
    let mut session = Session::new(solver, effort);
    let mut plan = |text: &str| -> Result<Option<End>> {
        let Some(fleet) = fleet::parse(text).fleet else { return Ok(None) };
        let Ok(instance) = survey(&fleet) else { return Ok(None) };
        if instance.choices.len() != study.instance.choices.len() {
            return Ok(None);
        }
        let (problem, layout) = rows(&instance, &State::opening(&instance), Promises::Priced, Some(&study.answer.decided.taken));
        let (solution, _) = session.solve(problem)?;
        if solution.verdict != Verdict::Optimal {
            return Ok(None);
        }
        let (worth, breaks) = plainly(&instance, &layout, session.problem(), &solution);
        let lived = |seed| out_of_cash(&fleet, &instance, &extract(&instance, &layout, &solution), seed, LIVED);
        let out_of_cash = seed.map(lived).transpose()?.map(|share| 100.0 * share);
        Ok(Some(End { worth: money(&instance, worth), breaks, out_of_cash }))
    };
    // With what is signed held as it is, so that ends are compared with like.
    let Some(base) = plan(text)? else { return Ok((swings, ranges.len())) };
    for (index, (path, (low, high))) in ranges.iter().enumerate() {
        progress.step("assumptions", index, ranges.len());
        let mut at = |end: &str| what_if::put(text, path, end).ok().map_or(Ok(None), |text| plan(&text));
        match (at(low)?, at(high)?) {
            (Some(low_end), Some(high_end)) => swings.push(Swing {
                path: (*path).clone(),
                ends: [low.clone(), high.clone()],
                worth: [low_end.worth - base.worth, high_end.worth - base.worth],
                breaks: [low_end.breaks, high_end.breaks],
                out_of_cash: likelier(&base, &low_end).zip(likelier(&base, &high_end)).map(Into::into),
            }),
            _ => skipped += 1,
        }
    }
    swings.sort_by(|a, b| b.width().cmp(&a.width()).then_with(|| a.path.cmp(&b.path)));
    Ok((swings, skipped))
}

fn likelier(base: &End, end: &End) -> Option<f64> {
    Some(end.out_of_cash? - base.out_of_cash?)
}
