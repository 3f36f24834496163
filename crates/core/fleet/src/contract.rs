//! Contracts as clauses. What each clause is worth is computed in `market`; `docs/contracts.md` says how.

use core::time::Duration;

use serde::{Deserialize, Serialize};
use units::{Amount, Currency, Instant, Money, Quantity, Rate, Share, Span};

use crate::calendar::{Calendar, Period};
use crate::id::{AcceleratorId, ContractId, EndpointId, ModelId, PartyId, PoolId, SiteId};
use crate::model::{Meter, MeterKind, Scope};
use crate::outlook::{Answer, Expansion, Offer};
use crate::ramp::Ramp;

/// Where a contract stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Talked about: nothing is due and nothing may be placed on it.
    Discussed,
    /// In force within its term.
    Signed,
    /// Signed but at a standstill: nothing is due and nothing may be placed on it.
    Stalled,
    /// Over.
    Ended,
    /// Another contract took its place.
    Substituted {
        /// Which one.
        by: ContractId,
    },
}

/// The familiar kind that a contract's clauses were expanded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// A floor in money over each period, paid whether used or not.
    TakeOrPay,
    /// Accelerators paid by the hour whether used or not.
    Reserved,
    /// Provisioned units paid by the hour whether used or not.
    Provisioned,
    /// Paid as metered.
    OnDemand,
    /// Paid as metered, may be taken away at notice.
    Spot,
    /// Owned: capital spent, energy at the margin.
    Owned,
}

/// A contract: a party, a status, a term, a calendar, and clauses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contract {
    /// With whom.
    pub party: PartyId,
    /// Where it stands.
    pub status: Status,
    /// The kind it was written as, if any.
    pub preset: Option<Preset>,
    /// From its first instant to the first after it.
    pub term: Span,
    /// Its billing periods; each is clipped to the term.
    pub calendar: Calendar,
    /// In which its amounts are due.
    pub currency: Currency,
    /// The unit to which an amount due is rounded: a cent, or a nano-unit.
    pub rounding: Money,
    /// The umbrella whose floors its charges draw down.
    pub under: Option<ContractId>,
    /// The supplier's drawdown order among contracts that cover one pool or endpoint: lowest first.
    pub order: u16,
    /// The pools whose accelerator time it pays.
    pub pools: Vec<PoolId>,
    /// The endpoints whose tokens or units it pays.
    pub endpoints: Vec<EndpointId>,
    /// Rights to accelerators, power or provisioned units.
    pub capacity: Vec<Capacity>,
    /// Prices per meter.
    pub rates: Vec<RateClause>,
    /// Minimum spends and quantities.
    pub floors: Vec<Floor>,
    /// Where what exceeds the capacity goes.
    pub overflow: Option<Overflow>,
    /// Money paid ahead.
    pub prepayments: Vec<Prepayment>,
    /// Tranches with due dates.
    pub delivery: Option<Delivery>,
    /// What this contract alone may serve.
    pub exclusivities: Vec<Exclusivity>,
    /// Who must be asked before others.
    pub first_refusals: Vec<FirstRefusal>,
    /// Which contracts it takes the place of.
    pub substitutions: Vec<Substitution>,
    /// How it may end early.
    pub termination: Option<Termination>,
    /// How its capacity may be taken away, when it is bought on a spot market.
    pub spot: Option<Spot>,
    /// What was spent to own its capacity.
    pub capex: Option<Money>,
    /// That it may be signed, while it is discussed.
    pub offer: Option<Offer>,
    /// Rights to raise its capacity.
    pub expansions: Vec<Expansion>,
}

impl Contract {
    /// Whether work may be placed on it, and amounts fall due, at `at`.
    #[must_use]
    pub fn in_force(&self, at: Instant) -> bool {
        self.status == Status::Signed && self.term.contains(at)
    }

    /// The span of billing period `index`, clipped to the term; a [`Period::Term`] contract has one, number 0.
    #[must_use]
    pub fn period(&self, index: i64) -> Span {
        self.calendar.span(index).overlap(self.term)
    }

    /// The capacity of `of`'s kind in force at `at`, delivered or not.
    #[must_use]
    pub fn capacity_at(&self, of: CapacityOf, at: Instant) -> Option<i64> {
        self.capacity.iter().find(|clause| clause.of == of).and_then(|clause| clause.ramp.at(at))
    }
}

/// What a capacity clause is a right to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CapacityOf {
    /// Accelerators of one kind, in number.
    Accelerators(AcceleratorId),
    /// Power at a site in watts, whose chips are chosen later.
    Power(SiteId),
    /// Provisioned units for one model, in number.
    Units(ModelId),
}

/// A right to so much of something, ramping by date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Of what.
    pub of: CapacityOf,
    /// How much from when: accelerators, units, or watts.
    pub ramp: Ramp<i64>,
    /// Tokens that one provisioned unit handles a minute; zero for other kinds.
    pub tokens_per_unit_minute: i64,
}

