//! The same answer from a basis, and whether answers are what they say.

use lp::{Effort, Kept, Problem, Solver as _};
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
