//! Files kept for batches: each is its content and a row beside it that says what it is.
//!
//! A file is there once its row is: the content is synced and named before the row is, so a kill leaves a whole file or none.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dispatch::KeyId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What a kept file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileRow {
    pub id: String,
    pub key: KeyId,
    pub filename: String,
    pub purpose: String,
    pub bytes: u64,
    /// In seconds since 1970.
    pub created_at: i64,
}

/// Every kept file.
#[derive(Debug)]
pub(crate) struct Shelf {
    folder: PathBuf,
    rows: Mutex<BTreeMap<String, FileRow>>,
}

impl Shelf {
    /// Opens a folder of files, and clears away what has no row: a kill left it unfinished, or half forgotten.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        make(&folder)?;
        let rows: BTreeMap<_, _> = read_all::<FileRow>(&folder)?.into_iter().map(|row| (row.id.clone(), row)).collect();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let is_known = |name: &str| name.ends_with(".json") || rows.contains_key(name);
            if !name.to_str().is_some_and(is_known) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { folder, rows: Mutex::new(rows) })
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<String, FileRow>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place to write a new file's content to; it is nothing until it is kept.
    pub fn draft(&self, id: &str) -> io::Result<File> {
        create(&self.draft_path(id))
    }

    /// Makes a draft a file.
    pub fn keep(&self, draft: &File, row: FileRow) -> io::Result<()> {
        draft.sync_all()?;
        fs::rename(self.draft_path(&row.id), self.path(&row.id))?;
        if let Err(error) = replace(&self.folder, &row.id, &row) {
            // It may be there all the same; whoever wanted it hears that it is not.
            forget(&self.folder, &row.id);
            _ = fs::remove_file(self.path(&row.id));
            return Err(error);
        }
        self.rows().insert(row.id.clone(), row);
        Ok(())
    }

    /// Throws a draft away.
    pub fn discard(&self, id: &str) {
        // What stays is cleared away at the next start.
        _ = fs::remove_file(self.draft_path(id));
    }

    /// The row of a key's file.
    pub fn find(&self, key: KeyId, id: &str) -> Option<FileRow> {
        self.rows().get(id).filter(|row| row.key == key).cloned()
    }

    /// Every file of a key.
    pub fn of(&self, key: KeyId) -> Vec<FileRow> {
        self.rows().values().filter(|row| row.key == key).cloned().collect()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.rows().values().map(|row| row.bytes).sum()
    }

    /// The content of a file.
    pub fn content(&self, id: &str) -> io::Result<File> {
        File::open(self.path(id))
    }

    /// Forgets a file.
    pub fn remove(&self, id: &str) -> io::Result<()> {
        fs::remove_file(row_path(&self.folder, id))?;
        self.rows().remove(id);
        // Without its row it is nothing; what stays is cleared away at the next start.
        _ = fs::remove_file(self.path(id));
        Ok(())
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(id)
    }

    fn draft_path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.part"))
    }
}

/// Makes a folder, for its owner only.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Creates a file, for its owner only.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn row_path(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.json"))
}

/// Writes a row, whole or not at all, in place of what it said before.
pub(crate) fn replace(folder: &Path, id: &str, row: &impl Serialize) -> io::Result<()> {
    let path = row_path(folder, id);
    let draft = path.with_extension("part");
    let mut file = create(&draft)?;
    file.write_all(&serde_json::to_vec(row)?)?;
    file.sync_all()?;
    fs::rename(&draft, &path)?;
    File::open(folder)?.sync_all()
}

/// Takes a row away that could not be written well; what stays is only there after the next start.
pub(crate) fn forget(folder: &Path, id: &str) {
    _ = fs::remove_file(row_path(folder, id));
}

/// Reads every row of a folder.
pub(crate) fn read_all<T: DeserializeOwned>(folder: &Path) -> io::Result<Vec<T>> {
    let mut rows = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            rows.push(serde_json::from_slice(&fs::read(path)?)?);
        }
    }
    Ok(rows)
}
