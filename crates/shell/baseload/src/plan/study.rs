//! A fleet planned: the best plan, exact and checked, with what its prices, signatures and clauses are worth.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use fleet::Fleet;
use highs::Highs;
use lp::{Effort, Kept, Solver as _, Verdict};
pub use planner::plainly;
use planner::{
    Answer, Beside, Clause, DecideError, Instance, Plan, Probe, Promises, Sides, State, audit, clause_price, clauses, decide, rows, settle,
    settled, sides, survey,
};
use units::Money;

use super::figures::units_of;
use super::progress::Progress;
use crate::exit::{No, wrong};

/// Small re-solves for prices from both sides, at most: past these a price is shown from no side.
const PROBES: usize = 1200;
/// How many choices are tried the other way, at most.
const TRIED: usize = 24;

/// A fleet with its best plan.
pub struct Study {
    /// The fleet.
    pub fleet: Arc<Fleet>,
    /// It as numbers.
    pub instance: Instance,
    /// Where the plan begins.
    pub opening: State,
    /// What the solver found.
    pub answer: Answer,
    /// The plan.
    pub plan: Plan,
    /// What each clause costs, dearest first.
    pub clauses: Vec<(Clause, Money)>,
}

/// How much a study goes into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The best plan.
    Plan,
    /// And what prices, signatures and clauses are worth.
    Worth,
}

/// Plans a fleet.
pub fn study(fleet: &Arc<Fleet>, what_if: &[String], depth: Depth, solver: &mut Highs, progress: &Progress) -> Result<Study> {
    let mut instance = survey(fleet).map_err(|refused| {
        let all: Vec<String> = refused.iter().map(ToString::to_string).collect();
        wrong(format!("this can't be planned: {}", all.join("; ")))
    })?;
    let opening = State::opening(&instance);
    let effort = effort(fleet);
    progress.say("solving");
    let floor = instance.treasury.floor.clone();
    let (answer, mut beside) = solved(fleet, &mut instance, &opening, what_if, solver)?;
    let mut prices = Vec::new();
    if depth == Depth::Worth {
        let study = Worth { instance: &instance, opening: &opening, answer: &answer, effort };
        beside.sides = study.sides(solver, progress)?;
        beside.worth = study.choices(solver, progress)?;
        prices = study.clauses(solver, progress)?;
    }
    let plan = settle(fleet, &instance, &answer.decided, &beside);
    let wrongs = audit(fleet, &plan);
    if !wrongs.is_empty() {
        let shown: Vec<String> = wrongs.iter().take(5).map(ToString::to_string).collect();
        bail!("make a plan that passes its own audit, which is our fault: {} ({} in all)", shown.join("; "), wrongs.len());
    }
    // What rounding asked for beside the floor is no part of it: in scenarios no money is missing for that.
    instance.treasury.floor = floor;
    Ok(Study { fleet: Arc::clone(fleet), instance, opening, answer, plan, clauses: prices })
}

/// The promise that cash stays above its floor, as plans name it.
const CASH: &str = "finance.cash.floor";
/// How often a plan that rounding leaves short of cash is made again.
const CUSHIONS: usize = 3;

/// The best plan. Where it holds and rounding to whole units leaves cash short of its floor, the solver is asked for a little more.
fn solved(fleet: &Fleet, instance: &mut Instance, opening: &State, what_if: &[String], solver: &mut Highs) -> Result<(Answer, Beside)> {
    let mut round = 0;
    loop {
        let answer = decide(instance, opening, None, solver, effort(fleet)).map_err(undecided)?;
        let beside = Beside { what_if: what_if.to_vec(), conflicts: answer.conflict.iter().cloned().collect(), ..Beside::default() };
        let plan = settle(fleet, instance, &answer.decided, &beside);
        let short = plan.money.iter().map(|month| month.gap).max().unwrap_or(Money::ZERO);
        let breaks_cash = answer.broken.iter().any(|broken| broken.promise == CASH);
        if breaks_cash || short == Money::ZERO || round == CUSHIONS {
            return Ok((answer, beside));
        }
        round += 1;
        let cushion = 2.0 * (units_of(short) + units_of(plan.residual)) / instance.scale.money;
        instance.treasury.floor.iter_mut().for_each(|floor| *floor += cushion);
    }
}

/// The effort that the fleet's gap asks for.
pub fn effort(fleet: &Fleet) -> Effort {
    let gap = fleet.horizon.gap.map_or(100.0, |gap| ppm(gap.ppm()));
    Effort { gap: gap / 1e6, ..Effort::default() }
}

#[expect(clippy::cast_precision_loss, reason = "a share has at most ten digits")]
fn ppm(ppm: i64) -> f64 {
    ppm as f64
}