/// What a rate multiplies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// What was metered.
    Metered,
    /// The delivered capacity times time, used or not.
    Committed,
}

/// Whether a tier's rate is for the part above its threshold or, once reached, for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TierKind {
    /// Each part at its own tier's rate.
    Graduated,
    /// All of it at the rate of the tier reached, from the period's beginning.
    Volume,
}

/// A rate from a threshold on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The quantity at which it begins; the first tier's is zero.
    pub from: Quantity,
    /// The price from there.
    pub rate: Rate,
}

/// A price that rises by a share at intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// By how much each time, compounded.
    pub by: Share,
    /// How often, counted in whole intervals from the term's start.
    pub every: Period,
}

/// A price per meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateClause {
    /// Which meter.
    pub meter: Meter,
    /// What is multiplied.
    pub charge: Charge,
    /// At least one tier, by rising threshold.
    pub tiers: Vec<Tier>,
    /// How the tiers apply.
    pub kind: TierKind,
    /// Whether thresholds count over the whole term rather than one billing period.
    pub over_term: bool,
    /// How it rises.
    pub escalation: Option<Escalation>,
}

/// The minimum of a floor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Least {
    /// So much money in each window.
    Spend(Ramp<Money>),
    /// So much of the meters in each window, what is short being charged at a rate.
    Quantity(Ramp<Quantity>, Rate),
}

/// What counts towards a floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// What is bought, when it is billed: prepayments count when due.
    Purchase,
    /// Charges as they accrue; prepayments count as they are credited.
    Amortisation,
    /// Only what work used.
    Use,
}

/// Excess over a floor that counts later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarryOver {
    /// Which share of the excess.
    pub share: Share,
    /// For how many windows after its own.
    pub windows: u32,
}

/// A minimum over each window; what is short is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floor {
    /// How much, by the amount in force when the window begins.
    pub least: Least,
    /// How long a window is.
    pub per: Period,
    /// What counts.
    pub basis: Basis,
    /// Which contracts count; empty means this one and all nested under it.
    pub contracts: Vec<ContractId>,
    /// Which meters count; empty means all.
    pub meters: Vec<MeterKind>,
    /// What happens to excess.
    pub carry_over: Option<CarryOver>,
    /// Whether it shrinks by the share of capacity that the supplier is late with.
    pub abated_while_late: bool,
}

/// How spot capacity is priced and taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    /// Where its prices of the day come from, in place of the rate.
    pub feed: Option<String>,
    /// How long before it is taken away one is told.
    pub notice: Option<Duration>,
    /// How likely it is taken away within an hour.
    pub hazard_per_hour: Option<Share>,
}

/// Where what exceeds the capacity goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// To another contract, at its rates.
    To(ContractId),
    /// Billed here, at this rate per base unit of the committed meter.
    AtRate(Rate),
}

/// Money paid ahead and credited over periods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepayment {
    /// How much.
    pub amount: Money,
    /// When it is due.
    pub due: Instant,
    /// The first instant of the periods that it is credited in.
    pub credited_from: Instant,
    /// In how many periods, in equal parts.
    pub credit_periods: u32,
    /// Whether what is not yet credited comes back when the supplier defaults.
    pub refundable: bool,
}

/// A part of the capacity with its due date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tranche {
    /// How much of the capacity.
    pub amount: i64,
    /// When it should be there.
    pub due: Instant,
    /// When it really was; `None` while it is not.
    pub delivered: Option<Instant>,
}

/// Delivery in tranches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Of which capacity.
    pub of: CapacityOf,
    /// Its parts, by due date.
    pub tranches: Vec<Tranche>,
    /// What the supplier credits per accelerator- or unit-time that is late (per watt-second for power).
    pub penalty: Option<Rate>,
    /// The most that penalties come to over the term.
    pub cap: Option<Money>,
    /// How late a tranche may be before the lab may leave, in days.
    pub exit_after_days: Option<u32>,
}

/// What only this contract may serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclusivity {
    /// What it covers.
    pub scope: Scope,
    /// While it lasts.
    pub span: Span,
    /// Contracts that are carved out.
    pub except: Vec<ContractId>,
}

/// Who must be offered new capacity first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstRefusal {
    /// What it covers.
    pub scope: Scope,
    /// While it lasts.
    pub span: Span,
    /// How its holder answers.
    pub answer: Answer,
}

/// A contract that takes the place of part of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Substitution {
    /// Which contract it replaces.
    pub of: ContractId,
    /// Which share of that one's floors and capacity falls away while this one is in force.
    pub share: Share,
}

/// How a contract may end early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Termination {
    /// Notice in days.
    pub notice_days: u32,
    /// What it costs.
    pub fee: Option<Amount>,
}
