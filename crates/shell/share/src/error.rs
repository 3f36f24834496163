//! What can go wrong with what is shared.

use ledger::{LedgerError, NEWER_STORE};

/// Why the shared database could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// It can't be reached, or refused.
    #[error("use the shared database")]
    Database(#[from] tokio_postgres::Error),
    /// This machine trusts nobody who could vouch for it.
    #[error(
        "use the shared database over TLS: this machine has no certificates of authorities that it trusts (SSL_CERT_FILE names a file of them)"
    )]
    Untrusting,
    /// TLS can't be spoken.
    #[error("use the shared database over TLS")]
    Tls(#[from] rustls::Error),
    /// It did not answer in time.
    #[error("use the shared database: it does not answer")]
    Silent,
    /// It was set up by a newer version.
    #[error("{NEWER_STORE}: open the shared database: its schema is version {found}, this program knows up to {known}")]
    Newer {
        /// What is there.
        found: i32,
        /// What this program knows.
        known: i32,
    },
    /// Another process took part as this replica after this one began.
    #[error("take part as replica {id}: another process does so by now, with a copy of this state directory")]
    Displaced {
        /// The replica.
        id: String,
    },
    /// What it has of this replica's chain is not what the chain has.
    #[error(
        "copy entry {number}: another entry of this replica has that number: the state directory is not the one that was copied before"
    )]
    Forked {
        /// Which entry.
        number: i64,
    },
    /// This replica's own books could not be read.
    #[error("read the books")]
    Ledger(#[from] LedgerError),
    /// A row is not what this program writes.
    #[error("read {what} in the shared database")]
    Unreadable {
        /// Which.
        what: String,
    },
    /// The replica's name could not be kept.
    #[error("keep the replica's name in the state directory")]
    Name(#[source] std::io::Error),
    /// A thread could not be started.
    #[error("start sharing")]
    Thread(#[source] std::io::Error),
}
