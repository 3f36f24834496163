//! Where a plan stands at the beginning of a month: what the problem opens with, and what the policy carries on.

use serde::{Deserialize, Serialize};

use crate::instance::Instance;

/// Everything that the past leaves to the months to come. Positions are those of the [`crate::Instance`]; a list may stop where only zeros follow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The month that begins.
    pub month: usize,
    /// Cash at hand.
    pub cash: f64,
    /// Owed.
    pub debt: f64,
    /// Charges that accrued and fall due later, by month: of use, of installed expansions, of tiers whose period is over, shortfalls of floors
    /// whose window is over.
    pub payable: Vec<f64>,
    /// Of what falls due later, the metered charges that a prepayment may pay: by credit and then month.
    #[serde(default)]
    pub chargeable: Vec<Vec<f64>>,
    /// Thousands installed, by expansion.
    pub installed: Vec<f64>,
    /// Thousands ordered so far and not yet installed, by expansion and then month of arrival.
    pub arriving: Vec<Vec<f64>>,
    /// What has counted so far, by floor window that is not over: of use, of tiers whose period is over, of nested shortfalls and expansions;
    /// what counts beside (`Floor::counted`) is no part of it.
    pub counted: Vec<f64>,
    /// Excess that may still count, by floor window that it came from and that is over.
    pub carried: Vec<f64>,
    /// Tiered quantity so far, by tiered charge; of one whose period is over, all of it.
    pub tiered: Vec<f64>,
    /// Granted and not yet used, by credit.
    pub credit: Vec<f64>,
    /// Not yet done, by work; zero for serving.
    pub backlog: Vec<f64>,
    /// Done or given up so far, by work: what falls due is met from it first.
    pub done: Vec<f64>,
    /// Taken so far, by window of the treasury.
    pub raised: Vec<f64>,
    /// Revenue of the last twelve months, oldest first.
    pub revenue: Vec<f64>,
    /// Money that was missing so far.
    pub gap: f64,
}

/// What a month came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Month {
    /// Cash at its end.
    pub cash: f64,
    /// Owed at its end.
    pub debt: f64,
    /// Money that was missing in it.
    pub gap: f64,
    /// What serving and training were worth beside cash.
    pub worth: f64,
    /// Cash from customers.
    pub revenue: f64,
    /// Paid for compute, energy with it.
    pub compute: f64,
    /// Of that, energy; not what expansions take idle, which falls due with what they commit.
    pub energy: f64,
    /// Of what is paid for compute, what orders cost.
    pub capex: f64,
    /// From raises that are taken whole.
    pub given: f64,
    /// Costs beside compute and payments into ventures, below zero.
    pub other: f64,
    /// Taken from raises that cost something.
    pub raised: f64,
    /// Floors' shortfalls paid.
    pub shortfall: f64,
    /// Tokens that were promised and not served.
    pub missed: f64,
    /// Tokens that were wanted and not served.
    pub unserved: f64,
    /// Training that was given up.
    pub late: f64,
    /// What gaps, broken promises and dilution take off the objective.
    pub penalty: f64,
}

impl State {
    /// Where an instance begins.
    #[must_use]
    pub fn opening(instance: &Instance) -> Self {
        let months = instance.months.len();
        Self {
            month: 0,
            cash: instance.treasury.cash,
            debt: instance.treasury.debt.as_ref().map_or(0.0, |debt| debt.owed),
            payable: vec![0.0; months],
            chargeable: vec![vec![0.0; months]; instance.credits.len()],
            installed: vec![0.0; instance.expansions.len()],
            arriving: vec![vec![0.0; months]; instance.expansions.len()],
            counted: vec![0.0; instance.floors.len()],
            carried: vec![0.0; instance.floors.len()],
            tiered: vec![0.0; instance.tiered.len()],
            credit: vec![0.0; instance.credits.len()],
            backlog: vec![0.0; instance.works.len()],
            done: vec![0.0; instance.works.len()],
            raised: vec![0.0; instance.treasury.windows.len()],
            revenue: Vec::with_capacity(12),
            gap: 0.0,
        }
    }

    /// Becomes as `other` is, in the room that it has.
    pub fn copy_from(&mut self, other: &Self) {
        (self.month, self.cash, self.debt, self.gap) = (other.month, other.cash, other.debt, other.gap);
        self.payable.clone_from(&other.payable);
        self.chargeable.clone_from(&other.chargeable);
        self.installed.clone_from(&other.installed);
        self.arriving.clone_from(&other.arriving);
        self.counted.clone_from(&other.counted);
        self.carried.clone_from(&other.carried);
        self.tiered.clone_from(&other.tiered);
        self.credit.clone_from(&other.credit);
        self.backlog.clone_from(&other.backlog);
        self.done.clone_from(&other.done);
        self.raised.clone_from(&other.raised);
        self.revenue.clone_from(&other.revenue);
    }
}
