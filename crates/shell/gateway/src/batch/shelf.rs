//! Files kept for batches: each is its content and a row beside it that says what it is.
//!
//! A file is there once its row is: the content is synced and named before the row is, so a kill leaves a whole file or none.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dispatch::KeyId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::limits::{FILES_BYTES_MAX, FILES_KEY_BYTES_MAX};

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
    room: Arc<Room>,
}

/// Bytes of all files and of what is being written: no key can fill it alone.
#[derive(Debug)]
struct Room {
    taken: Mutex<Taken>,
    most: u64,
    most_of_key: u64,
}

#[derive(Debug, Default)]
struct Taken {
    all: u64,
    keys: BTreeMap<KeyId, u64>,
}

impl Room {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, key: KeyId, more: u64) -> bool {
        let taken = self.taken();
        let of_key = taken.keys.get(&key).copied().unwrap_or(0);
        taken.all.saturating_add(more) <= self.most && of_key.saturating_add(more) <= self.most_of_key
    }

    fn take(&self, key: KeyId, bytes: u64) {
        let mut taken = self.taken();
        taken.all += bytes;
        *taken.keys.entry(key).or_default() += bytes;
    }

    fn give(&self, key: KeyId, bytes: u64) {
        let mut taken = self.taken();
        taken.all -= bytes;
        *taken.keys.entry(key).or_default() -= bytes;
    }
}

/// The content of a file that is being written: nothing until it is kept, and gone when it is dropped before.
#[derive(Debug)]
pub(crate) struct Draft {
    file: File,
    path: PathBuf,
    key: KeyId,
    bytes: u64,
    room: Arc<Room>,
    kept: bool,
}

impl Draft {
    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether so much more has room among its key's files and among all.
    pub fn has_room(&self, more: u64) -> bool {
        self.room.has(self.key, more)
    }
}

impl Write for Draft {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let written = self.file.write(piece)?;
        self.bytes += written as u64;
        self.room.take(self.key, written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            self.room.give(self.key, self.bytes);
            // What stays is cleared away at the next start.
            _ = fs::remove_file(&self.path);
        }
    }
}

