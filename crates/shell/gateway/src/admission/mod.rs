//! Who may go on, and how much it may take: accounts with their limits, places under way, and the queues before them.
//!
//! - `account` has what keys, teams and the fleet may take, as atomics that no request locks.
//! - `allotment` is what this gateway may take of a budget that others take of too.
//! - `rate` is requests or tokens a minute: a bucket of this gateway's own, or what it has been leased of one that others take of too.
//! - `ticket` is what one request has taken of them: put right exactly once, however it ends.
//! - `gate` bounds the requests under way, in all, per key and per peer; `room` is where they wait for an endpoint that is full.
//! - `lines` is the order in which they wait, without clocks and without wakers; `peers` counts connections.

mod account;
mod allotment;
mod gate;
mod lines;
mod peers;
mod rate;
mod room;
mod ticket;

pub(crate) use account::{Accounts, Counted};
pub use account::{Balance, Owner};
pub use allotment::Allotment;
pub(crate) use gate::{Gate, UnderWay};
pub(crate) use peers::{Peers, Visit};
pub use rate::{RatePart, RateStanding};
pub(crate) use room::{Rooms, Waiting};
pub(crate) use ticket::{Rates, Ticket};
