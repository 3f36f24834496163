//! What can go wrong with the books.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dispatch::AttemptId;
use fleet::FleetVersion;

use crate::plain::NotPlain;

/// The code of a store, or of a shared database, that a newer program has brought forward.
pub const NEWER_STORE: &str = "BL0801";

/// Why the state directory could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The directory or a file in it could not be used.
    #[error("use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process has the directory open.
    #[error("open {path}: another baseload is running on it")]
    Locked {
        /// Which.
        path: PathBuf,
    },
    /// The database refused.
    #[error("use the database")]
    Database(#[from] rusqlite::Error),
    /// The store was written by a newer version.
    #[error("{NEWER_STORE}: open the store: its schema is version {found}, this program knows up to {known}")]
    Newer {
        /// What is there.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// What is there was written by a program from before the first release.
    #[error("read what version {found} wrote: this program reads from version {oldest} on: move the state directory away and begin anew")]
    Older {
        /// What is there.
        found: i64,
        /// The oldest that can be read.
        oldest: i64,
    },
    /// A record in the journal is damaged before its end.
    #[error("read {path}: the record at byte {offset} is damaged")]
    Damaged {
        /// Which segment.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
    /// A record could not be encoded or decoded.
    #[error("encode a record")]
    Codec(#[from] postcard::Error),
    /// What was asked for is not there.
    #[error("find {what}")]
    Missing {
        /// What.
        what: String,
    },
    /// A copied entry is of what another entry was of.
    #[error("add a row of {table}: another entry has it already")]
    Twice {
        /// Of which table.
        table: &'static str,
    },
    /// SQLite gave a row another number than the next.
    #[error("number a row of {table} {number}")]
    Misnumbered {
        /// Of which table.
        table: &'static str,
        /// The number that it was to have.
        number: i64,
    },
    /// The text of a fleet that was in use is another one now.
    #[error("read fleet version {version}: the text that was kept of it has been changed")]
    Changed {
        /// Which version.
        version: FleetVersion,
    },
    /// A name stands for more than one key.
    #[error("tell which {name} is meant: name one of {} instead", keys.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// The public parts of those that have it.
        keys: Vec<String>,
    },
    /// A text that people give and read can't be kept as it is.
    #[error("keep {what}")]
    NotPlain {
        /// What it says.
        what: &'static str,
        /// Why not.
        source: NotPlain,
    },
    /// A record is longer than any may be.
    #[error("append a record of {bytes} bytes: the limit is {limit}")]
    TooLong {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// A record about new work while there is no space but what is kept for work under way.
    #[error("append a record: the disk is full, and the space that is left is for what is under way")]
    Full,
    /// A record about new work while a sync of those before it has failed.
    #[error("append a record: the disk failed to take what came before it, which is being written again")]
    Unsure,
    /// An invoice was imported before.
    #[error("import an invoice: the same file is invoice {number} already")]
    Imported {
        /// Its number.
        number: i64,
    },
    /// An invoice beside the books of one replica, where others have theirs.
    #[error("import an invoice: {path} is one of several replicas, and an invoice is of all of them (not yet)")]
    OneOfSeveral {
        /// The state directory.
        path: PathBuf,
    },
    /// Held time whose parts don't add up.
    #[error("append held time: {why}")]
    Unbalanced {
        /// What is wrong.
        why: &'static str,
    },
    /// An attempt's row is not what this program writes.
    #[error("read attempt {attempt}")]
    Unreadable {
        /// Which.
        attempt: AttemptId,
    },
    /// A key's row is not what this program writes.
    #[error("read the key {name}")]
    UnreadableKey {
        /// What it is called.
        name: String,
    },
    /// What was appended is in the journal but could not be committed yet; it is tried again.
    #[error("commit what was appended")]
    Commit(#[source] Arc<LedgerError>),
    /// The thread that commits is gone.
    #[error("commit what was appended: its thread has stopped")]
    Stopped,
}

impl LedgerError {
    /// Whether the disk refused, which passes, and not the record itself.
    #[must_use]
    pub const fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::Full | Self::Unsure | Self::File { .. } | Self::Damaged { .. })
    }
}

/// For `map_err`: a file's error, with its path.
pub(crate) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> LedgerError {
    let path = path.to_owned();
    move |source| LedgerError::File { path, source }
}
