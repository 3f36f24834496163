//! The repository's text files, read once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::finding::TaskError;

const SKIPPED: [&str; 10] =
    [".bench", ".compat", ".compat-llmd", ".compat-vllm", ".git", ".venv", "__pycache__", "mutants.out", "node_modules", "target"];

/// Text by path from the root, with `/` between folders.
#[derive(Debug, Default)]
pub struct Tree(BTreeMap<String, String>);

impl Tree {
    /// Every text file below `root`, without what is built or fetched.
    pub fn read(root: &Path) -> Result<Self, TaskError> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        Ok(tree)
    }

    /// A tree from pairs of path and text.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The files whose name has this ending.
    pub fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files().filter(move |(path, _)| path.ends_with(end))
    }

    /// One file's text.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }

    fn read_folder(&mut self, folder: &Path, prefix: &str) -> Result<(), TaskError> {
        let fail = |path: &Path, source| TaskError::File { path: path.display().to_string(), source };
        for entry in fs::read_dir(folder).map_err(|error| fail(folder, error))? {
            let entry = entry.map_err(|error| fail(folder, error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type().map_err(|error| fail(&entry.path(), error))?;
            if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
                self.read_folder(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).map_err(|error| fail(&entry.path(), error))?;
                // What isn't text (a trace, a picture) has no words to check.
                if let Ok(text) = String::from_utf8(bytes) {
                    self.0.insert(path, text);
                }
            }
        }
        Ok(())
    }
}
