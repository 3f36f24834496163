//! The same answer again: from a kept basis, in another solver, on another thread.

use std::thread;

use lp::{Change, ColumnId, Effort, Kept, Problem, RowId, Solution, Solver as _, Verdict};
use proptest::prelude::*;

use crate::random::problems;
use crate::solver::{agree, highs};
use crate::stated::solve;

/// Moves of one bound or factor, as (kind, which, by how much).
fn moves() -> impl Strategy<Value = Vec<(u8, u32, i8)>> {
    proptest::collection::vec((0..4_u8, 0..64_u32, -2..=2_i8), 1..4)
}

fn change(problem: &Problem, (kind, which, by): (u8, u32, i8)) -> Change {
    let wrap = |count: usize| which % u32::try_from(count).expect("a small problem");
    let (column, row, by) = (wrap(problem.column_count()), wrap(problem.row_count()), f64::from(by));
    match kind {
        0 => Change::Column(ColumnId(column), problem.low[column as usize] + by, problem.high[column as usize] + by),
        1 => Change::Row(RowId(row), problem.least[row as usize] + by, problem.most[row as usize] + by),
        2 => Change::Cost(ColumnId(column), by),
        _ => Change::Factor(RowId(row), ColumnId(column), by),
    }
}

/// Each history solves several problems: a share of those that a pure property has.
const SHARE: u32 = 80;
/// With each change.
const HISTORIES: u32 = 20_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(HISTORIES.div_ceil(SHARE)))]

    #[test]
    fn a_changed_problem_from_its_basis_is_worth_what_it_is_worth_from_the_beginning(mut problem in problems(), moves in moves()) {
        let mut highs = highs();
        highs.load(problem.clone()).expect("a problem");
        highs.solve(Effort::default(), Kept::Nothing).expect("it is solved");
        for made in moves {
            let change = change(&problem, made);
            problem.change(change).expect("the change is possible");
            highs.change(&[change]).expect("the change is possible");
            let warm = highs.solve(Effort::default(), Kept::Basis).expect("it is solved");
            let cold = solve(&problem);
            prop_assert_eq!(warm.verdict, cold.verdict);
            prop_assert!(warm.verdict != Verdict::Optimal || agree(warm.objective, cold.objective), "{} and {}", warm.objective, cold.objective);
        }
    }

    #[test]
    fn another_solver_and_another_thread_say_the_same_bytes(problem in problems(), whole in any::<bool>()) {
        let mut problem = problem;
        if whole {
            problem.whole = (0..).take(problem.column_count()).map(ColumnId).collect();
        }
        let mut first = highs();
        let mut second = first.another().expect("a second solver");
        let answer = |solution: Solution| format!("{solution:?}");
        first.load(problem.clone()).expect("a problem");
        second.load(problem).expect("a problem");
        let here = answer(first.solve(Effort::default(), Kept::Nothing).expect("it is solved"));
        let there = thread::spawn(move || second.solve(Effort::default(), Kept::Nothing).expect("it is solved"));
        prop_assert_eq!(&here, &answer(there.join().expect("it ends")));
        prop_assert_eq!(&here, &answer(first.solve(Effort::default(), Kept::Nothing).expect("it is solved")), "solved twice");
    }
}
