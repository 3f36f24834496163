//! The state directory: who may have it open, and the fleet texts in it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fleet::{Fleet, FleetVersion};
use sha2::{Digest, Sha256};

use crate::error::{LedgerError, at};
use crate::journal;

/// The file of a state directory that has its name among several replicas.
pub const REPLICA: &str = "replica";

/// Whether a state directory is, or was, one of several replicas: then its books are not all there is, and others close periods by them.
#[must_use]
pub fn takes_part(directory: &Path) -> bool {
    directory.join(REPLICA).exists()
}

/// Makes a state directory, for its owner only, with its folders; what is there already stays as it is.
pub(crate) fn make(directory: &Path) -> Result<(), LedgerError> {
    for folder in [directory.to_owned(), journal::folder(directory), texts(directory)] {
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(at(&folder))?;
    }
    Ok(())
}

/// Takes the directory for one process; it is given back when the file is closed, also by a kill.
pub(crate) fn lock(directory: &Path) -> Result<File, LedgerError> {
    let path = directory.join("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LedgerError::Locked { path: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(LedgerError::File { path, source }),
    }
}

fn texts(directory: &Path) -> PathBuf {
    directory.join("fleets")
}

fn text_path(directory: &Path, version: FleetVersion) -> PathBuf {
    let hex: String = version.0.iter().map(|byte| format!("{byte:02x}")).collect();
    texts(directory).join(format!("{hex}.toml"))
}

/// Keeps a fleet's text under its version, whole or not at all.
pub(crate) fn keep_text(directory: &Path, version: FleetVersion, text: &str) -> Result<(), LedgerError> {
    let path = text_path(directory, version);
    if path.exists() {
        return Ok(());
    }
    let draft = path.with_extension("tmp");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft).map_err(at(&draft))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(at(&draft))?;
    fs::rename(&draft, &path).map_err(at(&path))?;
    let folder = texts(directory);
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(at(&folder))
}

/// A fleet version that was in use; nothing where its text is gone, or is none to this program. That a disk doesn't give it now is neither.
pub(crate) fn fleet(directory: &Path, version: FleetVersion) -> Result<Option<Arc<Fleet>>, LedgerError> {
    let path = text_path(directory, version);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(&path)(error)),
    };
    let fleet = String::from_utf8(text).ok().and_then(|text| fleet::parse(&text).fleet);
    Ok(fleet.filter(|fleet| fleet.version == version).map(Arc::new))
}

/// Whether the text that is there of a fleet version is another one; one that is gone is none.
pub(crate) fn is_changed(directory: &Path, version: FleetVersion) -> Result<bool, LedgerError> {
    let path = text_path(directory, version);
    match fs::read(&path) {
        Ok(text) => Ok(FleetVersion(Sha256::digest(&text).into()) != version),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(at(&path)(error)),
    }
}

/// The text of a fleet version that was in use.
pub(crate) fn text(directory: &Path, version: FleetVersion) -> Result<String, LedgerError> {
    let path = text_path(directory, version);
    fs::read_to_string(&path).map_err(at(&path))
}
