//! Problems small enough to solve by hand.

use lp::{Change, ColumnId, Effort, Kept, Problem, RowId, Solution, Solver as _, Verdict};

use crate::solver::{FREE, agree, highs};
use crate::stated::{Column, Row, problem, solve, solve_with};

fn check(columns: &[Column], rows: &[Row<'_>], objective: f64, chosen: &[f64], duals: &[f64], reduced: &[f64]) {
    let solution = solve(&problem(columns, rows));
    assert_eq!(solution.verdict, Verdict::Optimal);
    assert!(agree(solution.objective, objective), "{solution:?}");
    for (found, expected) in [(&solution.columns, chosen), (&solution.duals, duals), (&solution.reduced, reduced)] {
        assert_eq!(found.len(), expected.len(), "{solution:?}");
        assert!(found.iter().zip(expected).all(|(&found, &expected)| agree(found, expected)), "{solution:?}, not {expected:?}");
    }
    assert!(solution.residual <= 1e-9 && solution.gap <= 1e-12, "{solution:?}");
}

#[test]
fn what_one_more_unit_is_worth_has_the_sign_of_the_objective() {
    // 3 a + 2 b with a + b <= 4 and a + 3 b <= 9, a <= 3: the corner a = 3, b = 1, where only the first row binds.
    let columns = [(3.0, 0.0, 3.0), (2.0, 0.0, FREE)];
    check(&columns, &[(&[1.0, 1.0], -FREE, 4.0), (&[1.0, 3.0], -FREE, 9.0)], 11.0, &[3.0, 1.0], &[2.0, 0.0], &[1.0, 0.0]);
    // A cost of 2 each for at least 5: one more to do costs 2.
    check(&[(-2.0, 0.0, FREE)], &[(&[1.0], 5.0, FREE)], -10.0, &[5.0], &[-2.0], &[0.0]);
    // A column held at its least that would rather be zero.
    check(&[(-2.0, 1.0, FREE), (1.0, 0.0, 2.0)], &[(&[1.0, 1.0], 0.0, 9.0)], 0.0, &[1.0, 2.0], &[0.0], &[-2.0, 1.0]);
}

#[test]
fn the_offset_and_empty_problems_count() {
    let offset = Problem { offset: 7.5, ..problem(&[(1.0, 0.0, 2.0)], &[]) };
    assert!(agree(solve(&offset).objective, 9.5));
    let empty = solve(&Problem { offset: 7.5, ..problem(&[], &[]) });
    assert_eq!((empty.verdict, empty.objective, empty.columns.len()), (Verdict::Optimal, 7.5, 0));
}

/// A knapsack of 3 x 5, 4 x 6, 2 x 3 worth in 5 of weight: without fractions 8 and not 7 + 2/3; the continuous column fills what is left.
fn knapsack() -> Problem {
    let mut problem = Problem::with_room(0, 0, 0);
    let items = [5.0, 6.0, 3.0].map(|worth| problem.choice(worth));
    let filler = problem.column(0.5, 0.0, FREE);
    items.iter().zip([3.0, 4.0, 2.0]).for_each(|(&item, weight)| problem.entry(item, weight));
    problem.entry(filler, 1.0);
    problem.row(-FREE, 5.5);
    problem
}

/// The presolve of HiGHS 1.15.1 finds that nothing satisfies this, with the first and the third column whole; 0, 0, 0 and 2 do.
#[test]
fn what_presolve_wrongly_takes_for_infeasible_is_solved() {
    let columns = [(0.0, 0.0, 1.0), (0.0, -1.0, 2.0), (0.0, 0.0, 1.0), (0.0, 0.0, 3.0)];
    let rows: [Row<'_>; 7] = [
        (&[0.0; 4], -FREE, 0.0),
        (&[-2.0, 1.0, 3.0, -2.0], -4.0, -4.0),
        (&[-1.0, 1.0, 0.0, 0.0], -FREE, 2.0),
        (&[0.0, 1.0, -3.0, -1.0], -2.0, -2.0),
        (&[0.0, 2.0, -1.0, 1.0], 2.0, FREE),
        (&[0.0; 4], -FREE, 0.0),
        (&[0.0, 2.0, -1.0, 2.0], 4.0, FREE),
    ];
    let stated = Problem { whole: vec![ColumnId(0), ColumnId(2)], ..problem(&columns, &rows) };
    let solution = solve(&stated);
    assert_eq!(solution.verdict, Verdict::Optimal);
    assert!(solution.columns.iter().zip([0.0, 0.0, 0.0, 2.0]).all(|(&found, by_hand)| agree(found, by_hand)), "{solution:?}");
    // What nothing satisfies stays so.
    let mut never = stated;
    never.change(Change::Column(ColumnId(3), 0.0, 1.0)).expect("a change of bounds");
    assert_eq!(solve(&never).verdict, Verdict::Infeasible);
}

#[test]
fn whole_columns_are_searched_and_duals_are_those_with_them_fixed() {
    let solution = solve(&knapsack());
    assert_eq!((solution.verdict, &solution.columns[..3]), (Verdict::Optimal, &[1.0, 0.0, 1.0][..]));
    assert!(agree(solution.objective, 8.25) && agree(solution.columns[3], 0.5) && agree(solution.duals[0], 0.5), "{solution:?}");
    assert!(solution.gap <= 1e-6 && solution.residual <= 1e-9, "{solution:?}");
}

#[test]
fn fixed_choices_are_linear_and_choices_come_back() {
    let mut highs = highs();
    highs.load(knapsack()).expect("a problem");
    let mut answer = |changes: &[Change]| {
        highs.change(changes).expect("it can be changed");
        let solution = highs.solve(Effort::default(), Kept::Basis).expect("it is solved");
        (solution.objective, solution.columns[..3].to_vec())
    };
    let first = |low, high| Change::Column(ColumnId(0), low, high);
    let free = (8.25, vec![1.0, 0.0, 1.0]);
    assert_eq!(answer(&[]), free);
    assert_eq!(answer(&[first(0.0, 0.0)]), (6.75, vec![0.0, 1.0, 0.0]));
    let all = [first(1.0, 1.0), Change::Column(ColumnId(1), 0.0, 0.0), Change::Column(ColumnId(2), 0.0, 0.0)];
    assert_eq!(answer(&all), (6.25, vec![1.0, 0.0, 0.0]));
    let back = [0, 1, 2].map(|column| Change::Column(ColumnId(column), 0.0, 1.0));
    assert_eq!(answer(&back), free);
    assert_eq!(answer(&[Change::Row(RowId(0), -FREE, 9.0), Change::Cost(ColumnId(3), 0.0)]), (14.0, vec![1.0, 1.0, 1.0]));
    assert_eq!(answer(&[Change::Factor(RowId(0), ColumnId(1), 8.0)]).0, 8.0);
    let half = highs.change(&[first(0.5, 0.5)]).and_then(|()| highs.solve(Effort::default(), Kept::Basis)).expect("it is solved");
    assert_eq!(half.verdict, Verdict::Infeasible, "half a choice is none");
}

fn verdict(problem: &Problem) -> Verdict {
    let solution = solve(problem);
    assert!(!solution.found() && solution.columns.is_empty() && solution.duals.is_empty(), "{solution:?}");
    solution.verdict
}

#[test]
fn no_solution_is_an_answer() {
    let mut none = problem(&[(1.0, 0.0, 1.0), (1.0, 0.0, 1.0)], &[(&[1.0, 1.0], 3.0, FREE)]);
    assert_eq!(verdict(&none), Verdict::Infeasible);
    none.whole = vec![ColumnId(0)];
    assert_eq!(verdict(&none), Verdict::Infeasible);
    let mut endless = problem(&[(1.0, 0.0, FREE), (-1.0, 0.0, FREE)], &[(&[1.0, -1.0], 0.0, FREE)]);
    assert_eq!(verdict(&endless), Verdict::Unbounded);
    endless.whole = vec![ColumnId(0), ColumnId(1)];
    assert_eq!(verdict(&endless), Verdict::Unbounded);
    // Its relaxation is unbounded, but no whole number is in it.
    let mut neither = problem(&[(1.0, 0.0, FREE), (0.0, 0.2, 0.8)], &[(&[1.0, 1.0], 0.0, FREE)]);
    neither.whole = vec![ColumnId(1)];
    assert_eq!(verdict(&neither), Verdict::Infeasible);
}

/// 40 things to take or leave in 5 bags, with worths and weights that look random: many iterations and nodes.
fn bags() -> Problem {
    let mut problem = Problem::with_room(40, 5, 200);
    let ids: Vec<ColumnId> = (0..40_u32).map(|item| problem.choice(f64::from(100 + item * 7919 % 101))).collect();
    for bag in 0..5 {
        ids.iter().for_each(|&id| problem.entry(id, f64::from(50 + (id.0 * 104_729 + bag * 7907) % 97)));
        problem.row(-FREE, 1500.0);
    }
    problem
}

fn limited(problem: &Problem, effort: Effort) -> Solution {
    let solution = solve_with(problem, effort);
    assert_eq!(solution.found(), solution.columns.len() == problem.column_count(), "{:?}", solution.verdict);
    solution
}

#[test]
fn effort_that_is_used_up_is_told() {
    let linear = Problem { whole: Vec::new(), ..bags() };
    let full = limited(&linear, Effort::default());
    assert!(full.verdict == Verdict::Optimal && full.iterations > 2, "{} iterations", full.iterations);
    let few = limited(&linear, Effort { iterations: 2, ..Effort::default() });
    assert!(few.verdict == Verdict::Exhausted && few.iterations <= 2, "{:?} after {}", few.verdict, few.iterations);

    let exact = Effort { gap: 0.0, ..Effort::default() };
    let best = limited(&bags(), exact);
    assert!(best.verdict == Verdict::Optimal && best.gap <= 1e-9 && best.nodes > 1, "{best:?}");
    let some = limited(&bags(), Effort { nodes: 1, ..exact });
    assert!(some.verdict == Verdict::Exhausted && some.nodes <= 1, "{:?} after {}", some.verdict, some.nodes);
    assert!(some.found() && some.gap > 0.0 && some.residual <= 1e-9, "{some:?}");
    assert!(some.objective <= best.objective && best.objective <= some.objective * (1.0 + some.gap) * (1.0 + 1e-9), "{some:?}");

    let coarse = limited(&bags(), Effort { gap: 0.5, ..exact });
    assert!(coarse.verdict == Verdict::Optimal && coarse.gap <= 0.5 && coarse.nodes <= best.nodes, "{coarse:?}");
    let any = limited(&bags(), Effort { gap: f64::INFINITY, ..exact });
    assert!(any.verdict == Verdict::Optimal && any.found(), "{any:?}");
}

#[test]
fn a_problem_that_is_none_is_refused_in_its_own_words() {
    let mut wrong = problem(&[(1.0, 0.0, 1.0)], &[]);
    wrong.name_columns("use of oracle", 0);
    wrong.low[0] = 2.0;
    let failure = highs().load(wrong).expect_err("its least is above its most");
    assert_eq!(failure.to_string(), "the solver broke off: use of oracle is in 2..=1");
    let mut highs = highs();
    highs.load(problem(&[(1.0, 0.0, 1.0)], &[])).expect("a problem");
    let changes = [Change::Column(ColumnId(0), 0.0, 3.0), Change::Column(ColumnId(9), 0.0, 1.0)];
    assert_eq!(highs.change(&changes).expect_err("there is no column 9").to_string(), "the solver broke off: there is no column 9");
    assert_eq!(highs.solve(Effort::default(), Kept::Basis).expect("it is solved").objective, 3.0, "what stood before it is made");
}
