//! Which promises can't hold together.

use crate::problem::ColumnId;
use crate::solver::{Change, Effort, Failure, Kept, Solution, Solver, Verdict};

/// A slack up to this is the solver's rounding and no promise broken.
const ROUNDING_MAX: f64 = 1e-7;

/// A promise that a person made, as the slacks that would let it be broken: with their highest bounds at zero it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// In the fleet file's words.
    pub name: String,
    /// The slack columns, in no other promise; each is at least zero and free upwards while the promise is given up.
    pub slacks: Vec<ColumnId>,
}

/// An irreducible set: with all of them nothing is feasible; with any one given up something is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Positions in the list of promises, in order; none when nothing is feasible even with every promise given up.
    pub promises: Vec<usize>,
}

/// An irreducible set of promises that can't hold together; `None` when all can. Afterwards every promise is given up.
///
/// Promises that are broken in the best solution are held, again and again, until nothing is feasible: a conflict is among those held.
/// Then each is given up in turn, and held again where something becomes feasible.
///
/// # Errors
/// When the solver breaks off, or uses up its effort before it knows whether anything is feasible.
pub fn conflict(solver: &mut dyn Solver, promises: &[Promise], effort: Effort) -> Result<Option<Conflict>, Failure> {
    let mut search = Search { solver, promises, held: vec![false; promises.len()] };
    let found = search.give_all_up().and_then(|()| search.run(effort));
    let restored = search.give_all_up();
    found.and_then(|found| restored.map(|()| found))
}

struct Search<'a> {
    solver: &'a mut dyn Solver,
    promises: &'a [Promise],
    held: Vec<bool>,
}

