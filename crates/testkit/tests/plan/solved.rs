//! A decided instance, and the solver that `make solver` fetched.

use std::path::PathBuf;

use highs::{Highs, VERSION};
use lp::Effort;
use planner::{Answer, DecideError, Instance, State, decide};

/// HiGHS from where `make solver` puts it.
pub fn highs() -> Highs {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    let folder = cache.expect("a user has a home").join("baseload/solver").join(VERSION);
    Highs::find(&folder).expect("the solver is here: `make solver` fetches it")
}

/// What is decided of an instance from its beginning.
pub fn tried(instance: &Instance) -> Result<Answer, DecideError> {
    decide(instance, &State::opening(instance), None, &mut highs(), Effort::default())
}

/// The same, where there is a plan.
pub fn solved(instance: &Instance) -> Answer {
    tried(instance).expect("there is a plan")
}

/// Whether two numbers agree to eight digits.
pub fn agree(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-8 * a.abs().max(b.abs()).max(1.0)
}

/// Solves an instance and compares its worth.
#[track_caller]
pub fn check(instance: &Instance, worth: f64) -> Answer {
    let answer = solved(instance);
    assert!(agree(answer.decided.objective, worth), "worth {}, not {worth}: {:#?}", answer.decided.objective, answer.decided);
    answer
}
