//! Fleets that the books name, read from their texts when first asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fleet::{Fleet, FleetVersion};

use crate::directory;

/// The fleets of a state directory, by their versions.
#[derive(Debug)]
pub(crate) struct Fleets {
    directory: PathBuf,
    read: Mutex<BTreeMap<FleetVersion, Option<Arc<Fleet>>>>,
}

impl Fleets {
    /// None read yet.
    pub(crate) fn of(directory: &Path) -> Arc<Self> {
        Arc::new(Self { directory: directory.to_owned(), read: Mutex::default() })
    }

    /// A fleet, unless its text is gone or can't be read any more.
    pub(crate) fn get(&self, version: FleetVersion) -> Option<Arc<Fleet>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.entry(version).or_insert_with(|| directory::fleet(&self.directory, version)).clone()
    }
}
