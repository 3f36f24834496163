//! The solver.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::path::Path;

use lp::{Change, ColumnId, Effort, Failure, Kept, Problem, RowId, Solution, Solver, Verdict};

use crate::find;
use crate::library::{Functions, Instance, Setting};
use crate::memory;

/// What every solve has in common. Tolerances are a hundredth of HiGHS's own, so that a kept basis and a fresh start agree to nine digits.
const SETTINGS: [(&CStr, Setting); 9] = [
    (c"output_flag", Setting::Flag(false)),
    (c"threads", Setting::Count(1)),
    (c"parallel", Setting::Word(c"off")),
    (c"random_seed", Setting::Count(0)),
    (c"time_limit", Setting::Number(f64::INFINITY)),
    (c"primal_feasibility_tolerance", Setting::Number(1e-9)),
    (c"dual_feasibility_tolerance", Setting::Number(1e-9)),
    (c"mip_feasibility_tolerance", Setting::Number(1e-9)),
    (c"mip_abs_gap", Setting::Number(1e-9)),
];
/// What solves from a kept basis have beside that. Perturbed costs would have to be mended afterwards, which takes most of the iterations of a
/// small change; and exact weights of a basis that has just been set take longer than what they save.
const WARM: [(&CStr, Setting); 2] =
    [(c"dual_simplex_cost_perturbation_multiplier", Setting::Number(0.0)), (c"simplex_dual_edge_weight_strategy", Setting::Count(DEVEX))];
const DEVEX: u32 = 1;
/// A kept basis may take an iteration for so many rows, or these when that is more: past them a presolve was worth it.
const ROWS_AN_ITERATION: usize = 8;
const ITERATIONS_LEAST: u32 = 1000;
/// A solution from a kept basis that misses bounds by more than this is solved again from the beginning.
const RESIDUAL_MAX: f64 = 1e-6;

/// So is one whose duals leave room for something better by more than this, relatively.
const GAP_MAX: f64 = 1e-9;
/// What `primal_solution_status` is when there is a feasible solution.
const FEASIBLE: u32 = 2;
/// What `basis_validity` is when there is a basis.
const VALID: u32 = 1;

/// How the problem stands after a run, as the C interface numbers it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Ended(Verdict),
    InfeasibleOrUnbounded,
    Unknown(i32),
}

/// HiGHS with one problem loaded.
pub struct Highs {
    instance: Instance,
    /// The problem as it stands with all changes.
    problem: Problem,
    /// Whether HiGHS knows the whole columns as such now.
    whole: bool,
    /// Whether HiGHS has solved anything since the problem was passed.
    ran: bool,
    /// Whether the last run left a basis; HiGHS doesn't say any more once something is changed.
    based: bool,
    /// Whether it goes on from basis to basis.
    warm: bool,
}

impl Highs {
    /// Loads HiGHS from the file that `BASELOAD_SOLVER` names, or from `folder`.
    ///
    /// # Errors
    /// When it isn't there, can't be loaded or has another minor version; the message says what to do.
    pub fn find(folder: &Path) -> Result<Self, Failure> {
        Self::of(find::find(folder)?)
    }

