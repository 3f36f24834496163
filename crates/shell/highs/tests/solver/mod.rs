//! The solver that `make solver` fetched.

use std::path::PathBuf;

use highs::{Highs, VERSION};

/// A bound that doesn't bind.
pub const FREE: f64 = f64::INFINITY;

/// HiGHS from where `make solver` puts it.
pub fn highs() -> Highs {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    let folder = cache.expect("a user has a home").join("baseload/solver").join(VERSION);
    Highs::find(&folder).expect("the solver is here: `make solver` fetches it")
}

/// Whether two numbers agree to nine digits.
pub fn agree(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}
