//! The fleet as plain numbers by month: everything that planning computes with. `docs/plan.md` says what each row means.

use fleet::{AcceleratorId, ContractId, EndpointId, ModelId, PartyId, PoolId, SiteId, WorkloadId};
use serde::{Deserialize, Serialize};
use units::{MeterUnit, Span};

/// What one unit of the instance's numbers is, so that they lie near one: powers of ten.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Units of the fleet's currency in one unit of money.
    pub money: f64,
    /// Accelerator-hours (or provisioned-unit-hours) in one unit of time.
    pub hours: f64,
    /// Tokens in one unit of tokens.
    pub tokens: f64,
}

/// A month of the plan, in the fleet's time zone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Month {
    /// Half-open.
    pub span: Span,
    /// Its length in hours.
    pub hours: f64,
    /// Its calendar year.
    pub year: i16,
    /// Its number in the year, from 1.
    pub number: i8,
}

/// A block of a month: the unit in which work is placed. Without blocks a month is one step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// In which month, by position.
    pub month: usize,
    /// Its length in hours; a month's steps add up to it.
    pub hours: f64,
}

/// Amounts by month, step or as said, of which part depends on what is signed: `fixed + sum(choice x by_choice)`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Whatever is signed.
    pub fixed: Vec<f64>,
    /// What a choice adds when it is taken, by position in [`Instance::choices`].
    pub by_choice: Vec<(usize, Vec<f64>)>,
}

impl Series {
    /// The amounts when `taken[choice]` (0 to 1) of each choice is taken.
    #[inline]
    #[must_use]
    pub fn at(&self, index: usize, taken: &[f64]) -> f64 {
        self.by_choice.iter().fold(self.fixed[index], |sum, (choice, amounts)| sum + taken[*choice] * amounts[index])
    }
}

/// Signing a contract that is discussed, at one of the starts that its offer allows: 0 or 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// As a person reads it: `stargate, from 2027-01`.
    pub name: String,
    /// Which contract.
    pub contract: ContractId,
    /// By how many months its dates move, against the file.
    pub moved: i32,
    /// Choices of one group (of one contract) exclude each other.
    pub group: usize,
    /// Position of the month by which it must be signed at the latest.
    pub by: usize,
}

/// What a supply runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum On {
    /// Accelerator time of a pool.
    Pool(PoolId),
    /// Tokens of a hosted endpoint, by the token.
    Tokens(EndpointId),
    /// Provisioned-unit time of an endpoint.
    Units(EndpointId),
}

impl On {
    /// What a base unit of it is.
    #[must_use]
    pub const fn unit(self) -> MeterUnit {
        match self {
            Self::Pool(_) => MeterUnit::AcceleratorMs,
            Self::Tokens(_) => MeterUnit::Token,
            Self::Units(_) => MeterUnit::UnitMs,
        }
    }
}

/// One way to get compute: one contract on one pool or endpoint. Its quantity `u[supply, step]` is in units of time (pools and
/// units) or of tokens (tokens): accelerator-hours / scale.hours, tokens / scale.tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Supply {
    /// As a person reads it: `oracle on abilene-gb200`.
    pub name: String,
    /// Who pays.
    pub contract: ContractId,
    /// On what.
    pub on: On,
    /// The site of its pool.
    pub site: Option<SiteId>,
    /// The accelerator of its pool.
    pub accelerator: Option<AcceleratorId>,
    /// With whom the contract is.
    pub party: PartyId,
    /// Who makes the accelerator.
    pub vendor: Option<PartyId>,
    /// It exists only when this choice is taken: then [`Limit`]s with a `by_choice` part bound it.
    pub choice: Option<usize>,
    /// Whether its price moves with the market of on-demand and spot rents.
    pub floating: bool,
    /// Metered price by step, in money per unit of quantity, in the fleet's currency; zero where charges are committed or tiered.
    pub rate: Vec<f64>,
    /// The month, by position, in which a month's charges are due; at or after the last month: the last.
    pub due: Vec<usize>,
    /// Price of the energy that a unit takes while it works, beyond what it takes idle, by month, money per unit. Paid in the month.
    pub energy: Vec<f64>,
    /// Arithmetic of a unit, for shares of work: peak of the accelerator times hours; zero for tokens and units.
    pub arithmetic: f64,
    /// Base units (accelerator-milliseconds, tokens, unit-milliseconds) in one unit of quantity.
    pub base_units: f64,
}

/// A kind of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Its name in the fleet file.
    pub name: String,
    /// Which workload.
    pub workload: WorkloadId,
    /// Serving or training.
    pub kind: WorkKind,
}

