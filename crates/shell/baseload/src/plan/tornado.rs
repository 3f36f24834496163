//! Which assumption moves the plan most: each figure with a range at both of its ends, what is signed staying as planned.

use anyhow::Result;
use highs::Highs;
use lp::Verdict;
use planner::{Promises, Session, State, rows, survey};
use serde::Serialize;
use units::Money;

use super::progress::Progress;
use super::study::{Study, effort, money, plainly};
use super::what_if;

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
}

impl Swing {
    /// How far the two ends and the plan are apart.
    pub fn width(&self) -> Money {
        let (low, high) = (self.worth[0].min(self.worth[1]), self.worth[0].max(self.worth[1]));
        high.max(Money::ZERO) - low.min(Money::ZERO)
    }
}

/// Every figure with a range that can be planned at both ends, widest first; and how many could not.
pub fn tornado(study: &Study, text: &str, solver: &mut Highs, progress: &Progress) -> Result<(Vec<Swing>, usize)> {
    let (mut swings, mut skipped) = (Vec::new(), 0);
    let ranges: Vec<_> = study.fleet.figures.iter().filter_map(|(path, note)| Some((path, note.range.as_ref()?))).collect();
    let effort = effort(&study.fleet);
    let mut session = Session::new(solver, effort);
    let mut worth = |text: &str| -> Result<Option<(Money, bool)>> {
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
        Ok(Some((money(&instance, worth), breaks)))
    };
    // With what is signed held as it is, so that ends are compared with like.
    let Some((base, _)) = worth(text)? else { return Ok((swings, ranges.len())) };
    for (index, (path, (low, high))) in ranges.iter().enumerate() {
        progress.step("assumptions", index, ranges.len());
        let mut at = |end: &str| what_if::put(text, path, end).ok().map_or(Ok(None), |text| worth(&text));
        match (at(low)?, at(high)?) {
            (Some((at_low, breaks_low)), Some((at_high, breaks_high))) => swings.push(Swing {
                path: (*path).clone(),
                ends: [low.clone(), high.clone()],
                worth: [at_low - base, at_high - base],
                breaks: [breaks_low, breaks_high],
            }),
            _ => skipped += 1,
        }
    }
    swings.sort_by(|a, b| b.width().cmp(&a.width()).then_with(|| a.path.cmp(&b.path)));
    Ok((swings, skipped))
}
