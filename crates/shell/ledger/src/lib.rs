//! Keeps usage: the journal of decisions and the ledger of postings.
//!
//! One state directory holds it all. The **journal** is an append-only file of [`dispatch::Record`]s, written before the
//! effect (a decision's record is the intent of its attempt); it is the write-ahead log of the **ledger**, a SQLite
//! database that one thread feeds from it, each record exactly once, in group commits. A killed process loses nothing
//! that was appended; attempts found in flight are settled as interrupted when the directory is opened again.
//! Money is not stored here: it is derived from quantities by `market`.

mod error;
mod key;
mod store;
mod view;

pub use error::LedgerError;
pub use key::{KeyRow, KeySecret, NewKey};
pub use store::{Books, Recovery, Store};
pub use view::{AttemptRow, Journaled};
