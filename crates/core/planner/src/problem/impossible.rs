//! Which hard rows contradict each other, whatever is promised.

use lp::{Block, Change, Effort, Failure, Kept, Problem, RowId, Solver, Verdict};

/// Names of an irreducible set of runs of rows without which the loaded problem, which is infeasible, would be feasible: each is
/// let go in turn, and called back when that helps. Rows that only define a quantity are never let go.
pub(super) fn impossible(solver: &mut dyn Solver, effort: Effort) -> Result<Vec<String>, Failure> {
    let problem = solver.problem().clone();
    let mut needed = Vec::new();
    for block in problem.row_blocks.iter().filter(|block| bounds(&problem, block)) {
        solver.change(&set(block, |_| (f64::NEG_INFINITY, f64::INFINITY)))?;
        if solver.solve(effort, Kept::Nothing)?.verdict != Verdict::Infeasible {
            needed.push(block.name.clone());
            solver.change(&set(block, |row| (problem.least[row], problem.most[row])))?;
        }
    }
    Ok(needed)
}

/// Whether a run of rows bounds something, rather than says what something is.
fn bounds(problem: &Problem, block: &Block) -> bool {
    (block.first..block.first + block.count).all(|row| problem.least[row as usize] < problem.most[row as usize])
}

fn set(block: &Block, to: impl Fn(usize) -> (f64, f64)) -> Vec<Change> {
    let change = |row: u32| {
        let (least, most) = to(row as usize);
        Change::Row(RowId(row), least, most)
    };
    (block.first..block.first + block.count).map(change).collect()
}