/// What the two kinds of work ask for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WorkKind {
    /// Tokens, in steps.
    Serving {
        /// Which model.
        model: ModelId,
        /// By service tier.
        tranches: Vec<Tranche>,
    },
    /// A backlog of arithmetic, in units of time of the workload's first accelerator.
    Training {
        /// What arrives, by month.
        arrivals: Vec<f64>,
        /// What falls due by the end of each month, by month: as much as arrived, later; what has no deadline is due in no month.
        due: Vec<f64>,
        /// What a unit is worth when done in time.
        value: f64,
        /// Whether deadlines are promises.
        promised: bool,
        /// Accelerators at once: a pool with fewer is no fit.
        gang: u32,
    },
}

/// A service tier's demand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tranche {
    /// Which tier.
    pub tier: fleet::ServiceTier,
    /// Tokens wanted, by step.
    pub demand: Vec<f64>,
    /// Cash for a unit of tokens served, by step: the price that customers pay, and the revenue that the workload earns spread over its demand.
    pub price: Vec<f64>,
    /// The part of the price that is a price per token, and so moves as such prices do; the rest is revenue that the file states by date. Empty is all
    /// of it.
    #[serde(default)]
    pub listed: Vec<f64>,
    /// What a unit of tokens served is worth beside its cash, by step.
    pub value: Vec<f64>,
    /// The share of demand that is promised in each step.
    pub least: f64,
}

/// That a supply can do a work, and how fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Position of the supply.
    pub supply: usize,
    /// Position of the work.
    pub work: usize,
    /// Units of work (tokens; time of the first accelerator) done by one unit of the supply.
    pub speed: f64,
    /// Steps `from..to` in which it may be used at all: the accelerator is there, the contract in force, no exclusivity against it.
    pub open: Vec<(usize, usize)>,
}

impl Fit {
    /// Whether it may be used in a step.
    #[must_use]
    pub fn is_open(&self, step: usize) -> bool {
        self.open.iter().any(|(from, to)| (*from..*to).contains(&step))
    }
}

/// What bounds supplies together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LimitKind {
    /// A contract's capacity clause: accelerators, units or power that it delivers.
    Contract(ContractId),
    /// A pool's count.
    Pool(PoolId),
    /// A site's power, in megawatts times hours over the site's whole facility.
    Site(SiteId),
}

/// `sum(factor x u[supply, step]) <= most[step]`, for every step: capacity in quantity, power in MWh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// As a person reads it: `capacity of oracle at abilene`.
    pub name: String,
    /// What it is.
    pub kind: LimitKind,
    /// The supplies and what a unit of each takes.
    pub terms: Vec<(usize, f64)>,
    /// How much there is, by step; idle power is already taken off a site's.
    pub most: Series,
    /// What an expansion adds per thousand accelerators that it has installed, by step: (position of the expansion, amounts). A site's
    /// power has the idle power of an expansion here, below zero.
    pub expansions: Vec<(usize, Vec<f64>)>,
}

/// A right to raise a contract's capacity: `e[month]` is ordered, in accelerators / 1000, and there `lead` months later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expansion {
    /// As a person reads it.
    pub name: String,
    /// Which contract.
    pub contract: ContractId,
    /// Position of its clause in the contract.
    pub clause: usize,
    /// Of which accelerators.
    pub accelerator: AcceleratorId,
    /// Whose contract is signed only by this choice.
    pub choice: Option<usize>,
    /// Thousands of accelerators at most, in all.
    pub most: f64,
    /// Thousands of accelerators at most, ordered in each month; zero outside the contract's term and after what would be useless.
    pub per_month: Vec<f64>,
    /// Months from order to use.
    pub lead: usize,
    /// What would arrive in these months `from..to` arrives at `to`: chips are short then.
    #[serde(default)]
    pub held: Option<(usize, usize)>,
    /// Money when a thousand are ordered, by month.
    pub capex: Vec<f64>,
    /// Committed charges of a thousand installed, by month of use, and idle energy with them.
    pub running: Vec<f64>,
    /// The month in which those are due, by month of use.
    pub due: Vec<usize>,
    /// Chip supply: thousands of this kind that may be ordered in each month over all expansions; the same for all of one accelerator.
    pub supply: Option<Vec<f64>>,
}

impl Expansion {
    /// The month in which what is ordered in `month` can be used.
    #[must_use]
    pub fn arrival(&self, month: usize) -> usize {
        let arrival = month + self.lead;
        match self.held {
            Some((from, to)) if from <= arrival && arrival < to => to,
            _ => arrival,
        }
    }
}

/// Metered charges of one contract's meter in one billing period, when the rate depends on the quantity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tiered {
    /// As a person reads it.
    pub name: String,
    /// Which contract.
    pub contract: ContractId,
    /// Position of the rates clause.
    pub clause: usize,
    /// What counts: (supply, step, share of the step's quantity that lies in the period).
    pub terms: Vec<(usize, usize, f64)>,
    /// Whether all is charged at the tier reached (volume), or each part at its own (graduated).
    pub volume: bool,
    /// Where each tier begins, in units of quantity, and its rate in money a unit; the first begins at zero.
    pub tiers: Vec<(f64, f64)>,
    /// The month in which it is due.
    pub due: usize,
    /// When tiers count over the whole term: the same clause's charges of the period before, by position, whose quantity (and all before
    /// it) fills the tiers first.
    pub after: Option<usize>,
}

