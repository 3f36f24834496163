//! Request to endpoint, with the reason; and the life of a request as events and actions.
//!
//! - [`decide`] is a pure function of a fleet and a [`Question`]: same question, same [`Decision`], on every machine.
//! - A [`Decision`] names every endpoint it passed over, and why.
//! - [`Life`] says what to do next with a request: whom to call, when to move on, what to settle. It does no I/O.
//! - [`Record`] is what the journal keeps; a decision's record holds all it saw, so it can be replayed.
//! - [`audit`] says what must hold of all these by themselves.
//! - `dispatch` never learns a provider's name, an address or a secret.

mod advice;
mod ask;
pub mod audit;
pub mod batch;
mod decide;
mod eligible;
mod funds;
mod life;
mod policy;
mod posting;
mod record;
mod score;
mod seen;

pub use advice::{Advice, Ground, Saved};
pub use ask::{Ask, KeyScope, Needs, RequestId};
pub use decide::{Cost, Decision, PassedOver, Question, Reason, Refusal, Rule, decide, decide_in};
pub use funds::Funds;
pub use life::{ATTEMPTS_MAX, Action, Actions, Event, Failure, Fault, Life};
pub use policy::Policy;
pub use posting::{TokenMeters, postings};
pub use record::{AttemptId, HeldTime, KeyId, Known, Outcome, Record, Settlement};
pub use seen::{ENDPOINTS_MAX, Health, Seen, SeenAll};
