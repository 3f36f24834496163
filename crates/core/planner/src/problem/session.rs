//! What-ifs one after another on one solver: from the last basis while little changes, from the beginning otherwise.

use lp::{Effort, Failure, Kept, Problem, Solution, Solver, Verdict};

use super::changes::{changed_share, changes};
use super::optimality::optimality;

/// Up to this share of changes to rows the last basis is worth more than a presolve.
const FEW: f64 = 0.02;
/// Every so many answers from a basis, the answer is compared with one from the beginning.
const CHECKPOINT: u32 = 16;
/// The relative difference in worth at which two answers are the same.
const SAME: f64 = 1e-9;

/// How an answer was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// From the beginning.
    Cold,
    /// From the last basis.
    Warm,
    /// From the last basis first, which gave a wrong answer; then from the beginning.
    Corrected,
}

/// A solver with the last problem that it solved.
pub struct Session<'s> {
    solver: &'s mut dyn Solver,
    effort: Effort,
    loaded: Option<Problem>,
    warm: u32,
}

impl<'s> Session<'s> {
    /// A session in which nothing has been asked yet.
    #[must_use]
    pub fn new(solver: &'s mut dyn Solver, effort: Effort) -> Self {
        Self { solver, effort, loaded: None, warm: 0 }
    }

    /// Solves a problem, in the way that suits how much of it is new.
    ///
    /// # Errors
    /// When the solver breaks off.
    pub fn solve(&mut self, problem: &Problem) -> Result<(Solution, How), Failure> {
        let few = self.loaded.as_ref().filter(|old| old.whole.is_empty()).and_then(|old| changes(old, problem));
        let Some(few) = few.filter(|few| changed_share(problem, few) <= FEW) else {
            return Ok((self.cold(problem)?, How::Cold));
        };
        self.solver.change(&few)?;
        let solution = self.solver.solve(self.effort, Kept::Basis)?;
        self.loaded = Some(problem.clone());
        if solution.verdict != Verdict::Optimal || !optimality(problem, &solution).holds() {
            return Ok((self.cold(problem)?, How::Corrected));
        }
        self.warm += 1;
        if self.warm.is_multiple_of(CHECKPOINT) {
            let cold = self.cold(problem)?;
            let differs = (cold.objective - solution.objective).abs() > SAME * cold.objective.abs().max(1.0);
            return Ok((cold, if differs { How::Corrected } else { How::Warm }));
        }
        Ok((solution, How::Warm))
    }

    fn cold(&mut self, problem: &Problem) -> Result<Solution, Failure> {
        self.solver.load(problem)?;
        let solution = self.solver.solve(self.effort, Kept::Nothing)?;
        self.loaded = (solution.verdict == Verdict::Optimal).then(|| problem.clone());
        Ok(solution)
    }
}