/// What can't be decided, as an error.
fn undecided(error: DecideError) -> anyhow::Error {
    match error {
        DecideError::Impossible(_) => No(format!("there is no plan: {error}")).into(),
        DecideError::Unbounded => wrong(error.to_string()),
        DecideError::Solver(_) | DecideError::Exhausted => anyhow!("find a plan: {error}"),
    }
}

/// A sum of the instance's money in the fleet's currency.
#[expect(clippy::cast_possible_truncation, reason = "the cast keeps what is past i128 at its ends")]
pub fn money(instance: &Instance, sum: f64) -> Money {
    Money::from_nanos((sum * instance.scale.money * 1e9).round() as i128)
}

struct Worth<'a> {
    instance: &'a Instance,
    opening: &'a State,
    answer: &'a Answer,
    effort: Effort,
}

impl Worth<'_> {
    /// Both sides of the prices of limits, month by month, in the first step of each.
    fn sides(&self, solver: &mut Highs, progress: &Progress) -> Result<BTreeMap<(usize, usize), Sides>> {
        progress.say("prices from both sides");
        let (mut places, mut probes) = (Vec::new(), Vec::new());
        for (step, at) in self.instance.steps.iter().enumerate() {
            if step > 0 && self.instance.steps[step - 1].month == at.month {
                continue;
            }
            for limit in 0..self.instance.limits.len() {
                if let Some(probe) = Probe::limit(self.instance, &self.answer.layout, limit, step) {
                    places.push((limit, at.month));
                    probes.push(probe);
                }
            }
        }
        let problem = settled(&self.answer.problem, &self.answer.solution);
        let found = sides(problem, &self.answer.layout, &probes, PROBES, solver, self.effort).map_err(|error| anyhow!("price: {error}"))?;
        Ok(places.into_iter().zip(found).collect())
    }

    /// What each signature is worth: the best plan with it less the best without.
    fn choices(&self, solver: &mut Highs, progress: &Progress) -> Result<BTreeMap<usize, Money>> {
        let taken = &self.answer.decided.taken;
        let planned = plainly(self.instance, &self.answer.layout, &self.answer.problem, &self.answer.solution).0;
        let mut worth = BTreeMap::new();
        for (index, choice) in self.instance.choices.iter().enumerate().take(TRIED) {
            progress.step("signatures", index, self.instance.choices.len().min(TRIED));
            let mut other = taken.clone();
            let signed = taken[index] > 0.5;
            for (at, _) in self.instance.choices.iter().enumerate().filter(|(_, of)| of.group == choice.group) {
                // The other way: this one not signed, or this one and no other of its contract.
                other[at] = if !signed && at == index { 1.0 } else { 0.0 };
            }
            if let Some(without) = self.with(&other, solver)? {
                worth.insert(index, money(self.instance, planned - without));
            }
        }
        Ok(worth)
    }

    /// The worth of the best plan with these choices, without asking why promises are broken; none where there is no plan.
    fn with(&self, taken: &[f64], solver: &mut Highs) -> Result<Option<f64>> {
        let (problem, layout) = rows(self.instance, self.opening, Promises::Priced, Some(taken));
        let solution = solver.load(problem).and_then(|()| solver.solve(self.effort, Kept::Nothing));
        let solution = solution.map_err(|error| undecided(error.into()))?;
        match solution.verdict {
            Verdict::Infeasible => Ok(None),
            Verdict::Unbounded => Err(undecided(DecideError::Unbounded)),
            Verdict::Exhausted if !solution.found() => Err(undecided(DecideError::Exhausted)),
            Verdict::Optimal | Verdict::Exhausted => Ok(Some(plainly(self.instance, &layout, solver.problem(), &solution).0)),
        }
    }

    /// What each clause costs, dearest first; signatures stay as they are.
    fn clauses(&self, solver: &mut Highs, progress: &Progress) -> Result<Vec<(Clause, Money)>> {
        let all = clauses(self.instance);
        let count = all.len();
        let taken = &self.answer.decided.taken;
        let worth = plainly(self.instance, &self.answer.layout, &self.answer.problem, &self.answer.solution).0;
        let mut priced = Vec::new();
        for (index, clause) in all.into_iter().enumerate() {
            progress.step("clauses", index, count);
            let price = clause_price(self.instance, &clause, self.opening, Some(taken), worth, solver, self.effort).map_err(undecided)?;
            // Below a millionth of the worth two optima are the same.
            let price = if price.abs() <= 1e-6 * worth.abs().max(1.0) { 0.0 } else { price };
            priced.push((clause, money(self.instance, price)));
        }
        priced.sort_by_key(|(_, price)| core::cmp::Reverse(*price));
        Ok(priced)
    }
}
