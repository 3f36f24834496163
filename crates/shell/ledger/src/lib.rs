//! Keeps usage: the journal of decisions and the ledger of postings.
//!
//! One state directory holds it all. The **journal** is an append-only file of [`dispatch::Record`]s, written before the
//! effect (a decision's record is the intent of its attempt); it is the write-ahead log of the **ledger**, a SQLite
//! database that one thread feeds from it, each record exactly once, in group commits. A killed process loses nothing
//! that was appended; attempts found in flight are settled as interrupted when the directory is opened again.
//! Money is not stored here: it is derived from quantities by `market`.

mod accounts;
mod audit;
mod book;
mod books;
mod chain;
mod closing;
mod copied;
mod correction;
mod directory;
mod earlier;
mod entry;
mod error;
mod field;
mod fleets;
mod flow;
mod focus;
#[doc(hidden)]
pub mod fuzz;
mod ingest;
mod insert;
mod journal;
mod key;
mod keylog;
mod keys;
mod line;
mod plain;
mod recovery;
mod register;
mod removed;
mod rows;
mod schema;
mod scope;
mod shadow;
mod spending;
mod spent;
mod store;
mod sync;
mod unposted;
mod verify;
mod view;
mod whole;
mod words;

pub use accounts::{Unreconciled, correct};
pub use books::Books;
pub use chain::{Hash, Head};
pub use closing::{Closed, ClosedLine, GRACE, closable};
pub use copied::ChainEntry;
pub use correction::{Correct, Corrected};
pub use directory::{REPLICA, takes_part};
pub use entry::Why;
pub use error::{LedgerError, NEWER_STORE};
pub use focus::{
    COLUMNS, Cell, Column, Difference, Exact, FOCUS_VERSION, FocusRow, Invoice, InvoiceError, InvoiceLine, KeptInvoice, KeptLine,
    Kind as CellKind, Reckoned, Reconciliation, Stated, compare_invoice, focus_rows, import_invoice, read_invoice,
};
pub use journal::{Position, RECORD_BYTES_MAX, SEGMENT_BYTES};
pub use key::{KeyRow, KeySecret, KeyTerms, NewKey, Previous, hash_secret, split_key};
pub use keylog::{By, KeyChange, KeyDeed};
pub use keys::Keys;
pub use plain::{NAME_CHARS_MAX, NotPlain, WHY_CHARS_MAX, check_name, check_plain, escaped};
pub use recovery::{Recovery, Unpriced};
pub use scope::{NoScope, Scope, Scopes};
pub use shadow::{Move, Moved, Shadowed};
pub use spending::{Spending, SpendingReader};
pub use spent::{Spent, Taken};
pub use store::Store;
pub use verify::{Finding, Verification, verify};
pub use view::{AttemptRow, Journaled, View};
pub use whole::{Copied, Fetched, PassedOver, WHOLE, Whole};