/// One window of one floor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// As a person reads it: `floor of oracle, 2027`.
    pub name: String,
    /// Whose floor.
    pub contract: ContractId,
    /// Position of the floor clause.
    pub clause: usize,
    /// The window, clipped to the term.
    pub window: Span,
    /// The last month, by position, in which use counts.
    pub last: usize,
    /// The month in which a shortfall is due.
    pub due: usize,
    /// The least, in money or in quantity (one number; `fixed` and each `by_choice` have one entry).
    pub least: Series,
    /// What counts beside use: committed charges and prepayments (one number, as above).
    pub counted: Series,
    /// What of `counted` is other contracts' than its own, by contract.
    #[serde(default)]
    pub counted_of: Vec<(ContractId, Series)>,
    /// What use counts: (supply, step, money or quantity per unit of quantity).
    pub terms: Vec<(usize, usize, f64)>,
    /// Tiered charges that count, by position in [`Instance::tiered`]; none for a floor in quantity.
    pub tiered: Vec<usize>,
    /// Floors of contracts nested under this one whose shortfall's money counts, by position in [`Instance::floors`].
    pub nested: Vec<usize>,
    /// What expansions count: (expansion, month of use, money or quantity per thousand installed).
    pub expansions: Vec<(usize, usize, f64)>,
    /// Money due per unit that is short.
    pub price: f64,
    /// The share of an excess that counts in these later windows, by position in [`Instance::floors`].
    pub carry: Option<(f64, Vec<usize>)>,
    /// Whether it shrinks while the supplier is late.
    pub abated: bool,
    /// The capacity that it shrinks with, by position in [`Instance::limits`].
    pub abated_by: Option<usize>,
}

/// A prepayment as it is credited: at most the charges of each billing period, what is left moves on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Credit {
    /// As a person reads it.
    pub name: String,
    /// Which contract.
    pub contract: ContractId,
    /// Position of the prepayment clause.
    pub clause: usize,
    /// The choice without which there is neither prepayment nor credit.
    pub choice: Option<usize>,
    /// What can first be used in each month, in money.
    pub granted: Vec<f64>,
    /// Committed charges of the contract due in each month, which it may pay beside metered ones.
    pub committed: Vec<f64>,
    /// What less of it is committed when a choice takes the contract's place in part, by month and below zero: by choice.
    #[serde(default)]
    pub replaced: Vec<(usize, Vec<f64>)>,
    /// What is not yet credited comes back when the supplier defaults.
    pub refundable: bool,
}

/// A joint venture's means: what a limit on its contracts' power is besides funded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VentureFunds {
    /// Its name.
    pub name: String,
    /// The limits that its money bounds, by position, in the order in which they take from it; those of one contract take the same.
    pub limits: Vec<usize>,
    /// What the ramps say, by limit and step: [`Limit::most`] is the less of this and of what is paid for.
    pub unfunded: Vec<Series>,
    /// Money for a megawatt: what is paid for bounds a step's limit by as many megawatts times its hours.
    pub cost: f64,
    /// Months from payment to power.
    pub lead: usize,
    /// Borrowed per unit paid in.
    pub leverage: f64,
    /// Who pays how much by when: party (`None` is the lab) and what it has paid in by the end of each month.
    pub paid: Vec<(Option<PartyId>, Vec<f64>)>,
}

/// What kind of money an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EventKind {
    /// From customers, whatever is served.
    Revenue,
    /// Raised; taken whole.
    Raise,
    /// Costs beside compute.
    Cost,
    /// Committed charges of a contract.
    Committed,
    /// Prepayments of a contract.
    Prepayment,
    /// What a supplier credits for being late.
    Penalty,
    /// Idle energy.
    Energy,
    /// Paid into a joint venture.
    Stake,
}

/// Money in (above zero) or out (below), by month.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// As a person reads it.
    pub name: String,
    /// What kind.
    pub kind: EventKind,
    /// From or to whom.
    pub party: Option<PartyId>,
    /// Under which contract.
    pub contract: Option<ContractId>,
    /// How likely it comes at all.
    pub likelihood: f64,
    /// By month.
    pub amounts: Series,
}

/// A raise that is taken as far as it is needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// What it is.
    pub name: String,
    /// From whom.
    pub party: Option<PartyId>,
    /// Months `from..to` in which it is open.
    pub open: (usize, usize),
    /// At most so much, in all.
    pub most: f64,
    /// What a unit costs beside itself, in the objective only: it is paid for with as much of the lab, and a dilution.
    pub cost: f64,
    /// How likely it is open at all.
    pub likelihood: f64,
}

