//! Fleets that the books name, read from their texts when first asked for.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fleet::{Fleet, FleetVersion};

use crate::directory;
use crate::error::LedgerError;

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

    /// A fleet, unless its text is gone or is none to this program. Where it can't be read now, it is tried again the next time.
    pub(crate) fn get(&self, version: FleetVersion) -> Result<Option<Arc<Fleet>>, LedgerError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match read.entry(version) {
            Entry::Occupied(known) => Ok(known.get().clone()),
            Entry::Vacant(place) => Ok(place.insert(directory::fleet(&self.directory, version)?).clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_text_that_cannot_be_read_now_is_no_text_that_is_gone() {
        let (folder, text) = (tempfile::tempdir().expect("a temporary folder"), include_str!("../../../../fleets/laptop.toml"));
        let version = fleet::parse(text).fleet.expect("a fleet").version;
        directory::keep_text(folder.path(), version, "").expect_err("there is no folder for it yet");
        fs::create_dir(folder.path().join("fleets")).expect("a folder");
        let fleets = Fleets::of(folder.path());
        directory::keep_text(folder.path(), version, text).expect("room");
        let path = fs::read_dir(folder.path().join("fleets")).expect("it is there").next().expect("a text").expect("it reads").path();
        // In its place stands what no read gives a text of.
        fs::remove_file(&path).and_then(|()| fs::create_dir(&path)).expect("a folder in its place");
        assert!(fleets.get(version).is_err());
        fs::remove_dir(&path).and_then(|()| fs::write(&path, text)).expect("as it was");
        assert_eq!(fleets.get(version).expect("it reads").map(|fleet| fleet.version), Some(version));
        let gone = FleetVersion([7; 32]);
        assert!(fleets.get(gone).expect("that it is gone is known").is_none());
    }
}
