//! Keeps usage: the journal of decisions and the ledger of postings.
//!
//! One state directory holds it all. The **journal** is an append-only file of [`dispatch::Record`]s, written before the
//! effect (a decision's record is the intent of its attempt); it is the write-ahead log of the **ledger**, a SQLite
//! database that one thread feeds from it, each record exactly once, in group commits. A killed process loses nothing
//! that was appended; attempts found in flight are settled as interrupted when the directory is opened again.
//! Money is not stored here: it is derived from quantities by `market`.

mod book;
mod books;
mod directory;
mod entry;
mod error;
mod flow;
mod ingest;
mod journal;
mod key;
mod keys;
mod recovery;
mod register;
mod schema;
mod scope;
mod spending;
mod store;
mod verify;
mod view;
mod words;

pub use books::Books;
pub use entry::Why;
pub use error::LedgerError;
pub use journal::{Position, RECORD_BYTES_MAX, SEGMENT_BYTES};
pub use key::{KeyRow, KeySecret, KeyTerms, NewKey, Previous, hash_secret, split_key};
pub use keys::Keys;
pub use recovery::Recovery;
pub use scope::{NoScope, Scope, Scopes};
pub use spending::Spending;
pub use store::Store;
pub use verify::{Finding, Verification, verify};
pub use view::{AttemptRow, Journaled, View};