/// Debt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Debt {
    /// To whom.
    pub lender: Option<PartyId>,
    /// Owed at the beginning.
    pub owed: f64,
    /// At most, by month.
    pub limit: Vec<f64>,
    /// Interest a month.
    pub rate: f64,
    /// At most so much of the revenue of the last twelve months; months before the plan count as the first.
    pub covenant: Option<f64>,
}

/// Cash and what moves it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Treasury {
    /// At the beginning.
    pub cash: f64,
    /// Below which it must not fall, by month.
    pub floor: Vec<f64>,
    /// What cash earns a month.
    pub interest: f64,
    /// Whether the file says what cash there is: otherwise cash is unbounded below and only counted.
    pub bound: bool,
    /// Debt.
    pub debt: Option<Debt>,
    /// Raises that are taken as needed.
    pub windows: Vec<Window>,
    /// All other money that does not depend on where work goes.
    pub events: Vec<Event>,
}

/// `sum of those on the party <= share x sum of all`, in each month `from..to`; spend or work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cap {
    /// As a person reads it: `at most 60 % of work on nvidia`.
    pub name: String,
    /// On whom.
    pub party: PartyId,
    /// At most.
    pub share: f64,
    /// Whether it is of spend (metered and committed, as it accrues) or of work (arithmetic).
    pub spend: bool,
    /// Months.
    pub months: (usize, usize),
}

/// What kind of clause bars something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BarKind {
    /// Work within its scope runs on its contract only.
    Exclusivity,
    /// Offers of others within its scope wait for its holder's answer.
    FirstRefusal,
}

/// What would be possible without the clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lifts {
    /// A fit, by position, in steps `from..to`; its `open` leaves them out already.
    Fit(usize, usize, usize),
    /// A choice, by position: it is in the list, but can't be taken.
    Choice(usize),
    /// Orders under an expansion, by position, in months `from..to`: `per_month` says what they could be, but they can't.
    Expansion(usize, usize, usize),
}

/// That a clause bars something, so that its price can be told; a clause that bars several things has several of one name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// As a person reads it: `exclusivity of azure`.
    pub name: String,
    /// What kind of clause.
    pub kind: BarKind,
    /// Whose clause.
    pub contract: Option<ContractId>,
    /// What it bars.
    pub lifts: Lifts,
}

/// That a contract may come to rest on another party, which has the right to take it over at its terms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which contract.
    pub contract: ContractId,
    /// Who may take it.
    pub holder: PartyId,
    /// How likely it does.
    pub likelihood: f64,
    /// The month by which it has answered.
    pub answer: usize,
}

/// Everything that planning computes with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// What a unit of each number is.
    pub scale: Scale,
    /// In order.
    pub months: Vec<Month>,
    /// In order of months.
    pub steps: Vec<Step>,
    /// What may be signed.
    pub choices: Vec<Choice>,
    /// Ways to get compute, in the order of their names.
    pub supplies: Vec<Supply>,
    /// What is asked for.
    pub works: Vec<Work>,
    /// Which supplies can do which work, by supply and then work.
    pub fits: Vec<Fit>,
    /// What bounds supplies together.
    pub limits: Vec<Limit>,
    /// Rights to raise capacity.
    pub expansions: Vec<Expansion>,
    /// Metered charges by tier.
    pub tiered: Vec<Tiered>,
    /// Windows of floors, a contract's own in order of time.
    pub floors: Vec<Floor>,
    /// Prepayments as they are credited.
    pub credits: Vec<Credit>,
    /// Joint ventures' means.
    pub ventures: Vec<VentureFunds>,
    /// Limits on dependence.
    pub caps: Vec<Cap>,
    /// What exclusivities and first refusals bar.
    #[serde(default)]
    pub bars: Vec<Bar>,
    /// Offers that the holder of a first refusal may take.
    #[serde(default)]
    pub refusals: Vec<Refusal>,
    /// Cash.
    pub treasury: Treasury,
    /// What a unit of missing money costs in the objective: cash gaps, and promises that are broken, are last resorts.
    pub gap_cost: f64,
    /// What a unit of tokens that was promised and not served costs beside its price and value, by work (zero for training).
    pub miss_cost: Vec<f64>,
}

impl Instance {
    /// What a unit of money that is missing in a month costs in the objective: with the interest that it would earn until the end, so
    /// that nothing is gained by missing it early.
    #[must_use]
    pub fn gap_cost_in(&self, month: usize) -> f64 {
        let left = self.months.len().saturating_sub(month + 1);
        self.gap_cost * (0..left).fold(1.0, |worth, _| worth * (1.0 + self.treasury.interest))
    }
}
