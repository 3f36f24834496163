//! `baseload ledger`, as clap reads it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use units::Instant;

use super::{Share, State, instant, who, why};

#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Shows the last attempts with what they took and who paid, or what was closed or invoiced
    Show {
        /// At most so many, newest first
        #[arg(long, default_value_t = 20)]
        limit: usize,
        /// Show closed billing periods with their lines instead
        #[arg(long)]
        closings: bool,
        /// Show the invoices that were imported instead, with sums by contract
        #[arg(long, conflicts_with = "closings")]
        invoices: bool,
        /// Show this invoice with its lines instead
        #[arg(long, value_name = "NUMBER", conflicts_with_all = ["closings", "invoices"])]
        invoice: Option<i64>,
        /// Only of this contract
        #[arg(long, requires = "closings", value_name = "NAME")]
        contract: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        share: Share,
        #[command(flatten)]
        state: State,
    },
    /// Says what `up --shadow` would have saved, and why
    Shadow {
        /// Only requests from this on
        #[arg(long, value_name = "DATE", value_parser = instant)]
        from: Option<Instant>,
        /// Only requests before this
        #[arg(long, value_name = "DATE", value_parser = instant)]
        to: Option<Instant>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        share: Share,
        #[command(flatten)]
        state: State,
    },
    /// Writes every charge in FOCUS 1.2 columns
    Export {
        /// As what
        #[arg(long, value_enum, default_value_t = Format::Csv)]
        format: Format,
        /// Only billing periods that end after this
        #[arg(long, value_name = "DATE", value_parser = instant)]
        from: Option<Instant>,
        /// Only billing periods that begin before this
        #[arg(long, value_name = "DATE", value_parser = instant)]
        to: Option<Instant>,
        /// Where to write it; without it, to standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        share: Share,
        #[command(flatten)]
        state: State,
    },
    /// Sets a supplier's invoice in FOCUS CSV beside what was metered, and clears what it settles
    Import {
        /// The invoice
        file: PathBuf,
        /// Only compare: book nothing, and clear nothing
        #[arg(long)]
        dry_run: bool,
        /// Who imports it
        #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown", value_parser = who)]
        who: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        state: State,
        #[command(flatten)]
        share: Share,
    },
    /// Says what an attempt really took; what was booked stays beside it
    Correct {
        /// The attempt, such as req_0123#1
        attempt: String,
        /// Input tokens, cached ones among them
        #[arg(long, value_name = "TOKENS")]
        input: u32,
        /// Cached input tokens
        #[arg(long, value_name = "TOKENS", default_value_t = 0)]
        cached: u32,
        /// Output tokens
        #[arg(long, value_name = "TOKENS")]
        output: u32,
        /// Why
        #[arg(long, value_name = "TEXT", value_parser = why)]
        why: String,
        /// Who says so
        #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown", value_parser = who)]
        who: String,
        #[command(flatten)]
        state: State,
    },
    /// Checks from first principles that the books are what they must be
    Verify {
        /// Ask a running service to check what was added since it was asked last
        #[arg(long, value_name = "ADDR", conflicts_with = "head")]
        live: Option<SocketAddr>,
        /// A key for the running service, as behind a tunnel that ends on this machine; on its own machine it needs none
        #[arg(long, value_name = "KEY", env = "BASELOAD_KEY", hide_env_values = true, requires = "live")]
        key: Option<String>,
        /// A head of the chain that was noted: everything before it must be unchanged
        #[arg(long, value_name = "HASH", value_parser = hash)]
        head: Option<ledger::Hash>,
        #[command(flatten)]
        share: Share,
        #[command(flatten)]
        state: State,
    },
}

/// What an export is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Comma-separated values
    Csv,
    /// One JSON document
    Json,
    /// Apache Parquet
    Parquet,
}

fn hash(text: &str) -> Result<ledger::Hash, String> {
    text.parse().map_err(str::to_owned)
}
