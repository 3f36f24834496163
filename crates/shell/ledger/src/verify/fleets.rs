//! Fleets that the books name, read from their texts when first asked for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleet::{Fleet, FleetVersion};

use crate::directory;

/// The fleets of a state directory.
#[derive(Debug)]
pub(super) struct Fleets {
    directory: PathBuf,
    read: BTreeMap<FleetVersion, Option<Arc<Fleet>>>,
}

impl Fleets {
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), read: BTreeMap::new() }
    }

    /// A fleet, unless its text is gone or can't be read any more.
    pub fn get(&mut self, version: FleetVersion) -> Option<Arc<Fleet>> {
        self.read.entry(version).or_insert_with(|| directory::fleet(&self.directory, version)).clone()
    }
}
