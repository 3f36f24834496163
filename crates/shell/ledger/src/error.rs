//! What can go wrong with the books.

use std::path::PathBuf;

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
    #[error("open the store: its schema is version {found}, this program knows up to {known}")]
    Newer {
        /// What is there.
        found: i64,
        /// What this program knows.
        known: i64,
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
}
