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
    /// From the last basis first, which led nowhere or to a wrong answer; then from the beginning.
    Corrected,
}

/// A solver that goes on from the last problem that it solved: of which it has the only copy.
pub struct Session<'s> {
    solver: &'s mut dyn Solver,
    effort: Effort,
    /// Whether the solver stands at the best of its problem.
    stands: bool,
    warm: u32,
}

impl<'s> Session<'s> {
    /// A session in which nothing has been asked yet.
    #[must_use]
    pub fn new(solver: &'s mut dyn Solver, effort: Effort) -> Self {
        Self { solver, effort, stands: false, warm: 0 }
    }

    /// The problem that was solved last.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        self.solver.problem()
    }

    /// Solves a problem, in the way that suits how much of it is new.
    ///
    /// # Errors
    /// When the solver breaks off.
    pub fn solve(&mut self, problem: Problem) -> Result<(Solution, How), Failure> {
        let old = self.problem();
        let few = if self.stands && old.whole.is_empty() { changes(old, &problem) } else { None };
        let Some(few) = few.filter(|few| changed_share(&problem, few) <= FEW) else {
            return Ok((self.cold(problem)?, How::Cold));
        };
        drop(problem);
        self.solver.change(&few)?;
        let solution = self.solver.solve(self.effort, Kept::Basis)?;
        if !self.holds(&solution) {
            let problem = self.problem().clone();
            return Ok((self.cold(problem)?, How::Corrected));
        }
        if solution.from == Kept::Nothing {
            self.ready()?;
            return Ok((solution, How::Corrected));
        }
        self.warm += 1;
        if self.warm.is_multiple_of(CHECKPOINT) {
            let problem = self.problem().clone();
            let cold = self.cold(problem)?;
            let differs = (cold.objective - solution.objective).abs() > SAME * cold.objective.abs().max(1.0);
            return Ok((cold, if differs { How::Corrected } else { How::Warm }));
        }
        Ok((solution, How::Warm))
    }

    fn cold(&mut self, problem: Problem) -> Result<Solution, Failure> {
        self.stands = false;
        self.solver.load(problem)?;
        let solution = self.solver.solve(self.effort, Kept::Nothing)?;
        if solution.verdict == Verdict::Optimal {
            self.ready()?;
        }
        Ok(solution)
    }

    /// Has a solver without integers find its basis again, so that it is ready for the first what-if and not only for the second.
    fn ready(&mut self) -> Result<(), Failure> {
        self.stands = self.problem().whole.is_empty() && {
            let again = self.solver.solve(self.effort, Kept::Basis)?;
            self.holds(&again)
        };
        Ok(())
    }

    fn holds(&self, solution: &Solution) -> bool {
        solution.verdict == Verdict::Optimal && optimality(self.problem(), solution).holds()
    }
}
