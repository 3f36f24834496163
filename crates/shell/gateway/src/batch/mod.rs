//! Files and batches: OpenAI's 24 h class, kept in the state directory and run when prices are low.
//!
//! - A file is kept whole or not at all; a batch's every change is on disk before its client hears of it.
//! - A line's result is on disk before it counts: one that has a result never runs again, and stands in the output once.
//! - A line is an ordinary inference request at tier `batch`, which is served as `flex`: decided, journaled, metered and settled under the batch's key.

mod asked;
mod check;
mod files;
mod finish;
mod line;
mod noted;
mod order;
mod price;
mod queue;
mod results;
mod run;
mod shelf;
mod sweep;
mod upload;
mod work;

use std::io;
use std::path::{Path, PathBuf};

use order::Batches;
use shelf::Shelf;
use tokio::sync::Notify;

pub(crate) use asked::{Wanted, find, serve};
pub(crate) use run::Runner;

/// What is kept for batches.
#[derive(Debug)]
pub(crate) struct Desk {
    pub files: Shelf,
    pub batches: Batches,
    /// The state directory.
    pub folder: PathBuf,
    /// Rung when there is something new to do.
    pub wake: Notify,
}

impl Desk {
    /// Opens what a state directory has; makes it where there is nothing yet.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let (files, batches) = (Shelf::open(directory.join("files"))?, Batches::open(directory.join("batches"))?);
        Ok(Self { files, batches, folder: directory.to_owned(), wake: Notify::new() })
    }
}
