//! What an answer is worth in money, whatever promises it breaks.

use lp::{Problem, Solution};

use super::layout::Layout;
use super::promises::promises;
use crate::Instance;

/// Below this a slack is the solver's tolerance, in the instance's units.
const NOTHING: f64 = 1e-6;

/// The worth without what broken promises cost beside themselves: money that is missing counts once, as it must come from somewhere.
/// And whether any promise is broken.
#[must_use]
pub fn plainly(instance: &Instance, layout: &Layout, problem: &Problem, solution: &Solution) -> (f64, bool) {
    let slacks = promises(instance, layout).into_iter().flat_map(|promise| promise.slacks);
    let broken: Vec<_> = slacks.map(|slack| slack.0 as usize).filter(|slack| solution.columns[*slack] > NOTHING).collect();
    let penalty: f64 = broken.iter().map(|slack| problem.cost[*slack] * solution.columns[*slack]).sum();
    let missing: f64 = layout.columns.gap.iter().flatten().map(|gap| solution.columns[gap.0 as usize]).sum();
    (solution.objective - penalty - missing, !broken.is_empty())
}
