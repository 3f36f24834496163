//! Problems as tests state them.

use lp::{Effort, Kept, Problem, Solution, Solver as _};

use crate::solver::highs;

/// A column as (cost, low, high).
pub type Column = (f64, f64, f64);

/// A row as its factors in all columns, with its least and most.
pub type Row<'a> = (&'a [f64], f64, f64);

/// The problem of these columns and rows.
pub fn problem(columns: &[Column], rows: &[Row<'_>]) -> Problem {
    let mut problem = Problem::with_room(columns.len(), rows.len(), columns.len() * rows.len());
    let ids: Vec<_> = columns.iter().map(|&(cost, low, high)| problem.column(cost, low, high)).collect();
    for (factors, least, most) in rows {
        let present = ids.iter().zip(*factors).filter(|(_, factor)| **factor != 0.0);
        present.for_each(|(&column, &factor)| problem.entry(column, factor));
        problem.row(*least, *most);
    }
    problem
}

/// What a fresh solver answers.
pub fn solve(problem: &Problem) -> Solution {
    solve_with(problem, Effort::default())
}

pub fn solve_with(problem: &Problem, effort: Effort) -> Solution {
    let mut highs = highs();
    highs.load(problem.clone()).expect("the problem is one");
    highs.solve(effort, Kept::Nothing).expect("it is solved")
}
