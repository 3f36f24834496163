//! The same answer from a basis, and whether answers are what they say.

use highs::Highs;
use lp::{Change, Effort, Failure, Kept, Problem, Solution, Solver, Verdict};
use planner::{How, Instance, Promises, Session, State, changes, optimality, rows, settled};
use testkit::instance::random;

use crate::solved::{agree, highs, solved};

/// An instance's problem with its choices as its plan has them.
fn linear(instance: &Instance) -> Problem {
    let answer = solved(instance);
    settled(&answer.problem, &answer.solution)
}

#[test]
fn a_solution_proves_itself() {
    for seed in 0..12 {
        let problem = linear(&random(seed));
        let mut solver = highs();
        solver.load(problem.clone()).expect("a problem");
        let mut solution = solver.solve(Effort::default(), Kept::Nothing).expect("it is solved");
        assert!(optimality(&problem, &solution).holds(), "seed {seed}: {:?}", optimality(&problem, &solution));
        // A worth that is off by as little as a known fault of warm starts is noticed.
        solution.objective *= 1.0 + 1e-7;
        solution.objective += 1e-7;
        assert!(!optimality(&problem, &solution).holds(), "seed {seed}");
    }
}

#[test]
fn small_changes_are_answered_from_a_basis_and_large_ones_from_the_beginning() {
    for seed in [3, 8, 21] {
        let problem = linear(&random(seed));
        let (mut first, mut second) = (highs(), highs());
        let mut session = Session::new(&mut first, Effort::default());
        assert_eq!(session.solve(problem.clone()).expect("it is solved").1, How::Cold);
        let mut moved = problem.clone();
        for turn in 0..40_usize {
            let row = turn * 7 % moved.row_count();
            if moved.least[row] == f64::NEG_INFINITY && moved.most[row].is_finite() {
                moved.most[row] *= 1.05;
            }
            let (warm, how) = session.solve(moved.clone()).expect("it is solved");
            assert_eq!(how, How::Warm, "seed {seed}, turn {turn}");
            second.load(moved.clone()).expect("a problem");
            let cold = second.solve(Effort::default(), Kept::Nothing).expect("it is solved");
            assert!(agree(warm.objective, cold.objective), "seed {seed}: {} and {}", warm.objective, cold.objective);
        }
        let mut all = moved.clone();
        all.cost.iter_mut().for_each(|cost| *cost *= 1.01);
        assert_eq!(session.solve(all).expect("it is solved").1, How::Cold);
    }
}

/// A solver whose answers from a basis are spoilt.
struct Spoilt {
    highs: Highs,
    /// How many of them there were.
    warm: u32,
    spoil: fn(&mut Solution),
}

impl Solver for Spoilt {
    fn load(&mut self, problem: Problem) -> Result<(), Failure> {
        self.highs.load(problem)
    }

    fn problem(&self) -> &Problem {
        self.highs.problem()
    }

    fn change(&mut self, changes: &[Change]) -> Result<(), Failure> {
        self.highs.change(changes)
    }

    fn solve(&mut self, effort: Effort, kept: Kept) -> Result<Solution, Failure> {
        let mut solution = self.highs.solve(effort, kept)?;
        self.warm += u32::from(kept == Kept::Basis);
        // The first only finds the basis again.
        if kept == Kept::Basis && self.warm == 2 {
            (self.spoil)(&mut solution);
        }
        Ok(solution)
    }
}

#[test]
fn what_a_basis_answers_wrongly_is_answered_from_the_beginning() {
    let spoils: [fn(&mut Solution); 5] = [
        |solution| solution.objective += 1e-6 * solution.objective.abs().max(1.0),
        |solution| solution.columns[0] -= 1.0,
        |solution| solution.duals.fill(0.0),
        |solution| *solution = Solution::none(Verdict::Exhausted),
        |solution| *solution = Solution::none(Verdict::Infeasible),
    ];
    let problem = linear(&random(3));
    let mut moved = problem.clone();
    moved.most.iter_mut().filter(|most| most.is_finite() && **most > 0.0).take(1).for_each(|most| *most *= 0.5);
    let mut cold = highs();
    cold.load(moved.clone()).expect("a problem");
    let best = cold.solve(Effort::default(), Kept::Nothing).expect("it is solved");
    for spoil in spoils {
        let mut solver = Spoilt { highs: highs(), warm: 0, spoil };
        let mut session = Session::new(&mut solver, Effort::default());
        assert_eq!(session.solve(problem.clone()).expect("it is solved").1, How::Cold);
        let (answer, how) = session.solve(moved.clone()).expect("it is solved");
        assert_eq!((how, &answer), (How::Corrected, &best));
        assert_eq!(session.problem(), &moved);
    }
}

#[test]
fn changes_turn_one_problem_into_the_other() {
    let instance = random(5);
    let write = |instance: &Instance| rows(instance, &State::opening(instance), Promises::Priced, None).0;
    let (old, mut moved) = (write(&instance), instance.clone());
    moved.treasury.cash += 1.0;
    let some = moved.limits.iter_mut().find(|limit| limit.most.fixed[0] > 0.0).expect("some limit leaves something");
    some.most.fixed[0] += 2.0;
    moved.gap_cost += 1.0;
    let new = write(&moved);
    let mut turned = old.clone();
    for change in changes(&old, &new).expect("they have one structure") {
        turned.change(change).expect("the change is possible");
    }
    assert_eq!(turned, new);
    moved.works.pop();
    moved.fits.retain(|fit| fit.work < moved.works.len());
    assert_eq!(changes(&old, &write(&moved)), None);
}