    /// Another HiGHS from the same library, with nothing loaded.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn another(&self) -> Result<Self, Failure> {
        Self::of(self.instance.functions())
    }

    /// The version of the library, such as `1.15.1`.
    #[must_use]
    pub fn version(&self) -> String {
        self.instance.functions().version()
    }

    fn of(functions: &'static Functions) -> Result<Self, Failure> {
        Ok(Self {
            instance: instance(functions)?,
            problem: Problem::with_room(0, 0, 0),
            whole: false,
            ran: false,
            based: false,
            warm: false,
        })
    }

    /// Begins anew with the problem as it stands. HiGHS keeps memory of what it solved until it is destroyed.
    fn anew(&mut self) -> Result<(), Failure> {
        if self.ran {
            self.clear()?;
            self.instance.pass(&self.problem)?;
        }
        Ok(())
    }

    /// Gives up what HiGHS holds before anything else is taken.
    fn clear(&mut self) -> Result<(), Failure> {
        self.instance = instance(self.instance.functions())?;
        if self.warm {
            memory::give_back();
        }
        (self.whole, self.ran, self.based, self.warm) = (false, false, false, false);
        Ok(())
    }

    /// Gets ready to go on from the last basis, if there is one, without what HiGHS keeps of its presolve.
    fn settle(&mut self) -> Result<(), Failure> {
        if self.warm || !self.based {
            return Ok(());
        }
        let basis = self.instance.basis()?;
        self.clear()?;
        memory::give_back();
        memory::keep();
        WARM.iter().try_for_each(|&(option, setting)| self.instance.set(option, setting))?;
        self.instance.pass(&self.problem)?;
        self.instance.set_basis(&basis)?;
        self.warm = true;
        Ok(())
    }

    /// Whether a whole column still has a choice. Once all are fixed, a solve is a linear one and keeps its basis.
    fn chooses(&self) -> bool {
        let fixed = |id: &ColumnId| self.problem.low[id.0 as usize] == self.problem.high[id.0 as usize];
        self.problem.whole.iter().any(|id| !fixed(id) || self.problem.low[id.0 as usize].fract() != 0.0)
    }

    fn set_whole(&mut self, whole: bool) -> Result<(), Failure> {
        if self.whole != whole {
            let set: Vec<u32> = self.problem.whole.iter().map(|id| id.0).collect();
            self.instance.set_whole(&set, whole)?;
            self.whole = whole;
        }
        Ok(())
    }

    fn limit(&mut self, effort: Effort) -> Result<(), Failure> {
        self.instance.set(c"simplex_iteration_limit", Setting::Count(effort.iterations))?;
        self.instance.set(c"mip_max_nodes", Setting::Count(effort.nodes))?;
        self.instance.set(c"mip_rel_gap", Setting::Number(effort.gap))
    }

    fn run(&mut self) -> Result<Standing, Failure> {
        use Standing::{Ended, InfeasibleOrUnbounded, Unknown};
        self.ran = true;
        let status = self.instance.run()?;
        self.based = self.instance.count(c"basis_validity") == VALID;
        Ok(match status {
            // Nothing to choose, or chosen best.
            6 | 7 => Ended(Verdict::Optimal),
            8 => Ended(Verdict::Infeasible),
            9 => InfeasibleOrUnbounded,
            10 => Ended(Verdict::Unbounded),
            // Iterations, or nodes.
            14 | 16 => Ended(Verdict::Exhausted),
            other => Unknown(other),
        })
    }

    /// Runs and reads the answer.
    fn answer(&mut self) -> Result<Solution, Failure> {
        let standing = self.run()?;
        self.read(standing)
    }

    /// Solves without a search.
    fn linear(&mut self, effort: Effort, kept: Kept) -> Result<Solution, Failure> {
        if kept == Kept::Basis {
            self.settle()?;
        }
        if self.warm
            && let Some(solution) = self.again(effort)?
        {
            return Ok(solution);
        }
        self.anew()?;
        self.limit(effort)?;
        self.proven()
    }

    /// What the last basis leads to, unless that takes long or there is reason for doubt.
    fn again(&mut self, effort: Effort) -> Result<Option<Solution>, Failure> {
        let patience = u32::try_from(self.problem.row_count() / ROWS_AN_ITERATION).unwrap_or(u32::MAX);
        let iterations = effort.iterations.min(patience.max(ITERATIONS_LEAST));
        self.limit(Effort { iterations, ..effort })?;
        // That it broke off is no more than a reason to begin anew.
        let Ok(solution) = self.proven() else { return Ok(None) };
        let long = solution.verdict == Verdict::Exhausted && iterations < effort.iterations;
        let sure = !long && solution.residual <= RESIDUAL_MAX && solution.gap <= GAP_MAX;
        Ok(sure.then_some(Solution { from: Kept::Basis, ..solution }))
    }

    /// An answer with the gap that its duals leave.
    fn proven(&mut self) -> Result<Solution, Failure> {
        let mut solution = self.answer()?;
        if solution.verdict == Verdict::Optimal {
            let left = self.problem.bound(&solution.duals) - solution.objective;
            solution.gap = left.max(0.0) / solution.objective.abs().max(1.0);
        }
        Ok(solution)
    }

    /// Decides the whole columns by a search, then fixes them and solves again, for the duals.
    fn search(&mut self) -> Result<Solution, Failure> {
        let found = self.found()?;
        let bound = self.instance.number(c"mip_dual_bound").filter(|bound| bound.is_finite());
        if !found.found() {
            return Ok(found);
        }
        let whole: Vec<usize> = self.problem.whole.iter().map(|id| id.0 as usize).collect();
        let rounded: Vec<f64> = whole.iter().map(|&column| found.columns[column].round()).collect();
        let fixed = self.fixed(&rounded)?;
        let mut solution = match fixed.verdict {
            Verdict::Optimal => fixed,
            // The search's own solution stands, without duals.
            Verdict::Exhausted => Solution { verdict: Verdict::Exhausted, ..found.clone() },
            Verdict::Infeasible | Verdict::Unbounded => {
                return Err(Failure::Broke("its whole numbers don't satisfy the problem when rounded".to_owned()));
            }
        };
        if found.verdict == Verdict::Exhausted {
            solution.verdict = Verdict::Exhausted;
        }
        let left = bound.map_or(f64::INFINITY, |bound| (bound - solution.objective).max(0.0));
        solution.gap = if left == 0.0 { 0.0 } else { left / solution.objective.abs() };
        Ok(Solution { iterations: solution.iterations.saturating_add(found.iterations), nodes: found.nodes, ..solution })
    }

    /// What a search finds. The presolve of HiGHS 1.15.1 may take a problem with whole columns for infeasible that is not: that is looked at a
    /// second time, without it.
    fn found(&mut self) -> Result<Solution, Failure> {
        let found = self.answer()?;
        if found.verdict != Verdict::Infeasible {
            return Ok(found);
        }
        self.instance.set(c"presolve", Setting::Word(c"off"))?;
        self.instance.clear()?;
        let second = self.answer();
        self.instance.set(c"presolve", Setting::Word(c"choose"))?;
        let second = second?;
        let iterations = second.iterations.saturating_add(found.iterations);
        Ok(Solution { iterations, nodes: second.nodes.saturating_add(found.nodes), ..second })
    }

    /// The best with the whole columns fixed at `values`; afterwards they have their bounds again.
    fn fixed(&mut self, values: &[f64]) -> Result<Solution, Failure> {
        let set: Vec<u32> = self.problem.whole.iter().map(|id| id.0).collect();
        self.set_whole(false)?;
        self.instance.set_columns(&set, values, values)?;
        self.instance.clear()?;
        let solution = self.answer();
        let bounds = |of: &[f64]| set.iter().map(|&column| of[column as usize]).collect::<Vec<f64>>();
        self.instance.set_columns(&set, &bounds(&self.problem.low), &bounds(&self.problem.high))?;
        solution
    }

    fn read(&mut self, standing: Standing) -> Result<Solution, Failure> {
        let verdict = match standing {
            Standing::Ended(verdict) => verdict,
            Standing::InfeasibleOrUnbounded => self.which()?,
            Standing::Unknown(status) => return Err(Failure::Broke(format!("it ended without an answer (model status {status})"))),
        };
        let (iterations, nodes) = (self.instance.count(c"simplex_iteration_count"), self.instance.long(c"mip_node_count"));
        let tells =
            verdict == Verdict::Optimal || (verdict == Verdict::Exhausted && self.instance.count(c"primal_solution_status") == FEASIBLE);
        if !tells {
            return Ok(Solution { iterations, nodes, ..Solution::none(verdict) });
        }
        let told = self.instance.told()?;
        if told.columns.len() != self.problem.column_count() || told.duals.len() != self.problem.row_count() {
            return Err(Failure::Broke("it solved another problem".to_owned()));
        }
        let (objective, rows) = (self.problem.worth(&told.columns), self.problem.sums(&told.columns));
        if !objective.is_finite() {
            return Err(Failure::Broke(format!("its solution is worth {objective}")));
        }
        let (duals, reduced) = match verdict {
            Verdict::Optimal => (told.duals, told.reduced),
            _ => (vec![0.0; rows.len()], vec![0.0; told.columns.len()]),
        };
        let residual = self.problem.residual(&told.columns, &rows);
        Ok(Solution {
            verdict,
            objective,
            columns: told.columns,
            rows,
            duals,
            reduced,
            iterations,
            nodes,
            gap: 0.0,
            residual,
            from: Kept::Nothing,
        })
    }

    /// Infeasible or unbounded: without costs it can't be unbounded.
    fn which(&mut self) -> Result<Verdict, Failure> {
        let all: Vec<u32> = (0..).take(self.problem.column_count()).collect();
        self.instance.set_costs(&all, &vec![0.0; all.len()])?;
        self.instance.clear()?;
        self.warm = false;
        let standing = self.run();
        self.instance.set_costs(&all, &self.problem.cost)?;
        match standing? {
            Standing::Ended(Verdict::Optimal) => Ok(Verdict::Unbounded),
            Standing::Ended(verdict) => Ok(verdict),
            _ => Err(Failure::Broke("it can't tell whether the problem is infeasible or unbounded".to_owned())),
        }
    }
}

