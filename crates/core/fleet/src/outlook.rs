//! What planning needs beside what is there now: the horizon, what may be signed, how the lab is financed, what may go wrong.

use units::{Amount, Instant, Money, Rate, Share, Span};

use crate::id::{AcceleratorId, PartyId, WorkloadId};
use crate::ramp::Ramp;

/// Who said something that a figure's `source` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Who said it.
    pub speaker: String,
    /// What was said, in short.
    pub says: Option<String>,
    /// When, as the file writes it: a date, a month or a year is often all there is.
    pub when: Option<String>,
}

/// What the plan covers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Horizon {
    /// Its first month; `None` is the month of the cash count, else the first contract's.
    pub from: Option<Instant>,
    /// How many months; `None` is up to the last contract's end, 120 at most.
    pub months: Option<u32>,
    /// Parts of each month with their own demand, such as peak and night; empty is one.
    pub blocks: Vec<Block>,
    /// A limit on relative optimality gap of the integer choices.
    pub gap: Option<Share>,
}

/// A part of each month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it is called.
    pub name: String,
    /// Its share of the hours; all blocks together are 100 %.
    pub hours: Share,
    /// Demand in it over the month's mean; with the hours as weights the mean is 100 %.
    pub demand: Share,
}

/// What share of tokens is of which kind; together 100 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Input that no cache holds.
    pub input: Share,
    /// Input from a cache.
    pub cached: Share,
    /// Output.
    pub output: Share,
}

impl Default for Mix {
    /// Three input tokens to one of output, none cached.
    fn default() -> Self {
        Self { input: Share::from_ppm(750_000), cached: Share::NONE, output: Share::from_ppm(250_000) }
    }
}

/// That a contract which is discussed may be signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// Until when it stands.
    pub by: Option<Instant>,
    /// When it may start instead of its `start`: the whole contract moves with it.
    pub starts: Vec<Instant>,
}

/// A right to raise a capacity clause at the contract's own rates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expansion {
    /// Of which accelerators.
    pub accelerator: AcceleratorId,
    /// By how many at most, in all.
    pub most: i64,
    /// By how many a month.
    pub per_month: Option<i64>,
    /// Months from the order until they are there.
    pub lead_months: u32,
    /// What the lab pays for each when it is ordered, in the contract's currency.
    pub capex: Option<Money>,
}

/// Who pays into a joint venture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stake {
    /// Which partner; `None` is the lab itself, whose payments are cash out.
    pub party: Option<PartyId>,
    /// How much, over the span.
    pub amount: Amount,
    /// When.
    pub span: Span,
}

/// A joint venture that has to be paid for before it can deliver power.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Venture {
    /// The party with which contracts are made.
    pub party: PartyId,
    /// What a watt costs to build, in the fleet's currency.
    pub cost_per_watt: Rate,
    /// What it can borrow for each unit of its partners' money: 100 % doubles it.
    pub leverage: Share,
    /// Months from payment to power.
    pub lead_months: u32,
    /// Its partners' money.
    pub stakes: Vec<Stake>,
}

/// What a dependence is a share of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// Money spent on compute.
    Spend,
    /// Accelerator-hours that work uses, weighed by peak arithmetic.
    Work,
}

/// How much may rest on one party or chip vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    /// On which party, as a supplier or as a maker of chips.
    pub party: PartyId,
    /// Which share at most, in each month.
    pub share: Share,
    /// Of what.
    pub of: Of,
    /// While it holds.
    pub span: Span,
}

/// What the lab owes and may owe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debt {
    /// Owed at the beginning.
    pub owed: Money,
    /// At most, by date.
    pub limit: Ramp<Money>,
    /// Interest a year.
    pub rate: Share,
    /// At most so much of the last twelve months' revenue: 300 % is three times.
    pub covenant: Option<Share>,
    /// To whom.
    pub lender: Option<PartyId>,
}

/// How sure money in is, and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How likely it can be had at all.
    pub likelihood: Share,
    /// What it costs beside (a dilution): then the plan takes what it needs, up to the amount; `None` is taken whole.
    pub cost: Option<Share>,
    /// The serving workload that earns it: what is not served is not earned.
    pub earned_by: Option<WorkloadId>,
}

impl Default for Terms {
    fn default() -> Self {
        Self { likelihood: Share::ALL, cost: None, earned_by: None }
    }
}

/// Something that happens once, or doesn't, within the horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mishap {
    /// How likely it happens.
    pub likelihood: Share,
    /// For how many months: a delay lasts 1 to so many, each as likely; a shortage so many.
    pub months: u32,
    /// Which share is lost while it lasts.
    pub share: Share,
}

/// How the world may move, all per year. What is left out does not move.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Risk {
    /// Volatility of demand.
    pub demand: Share,
    /// Drift of the price that customers pay per token (below zero: it falls).
    pub price_drift: Share,
    /// Volatility of that price.
    pub price: Share,
    /// Volatility of on-demand and spot rents.
    pub rent: Share,
    /// Which share of the variance of all these, and of defaults and delays, is one market's.
    pub common: Share,
}

/// That a training job comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurs {
    /// Every so many months.
    pub every_months: u32,
    /// Until when.
    pub until: Instant,
    /// By how much each further one is larger than the one before.
    pub growth: Share,
}

/// How the holder of a [`crate::FirstRefusal`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Days within which the holder answers; offers in its scope can't start before.
    pub days: u32,
    /// How likely it takes the offer, which then rests on the holder.
    pub takes: Share,
}
