//! What the solver chose, in the instance's numbers: between the problem and the plan.

use serde::{Deserialize, Serialize};

/// An answer to an [`crate::Instance`] from a [`crate::State`] on. What lies before the state's month is zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// The month that it begins with.
    pub from: usize,
    /// By choice: 0 or 1.
    pub taken: Vec<f64>,
    /// Quantity of a supply used for a work: by fit and step, `[fit * steps + step]`.
    pub used: Vec<f64>,
    /// Tokens served: by work, tranche and step; empty for training.
    pub served: Vec<Vec<Vec<f64>>>,
    /// Promised tokens that are not served: by work and step; empty for training.
    pub missed: Vec<Vec<f64>>,
    /// Training given up: by work and month; empty for serving.
    pub late: Vec<Vec<f64>>,
    /// Thousands ordered: by expansion and month.
    pub ordered: Vec<Vec<f64>>,
    /// Short: by floor.
    pub short: Vec<f64>,
    /// Prepayment credited: by credit and month.
    pub credited: Vec<Vec<f64>>,
    /// Taken: by window of the treasury and month.
    pub raised: Vec<Vec<f64>>,
    /// Borrowed, by month.
    pub drawn: Vec<f64>,
    /// Paid back, by month.
    pub repaid: Vec<f64>,
    /// Money missing, by month.
    pub gap: Vec<f64>,
    /// Cash at the end, by month.
    pub cash: Vec<f64>,
    /// Owed at the end, by month.
    pub debt: Vec<f64>,
    /// The objective.
    pub objective: f64,
    /// The relative gap left by the search over choices.
    pub gap_left: f64,
    /// The most by which a row is missed.
    pub residual: f64,
    /// Simplex iterations.
    pub iterations: u32,
    /// What things are worth at the margin.
    pub prices: Prices,
}

/// Duals in the money of their own month: the dual of the row over the dual of that month's cash. One number per row, so at a
/// corner it is only one of those between the price of one more and the price of one less.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// Money a unit of the limit: by limit and step.
    pub limits: Vec<Vec<f64>>,
    /// What a unit that counts towards a floor is worth in the money of the month when the shortfall is due: by floor; 0 to its price.
    pub floors: Vec<f64>,
    /// What one more unit of work done is worth: by work and step (training: the same in each step of a month).
    pub works: Vec<Vec<f64>>,
    /// What a unit of money in a month is worth at the end: by month; the dual of cash itself.
    pub cash: Vec<f64>,
    /// What a thousand more of chip supply are worth: by expansion and month.
    pub orders: Vec<Vec<f64>>,
}
