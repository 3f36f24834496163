//! What a scenario came to.

use serde::{Deserialize, Serialize};

use crate::policy::Run;
use crate::state::Month;

/// Below this money is not missing but rounding, in the instance's units.
const NOTHING: f64 = 1e-6;

/// What one scenario came to, in the instance's units.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The scenario's number.
    pub index: u64,
    /// The least cash at the end of any month; where money is missing, what is missing so far counts as below zero of it.
    pub least_cash: f64,
    /// The first month in which money is missing, by position.
    pub first_gap: Option<usize>,
    /// All the money that is missing.
    pub gap: f64,
    /// The most that is missing in one month.
    pub worst_gap: f64,
    /// The objective: cash less debt at the end, with what work was worth beside, less what broken promises cost.
    pub worth: f64,
    /// Tokens that were promised and not served.
    pub missed: f64,
    /// Cash at the end of each month, without the money that is missing by then.
    pub cash: Vec<f64>,
}

impl Outcome {
    /// What a run through all months came to.
    #[must_use]
    pub fn of(index: u64, run: &Run) -> Self {
        let mut outcome = Self::of_months(index, &run.months);
        outcome.worth = run.state.cash - run.state.debt + run.worth;
        outcome
    }

    /// What months came to, but for their worth.
    pub(super) fn of_months(index: u64, months: &[Month]) -> Self {
        let missing = |sum: &mut f64, month: &Month| {
            *sum += month.gap;
            Some(month.cash - *sum)
        };
        let cash: Vec<f64> = months.iter().scan(0.0, missing).collect();
        Self {
            index,
            least_cash: cash.iter().copied().fold(f64::INFINITY, f64::min),
            first_gap: months.iter().position(|month| month.gap > NOTHING),
            gap: months.iter().map(|month| month.gap).sum(),
            worst_gap: months.iter().map(|month| month.gap).fold(0.0, f64::max),
            worth: 0.0,
            missed: months.iter().map(|month| month.missed).sum(),
            cash,
        }
    }
}
