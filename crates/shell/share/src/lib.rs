//! Several replicas of `baseload up` on one PostgreSQL: copies of their books, leases of what they share, keys.
//!
//! - Each replica keeps its own journal and ledger; nothing on a request's path waits for what is done here.
//! - `leases` renews what a replica may take of each budget, by `market::lease`; `docs/books.md` has the bound on overspend.
//! - `keeper` says which replica posts held time; `used` tells that one what the others used of it.
//! - `copies` brings each committed entry here once, in the order of its replica's chain.
//! - `keys` makes a key that is made, rotated or revoked anywhere known everywhere.
//! - `whole` brings the entries of all back to each replica, which prices by them; a billing period is closed there once for all.
//! - `lock` lets one replica at a time change something, and takes that back from one that falls silent.
//! - `schema` brings the tables forward, and refuses those of a newer program.

mod copies;
mod error;
mod keeper;
mod keys;
mod leases;
mod link;
mod lock;
mod rates;
mod read;
mod replica;
mod schema;
mod sharing;
mod used;
mod whole;

pub use error::ShareError;
pub use leases::{Of, Part, Portion, Portions};
pub use link::{Address, AddressError};
pub use read::{ALL, CheckedChain, checked};
pub use replica::ReplicaId;
pub use sharing::{Joined, Setup, Sharing};
pub use used::{UsedTime, WorkDone};
pub use whole::{gather, import, verify};
