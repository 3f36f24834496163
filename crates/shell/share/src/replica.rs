//! Who takes part: a state directory has a name for good, and each process that runs on it a number.

use std::path::Path;

use ledger::REPLICA;
use tokio_postgres::Client;

use crate::error::ShareError;

/// The name under which a state directory takes part: made once, and kept in the directory from when it takes part for the first time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplicaId(String);

impl ReplicaId {
    /// The name of a state directory; one that has none gets one from random bytes that the caller drew, and has it once it is kept.
    ///
    /// # Errors
    /// When the directory can't be read, or what it has is no name.
    pub fn of(directory: &Path, random: [u8; 8]) -> Result<Self, ShareError> {
        let path = directory.join(REPLICA);
        match std::fs::read_to_string(&path) {
            Ok(text) if is_name(text.trim()) => return Ok(Self(text.trim().to_owned())),
            Ok(_) => return Err(ShareError::Unreadable { what: path.display().to_string() }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(ShareError::Name(error)),
        }
        Ok(Self(random.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Writes the name into the directory that it is of, unless it is there.
    pub(crate) fn keep(&self, directory: &Path) -> Result<(), ShareError> {
        let (path, beside) = (directory.join(REPLICA), directory.join("replica.new"));
        let write = || -> std::io::Result<()> {
            if std::fs::exists(&path)? {
                return Ok(());
            }
            std::fs::write(&beside, format!("{}\n", self.0))?;
            std::fs::File::open(&beside)?.sync_all()?;
            std::fs::rename(&beside, &path)?;
            // A name that a power cut took would be another one at the next start, under which all is copied again.
            std::fs::File::open(directory)?.sync_all()
        };
        write().map_err(ShareError::Name)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_name(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Takes part as this replica, and gives the number of this process: whoever took part as it before no longer does.
pub(crate) async fn take_part(client: &Client, id: &ReplicaId) -> Result<i64, ShareError> {
    let row = client
        .query_one(
            "INSERT INTO baseload.replica (id, incarnation, seen) VALUES ($1, 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
             ON CONFLICT (id) DO UPDATE SET incarnation = baseload.replica.incarnation + 1, seen = excluded.seen RETURNING incarnation",
            &[&id.as_str()],
        )
        .await?;
    Ok(row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = ReplicaId::of(folder.path(), [7; 8]).expect("a name");
        assert!(!ledger::takes_part(folder.path()), "it hasn't taken part yet");
        first.keep(folder.path()).expect("it is written");
        assert!(ledger::takes_part(folder.path()));
        assert_eq!((first.as_str(), ReplicaId::of(folder.path(), [8; 8]).expect("it has one")), ("0707070707070707", first.clone()));
        std::fs::write(folder.path().join(REPLICA), "x").expect("written");
        assert!(matches!(ReplicaId::of(folder.path(), [7; 8]), Err(ShareError::Unreadable { .. })));
    }
}