impl Search<'_> {
    fn run(&mut self, effort: Effort) -> Result<Option<Conflict>, Failure> {
        while let Some(solution) = self.feasible(effort)? {
            let broken = self.broken(&solution);
            let next = if broken.is_empty() { self.given_up() } else { broken };
            if next.is_empty() {
                return Ok(None);
            }
            next.into_iter().try_for_each(|promise| self.set(promise, true))?;
        }
        // From here on it is only asked whether there is any solution at all.
        let any = Effort { gap: f64::INFINITY, ..effort };
        for promise in (0..self.promises.len()).filter(|&promise| self.held[promise]).collect::<Vec<_>>() {
            self.set(promise, false)?;
            if self.feasible(any)?.is_some() {
                self.set(promise, true)?;
            }
        }
        let promises = (0..self.promises.len()).filter(|&promise| self.held[promise]).collect();
        Ok(Some(Conflict { promises }))
    }

    /// Few bounds change from one solve to the next, so the basis is worth keeping.
    fn feasible(&mut self, effort: Effort) -> Result<Option<Solution>, Failure> {
        let solution = self.solver.solve(effort, Kept::Basis)?;
        match solution.verdict {
            Verdict::Optimal | Verdict::Unbounded => Ok(Some(solution)),
            Verdict::Infeasible => Ok(None),
            Verdict::Exhausted if solution.found() => Ok(Some(solution)),
            Verdict::Exhausted => {
                Err(Failure::Broke("the effort was used up before it was known whether the promises can hold".to_owned()))
            }
        }
    }

    /// Promises that the solution breaks; none where it tells no columns.
    fn broken(&self, solution: &Solution) -> Vec<usize> {
        let used = |slack: &ColumnId| solution.columns.get(slack.0 as usize).is_some_and(|&used| used > ROUNDING_MAX);
        let broken = |&promise: &usize| self.promises[promise].slacks.iter().any(used);
        self.given_up().into_iter().filter(broken).collect()
    }

    fn given_up(&self) -> Vec<usize> {
        (0..self.promises.len()).filter(|&promise| !self.held[promise]).collect()
    }

    fn give_all_up(&mut self) -> Result<(), Failure> {
        (0..self.promises.len()).try_for_each(|promise| self.set(promise, false))
    }

    fn set(&mut self, promise: usize, held: bool) -> Result<(), Failure> {
        let most = if held { 0.0 } else { f64::INFINITY };
        let changes: Vec<Change> = self.promises[promise].slacks.iter().map(|&slack| Change::Column(slack, 0.0, most)).collect();
        self.held[promise] = held;
        self.solver.change(&changes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exhaustive::Exhaustive;
    use crate::problem::Problem;

    /// Quantities of 0 to 3 and promises, each a row `least <= factors x quantities + slack`; hard rows have no slack.
    #[derive(Clone, Debug)]
    struct Stated {
        hard: Vec<([f64; 3], f64)>,
        promised: Vec<([f64; 3], f64)>,
    }

    fn state(stated: &Stated) -> (Problem, Vec<Promise>) {
        let mut problem = Problem::with_room(0, 0, 0);
        let quantities = [0, 1, 2].map(|_| problem.column(1.0, 0.0, 3.0));
        let row = |problem: &mut Problem, (factors, least): ([f64; 3], f64), slack: Option<ColumnId>| {
            quantities.iter().zip(factors).for_each(|(&column, factor)| problem.entry(column, factor));
            slack.iter().for_each(|&slack| problem.entry(slack, 1.0));
            problem.row(least, f64::INFINITY);
        };
        stated.hard.iter().for_each(|&hard| row(&mut problem, hard, None));
        let promises = stated.promised.iter().enumerate().map(|(index, &promised)| {
            let slack = problem.column(-1000.0, 0.0, f64::INFINITY);
            row(&mut problem, promised, Some(slack));
            Promise { name: format!("promise {index}"), slacks: vec![slack] }
        });
        let promises = promises.collect();
        (problem, promises)
    }

    fn search(stated: &Stated) -> (Option<Vec<usize>>, usize) {
        let (problem, promises) = state(stated);
        let mut solver = Exhaustive::default();
        solver.load(problem.clone()).expect("it can be loaded");
        let found = conflict(&mut solver, &promises, Effort::default()).expect("it ends");
        assert_eq!(solver.problem, problem, "every promise is given up afterwards");
        (found.map(|conflict| conflict.promises), solver.solves)
    }

    #[test]
    fn an_irreducible_set_is_found() {
        let check = |hard: &[([f64; 3], f64)], promised: &[([f64; 3], f64)], expected: Option<&[usize]>| {
            let stated = Stated { hard: hard.to_vec(), promised: promised.to_vec() };
            assert_eq!(search(&stated).0.as_deref(), expected);
        };
        let [a, b, c] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        let at_most = |quantity: [f64; 3], most: f64| (quantity.map(|factor| -factor), -most);
        check(&[], &[(a, 3.0), (b, 3.0)], None);
        check(&[], &[], None);
        check(&[], &[(b, 2.0), (a, 3.0), (c, 1.0), at_most(a, 2.0)], Some(&[1, 3]));
        check(&[at_most([1.0, 1.0, 1.0], 4.0)], &[(a, 2.0), (b, 2.0), (c, 2.0)], Some(&[0, 1, 2]));
        check(&[at_most([1.0, 1.0, 1.0], 3.0)], &[(a, 2.0), (b, 2.0), (c, 2.0)], Some(&[0, 1]));
        check(&[], &[(b, 1.0), (a, 4.0)], Some(&[1]));
        check(&[(a, 4.0)], &[(b, 1.0)], Some(&[]));
    }

    #[test]
    fn promises_that_are_never_broken_cost_no_solve() {
        let [a, b] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
        let mut promised = vec![(b, 1.0); 30];
        promised.extend([(a, 2.0), (a.map(|factor| -factor), -1.0)]);
        let (found, solves) = search(&Stated { hard: Vec::new(), promised });
        // Free, one held, both held; then each of the two given up in turn.
        assert_eq!((found, solves), (Some(vec![30, 31]), 5));
    }

    #[test]
    fn effort_that_is_used_up_is_no_answer() {
        let (problem, promises) = state(&Stated { hard: Vec::new(), promised: vec![([1.0; 3], 10.0)] });
        let mut solver = Exhaustive::default();
        solver.load(problem.clone()).expect("it can be loaded");
        let none = Effort { nodes: 0, ..Effort::default() };
        let failure = conflict(&mut solver, &promises, none).expect_err("nothing can be known");
        assert!(failure.to_string().contains("used up"), "{failure}");
        assert_eq!(solver.problem, problem);
    }

    fn rows(count: impl Into<proptest::collection::SizeRange>) -> impl Strategy<Value = Vec<([f64; 3], f64)>> {
        let factor = || (-2_i8..=2).prop_map(f64::from);
        proptest::collection::vec(((factor(), factor(), factor()).prop_map(<[f64; 3]>::from), (-4_i8..=8).prop_map(f64::from)), count)
    }

    /// Whether some quantities satisfy the hard rows and these promises, without the code under test.
    fn possible(stated: &Stated, held: impl Fn(usize) -> bool) -> bool {
        let promised = stated.promised.iter().enumerate().filter(|(index, _)| held(*index)).map(|(_, row)| row);
        let rows: Vec<_> = stated.hard.iter().chain(promised).collect();
        (0..64_u8).any(|number| {
            let quantities = [number % 4, number / 4 % 4, number / 16].map(f64::from);
            rows.iter()
                .all(|(factors, least)| factors.iter().zip(quantities).map(|(factor, quantity)| factor * quantity).sum::<f64>() >= *least)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_is_found_conflicts_and_is_irreducible(hard in rows(0..2), promised in rows(0..6)) {
            let stated = Stated { hard, promised };
            match search(&stated).0 {
                None => prop_assert!(possible(&stated, |_| true)),
                Some(found) => {
                    prop_assert!(!possible(&stated, |promise| found.contains(&promise)));
                    for given_up in &found {
                        prop_assert!(possible(&stated, |promise| found.contains(&promise) && promise != *given_up));
                    }
                }
            }
        }
    }
}