impl Solver for Highs {
    fn load(&mut self, problem: Problem) -> Result<(), Failure> {
        self.problem = problem;
        if self.ran {
            self.clear()?;
        }
        let passed = self.instance.pass(&self.problem);
        if passed.is_err() {
            self.problem = Problem::with_room(0, 0, 0);
            self.clear()?;
        }
        passed
    }

    fn problem(&self) -> &Problem {
        &self.problem
    }

    fn change(&mut self, changes: &[Change]) -> Result<(), Failure> {
        let [mut columns, mut rows, mut costs] = [const { BTreeSet::new() }; 3];
        let made = changes.iter().try_for_each(|&change| {
            self.problem.change(change).map_err(Failure::Broke)?;
            match change {
                Change::Column(ColumnId(column), ..) => _ = columns.insert(column),
                Change::Row(RowId(row), ..) => _ = rows.insert(row),
                Change::Cost(ColumnId(column), _) => _ = costs.insert(column),
                Change::Factor(row, column, factor) => self.instance.set_factor(row.0, column.0, factor)?,
            }
            Ok(())
        });
        // What stood before a change that is refused is made all the same, so that HiGHS has the problem as it stands here.
        let problem = &self.problem;
        let of = |set: &BTreeSet<u32>, list: &[f64]| set.iter().map(|&index| list[index as usize]).collect::<Vec<f64>>();
        let list = |set: &BTreeSet<u32>| set.iter().copied().collect::<Vec<u32>>();
        self.instance.set_columns(&list(&columns), &of(&columns, &problem.low), &of(&columns, &problem.high))?;
        self.instance.set_rows(&list(&rows), &of(&rows, &problem.least), &of(&rows, &problem.most))?;
        self.instance.set_costs(&list(&costs), &of(&costs, &problem.cost))?;
        made
    }

    fn solve(&mut self, effort: Effort, kept: Kept) -> Result<Solution, Failure> {
        let search = self.chooses();
        if search || kept == Kept::Nothing {
            self.anew()?;
        }
        self.set_whole(search)?;
        self.limit(effort)?;
        if search { self.search() } else { self.linear(effort, kept) }
    }
}

/// HiGHS without a problem.
fn instance(functions: &'static Functions) -> Result<Instance, Failure> {
    let mut instance =
        Instance::new(functions).ok_or_else(|| Failure::Missing("the solver's library is built for other integers".to_owned()))?;
    SETTINGS.iter().try_for_each(|&(option, setting)| instance.set(option, setting))?;
    Ok(instance)
}