impl Shelf {
    /// Opens a folder of files, and clears away what has no row: a kill left it unfinished, or half forgotten.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        Self::with_room(folder, FILES_BYTES_MAX, FILES_KEY_BYTES_MAX)
    }

    fn with_room(folder: PathBuf, most: u64, most_of_key: u64) -> io::Result<Self> {
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
        let room = Room { taken: Mutex::default(), most, most_of_key };
        rows.values().for_each(|row| room.take(row.key, row.bytes));
        Ok(Self { folder, rows: Mutex::new(rows), room: Arc::new(room) })
    }

    fn rows(&self) -> MutexGuard<'_, BTreeMap<String, FileRow>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place to write the content of a key's new file to; it is nothing until it is kept.
    pub fn draft(&self, key: KeyId, id: &str) -> io::Result<Draft> {
        let path = self.folder.join(format!("{id}.part"));
        Ok(Draft { file: create(&path)?, path, key, bytes: 0, room: Arc::clone(&self.room), kept: false })
    }

    /// Makes a draft a file.
    pub fn keep(&self, mut draft: Draft, row: FileRow) -> io::Result<()> {
        draft.file.sync_all()?;
        let path = self.path(&row.id);
        fs::rename(&draft.path, &path)?;
        draft.path = path;
        if let Err(error) = replace(&self.folder, &row.id, &row) {
            // It may be there all the same; whoever wanted it hears that it is not.
            forget(&self.folder, &row.id);
            return Err(error);
        }
        draft.kept = true;
        if let Some(before) = self.rows().insert(row.id.clone(), row) {
            self.room.give(before.key, before.bytes);
        }
        Ok(())
    }

    /// The row of a key's file.
    pub fn find(&self, key: KeyId, id: &str) -> Option<FileRow> {
        self.rows().get(id).filter(|row| row.key == key).cloned()
    }

    /// Every file of a key.
    pub fn of(&self, key: KeyId) -> Vec<FileRow> {
        self.rows().values().filter(|row| row.key == key).cloned().collect()
    }

    /// How many files a key has.
    pub fn count(&self, key: KeyId) -> usize {
        self.rows().values().filter(|row| row.key == key).count()
    }

    /// Every file of the keys that are so.
    pub fn of_keys(&self, is_so: impl Fn(KeyId) -> bool) -> Vec<String> {
        self.rows().values().filter(|row| is_so(row.key)).map(|row| row.id.clone()).collect()
    }

    /// Whether there is room for more of a key's.
    pub fn has_room(&self, key: KeyId) -> bool {
        self.room.has(key, 1)
    }

    /// The content of a file.
    pub fn content(&self, id: &str) -> io::Result<File> {
        File::open(self.path(id))
    }

    /// Forgets a file.
    pub fn remove(&self, id: &str) -> io::Result<()> {
        fs::remove_file(row_path(&self.folder, id))?;
        if let Some(row) = self.rows().remove(id) {
            self.room.give(row.key, row.bytes);
        }
        // Without its row it is nothing; what stays is cleared away at the next start.
        _ = fs::remove_file(self.path(id));
        Ok(())
    }

    fn path(&self, id: &str) -> PathBuf {
        self.folder.join(id)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, bytes: u64) -> FileRow {
        let (key, filename, purpose) = (KeyId(1), "f".to_owned(), "batch".to_owned());
        FileRow { id: id.to_owned(), key, filename, purpose, bytes, created_at: 1 }
    }

    /// What lies in the folder.
    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("it reads").file_name());
        let mut names: Vec<String> = entries.filter_map(|name| name.into_string().ok()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_written_takes_room_until_it_is_gone_and_goes_with_its_draft() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let shelf = Shelf::with_room(folder.path().to_owned(), 10, 10).expect("a new folder");
        let draft = |id: &str, bytes: usize| {
            let mut draft = shelf.draft(KeyId(1), id).expect("room");
            draft.write_all(&vec![0; bytes]).expect("room");
            draft
        };
        let (one, two) = (draft("one", 4), draft("two", 5));
        assert_eq!([one.has_room(1), one.has_room(2)], [true, false], "both count");
        assert_eq!(names(folder.path()), ["one.part", "two.part"]);
        drop(two);
        assert_eq!((names(folder.path()).as_slice(), one.has_room(6), one.has_room(7)), (&["one.part".to_owned()][..], true, false));
        shelf.keep(one, row("one", 4)).expect("room");
        assert_eq!(names(folder.path()), ["one", "one.json"]);
        // Written again, as after a kill, it counts once.
        shelf.keep(draft("one", 5), row("one", 5)).expect("room");
        let three = draft("three", 0);
        assert_eq!([three.has_room(5), three.has_room(6)], [true, false]);
        shelf.remove("one").expect("it is there");
        assert_eq!([three.has_room(10), three.has_room(11)], [true, false]);
    }

    #[test]
    fn a_kill_leaves_only_what_was_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let shelf = Shelf::with_room(folder.path().to_owned(), 10, 10).expect("a new folder");
        let mut draft = shelf.draft(KeyId(1), "one").expect("room");
        draft.write_all(b"1234").expect("room");
        shelf.keep(draft, row("one", 4)).expect("room");
        fs::write(folder.path().join("two.part"), "x").expect("room");
        drop(shelf);
        let shelf = Shelf::with_room(folder.path().to_owned(), 4, 4).expect("it is there");
        assert_eq!((names(folder.path()).len(), shelf.has_room(KeyId(1))), (2, false));
    }

    #[test]
    fn no_key_takes_the_room_of_all() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let shelf = Shelf::with_room(folder.path().to_owned(), 10, 4).expect("a new folder");
        let draft = |key: u32, id: &str, bytes: usize| {
            let mut draft = shelf.draft(KeyId(key), id).expect("room");
            draft.write_all(&vec![0; bytes]).expect("room");
            draft
        };
        shelf.keep(draft(1, "one", 3), row("one", 3)).expect("room");
        let more = draft(1, "more", 1);
        assert_eq!((shelf.has_room(KeyId(1)), more.has_room(1), shelf.has_room(KeyId(2))), (false, false, true));
        let others = [draft(2, "two", 4), draft(3, "three", 2)];
        assert_eq!(others.each_ref().map(|draft| draft.has_room(1)), [false, false], "that key's are full, and then all");
        drop((more, others));
        shelf.remove("one").expect("it is there");
        assert_eq!([4, 5].map(|bytes| draft(1, "again", 0).has_room(bytes)), [true, false]);
    }
}
