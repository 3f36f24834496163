//! A dual lies between what one unit more gains and what one unit less loses, whichever corner the solver stopped at.

use std::cell::Cell;

use lp::{Change, ColumnId, Effort, Kept, Problem, RowId, Solver as _, Verdict};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::random::problems;
use crate::solver::highs;
use crate::stated::solve;

const STEP: f64 = 1.0 / 64.0;
/// Each problem is solved for every bound that is moved: a share of the histories that a pure property has.
const SHARE: u32 = 100;
/// With each change.
const HISTORIES: u32 = 20_000;

/// The worth of the problem with one bound pair moved; minus infinite when nothing is feasible then.
fn worth(problem: &Problem, change: Change) -> f64 {
    let mut moved = problem.clone();
    moved.change(change).expect("a change of bounds");
    let mut highs = highs();
    highs.load(moved).expect("a problem");
    let solution = highs.solve(Effort::default(), Kept::Nothing).expect("it is solved");
    assert!(matches!(solution.verdict, Verdict::Optimal | Verdict::Infeasible), "{solution:?}");
    solution.objective
}

/// Worth is concave in a bound, so that the interval of finite differences holds every dual, however large the step.
fn between(problem: &Problem, at: f64, dual: f64, change: impl Fn(f64) -> Change) -> Result<bool, TestCaseError> {
    let more = (worth(problem, change(STEP)) - at) / STEP;
    let less = (at - worth(problem, change(-STEP))) / STEP;
    prop_assert!(more - 1e-6 <= dual && dual <= less + 1e-6, "{more} <= {dual} <= {less} is wrong in {problem:?}");
    Ok((less - more).abs() < 1e-6 && dual.abs() > 1e-3)
}

#[test]
fn every_dual_is_inside_its_finite_differences() {
    let pinned = Cell::new(0);
    let check = |problem: Problem| {
        let solution = solve(&problem);
        prop_assert_eq!(solution.verdict, Verdict::Optimal);
        for (row, &dual) in (0..).zip(&solution.duals) {
            let bounds = |step: f64| Change::Row(RowId(row), problem.least[row as usize] + step, problem.most[row as usize] + step);
            pinned.set(pinned.get() + u32::from(between(&problem, solution.objective, dual, bounds)?));
        }
        for (column, &dual) in (0..).zip(&solution.reduced) {
            let bounds =
                |step: f64| Change::Column(ColumnId(column), problem.low[column as usize] + step, problem.high[column as usize] + step);
            pinned.set(pinned.get() + u32::from(between(&problem, solution.objective, dual, bounds)?));
        }
        Ok(())
    };
    let mut runner = TestRunner::new(Config { cases: HISTORIES.div_ceil(SHARE), ..Config::default() });
    runner.run(&problems(), check).expect("every dual is inside");
    // Where both differences agree, the dual can only be that number: the signs are right.
    assert!(pinned.get() > 200, "only {} duals were pinned down", pinned.get());
}

#[test]
fn duals_after_a_search_are_those_of_the_fixed_problem() {
    let check = |mut problem: Problem| {
        problem.whole = (0..).take(problem.column_count()).step_by(2).map(ColumnId).collect();
        let searched = solve(&problem);
        // The feasible point that the problem was built around is whole.
        prop_assert_eq!(searched.verdict, Verdict::Optimal);
        for id in std::mem::take(&mut problem.whole) {
            let value = searched.columns[id.0 as usize];
            prop_assert_eq!(value, value.round());
            problem.change(Change::Column(id, value, value)).expect("a change of bounds");
        }
        let fixed = solve(&problem);
        prop_assert_eq!((fixed.objective, &fixed.duals, &fixed.reduced), (searched.objective, &searched.duals, &searched.reduced));
        Ok(())
    };
    let mut runner = TestRunner::new(Config { cases: HISTORIES.div_ceil(SHARE), ..Config::default() });
    runner.run(&problems(), check).expect("the duals are the same");
}
