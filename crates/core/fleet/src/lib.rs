//! The fleet file: all that a lab has, in one TOML text. Parse it, validate it, ask it.
//!
//! - [`parse`] reads a text into a [`Fleet`] or says everything that is wrong with it, each [`Diagnostic`] with its
//!   place, code and hint. It reads no file and no clock.
//! - A [`Fleet`] that exists is valid: ids point at what is there, ramps rise in time, nesting has no circle.
//! - Tables are in the order of their names, so an id is the same wherever the same file is read.
//! - Figures that a person gave as a range, or with a source, keep both in [`Fleet::figures`].

pub mod address;

mod allowance;
mod calendar;
mod check;
mod codes;
mod contract;
mod diagnostic;
mod figure;
mod id;
mod keys;
mod model;
mod outlook;
mod parse;
mod ramp;
mod reader;
mod rows;
mod schema;
mod spelling;

pub use allowance::{Allowance, Budget, PerMinute};
pub use calendar::{Calendar, Period};
pub use check::ENDPOINTS_MAX;
pub use codes::{CODES, CodeInfo};
pub use contract::{
    Basis, Capacity, CapacityOf, CarryOver, Charge, Contract, Delivery, Escalation, Exclusivity, FirstRefusal, Floor, Least, Overflow,
    Prepayment, Preset, RateClause, Spot, Status, Substitution, Termination, Tier, TierKind, Tranche,
};
pub use diagnostic::{Diagnostic, Related, Severity};
pub use id::{
    AcceleratorId, ContractId, EndpointId, Id, LinkId, ModelId, PartyId, PoolId, ProfileId, RegionId, SiteId, Table, TeamId, WorkloadId,
};
pub use model::{
    Accelerator, Capability, CashEvent, Dialect, Endpoint, Executor, FigureNote, Finance, Fleet, FleetVersion, KeyAs, Link, Meter,
    MeterKind, Model, Party, Picker, Pool, Profile, ProfileBasis, Region, Role, Scope, Secret, ServingClass, Site, StreamUsage,
    Tier as ServiceTier, TokenWeights, Use, Workload, WorkloadKind,
};
pub use outlook::{Answer, Block, Cap, Debt, Expansion, Horizon, Mishap, Mix, Of, Offer, Recurs, Risk, Source, Stake, Terms, Venture};
pub use parse::{FILE_BYTES_MAX, Parsed, looks_secret, masked, parse};
pub use ramp::{Ramp, RampError};
pub use schema::{reference, schema};
